//! The directory that holds an engine's state, and the lock that lets one engine have it.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Images;

/// How often the lock is tried while others look at it.
const LOCK_TRIES: u32 = 1000;

/// The paths below an engine's home. Only the owner may enter it (mode 0700).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

/// The number of the state file's format. Files from before it was written down are of format 1, too.
const FORMAT: u32 = 1;

/// `engine.json`: its format, and what it says.
#[derive(Serialize, Deserialize)]
struct State<S> {
    #[serde(default = "first")]
    format: u32,
    #[serde(flatten)]
    said: S,
}

fn first() -> u32 {
    FORMAT
}

/// What `engine.json` says of the engine that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: i32,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its version.
    pub version: String,
    /// What it does with images.
    #[serde(default)]
    pub images: Images,
    /// When it started (RFC 3339).
    #[serde(default)]
    pub started: String,
    /// After how many seconds of idleness it leaves; none: it stays.
    #[serde(default, rename = "idleExitSeconds", skip_serializing_if = "Option::is_none")]
    pub idle_exit_s: Option<u64>,
    /// It left because it was idle: whoever needs one starts the next as this one was started.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resting: bool,
    /// What its starter noted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
}

// serde asks for a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Another engine has it.
    #[error("{place}: another engine runs on this home{}", .pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    Locked {
        /// The home.
        place: PathBuf,
        /// The other engine's process, if it said so already.
        pid: Option<i32>,
    },
    /// The directory or a file in it.
    #[error("{}: {cause}", place.display())]
    Io {
        /// The path.
        place: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

impl Home {
    /// The home at a path; nothing is made yet.
    pub fn at(root: impl Into<PathBuf>) -> Home {
        Home { root: root.into() }
    }
    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The administrator's kubeconfig (mode 0600).
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }
    /// What the running engine says of itself.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("engine.json")
    }
    /// Locked exclusively by the engine that runs, as long as its process lives.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }
    /// The engine's own log.
    #[must_use]
    pub fn engine_log(&self) -> PathBuf {
        self.root.join("engine.log")
    }
    /// Held by the shim as long as its process lives.
    #[must_use]
    pub fn shim_lock(&self) -> PathBuf {
        self.shim().join("lock")
    }
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }
    pub(crate) fn shim(&self) -> PathBuf {
        self.root.join("shim")
    }
    pub(crate) fn credentials(&self) -> PathBuf {
        self.root.join("credentials.json")
    }
    /// The log of one run of a container.
    pub(crate) fn container_log(&self, pod_uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod_logs(pod_uid).join(format!("{pod_uid}_{container}-{attempt}.log"))
    }
    /// The folder in which a pod's logs are, with those of many others: a folder for each pod would cost as much as
    /// the log itself.
    pub(crate) fn pod_logs(&self, pod_uid: &str) -> PathBuf {
        let shard = pod_uid.get(..2).filter(|shard| shard.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        self.logs().join(shard.unwrap_or("00"))
    }
    /// The uid of the pod whose log this file is.
    pub(crate) fn pod_of_log(file: &Path) -> Option<&str> {
        Some(file.file_name()?.to_str()?.split_once('_')?.0)
    }
    /// How far a clock that can be moved is ahead.
    pub(crate) fn clock(&self) -> PathBuf {
        self.root.join("clock")
    }
    /// What is known of the runs that are played.
    pub(crate) fn fates(&self) -> PathBuf {
        self.root.join("fates")
    }
    /// The directories of the claims of the local class.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }
    /// The volumes of all pods.
    pub(crate) fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }
    /// The logs of all pods.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
    /// Makes the directory, for its owner only.
    pub fn make(&self) -> Result<(), HomeError> {
        let fault = |cause| HomeError::Io { place: self.root.clone(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root).map_err(fault)?;
        let mode = std::fs::metadata(&self.root).map_err(fault)?.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&self.root, std::fs::Permissions::from_mode(0o700)).map_err(fault)?;
        }
        Ok(())
    }
    /// Takes the lock; it is held until the file is dropped.
    pub(crate) fn lock(&self) -> Result<File, HomeError> {
        let place = self.lock_file();
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&place);
        let file = open.map_err(|cause| HomeError::Io { place: place.clone(), cause })?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(HomeError::Io { place, cause }),
            }
            // Whoever looks whether an engine runs holds the lock shared for a moment: that is no engine.
            match file.try_lock_shared() {
                Ok(()) => std::thread::yield_now(),
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(cause)) => return Err(HomeError::Io { place, cause }),
            }
        }
        Err(HomeError::Locked { place: self.root.clone(), pid: self.read_state().map(|s| s.pid) })
    }
    /// The engine that runs on this home and is ready, if there is one.
    #[must_use]
    pub fn running(&self) -> Option<Running> {
        self.is_held()?.then(|| self.read_state())?
    }
    /// What an engine that died, or left because it was idle, said of itself: one that was stopped takes it back.
    #[must_use]
    pub fn left_behind(&self) -> Option<Running> {
        (!self.is_held()?).then(|| self.read_state())?
    }
    /// Whether an engine's process lives whose state file is there and cannot be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.is_held() == Some(true) && self.state().exists() && self.read_state().is_none()
    }
    /// Whether an engine's process lives; none if that cannot be known.
    fn is_held(&self) -> Option<bool> {
        match File::open(self.lock_file()).ok()?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(true),
            Ok(()) => Some(false),
            Err(TryLockError::Error(_)) => None,
        }
    }
    /// Tells whoever looks for the engine where it is and how it was started.
    pub(crate) fn write_state(&self, state: &Running) -> Result<(), HomeError> {
        // A struct of plain fields always has a JSON form.
        let state = State { format: FORMAT, said: state };
        self.write_private(&self.state(), &serde_json::to_vec_pretty(&state).unwrap_or_default())
    }
    fn read_state(&self) -> Option<Running> {
        let state: State<Running> = serde_json::from_slice(&std::fs::read(self.state()).ok()?).ok()?;
        (state.format == FORMAT).then_some(state.said)
    }
    /// Writes a file that only the owner may read, whole or not at all.
    pub(crate) fn write_private(&self, place: &Path, bytes: &[u8]) -> Result<(), HomeError> {
        let fault = |cause| HomeError::Io { place: place.to_owned(), cause };
        let draft = place.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&draft)
            .map_err(fault)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fault)?;
        std::fs::rename(&draft, place).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/state");
        std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
    }

    fn home(state: &str) -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        std::fs::write(home.state(), state).unwrap();
        (folder, home)
    }

    fn running() -> Running {
        Running {
            pid: 7,
            address: ([127, 0, 0, 1], 6443).into(),
            version: "0.1.0".to_owned(),
            images: Images::Host,
            started: "2026-01-02T03:04:05Z".to_owned(),
            idle_exit_s: Some(1800),
            resting: true,
            notes: BTreeMap::from([("service".to_owned(), "yes".to_owned())]),
        }
    }

    #[test]
    fn state_is_read_as_it_is_written_and_written_as_it_always_was() {
        let (_folder, home) = home(&golden("format-1"));
        assert_eq!(home.read_state(), Some(running()));
        home.write_state(&running()).unwrap();
        assert_eq!(std::fs::read_to_string(home.state()).unwrap(), golden("format-1"));
    }

    #[test]
    fn state_of_the_first_engines_is_read() {
        let (_folder, home) = home(&golden("format-1-first"));
        let (images, notes) = (Images::Refuse, BTreeMap::new());
        let (idle_exit_s, resting, started) = (None, false, String::new());
        assert_eq!(
            home.read_state(),
            Some(Running { images, started, idle_exit_s, resting, notes, ..running() })
        );
    }

    #[test]
    fn state_of_another_format_is_unreadable_while_its_engine_runs() {
        let (_folder, home) = home(&golden("format-1").replace("\"format\": 1", "\"format\": 2"));
        assert_eq!(home.running(), None);
        let held = home.lock().unwrap();
        assert!(home.is_unreadable() && home.running().is_none());
        drop(held);
        assert!(home.left_behind().is_none() && !home.is_unreadable());
    }
}
