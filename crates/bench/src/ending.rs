//! Ends the engines that were started, whatever ends this program: also an interrupt in the middle of a measurement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Homes on which an engine may run, each with the program that ends it.
static HOMES: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::new(BTreeMap::new());

/// Held while an engine is being started, and for good once all are being ended: one on its way has no lock yet.
static STARTING: Mutex<()> = Mutex::new(());

/// Keeps the engines from being ended until the one that is being started now is there.
pub(crate) fn starting() -> MutexGuard<'static, ()> {
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The homes; what a thread that panicked has noted of them holds.
fn homes() -> MutexGuard<'static, BTreeMap<PathBuf, PathBuf>> {
    HOMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that an engine may run on this home from now on.
pub(crate) fn begun(home: &Path, binary: &Path) {
    homes().insert(home.to_owned(), binary.to_owned());
}

/// Ends the engine of a home and what it runs, if there is one.
pub(crate) fn end(home: &Path) {
    let binary = homes().remove(home);
    // One that never came so far has no lock, and nothing to end.
    if let Some(binary) = binary.filter(|_| home.join("lock").exists()) {
        _ = down(&binary, home);
    }
}

fn down(binary: &Path, home: &Path) -> std::io::Result<ExitStatus> {
    let mut down = Command::new(binary);
    down.args(["down", "--force", "--quiet"]).env("WINDLASS_HOME", home).env_remove("KUBECONFIG");
    down.stdin(Stdio::null()).stdout(Stdio::null()).status()
}

/// The signals that end this program.
pub(crate) struct Signals {
    interrupted: tokio::signal::unix::Signal,
    ended: tokio::signal::unix::Signal,
    hung_up: tokio::signal::unix::Signal,
}

impl Signals {
    /// Has them wait from now on. Within a runtime.
    ///
    /// # Errors
    /// Signals cannot be waited for.
    pub(crate) fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupted: signal(SignalKind::interrupt())?,
            ended: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupted.recv() => Signal::SIGINT,
            _ = self.ended.recv() => Signal::SIGTERM,
            _ = self.hung_up.recv() => Signal::SIGHUP,
        }
    }

    /// Waits for the first, then ends all engines and leaves, as a shell says that a signal did it. At the second it leaves
    /// whatever is left.
    pub(crate) async fn obey(mut self) {
        let signal = self.next().await;
        let ended = tokio::task::spawn_blocking(move || {
            let _none_starts = starting();
            let all: Vec<PathBuf> = homes().keys().cloned().collect();
            for home in all {
                end(&home);
                _ = std::fs::remove_dir_all(&home);
            }
            leave(signal);
        });
        tokio::select! {
            _ = ended => {}
            again = self.next() => leave(again),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement that holds a thread does not return")]
fn leave(signal: Signal) {
    std::process::exit(128 + signal as i32)
}
