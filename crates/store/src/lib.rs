//! A versioned, durable key-value store with watch.
//!
//! One revision counts every write. A transaction spans keys and takes consecutive revisions; it is
//! applied whole or not at all. Values are bytes: this crate knows nothing of Kubernetes.

mod types;

pub use types::{
    Bounds, Change, CommitError, Committed, Entry, Expect, Key, ListRequest, Op, OpenError, Options, Page,
    ReadError, Revision, Tags, Template, Value, WatchError, Write,
};

use std::path::Path;

/// The store: a cheap handle; clones share one store.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens (or makes) the durable store in `dir`.
    pub fn open(dir: &Path, options: Options) -> Result<Store, OpenError> {
        let _ = (dir, options);
        todo!()
    }
    /// A store in memory, with the same behaviour but for durability.
    #[must_use]
    pub fn memory(options: Options) -> Store {
        let _ = options;
        todo!()
    }
    /// The newest revision that is committed and readable.
    #[must_use]
    pub fn revision(&self) -> Revision {
        todo!()
    }
    /// The store's identity, made when it was created.
    #[must_use]
    pub fn id(&self) -> String {
        todo!()
    }
    /// The newest version of a key.
    pub fn get(&self, key: &str) -> Result<Option<Entry>, ReadError> {
        let _ = key;
        todo!()
    }
    /// One page of the keys below a prefix, in key order, as they were at one revision.
    pub fn list(&self, request: &ListRequest<'_>) -> Result<Page, ReadError> {
        let _ = request;
        todo!()
    }
    /// How many keys there are below a prefix.
    #[must_use]
    pub fn count(&self, prefix: &str) -> usize {
        let _ = prefix;
        todo!()
    }
    /// Commits all writes or none. The future resolves when the result is durable and readable.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Committed, CommitError> {
        let _ = writes;
        todo!()
    }
    /// Every change below `prefix` after `after`, in order, each once.
    /// `filter` is asked with the tags before and after a change; a change passes if either does.
    pub fn watch(
        &self,
        prefix: &str,
        after: Revision,
        filter: Option<TagFilter>,
    ) -> Result<Watch, WatchError> {
        let _ = (prefix, after, filter);
        todo!()
    }
    /// Ends the writer after what is queued; later commits answer `CommitError::Closed`.
    pub async fn close(&self) {
        todo!()
    }
}

/// Decides from an entry's tags alone whether a watcher wants it.
pub type TagFilter = std::sync::Arc<dyn Fn(&Tags) -> bool + Send + Sync>;

/// A position in the change log. It costs a cursor, not a queue: who reads too slowly is told
/// `WatchError::Compacted` when the log has moved past it.
pub struct Watch {}

impl Watch {
    /// Waits for the next changes: at least one, at most `max`.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Change>, WatchError> {
        let _ = max;
        todo!()
    }
    /// The revision up to which everything has been seen (also what the filter held back); what a bookmark says.
    #[must_use]
    pub fn seen(&self) -> Revision {
        todo!()
    }
}
