//! What memory holds: the keys with what is known of their newest version, and the ring of recent changes.
//! It knows no values, no disk and no threads.

use crate::tagged::TagIndex;
use crate::tags::Tags;
use crate::types::{Key, Revision};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// What is known of a version without its value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Version {
    /// The revision that made the key.
    pub(crate) created: Revision,
    /// The revision of this version; its value is kept under it.
    pub(crate) modified: Revision,
    /// The bytes of the value.
    pub(crate) size: u32,
    /// What the indexes know.
    pub(crate) tags: Tags,
}

/// One change of the log.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Logged {
    /// When it was committed, in milliseconds since the epoch.
    pub(crate) at_ms: u64,
    /// The key.
    pub(crate) key: Key,
    /// The version before, if there was one.
    pub(crate) before: Option<Version>,
    /// The version after, unless the key was removed.
    pub(crate) after: Option<Version>,
}

impl Logged {
    /// The bytes of its values.
    pub(crate) fn bytes(&self) -> usize {
        let sides = [&self.before, &self.after];
        sides.into_iter().flatten().map(|version| version.size as usize).sum()
    }

    /// What the change weighs against the log's bound: the old value it keeps, and itself.
    fn weight(&self) -> u64 {
        let tags = |v: &Option<Version>| v.as_ref().map_or(0, |v| v.tags.bytes());
        let old = self.before.as_ref().map_or(0, |v| u64::from(v.size));
        old + (std::mem::size_of::<Logged>() + self.key.len() + tags(&self.before) + tags(&self.after)) as u64
    }
}

/// A change that left the log: its record can go, and with it the value that only the log still needed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Forgotten {
    /// The change's revision.
    pub(crate) revision: Revision,
    /// The revision of the superseded value.
    pub(crate) value: Option<Revision>,
}

/// How far the log may be cut now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Bytes that may stay.
    pub(crate) bytes: u64,
    /// Changes from before this time are too old, in milliseconds since the epoch.
    pub(crate) before_ms: u64,
    /// Readers still need what is after this revision.
    pub(crate) pinned: Revision,
    /// At most so many changes at a time.
    pub(crate) budget: usize,
}

/// The keys and the log at one revision.
#[derive(Default, Debug)]
pub(crate) struct State {
    revision: Revision,
    index: BTreeMap<Key, Version>,
    tagged: TagIndex,
    log: VecDeque<Logged>,
    log_bytes: u64,
}

impl State {
    /// The state that a store is opened with: the log's last change is at `revision`.
    pub(crate) fn new(revision: Revision, index: BTreeMap<Key, Version>, log: VecDeque<Logged>) -> State {
        let log_bytes = log.iter().map(Logged::weight).sum();
        State { revision, index, tagged: TagIndex::default(), log, log_bytes }
    }

