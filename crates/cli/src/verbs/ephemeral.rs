//! `windlass up --ephemeral`: a private engine for the life of one command, or until it is interrupted.
//!
//! Whatever ends it, nothing stays: neither the engine nor its jobs' processes nor their directory.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitStatus;

use futures::FutureExt;
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use tokio::process::{Child, Command};

use super::forward::{Signals, give_back};
use super::{down, resources};
use crate::args::high::UpOptions;
use crate::cluster::Call;
use crate::daemon::ephemeral::{self, Owned};
use crate::daemon::{self, Boot};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;

/// Starts an engine, runs the command, ends the engine, gives the command's code.
pub(super) async fn run(options: &UpOptions, command: &[String], call: Call<'_>) -> Outcome {
    // Before anything makes a thread.
    let mut signals = Signals::take()?;
    let owned = ephemeral::make(call.env)?;
    let home = owned.home.clone();
    let boot = Boot {
        home: home.root().to_owned(),
        listen: options.listen,
        images: options.images.unwrap_or_default(),
        idle_exit_s: None,
    };
    let started = match daemon::start(&home, call.env, &boot).await {
        Ok(_) => resources::ensure(&options.resources, &home, call).await,
        Err(failure) => Err(failure),
    };
    let keeper = started.is_ok().then(|| daemon::keep(home.clone(), call.env.clone(), call.notes()));
    let result = match started {
        Err(failure) => Err(failure),
        Ok(()) if command.is_empty() => stay(&owned, &mut signals, call).await,
        Ok(()) => with_command(command, &owned, &mut signals, call).await,
    };
    if let Some(keeper) = keeper {
        keeper.abort();
    }
    let cleaned = clean(&owned).await;
    result.and_then(|exit| cleaned.map(|()| exit))
}

/// Without a command: tells where the kubeconfig is, and waits for an interrupt.
async fn stay(owned: &Owned, signals: &mut Signals, call: Call<'_>) -> Outcome {
    out::data(&format!("{}\n", owned.home.kubeconfig().display()))?;
    call.notes().say("a private engine is ready; Ctrl-C ends it and removes all it had");
    signals.next().await;
    Ok(Exit::OK)
}

/// The command, from its start to its end.
async fn with_command(command: &[String], owned: &Owned, signals: &mut Signals, call: Call<'_>) -> Outcome {
    if let Some(came) = signals.next().now_or_never() {
        return Ok(killed_by(came.signal));
    }
    let mut child = spawn(command, owned, call)?;
    loop {
        tokio::select! {
            status = child.wait() => return status.map(code).map_err(|error| Failure::new(&command[0], error)),
            // What the terminal sends comes to the command without us.
            came = signals.next() => if !came.by_terminal {
                forward(&child, came.signal);
            },
        }
    }
}

/// Starts the command where its caller is, with the engine as its cluster.
fn spawn(command: &[String], owned: &Owned, call: Call<'_>) -> Outcome<Child> {
    let root = owned.home.root();
    let mut process = std::process::Command::new(&command[0]);
    process.args(&command[1..]).env_remove("WINDLASS_CONTEXT");
    process
        .env("KUBECONFIG", owned.home.kubeconfig())
        .env("WINDLASS_HOME", root)
        .env(ephemeral::VARIABLE, root);
    let owner = getpid();
    // SAFETY: setting the signal mask and asking the kernel is safe between fork and exec.
    unsafe { process.pre_exec(move || give_back().and_then(|()| end_with(owner))) };
    if let Some(dir) = &call.env.cwd {
        process.current_dir(dir);
    }
    Command::from(process).spawn().map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit(127) } else { Exit(126) };
        Failure::new(&command[0], error).exit(exit)
    })
}

/// Between fork and exec: the kernel kills this process when its parent's thread ends, which is the one that lives as
/// long as the program does (`runtime::one_thread`). A parent that has gone before the kernel was told is seen by the
/// other one that took its place (prctl(2), PR_SET_PDEATHSIG).
fn end_with(owner: Pid) -> std::io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == owner { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

fn forward(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended just now.
        _ = kill(Pid::from_raw(pid), signal);
    }
}

/// As a shell tells it.
fn code(status: ExitStatus) -> Exit {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Exit(u8::try_from(code).unwrap_or(u8::MAX))
}

fn killed_by(signal: Signal) -> Exit {
    Exit(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX))
}

/// Ends the engine with its pods, and removes its home.
async fn clean(owned: &Owned) -> Outcome<()> {
    let home = &owned.home;
    // Of one that a command in there is just starting, the end of that is waited for.
    let starting = daemon::starting(home, true).await?;
    if let Some(running) = home.running() {
        down::stop(home, &running, Signal::SIGUSR1).await?;
    }
    drop(starting);
    ephemeral::erase(home).await.map_err(|error| {
        Failure::new(home.root().display().to_string(), error).way_out("remove this directory")
    })
}
