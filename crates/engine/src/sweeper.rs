//! Removes the logs of pods that left the store: one folder at a time, beside the tick, which never waits for it.

use std::sync::mpsc::{SyncSender, sync_channel};

use crate::home::Home;

/// Folders that may wait; what does not fit is found by the next engine's first sweep.
const WAITING: usize = 100_000;

pub(crate) struct Sweeper {
    home: Home,
    queue: SyncSender<String>,
}

impl Sweeper {
    pub(crate) fn start(home: Home) -> Sweeper {
        let (queue, wanted) = sync_channel::<String>(WAITING);
        let logs = home.clone();
        let work = move || {
            for uid in wanted {
                match std::fs::remove_dir_all(logs.pod_logs(&uid)) {
                    Ok(()) => {}
                    Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
                    Err(cause) => tracing::warn!(%uid, %cause, "the logs of a pod stay behind"),
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
        if self.queue.try_send(uid.to_owned()).is_err() {
            tracing::debug!(%uid, "too many logs to remove; the next engine will");
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
