//! Finding the engine of a home, and starting one if there is none.
//!
//! Whoever starts an engine holds `start.lock` until it is ready, and whoever looks for one takes it shared, so
//! that of many commands at once one starts the engine and the others find it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use windlass_engine::{Home, Images, Running};

use super::boot::{Answer, Boot};
use super::version::{Fit, fit};
use super::{ENGINE, ephemeral, limits, service};
use crate::env::Env;
use crate::fail::{Failure, Outcome};
use crate::out::Notes;
use crate::said;

/// How long an engine may take to be ready: opening a large store after a crash, not a usual start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a killed process may take to pass away.
const PASSING: Duration = Duration::from_secs(5);
/// An engine that a command started by itself leaves when it was idle for so long.
pub(crate) const IDLE_EXIT: Duration = Duration::from_secs(30 * 60);
/// An engine that has less room than this, bytes, cannot go on.
const ROOM: u64 = 64 << 10;
/// The longest answer of a starting engine, bytes.
const ANSWER_LIMIT: u64 = 64 << 10;
/// The lock of starting, below a home.
pub(super) const STARTING: &str = "start.lock";
/// What an engine's process sees of the environment of whoever starts it.
const INHERITED: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "WINDLASS_LOG",
    limits::OF_AN_ATTEMPT,
    limits::OF_ALL,
    limits::PIDS,
    // The devices of a batch system's allocation.
    "CUDA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
];

/// The lock of starting: exclusive for a starter, shared for those who look.
pub(crate) async fn starting(home: &Home, exclusive: bool) -> Outcome<File> {
    home.make().map_err(|error| Failure::bare(error).way_out("set WINDLASS_HOME to another directory"))?;
    let place = home.root().join(STARTING);
    let fault = {
        let place = place.clone();
        move |error: std::io::Error| Failure::new(place.display().to_string(), error)
    };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&place);
    let file = file.map_err(&fault)?;
    // Nearly always nobody has it: no thread is needed to wait.
    if if exclusive { file.try_lock() } else { file.try_lock_shared() }.is_ok() {
        return Ok(file);
    }
    let wait = tokio::task::spawn_blocking(move || {
        if exclusive { file.lock() } else { file.lock_shared() }.map(|()| file)
    });
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(Ok(locked)) => locked.map_err(fault),
        Ok(Err(panic)) => Err(Failure::new(place.display().to_string(), panic)),
        Err(_) => Err(Failure::new(
            place.display().to_string(),
            "another command has been starting the engine for long",
        )
        .way_out(format!("see {}", home.engine_log().display()))),
    }
}

/// The engine of a home, if it runs.
pub(crate) async fn find(home: &Home) -> Outcome<Option<Running>> {
    if !home.root().exists() {
        return Ok(None);
    }
    let _looking = starting(home, false).await?;
    match home.running() {
        None if home.is_unreadable() => Err(unreadable(home)),
        running => Ok(running),
    }
}

/// An engine has the home, and what it says of itself is not to be understood.
fn unreadable(home: &Home) -> Failure {
    let cause =
        "says of the engine that runs what this version cannot read: it is another version's, or damaged";
    Failure::new(home.state().display().to_string(), cause)
        .way_out("end that engine with the `windlass down` of its own version, or by its process")
}

/// The engine of a home, started if it does not run.
pub(crate) async fn ensure(home: &Home, env: &Env, notes: Notes) -> Outcome<Running> {
    if let Some(running) = find(home).await? {
        check_version(home, &running, notes)?;
        return Ok(running);
    }
    if ephemeral::has_ended(home, env) {
        let cause = "the private engine of `windlass up --ephemeral` has ended";
        return Err(Failure::new(home.root().display().to_string(), cause)
            .way_out("--local with another WINDLASS_HOME, or a KUBECONFIG, is another cluster"));
    }
    if let Some(running) = served(home, env).await? {
        return Ok(running);
    }
    // One that died, or left because it was idle, comes back as it was started.
    let dead = home.left_behind();
    let boot = Boot {
        home: home.root().to_owned(),
        listen: None,
        images: dead.as_ref().map_or(Images::Refuse, |dead| dead.images),
        idle_exit_s: dead.map_or(Some(IDLE_EXIT.as_secs()), |dead| dead.idle_exit_s),
    };
    start(home, env, &boot).await
}

/// Whether an engine that does not answer has gone: a killed one keeps its lock until the system has taken its
/// process apart, which is waited for a moment.
pub(crate) async fn gone(home: &Home) -> bool {
    matches!(tokio::time::timeout(PASSING, passed_away(home)).await, Ok(true))
}

