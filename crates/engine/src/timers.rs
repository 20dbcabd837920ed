//! When to look at which object again.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use windlass_store::Key;

/// At most one time per object: the earliest that was asked for since it was last looked at.
#[derive(Default)]
pub(crate) struct Timers {
    order: BTreeSet<(Timestamp, Key)>,
    times: HashMap<Key, Timestamp>,
}

impl Timers {
    /// Replaces an object's time.
    pub(crate) fn set(&mut self, key: &Key, at: Option<Timestamp>) {
        if let Some(old) = self.times.remove(key) {
            self.order.remove(&(old, key.clone()));
        }
        if let Some(at) = at {
            self.times.insert(key.clone(), at);
            self.order.insert((at, key.clone()));
        }
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out the objects whose time has come.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<Key> {
        let mut due = Vec::new();
        while self.order.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.order.pop_first() {
                self.times.remove(&key);
                due.push(key);
            }
        }
        due
    }
}
