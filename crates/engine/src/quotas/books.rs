//! What the engine knows of quotas beside what they say: which there are, when each was counted, and what others have
//! changed since that is not written yet.
//!
//! A quota is counted as it is at one revision of the store; of what others change after it the difference is taken. So
//! what it says is always what there is, by the time of its last count.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use windlass_apiserver::admission::Shift;
use windlass_apiserver::registry::Count;
use windlass_store::{Key, Revision};

use super::{QUOTAS, namespace};

/// How long after a change all is counted anew, whatever happened (upstream's `resourceQuotaSyncPeriod`): time alone
/// may give back what a pod uses that should be gone.
const RECOUNT: SignedDuration = SignedDuration::from_mins(5);
/// How long nothing is counted anew after a count, for each object that was read for it: counting takes a share of the
/// engine's time that is small however many objects there are.
const REST_MILLIS: i64 = 1;

/// The quotas that there are, and the limit ranges, by namespace.
#[derive(Default)]
pub(crate) struct Quotas {
    quotas: BTreeMap<String, BTreeSet<Key>>,
    ranges: BTreeMap<String, BTreeSet<Key>>,
    books: HashMap<Key, Book>,
}

/// What is known of a quota.
#[derive(Clone, Default)]
pub(crate) struct Book {
    /// The revision that it was counted at last, and the time then.
    counted: Option<(Revision, Timestamp)>,
    /// What others changed since.
    pub(crate) shift: Shift,
    /// All is to be counted anew.
    is_doubtful: bool,
    /// Not before this time.
    rests_until: Option<Timestamp>,
    /// All is counted anew then.
    due: Option<Timestamp>,
}

/// What a look at a quota has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// Write down what others changed.
    Shift,
    /// Count all.
    Count,
    /// Wait: all was counted just now.
    Rest(Timestamp),
}

impl Quotas {
    pub(super) fn is_empty(&self) -> bool {
        self.quotas.is_empty()
    }

    pub(super) fn of(&self, namespace: &str) -> impl Iterator<Item = &Key> {
        self.quotas.get(namespace).into_iter().flatten()
    }

    /// Whether a namespace has a quota.
    pub(super) fn has(&self, namespace: &str) -> bool {
        self.quotas.contains_key(namespace)
    }

    /// Whether a namespace has any of either.
    pub(super) fn limit(&self, namespace: &str) -> bool {
        self.has(namespace) || self.ranges.contains_key(namespace)
    }

    pub(super) fn insert(&mut self, key: &Key) {
        let kind = if key.starts_with(QUOTAS) { &mut self.quotas } else { &mut self.ranges };
        kind.entry(namespace(key).to_owned()).or_default().insert(key.clone());
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.books.remove(key);
        let kind = if key.starts_with(QUOTAS) { &mut self.quotas } else { &mut self.ranges };
        if let Some(keys) = kind.get_mut(namespace(key)) {
            keys.remove(key);
            if keys.is_empty() {
                kind.remove(namespace(key));
            }
        }
    }

    pub(super) fn book(&mut self, key: &Key) -> &mut Book {
        self.books.entry(key.clone()).or_default()
    }

    /// The time by which a quota counts pods that are being deleted.
    pub(super) fn counted_by(&self, key: &Key) -> Option<Timestamp> {
        self.books.get(key)?.counted.map(|(_, time)| time)
    }

    /// What was written down was not: it is to be written again.
    pub(crate) fn take_back(&mut self, books: BTreeMap<Key, Book>) {
        for (key, book) in books {
            // One that is gone stays so.
            if let Some(known) = self.books.get_mut(&key) {
                *known = book;
            }
        }
    }

    /// Some changes may have been passed over: nothing is known for sure. The quotas.
    pub(crate) fn doubt_all(&mut self) -> Vec<Key> {
        self.books.values_mut().for_each(Book::doubt);
        self.quotas.values().flatten().cloned().collect()
    }
}

impl Book {
    pub(super) fn look(&self, now: Timestamp) -> Look {
        let is_known = self.counted.is_some() && !self.is_doubtful && self.due.is_none_or(|due| due > now);
        match self.rests_until.filter(|until| *until > now) {
            _ if is_known => Look::Shift,
            Some(until) => Look::Rest(until),
            None => Look::Count,
        }
    }

    /// When it is to be looked at for time's sake.
    pub(super) fn next(&self) -> Option<Timestamp> {
        if self.is_doubtful { self.rests_until } else { self.due }
    }

    /// The revision after which changes are news to it; none before it is counted.
    pub(super) fn since(&self) -> Option<(Revision, Timestamp)> {
        self.counted
    }

    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// What it limits is another: it is counted at once.
    pub(super) fn renew(&mut self) {
        *self = Book::default();
    }

    /// Something changed, or may by time alone: all is counted within a while.
    pub(super) fn stir(&mut self, now: Timestamp) {
        if self.due.is_none() {
            self.due = now.checked_add(RECOUNT).ok();
        }
    }

    /// It could not be counted: not tried again for a while.
    pub(super) fn put_off(&mut self, now: Timestamp) {
        self.is_doubtful = true;
        self.rests_until = now.checked_add(RECOUNT).ok();
    }

    /// It was counted.
    pub(super) fn close(&mut self, count: &Count) {
        let rest = i64::try_from(count.read).unwrap_or(i64::MAX).saturating_mul(REST_MILLIS);
        *self = Book {
            counted: Some((count.revision, count.now)),
            rests_until: count.now.checked_add(SignedDuration::from_millis(rest)).ok(),
            ..Book::default()
        };
        if count.fades {
            self.stir(count.now);
        }
    }
}