/// Comes back when no engine's process has the home any more; false if that cannot be known.
pub(crate) async fn passed_away(home: &Home) -> bool {
    let Ok(lock) = File::open(home.lock_file()) else { return true };
    // A command that ends meanwhile does not wait for this thread.
    let freed = tokio::task::spawn_blocking(move || lock.lock_shared().is_ok());
    freed.await.unwrap_or(false)
}

/// The engine of an installed service, which systemd is to start and nobody else.
async fn served(home: &Home, env: &Env) -> Outcome<Option<Running>> {
    let Some(unit) = service::unit(home, env).filter(|unit| unit.file.exists()) else { return Ok(None) };
    // The service itself comes by here too.
    if env.get(service::VARIABLE).is_some() || service::systemctl(&["start", &unit.name]).await.is_err() {
        return Ok(None);
    }
    find(home).await
}

/// Another minor version serves, and is told of once; with another major version nothing is certain.
fn check_version(home: &Home, running: &Running, notes: Notes) -> Outcome<()> {
    let (own, theirs) = (env!("CARGO_PKG_VERSION"), &running.version);
    let renew = "`windlass down --leave && windlass up` renews it, what runs goes on";
    let word = match fit(own, theirs) {
        Fit::Same => return Ok(()),
        Fit::Older => "older",
        Fit::Newer => "newer",
        Fit::Apart => {
            let place = format!("the engine that runs (pid {})", running.pid);
            let cause =
                format!("is Windlass {theirs}; this is {own}, and they may not understand each other");
            return Err(Failure::new(place, cause).way_out(renew));
        }
    };
    let text =
        format!("the engine that runs is {word} ({theirs}, this is {own}) and goes on serving; {renew}");
    said::once(home, "version", &text, notes);
    Ok(())
}

/// Starts an engine that outlives this process, unless another command was faster.
///
/// # Errors
/// The engine's own words if it does not start.
pub(crate) async fn start(home: &Home, env: &Env, boot: &Boot) -> Outcome<Running> {
    let _starter = starting(home, true).await?;
    if let Some(running) = home.running() {
        return Ok(running);
    }
    let mut child = spawn(env, boot)?;
    let place = || home.root().display().to_string();
    let see = || format!("see {}", home.engine_log().display());
    match tokio::time::timeout(PATIENCE, answer(&mut child)).await {
        Ok(Some(Answer::Ready)) => home
            .running()
            .ok_or_else(|| Failure::new(place(), "the engine ended right after its start").way_out(see())),
        Ok(Some(Answer::Failed(why))) => {
            let failure = || Failure::new("the engine did not start", why).way_out(see());
            Err(full(home).unwrap_or_else(failure))
        }
        Ok(None) => {
            let failure = || Failure::new(place(), "the engine ended while it started").way_out(see());
            Err(full(home).unwrap_or_else(failure))
        }
        Err(_) => {
            _ = child.start_kill();
            let text = format!("the engine was not ready after {} seconds", PATIENCE.as_secs());
            Err(Failure::new(place(), text).way_out(see()))
        }
    }
}

/// That there is no room for an engine's state, if there is none.
pub(super) fn full(home: &Home) -> Option<Failure> {
    let disk = statvfs(home.root()).ok()?;
    (disk.blocks_available() * disk.fragment_size() < ROOM).then(|| {
        Failure::new(
            home.root().display().to_string(),
            "no space is left on its disk: the engine cannot write",
        )
        .way_out("free some space, then go on: what was acknowledged is kept, what runs goes on")
    })
}

/// This program again, as an engine: nothing of ours but a pipe for its answer.
fn spawn(env: &Env, boot: &Boot) -> Outcome<Child> {
    let fault = |error: std::io::Error| Failure::new("starting the engine", error);
    let program = std::env::current_exe().map_err(fault)?;
    let boot = serde_json::to_string(boot).map_err(|error| Failure::new("starting the engine", error))?;
    let mut command = std::process::Command::new(program);
    command.arg(ENGINE).arg(boot).env_clear();
    command.envs(INHERITED.iter().filter_map(|name| Some((*name, env.vars.get(*name)?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Command::from(command).spawn().map_err(fault)
}

/// Its answer; none if it ended without one.
async fn answer(child: &mut Child) -> Option<Answer> {
    let mut line = String::new();
    let pipe = child.stdout.as_mut()?.take(ANSWER_LIMIT);
    BufReader::new(pipe).read_line(&mut line).await.ok()?;
    serde_json::from_str(&line).ok()
}
