//! `windlass down`: stop the engine of this machine, never without saying what becomes of running pods.

use std::fs::File;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use windlass::Source;
use windlass_engine::{Home, Running};

use crate::args::low::Down;
use crate::cluster::Call;
use crate::daemon;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};

/// How long an engine may take to end: its pods' grace, and its store.
const PATIENCE: Duration = Duration::from_secs(120);
/// So many pods are named.
const NAMED: usize = 10;

/// Stops it. With pods running it does so only when told what to do with them.
pub(crate) async fn run(options: &Down, call: Call<'_>) -> Outcome {
    let home = call.home()?;
    let none = || {
        call.notes().say("no engine runs");
        Ok(Exit::OK)
    };
    if daemon::find(&home).await?.is_none() {
        return none();
    }
    let mut schedules = 0;
    if !options.leave && !options.force {
        let pods = running_pods(&home).await?;
        if !pods.is_empty() {
            return Err(refusal(&pods));
        }
        schedules = due(&home).await;
    }
    // Whoever wants an engine meanwhile waits until this one has gone, and starts the next.
    let _stopping = daemon::starting(&home, true).await?;
    let Some(running) = home.running() else { return none() };
    let signal = if options.force { Signal::SIGUSR1 } else { Signal::SIGTERM };
    stop(&home, &running, signal).await?;
    call.notes().say(match (options.force, options.leave) {
        (true, _) => "the engine has stopped; its pods were ended",
        (_, true) => "the engine has stopped; its pods go on, the next engine takes them over",
        _ => "the engine has stopped",
    });
    if schedules > 0 {
        let crons = if schedules == 1 { "1 CronJob makes" } else { &format!("{schedules} CronJobs make") };
        call.notes().say(&format!(
            "{crons} no jobs until the engine runs again; the latest that is missed is made up for"
        ));
    }
    Ok(Exit::OK)
}

/// How many CronJobs are not suspended. It is told in passing: an engine that does not say keeps nobody from stopping it.
async fn due(home: &Home) -> usize {
    let source = Source::Files { paths: vec![home.kubeconfig()], context: None };
    let Ok(connection) = windlass::connect(&source).await else { return 0 };
    let crons = Api::<CronJob>::all(connection.client).list(&ListParams::default()).await;
    let is_due = |cron: &&CronJob| cron.spec.suspend != Some(true);
    crons.map_or(0, |crons| crons.items.iter().filter(is_due).count())
}

/// The names of the pods that run, with their namespaces.
pub(super) async fn running_pods(home: &Home) -> Outcome<Vec<String>> {
    let source = Source::Files { paths: vec![home.kubeconfig()], context: None };
    let way_out = "`windlass down --force` ends it with its pods, `--leave` without them";
    let connection =
        windlass::connect(&source).await.map_err(|error| Failure::bare(error).way_out(way_out))?;
    let running = ListParams::default().fields("status.phase=Running");
    let pods = Api::<Pod>::all(connection.client).list(&running).await;
    let pods = pods.map_err(|error| Failure::new("the engine", error).way_out(way_out))?;
    let name = |pod: Pod| {
        let namespace = pod.metadata.namespace.unwrap_or_default();
        format!("{namespace}/{}", pod.metadata.name.unwrap_or_default())
    };
    Ok(pods.items.into_iter().map(name).collect())
}

fn refusal(pods: &[String]) -> Failure {
    let mut cause = format!("{} of its pods run:", pods.len());
    for pod in pods.iter().take(NAMED) {
        cause.push_str(&format!("\n{pod}"));
    }
    if pods.len() > NAMED {
        cause.push_str(&format!("\n... and {} more", pods.len() - NAMED));
    }
    Failure::new("the engine was not stopped", cause)
        .way_out("--force ends them; --leave lets them run, the next engine takes them over")
}

/// Sends the signal and waits until the engine has let its lock go, when everything is on disk, and has ended.
pub(super) async fn stop(home: &Home, running: &Running, signal: Signal) -> Outcome<()> {
    let engine = format!("the engine (pid {})", running.pid);
    let place = home.root().join("lock");
    let fault = |error: &dyn std::fmt::Display| Failure::new(place.display().to_string(), error);
    let lock = File::open(&place).map_err(|error| fault(&error))?;
    let process = pidfd(running.pid);
    kill(Pid::from_raw(running.pid), signal).map_err(|error| Failure::new(engine.clone(), error))?;
    let stopped = tokio::task::spawn_blocking(move || {
        lock.lock_shared()?;
        process.map_or(Ok(()), |process| ended(&process))
    });
    match tokio::time::timeout(PATIENCE, stopped).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(fault(&error)),
        Ok(Err(panic)) => Err(fault(&panic)),
        Err(_) => Err(Failure::new(engine, format!("has not stopped after {} seconds", PATIENCE.as_secs()))
            .way_out(format!("see {}", home.engine_log().display()))),
    }
}

/// A descriptor of a process; none where the process has ended, or the kernel is older than Linux 5.3.
fn pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open(2) takes any numbers; there is no wrapper in libc or nix.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: a new descriptor of ours, with O_CLOEXEC.
    i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits until a process has ended, which is a moment after it let its files go.
fn ended(process: &OwnedFd) -> std::io::Result<()> {
    let mut poll = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    loop {
        match nix::poll::poll(&mut poll, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map(drop).map_err(Into::into),
        }
    }
}
