//! The store's nouns: revisions, keys, values with a hole for the revision, writes and their results.

use std::sync::Arc;

use bytes::Bytes;

use crate::tags::Tags;

/// A point in the store's history. Every write of a key has its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Revision(pub u64);

/// A key: text ordered by its bytes.
pub type Key = Arc<str>;

/// Bytes to be written, with at most one hole where the store puts the write's revision in decimal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// The bytes without the revision.
    pub bytes: Vec<u8>,
    /// Where the revision goes, counted in bytes from the start.
    pub revision_at: Option<u32>,
}

/// A value as it is stored: complete bytes, the revision filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    bytes: Bytes,
    revision_at: Option<u32>,
    digits: u8,
}

impl Value {
    /// Fills a template's hole.
    #[must_use]
    pub fn fill(template: &Template, revision: Revision) -> Value {
        let Some(at) = template.revision_at else {
            return Value { bytes: Bytes::copy_from_slice(&template.bytes), revision_at: None, digits: 0 };
        };
        let digits = revision.0.to_string();
        let (head, tail) = template.bytes.split_at(at as usize);
        let bytes = [head, digits.as_bytes(), tail].concat();
        Value { bytes: bytes.into(), revision_at: Some(at), digits: digits.len() as u8 }
    }
    /// A value read back from its parts.
    #[must_use]
    pub fn from_parts(bytes: Bytes, revision_at: Option<u32>, digits: u8) -> Value {
        Value { bytes, revision_at, digits }
    }
    /// The bytes, with the revision of this version in the hole.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// Where the hole is and how many digits fill it.
    #[must_use]
    pub fn hole(&self) -> (Option<u32>, u8) {
        (self.revision_at, self.digits)
    }
    /// The same bytes with another revision in the hole (what a watcher of a deletion is shown).
    #[must_use]
    pub fn at_revision(&self, revision: Revision) -> Bytes {
        let Some(at) = self.revision_at else { return self.bytes.clone() };
        let (head, rest) = self.bytes.split_at(at as usize);
        [head, revision.0.to_string().as_bytes(), &rest[self.digits as usize..]].concat().into()
    }
}

/// One version of a key.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The revision that first made the key (since it last was absent).
    pub created: Revision,
    /// The revision of this version.
    pub modified: Revision,
    /// What the indexes know of it.
    pub tags: Tags,
    /// The bytes.
    pub value: Value,
}

/// What a write demands of the key's present version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Anything, also nothing.
    Any,
    /// The key must not be there.
    Absent,
    /// The key must be there, at any revision.
    Present,
    /// The key must be at exactly this revision.
    At(Revision),
}

/// What a write does.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// Makes or replaces the key.
    Put {
        /// The new bytes.
        value: Template,
        /// The new tags.
        tags: Tags,
    },
    /// Removes the key. A revision is taken only if it was there.
    Delete,
    /// Demands and does nothing.
    Check,
}

/// One part of a transaction. A key may appear once in a transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Write {
    /// The key.
    pub key: Key,
    /// What must hold before.
    pub expect: Expect,
    /// What is done.
    pub op: Op,
}

/// The result of a transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Committed {
    /// The revision of the last write.
    pub revision: Revision,
    /// For each write in order: the new version of a put, the last version of a delete, nothing for a check.
    pub entries: Vec<Option<Entry>>,
}

/// A change as a watcher sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The change's revision.
    pub revision: Revision,
    /// The key.
    pub key: Key,
    /// The version after it; none when the key was removed.
    pub after: Option<Entry>,
    /// The version before it; none when the key was made, or nobody asked ([`Watch::without_before`](crate::Watch::without_before)).
    pub before: Option<Entry>,
}

/// What to list.
pub struct ListRequest<'a> {
    /// Keys start with this.
    pub prefix: &'a str,
    /// Only keys after this one: the last key of the page before.
    pub after_key: Option<&'a str>,
    /// At most so many entries.
    pub limit: Option<usize>,
    /// As it was at this revision; the newest if none.
    pub at: Option<Revision>,
    /// Only entries that have this tag, by name and value. Quick if its name is one of [`Options::indexed`].
    pub tagged: Option<(&'a str, &'a str)>,
    /// Only entries whose tags pass.
    pub filter: Option<&'a dyn Fn(&Tags) -> bool>,
}

/// One page of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// The entries in key order.
    pub entries: Vec<Entry>,
    /// The revision the page shows; ask for the next page at the same.
    pub revision: Revision,
    /// Whether keys that pass the filter follow.
    pub more: bool,
    /// How many keys follow below the prefix; only counted where neither a tag nor a filter was given.
    pub remaining: Option<usize>,
}

/// Bounds of everything the store keeps beyond the live keys.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Bytes of old versions that the change log may hold.
    pub log_bytes: u64,
    /// Milliseconds after which a change may be forgotten.
    pub log_age_ms: u64,
    /// Bytes of values kept in memory for readers.
    pub cache_bytes: usize,
    /// Bytes of one value.
    pub value_bytes: usize,
    /// Bytes of the writes waiting to be committed; more are refused.
    pub queue_bytes: usize,
    /// Bytes of values that a watch hands out at once; a single change may have more.
    pub watch_bytes: usize,
    /// Bytes of values that the disk's store gathers in memory before it writes them to a sorted file; of keys and
    /// of changes half as many. A store that exists keeps what it was made with.
    pub memtable_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            log_bytes: 256 << 20,
            log_age_ms: 10 * 60 * 1000,
            cache_bytes: 8 << 20,
            value_bytes: 3 << 20,
            queue_bytes: 64 << 20,
            watch_bytes: 16 << 20,
            memtable_bytes: 16 << 20,
        }
    }
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// The bounds.
    pub bounds: Bounds,
    /// Milliseconds since the epoch: the store has no clock of its own.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Where a store that is made now begins to count: its first write has the next revision. Give a
    /// first revision that no earlier store in its place can have reached (microseconds since the epoch serve).
    pub first_revision: Revision,
    /// The id of a store that is made now.
    pub new_id: String,
    /// The names of tags by which few of many keys are listed. Each costs memory for every key that has it.
    pub indexed: Vec<Box<str>>,
}
