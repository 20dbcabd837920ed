//! Objects that requests have just made, as they were made: whoever follows the store takes them from here instead of
//! reading their bytes anew.
//!
//! They are kept before they are committed, since whoever follows may be told of the commit first. Nobody depends on
//! them: what is not here is read from the store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_store::Entry;

use super::encode::UID;
use super::object::Object;

/// Objects that are kept at most: some more than are written while one who follows is busy.
const KEPT: usize = 512;
/// Bytes of the longest object that is kept.
const BYTES: usize = 16 << 10;

/// New objects by uid.
#[derive(Default)]
pub(super) struct Fresh(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    objects: HashMap<String, Object>,
    /// The uids in the order in which they came, also of those that were taken.
    order: VecDeque<String>,
}

impl Fresh {
    /// Keeps an object of so many bytes that is about to be written for the first time.
    pub(super) fn keep(&self, object: &Object, bytes: usize) {
        if bytes > BYTES {
            return;
        }
        let uid = object.text("uid");
        let mut kept = self.lock();
        if kept.order.len() >= KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.objects.remove(&oldest);
        }
        kept.order.push_back(uid.to_owned());
        kept.objects.insert(uid.to_owned(), object.clone());
    }

    /// Drops an object that was not written.
    pub(super) fn forget(&self, uid: &str) {
        self.lock().objects.remove(uid);
    }

    /// Hands over the object whose first version this is.
    pub(super) fn take(&self, entry: &Entry) -> Option<Object> {
        if entry.created != entry.modified {
            return None;
        }
        let object = self.lock().objects.remove(entry.tags.get(UID)?)?;
        Some(object.at(entry.modified))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Each change of it is whole: a panic of another leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
