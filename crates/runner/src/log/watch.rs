//! Being woken when a file grows or something appears in a directory: one inotify instance and one thread for the
//! whole process (a user may have only 128 instances). Where there is none, a slow clock wakes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::sync::watch;

/// How often is looked where inotify cannot be had.
const FALLBACK: Duration = Duration::from_millis(200);

/// Wakes when a path changes.
pub(super) enum Growth {
    Watched(Subscription),
    Clock,
}

/// One reader's share of a watch.
pub(super) struct Subscription {
    watcher: Arc<Watcher>,
    descriptor: WatchDescriptor,
    changes: watch::Receiver<()>,
}

struct Watcher {
    inotify: Inotify,
    watches: Mutex<BTreeMap<WatchDescriptor, watch::Sender<()>>>,
}

/// Watches a file for growth, a directory for what appears in it.
pub(super) fn growth(path: &Path) -> io::Result<Growth> {
    static WATCHER: OnceLock<Option<Arc<Watcher>>> = OnceLock::new();
    let Some(watcher) = WATCHER.get_or_init(Watcher::begin) else { return Ok(Growth::Clock) };
    watcher.subscribe(path)
}

impl Growth {
    /// What happened up to now shall not wake.
    pub(super) fn seen(&mut self) {
        if let Growth::Watched(subscription) = self {
            subscription.changes.borrow_and_update();
        }
    }

    /// Waits for a change.
    pub(super) async fn changed(&mut self) {
        match self {
            Growth::Watched(subscription) => {
                if subscription.changes.changed().await.is_err() {
                    // The thread is gone: look now and then.
                    tokio::time::sleep(FALLBACK).await;
                }
            }
            Growth::Clock => tokio::time::sleep(FALLBACK).await,
        }
    }
}

impl Watcher {
    fn begin() -> Option<Arc<Watcher>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).ok()?;
        let watcher = Arc::new(Watcher { inotify, watches: Mutex::default() });
        let serving = Arc::clone(&watcher);
        std::thread::Builder::new().name("log-watch".to_owned()).spawn(move || serving.serve()).ok()?;
        Some(watcher)
    }

    fn serve(&self) {
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(_) => break,
            };
            let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    watches.values().for_each(|changes| changes.send_replace(()));
                } else if let Some(changes) = watches.get(&event.wd) {
                    changes.send_replace(());
                }
            }
        }
        // Dropping the senders tells the readers.
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn subscribe(self: &Arc<Watcher>, path: &Path) -> io::Result<Growth> {
        let appears = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE_SELF;
        // A segment that is closed changes its mode.
        let grows = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB;
        let flags = if path.is_dir() { appears } else { grows };
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = match self.inotify.add_watch(path, flags) {
            Ok(descriptor) => descriptor,
            // No more watches to be had, or the path has just gone: looked at again soon.
            Err(Errno::ENOSPC | Errno::ENOMEM | Errno::ENOENT) => return Ok(Growth::Clock),
            Err(error) => return Err(error.into()),
        };
        let changes = watches.entry(descriptor).or_insert_with(|| watch::Sender::new(())).subscribe();
        Ok(Growth::Watched(Subscription { watcher: Arc::clone(self), descriptor, changes }))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watches = self.watcher.watches.lock().unwrap_or_else(PoisonError::into_inner);
        // This one is still counted.
        if watches.get(&self.descriptor).is_some_and(|changes| changes.receiver_count() == 1) {
            watches.remove(&self.descriptor);
            // Fails if the file is gone, and the watch with it.
            let _ = self.watcher.inotify.rm_watch(self.descriptor);
        }
    }
}
