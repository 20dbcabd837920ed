//! The newest values, bounded by bytes, so that watchers and readers of fresh objects need no disk.

use std::collections::BTreeMap;

use crate::types::{Revision, Value};

/// Values by revision; the oldest go first.
pub(crate) struct Cache {
    limit: usize,
    bytes: usize,
    values: BTreeMap<Revision, Value>,
}

impl Cache {
    /// An empty cache of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Cache {
        Cache { limit, bytes: 0, values: BTreeMap::new() }
    }

    /// The value of a revision.
    pub(crate) fn get(&self, revision: Revision) -> Option<Value> {
        self.values.get(&revision).cloned()
    }

    /// Adds a value that was just written.
    pub(crate) fn add(&mut self, revision: Revision, value: &Value) {
        self.bytes += value.bytes().len();
        self.values.insert(revision, value.clone());
        while self.bytes > self.limit {
            let Some((_, old)) = self.values.pop_first() else { break };
            self.bytes -= old.bytes().len();
        }
    }

    /// Drops a value that nobody can ask for any more.
    pub(crate) fn forget(&mut self, revision: Revision) {
        if let Some(old) = self.values.remove(&revision) {
            self.bytes -= old.bytes().len();
        }
    }
}
