//! Ends the engines that were started, whatever ends this program: also an interrupt in the middle of a measurement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Homes on which an engine may run, each with the program that ends it.
static HOMES: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::new(BTreeMap::new());

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

/// Waits for a signal that ends this program, then ends all engines and leaves, as a shell says that a signal did it.
///
/// # Errors
/// Signals cannot be waited for.
pub(crate) async fn on_signal() -> std::io::Result<()> {
    let (mut interrupted, mut ended) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hung_up = signal(SignalKind::hangup())?;
    let signal = tokio::select! {
        _ = interrupted.recv() => Signal::SIGINT,
        _ = ended.recv() => Signal::SIGTERM,
        _ = hung_up.recv() => Signal::SIGHUP,
    };
    let all: Vec<PathBuf> = homes().keys().cloned().collect();
    for home in all {
        end(&home);
        _ = std::fs::remove_dir_all(&home);
    }
    #[expect(clippy::disallowed_methods, reason = "a measurement that holds a thread does not return")]
    std::process::exit(128 + signal as i32)
}
