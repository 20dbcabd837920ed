//! Revisions that readers are reading at: the log is not cut past them meanwhile.
//! A pin lives as long as one synchronous read, so it cannot hold the log up for long.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::sync::lock;
use crate::types::Revision;

/// The pinned revisions and how often each.
#[derive(Default)]
pub(crate) struct Pins(Mutex<BTreeMap<Revision, usize>>);

/// Keeps everything after its revision readable until dropped.
pub(crate) struct Pin<'a> {
    pins: &'a Pins,
    revision: Revision,
}

impl Pins {
    /// Pins a revision. Call it under the state's lock, after the check against the floor.
    pub(crate) fn pin(&self, revision: Revision) -> Pin<'_> {
        *lock(&self.0).entry(revision).or_default() += 1;
        Pin { pins: self, revision }
    }

    /// The oldest pinned revision.
    pub(crate) fn oldest(&self) -> Option<Revision> {
        lock(&self.0).keys().next().copied()
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let mut pins = lock(&self.pins.0);
        if let Some(count) = pins.get_mut(&self.revision) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.revision);
            }
        }
    }
}
