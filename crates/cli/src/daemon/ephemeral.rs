//! The home of a private engine that ends with whoever started it: temporary, and never left behind.
//!
//! Its owner holds a lock in it as long as it lives. An engine on such a home ends when the lock is free, however
//! its owner went; what even that engine could not remove, because it was killed too, the next owner does.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{geteuid, mkdtemp};
use windlass_engine::Home;

use crate::env::Env;
use crate::fail::{Failure, Outcome};

/// What commands below such an engine find in their environment: the home that ends with it.
pub(crate) const VARIABLE: &str = "WINDLASS_EPHEMERAL";
/// How the directories are called, and at most so many old ones are looked at.
const PREFIX: &str = "windlass-ephemeral-";
const OLD: usize = 1000;
/// How long a shim may take to leave after its engine.
const SHIM: Duration = Duration::from_secs(5);
/// How often a directory is removed in which something still appears.
const TRIES: u32 = 5;

/// A temporary home and the lock that says that somebody wants it.
pub(crate) struct Owned {
    /// The home.
    pub(crate) home: Home,
    _owner: File,
}

/// Makes a home for this process, and removes those whose owners are gone.
pub(crate) fn make(env: &Env) -> Outcome<Owned> {
    // The engine has another working directory.
    let parent = env.absolute(PathBuf::from(env.get("TMPDIR").unwrap_or("/tmp")));
    sweep(&parent);
    let fault = |error: &dyn std::fmt::Display| {
        Failure::new(parent.display().to_string(), error).way_out("set TMPDIR to a directory of a local disk")
    };
    // Made for its owner alone.
    let root = mkdtemp(&parent.join(format!("{PREFIX}XXXXXX"))).map_err(|error| fault(&error))?;
    let owner = own(&root).map_err(|error| fault(&error))?;
    Ok(Owned { home: Home::at(root), _owner: owner })
}

/// The lock is taken before the file has its name: who finds it free finds a home without an owner.
fn own(root: &Path) -> std::io::Result<File> {
    let draft = root.join("owner.new");
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
    file.lock()?;
    std::fs::rename(&draft, owner_file(root))?;
    Ok(file)
}

fn owner_file(root: &Path) -> PathBuf {
    root.join("owner")
}

/// Whether a home is one that ends with its owner: nobody needs it afterwards.
pub(super) fn is_owned(home: &Home) -> bool {
    owner_file(home.root()).exists()
}

/// Whether the home of a command's environment has ended with its engine's owner.
pub(crate) fn has_ended(home: &Home, env: &Env) -> bool {
    is_below(home, env)
        && !File::open(owner_file(home.root())).is_ok_and(|owner| owner.try_lock_shared().is_err())
}

/// Whether a command was started by the owner of this private home, or below it.
pub(super) fn is_below(home: &Home, env: &Env) -> bool {
    env.get(VARIABLE).is_some_and(|root| Path::new(root) == home.root())
}

/// Resolves when the owner of an ephemeral home is gone; never for any other home.
pub(crate) async fn orphaned(home: &Home) {
    let Ok(owner) = File::open(owner_file(home.root())) else { return std::future::pending().await };
    let gone = tokio::task::spawn_blocking(move || owner.lock_shared().is_ok());
    if !matches!(gone.await, Ok(true)) {
        tracing::warn!("it cannot be known whether the owner of this engine lives");
        std::future::pending::<()>().await;
    }
}

/// Removes a home whose engine has stopped, after the last of its processes.
pub(crate) async fn erase(home: &Home) -> std::io::Result<()> {
    let shim = File::open(home.shim_lock());
    if let Ok(shim) = shim {
        let left = tokio::task::spawn_blocking(move || shim.lock_shared().is_ok());
        // One that hangs on finds its directory gone, and ends what it runs.
        _ = tokio::time::timeout(SHIM, left).await;
    }
    remove(home.root())
}

fn remove(root: &Path) -> std::io::Result<()> {
    let mut result = Ok(());
    for _ in 0..TRIES {
        result = std::fs::remove_dir_all(root);
        match &result {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // Something was written meanwhile.
            Err(_) => std::thread::yield_now(),
        }
    }
    result
}

/// Removes what killed owners and killed engines left. A shim whose directory is gone ends its processes.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let named = |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(|n| n.starts_with(PREFIX));
    for entry in entries.filter_map(Result::ok).filter(named).take(OLD) {
        let root = entry.path();
        // Not through a link, and nobody else's.
        let mine =
            root.symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw());
        if mine && is_free(&owner_file(&root)) && (is_free(&root.join("lock")) || !root.join("lock").exists())
        {
            // The shim looks around when somebody goes.
            let visit = visit(&root.join("shim"));
            _ = remove(&root);
            drop(visit);
        }
    }
}

/// A connection to a shim that may be left; by a name that is short enough for a socket.
fn visit(directory: &Path) -> Option<UnixStream> {
    let directory = File::open(directory).ok()?;
    UnixStream::connect(format!("/proc/self/fd/{}/shim.sock", directory.as_raw_fd())).ok()
}

fn is_free(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(parent: &Path) -> Env {
        let parent = parent.display().to_string();
        Env { vars: [("TMPDIR".to_owned(), parent)].into(), ..Env::default() }
    }

    #[test]
    fn a_home_without_an_owner_is_removed_by_the_next_one() {
        let parent = tempfile::tempdir().unwrap();
        let left = make(&env(parent.path())).unwrap();
        let other = parent.path().join("windlass-other");
        std::fs::create_dir(&other).unwrap();
        let kept = make(&env(parent.path())).unwrap();
        assert!(left.home.root().exists(), "its owner lives");
        let root = left.home.root().to_owned();
        drop(left);
        let next = make(&env(parent.path())).unwrap();
        assert!(!root.exists() && kept.home.root().exists() && next.home.root().exists() && other.exists());
    }

    #[test]
    fn a_home_whose_engine_lives_is_left_to_its_engine() {
        let parent = tempfile::tempdir().unwrap();
        let left = make(&env(parent.path())).unwrap();
        let root = left.home.root().to_owned();
        let engine = File::create(root.join("lock")).unwrap();
        engine.lock().unwrap();
        drop(left);
        drop(make(&env(parent.path())).unwrap());
        assert!(root.exists());
    }

    #[test]
    fn a_command_below_it_knows_when_it_has_ended() {
        let parent = tempfile::tempdir().unwrap();
        let owned = make(&env(parent.path())).unwrap();
        let home = owned.home.clone();
        let mut below = env(parent.path());
        assert!(!has_ended(&home, &below));
        below.vars.insert(VARIABLE.to_owned(), home.root().display().to_string());
        assert!(!has_ended(&home, &below));
        drop(owned);
        assert!(has_ended(&home, &below));
    }
}