    /// Indexes the tags of these names.
    pub(crate) fn index_tags(&mut self, names: &[Box<str>]) {
        self.tagged = TagIndex::build(names, self.index.iter().map(|(key, version)| (key, &version.tags)));
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The oldest revision that can be listed or watched from. Every write has a revision of its own, so the
    /// log has no holes.
    pub(crate) fn floor(&self) -> Revision {
        Revision(self.revision.0 - self.log.len() as u64)
    }

    /// How many keys there are.
    pub(crate) fn keys(&self) -> u64 {
        self.index.len() as u64
    }

    /// What the log weighs.
    #[cfg(test)]
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// The newest version of a key.
    pub(crate) fn get(&self, key: &str) -> Option<(&Key, &Version)> {
        self.index.get_key_value(key)
    }

    /// Adds the next change.
    pub(crate) fn apply(&mut self, change: Logged) {
        self.revision = Revision(self.revision.0 + 1);
        let before = match &change.after {
            Some(version) => self.index.insert(change.key.clone(), version.clone()),
            None => self.index.remove(&change.key),
        };
        let tags = |version: &Option<Version>| version.as_ref().map(|version| version.tags.clone());
        let (old, new) = (tags(&before), tags(&change.after));
        self.tagged.change(&change.key, old.as_ref(), new.as_ref());
        self.log_bytes += change.weight();
        self.log.push_back(change);
    }

    /// Forgets the oldest changes. The last change always stays: it tells the revision after a restart.
    pub(crate) fn forget(&mut self, cut: &Cut) -> Vec<Forgotten> {
        let mut gone = Vec::new();
        while gone.len() < cut.budget && self.log.len() > 1 && self.floor() < cut.pinned {
            let Some(oldest) = self.log.front() else { break };
            if self.log_bytes <= cut.bytes && oldest.at_ms >= cut.before_ms {
                break;
            }
            let revision = Revision(self.floor().0 + 1);
            self.log_bytes -= oldest.weight();
            gone.push(Forgotten { revision, value: oldest.before.as_ref().map(|v| v.modified) });
            self.log.pop_front();
        }
        gone
    }

    /// The changes after a revision that is not below the floor, oldest first, each with its revision.
    pub(crate) fn changes(&self, after: Revision) -> impl Iterator<Item = (Revision, &Logged)> {
        let skip = after.0.saturating_sub(self.floor().0) as usize;
        let range = self.log.range(skip.min(self.log.len())..);
        (after.0 + 1..).map(Revision).zip(range)
    }

    /// The keys below a prefix and after a key, in order, as they were at a revision not below the floor:
    /// the index of now, undone by the changes since. With a tag only those that have it.
    pub(crate) fn keys_at<'a>(
        &'a self,
        at: Revision,
        prefix: &'a str,
        after_key: Option<&'a str>,
        tagged: Option<(&'a str, &'a str)>,
    ) -> impl Iterator<Item = (&'a Key, &'a Version)> {
        let mut old = self.undone(at, prefix, after_key).into_iter().peekable();
        let start = start(prefix, after_key);
        let indexed = tagged.and_then(|tag| self.tagged.keys(tag, start));
        let scanned = indexed.is_none().then(|| self.index.range::<str, _>((start, Bound::Unbounded)));
        let indexed = indexed.into_iter().flatten().filter_map(|key| self.index.get_key_value(key));
        let mut now = indexed
            .chain(scanned.into_iter().flatten())
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, version)| (key, Some(version)))
            .peekable();
        let merged = std::iter::from_fn(move || match (now.peek(), old.peek()) {
            (Some((n, _)), Some((o, _))) if n == o => {
                now.next();
                old.next()
            }
            (Some((n, _)), Some((o, _))) if n < o => now.next(),
            (_, Some(_)) => old.next(),
            _ => now.next(),
        });
        let has_tag = move |version: &Version| {
            tagged.is_none_or(|(name, value)| version.tags.all(name).any(|tag| tag == value))
        };
        merged.filter_map(move |(key, version)| Some((key, version.filter(|version| has_tag(version))?)))
    }

    /// How many `keys_at` would give. It looks at no key of the index but the first and the last.
    pub(crate) fn count_at(&self, at: Revision, prefix: &str, after_key: Option<&str>) -> usize {
        let start = start(prefix, after_key);
        let now = match successor(prefix) {
            _ if after_key.is_some_and(|key| key > prefix && !key.starts_with(prefix)) => 0,
            Some(end) => self.index.range::<str, _>((start, Bound::Excluded(&*end))).count(),
            None => {
                let rest = self.index.range::<str, _>((start, Bound::Unbounded));
                rest.take_while(|(key, _)| key.starts_with(prefix)).count()
            }
        };
        let old = self.undone(at, prefix, after_key);
        let made = old.iter().filter(|(key, old)| old.is_none() && self.index.contains_key(**key)).count();
        let gone = old.iter().filter(|(key, old)| old.is_some() && !self.index.contains_key(**key)).count();
        now + gone - made
    }

    /// What the keys that changed since a revision were at it.
    fn undone<'a>(
        &'a self,
        at: Revision,
        prefix: &str,
        after_key: Option<&str>,
    ) -> BTreeMap<&'a Key, Option<&'a Version>> {
        let wanted = |key: &str| key.starts_with(prefix) && after_key.is_none_or(|after| key > after);
        let mut old = BTreeMap::new();
        for (_, change) in self.changes(at).filter(|(_, change)| wanted(&change.key)) {
            old.entry(&change.key).or_insert(change.before.as_ref());
        }
        old
    }
}

/// Where the keys below a prefix and after a key begin.
fn start<'a>(prefix: &'a str, after_key: Option<&'a str>) -> Bound<&'a str> {
    match after_key {
        Some(key) if key >= prefix => Bound::Excluded(key),
        _ => Bound::Included(prefix),
    }
}

/// The first text after all that begin with a prefix, where that is easily told.
fn successor(prefix: &str) -> Option<String> {
    let (last, head) = prefix.as_bytes().split_last()?;
    let head = std::str::from_utf8(head).ok()?;
    (*last < 0x7f).then(|| format!("{head}{}", char::from(last + 1)))
}
