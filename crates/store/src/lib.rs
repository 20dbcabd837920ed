//! A versioned, durable key-value store with watch.
//!
//! One revision counts every write. A transaction spans keys and takes consecutive revisions; it is
//! applied whole or not at all. Values are bytes: this crate knows nothing of Kubernetes.
//!
//! Memory holds the keys, their tags and the log of recent changes; values are in the backend, each under the
//! revision that wrote it. One thread writes, in groups; readers and watchers run beside it.

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;

mod types;

mod tags;

mod errors;

mod writer;

mod staging;

mod state;

mod read;

mod watch;

mod shared;

mod backend;

mod format;

mod format_1;

mod cache;

mod pins;

mod sync;

mod tagged;

pub use errors::{CommitError, OpenError, ReadError, WatchError};
pub use tags::Tags;
pub use types::{
    Bounds, Change, Committed, Entry, Expect, Key, ListRequest, Op, Options, Page, Revision, Template, Value,
    Write,
};
pub use watch::Watch;

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use backend::{Backend, Memory, Opened};
use cache::Cache;
use shared::{Shared, Wake};
use state::State;
use writer::{Pending, Queue};

/// Decides from an entry's tags alone whether a watcher wants it.
pub type TagFilter = Arc<dyn Fn(&Tags) -> bool + Send + Sync>;

/// The store: a cheap handle; clones share one store. When the last handle is dropped, the writer ends after
/// what is queued, and the drop waits for it.
#[derive(Clone)]
pub struct Store {
    // Dropped first: the writer ends before what it writes to does.
    _writer: Arc<WriterThread>,
    shared: Arc<Shared>,
}

impl Store {
    /// Opens (or makes) the durable store in `dir`, which is its own: mode 0700, locked, nothing else in it.
    pub fn open(dir: &Path, options: Options) -> Result<Store, OpenError> {
        let Opened { id, state, backend } = backend::open(dir, &options)?;
        Ok(Store::start(id, state, Box::new(backend), options))
    }

    /// A store in memory, with the same behaviour but for durability.
    #[must_use]
    pub fn memory(mut options: Options) -> Store {
        // The values are in memory already.
        options.bounds.cache_bytes = 0;
        let state = State::new(options.first_revision, Default::default(), Default::default());
        Store::start(options.new_id.clone(), state, Box::new(Memory::default()), options)
    }

    /// The newest revision that is committed and readable.
    #[must_use]
    pub fn revision(&self) -> Revision {
        sync::read(&self.shared.state).revision()
    }

    /// The store's identity, made when it was created.
    #[must_use]
    pub fn id(&self) -> String {
        self.shared.id.clone()
    }

    /// The newest version of a key.
    pub fn get(&self, key: &str) -> Result<Option<Entry>, ReadError> {
        read::get(&self.shared, key)
    }

    /// The newest revision of a key, and whether it has a tag; its value is not read.
    #[must_use]
    pub fn tagged(&self, key: &str, (name, tag): (&str, &str)) -> Option<(Revision, bool)> {
        let state = sync::read(&self.shared.state);
        let (_, version) = state.get(key)?;
        Some((version.modified, version.tags.all(name).any(|value| value == tag)))
    }

    /// One page of the keys below a prefix, in key order, as they were at one revision.
    pub fn list(&self, request: &ListRequest<'_>) -> Result<Page, ReadError> {
        read::list(&self.shared, request)
    }

    /// Visits every key below a prefix, in key order, as they all were at one revision: the key, the revision that
    /// made it, the revision of its newest version, its tags. Returns the revision, from which a watch goes on
    /// without a gap. No value is read, and no lock is held while `visit` runs: it may use the store.
    pub fn scan(&self, prefix: &str, visit: &mut dyn FnMut(&Key, Revision, Revision, &Tags)) -> Revision {
        read::scan(&self.shared, prefix, visit)
    }

    /// How many keys there are below a prefix.
    #[must_use]
    pub fn count(&self, prefix: &str) -> usize {
        let state = sync::read(&self.shared.state);
        state.count_at(state.revision(), prefix, None)
    }

    /// Commits all writes or none. The future resolves when the result is durable and readable.
    /// A transaction that was handed over is committed even if its future is dropped.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Committed, CommitError> {
        let bytes = staging::measure(&writes, self.shared.bounds.value_bytes)?;
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Pending { writes, bytes, reply })?;
        answer.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Every change below `prefix` after `after`, in order, each once.
    /// `filter` is asked with the tags before and after a change; a change passes if either does.
    pub fn watch(
        &self,
        prefix: &str,
        after: Revision,
        filter: Option<TagFilter>,
    ) -> Result<Watch, WatchError> {
        Watch::new(&self.shared, prefix, after, filter)
    }

    /// Forgets the changes that are too old for the log's bounds, and lets the disk's store write what it has gathered
    /// in memory. The store does both by itself when nobody has written for ten seconds (and forgets with every write),
    /// so nobody has to call this; it returns when it is done, or goes on beside the writes that come.
    pub async fn trim(&self) {
        // An error means that the store is closed.
        let _ = self.shared.queue.trim().await;
    }

    /// Ends the writer after what is queued; later commits answer `CommitError::Closed`, watches end with
    /// `WatchError::Closed`, reads go on. The directory stays locked until the last handle and watch are dropped, or
    /// by [`Store::release`].
    pub async fn close(&self) {
        self.shared.queue.close();
        // An error would mean that the sender is gone, and `shared` holds it.
        let _ = self.shared.wake.subscribe().wait_for(|wake| wake.closed).await;
    }

    /// Closes the store, and lets go of its directory whoever still has a handle or a watch: when it returns, the
    /// directory is free. Reads of what is not in memory fail from then on.
    pub async fn release(&self) {
        self.close().await;
        // Readers that are at it come first; the disk's own threads end here.
        drop(sync::write(&self.shared.backend).take());
    }

    fn start(id: String, mut state: State, backend: Box<dyn Backend>, options: Options) -> Store {
        let Options { bounds, now_ms, indexed, .. } = options;
        state.index_tags(&indexed);
        let wake = Wake { revision: state.revision(), closed: false };
        let shared = Arc::new(Shared {
            id,
            cache: Mutex::new(Cache::new(bounds.cache_bytes)),
            queue: Queue::new(bounds.queue_bytes),
            bounds,
            now_ms,
            state: RwLock::new(state),
            pins: pins::Pins::default(),
            backend: RwLock::new(Some(backend)),
            wake: tokio::sync::watch::Sender::new(wake),
        });
        Store { _writer: Arc::new(WriterThread::start(&shared)), shared }
    }
}

/// The writer's thread, joined when dropped.
struct WriterThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    fn start(shared: &Arc<Shared>) -> WriterThread {
        let theirs = shared.clone();
        let run = move || writer::run(&theirs);
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(run);
        if let Err(error) = &thread {
            tracing::error!(%error, "the store's writer did not start: every commit will be refused");
            shared.queue.close();
            shared.wake.send_modify(|wake| wake.closed = true);
        }
        WriterThread { shared: shared.clone(), thread: thread.ok() }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed by its hook and answered as `Closed`.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod fault_tests;
