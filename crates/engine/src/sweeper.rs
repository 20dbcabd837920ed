//! Removes the logs and volumes of pods that have gone: one folder at a time, beside the tick, which never waits for it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::home::Home;

/// Folders that may wait; what does not fit is found by the next engine's first sweep.
const WAITING: usize = 100_000;

pub(crate) struct Sweeper {
    home: Home,
    queue: SyncSender<PathBuf>,
}

impl Sweeper {
    pub(crate) fn start(home: Home) -> Sweeper {
        let (queue, wanted) = sync_channel::<PathBuf>(WAITING);
        let work = move || {
            for folder in wanted {
                if let Err(cause) = remove(&folder) {
                    tracing::warn!(folder = %folder.display(), %cause, "what a pod left stays behind");
                }
            }
        };
        if let Err(cause) = std::thread::Builder::new().name("sweeper".to_owned()).spawn(work) {
            tracing::error!(%cause, "no thread to remove old logs; the next engine will");
        }
        Sweeper { home, queue }
    }

    /// The pod left the store.
    pub(crate) fn remove(&self, uid: &str) {
        self.remove_directory(self.home.pod_logs(uid));
    }

    /// A directory of a pod's is not needed any more.
    pub(crate) fn remove_directory(&self, folder: PathBuf) {
        if let Err(cause) = self.queue.try_send(folder) {
            tracing::debug!(%cause, "too much to remove; the next engine will");
        }
    }

    /// Removes the folders of pods that left while no engine ran.
    pub(crate) fn sweep(&self, is_there: impl Fn(&str) -> bool) {
        let Ok(folders) = std::fs::read_dir(self.home.logs()) else { return };
        for folder in folders.flatten() {
            if let Ok(uid) = folder.file_name().into_string()
                && !is_there(&uid)
            {
                self.remove(&uid);
            }
        }
    }
}

/// Removes a directory with all that is in it. A process may have closed a directory to itself: it is opened again.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            open_all(folder)?;
            fs::remove_dir_all(folder)
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_all(folder: &Path) -> io::Result<()> {
    let mut closed = vec![folder.to_owned()];
    while let Some(folder) = closed.pop() {
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)?.flatten() {
            if entry.file_type()?.is_dir() {
                closed.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_that_its_process_closed_is_removed_too() {
        let folder = tempfile::tempdir().unwrap();
        let pod = folder.path().join("pod");
        fs::create_dir_all(pod.join("volume/closed")).unwrap();
        fs::write(pod.join("volume/closed/file"), "x").unwrap();
        fs::set_permissions(pod.join("volume/closed"), Permissions::from_mode(0)).unwrap();
        open_all(&pod).unwrap();
        assert!(fs::read(pod.join("volume/closed/file")).is_ok());
        remove(&pod).unwrap();
        assert!(!pod.exists());
        remove(&pod).unwrap();
    }
}
