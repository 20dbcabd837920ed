//! What the handles, the watches and the writer share, and how a value is found.

use std::io;
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::watch;

use crate::backend::Backend;
use crate::cache::Cache;
use crate::pins::Pins;
use crate::staging::{Staged, entry};
use crate::state::{Forgotten, State, Version};
use crate::sync::{lock, read};
use crate::types::{Bounds, Entry, Key, Revision, Value};
use crate::writer::Queue;

/// What watchers are woken by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake {
    /// The newest revision.
    pub(crate) revision: Revision,
    /// Whether the writer has ended.
    pub(crate) closed: bool,
}

/// The one store behind all its handles.
pub(crate) struct Shared {
    pub(crate) id: String,
    pub(crate) bounds: Bounds,
    pub(crate) now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) state: RwLock<State>,
    pub(crate) pins: Pins,
    pub(crate) cache: Mutex<Cache>,
    /// None once the store has let go of it.
    pub(crate) backend: RwLock<Option<Box<dyn Backend>>>,
    pub(crate) queue: Queue,
    pub(crate) wake: watch::Sender<Wake>,
}

impl Shared {
    /// A version with its value. The caller holds a pin or is the writer, so the value is there.
    pub(crate) fn entry(&self, key: &Key, version: &Version) -> Result<Entry, Arc<io::Error>> {
        Ok(entry(key, version, self.value(version.modified)?))
    }

    /// The value of a revision.
    pub(crate) fn value(&self, revision: Revision) -> Result<Value, Arc<io::Error>> {
        if let Some(value) = lock(&self.cache).get(revision) {
            return Ok(value);
        }
        let missing = || {
            let text = format!("the value of revision {} is missing", revision.0);
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        self.with_backend(|backend| backend.value(revision)?.ok_or_else(missing)).map_err(Arc::new)
    }

    /// Does something with the backend, unless the store is closed.
    pub(crate) fn with_backend<T>(&self, act: impl FnOnce(&dyn Backend) -> io::Result<T>) -> io::Result<T> {
        match &*read(&self.backend) {
            Some(backend) => act(&**backend),
            None => Err(io::Error::other("the store is closed")),
        }
    }

    /// Keeps what was just written for readers, and lets go of what was forgotten.
    pub(crate) fn remember(&self, staged: &[Staged], forgotten: &[Forgotten]) {
        let mut cache = lock(&self.cache);
        for revision in forgotten.iter().filter_map(|f| f.value) {
            cache.forget(revision);
        }
        for staged in staged {
            if let Some(value) = &staged.value {
                cache.add(staged.revision, value);
            }
        }
    }
}
