//! The store's nouns: revisions, keys, values with a hole for the revision, writes and their results.

use std::sync::Arc;

use bytes::Bytes;

/// A point in the store's history. Every write of a key has its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Revision(pub u64);

/// A key: text ordered by its bytes.
pub type Key = Arc<str>;

/// What an index may ask of an entry without reading its value: name-value pairs, sorted, names may repeat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tags(Box<[(Box<str>, Box<str>)]>);

impl Tags {
    /// Tags from pairs in any order.
    #[must_use]
    pub fn new(mut pairs: Vec<(Box<str>, Box<str>)>) -> Tags {
        pairs.sort();
        Tags(pairs.into_boxed_slice())
    }
    /// The first value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.partition_point(|(n, _)| &**n < name);
        self.0.get(at).filter(|(n, _)| &**n == name).map(|(_, v)| &**v)
    }
    /// All pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }
    /// The bytes of all names and values.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(n, v)| n.len() + v.len()).sum()
    }
}

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
    pub tags: Arc<Tags>,
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
    /// The version before it; none when the key was made.
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
    /// How many keys follow below the prefix; only counted where no filter was given.
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
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            log_bytes: 256 << 20,
            log_age_ms: 10 * 60 * 1000,
            cache_bytes: 8 << 20,
            value_bytes: 3 << 20,
            queue_bytes: 64 << 20,
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
    /// Where a store that is made now begins to count: its first write has the next revision. Give a first revision that no earlier
    /// store in its place can have reached (microseconds since the epoch serve).
    pub first_revision: Revision,
    /// The id of a store that is made now.
    pub new_id: String,
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory or a file in it.
    #[error("{place}: {cause}")]
    Io {
        /// The path.
        place: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Someone else has it open.
    #[error("{0}: the store is in use by another process")]
    InUse(String),
    /// Made by a newer Windlass.
    #[error("{place}: the store has format {found}, this Windlass reads up to {known}; use a newer one")]
    Newer {
        /// The path.
        place: String,
        /// Its format.
        found: u32,
        /// The newest this program reads.
        known: u32,
    },
    /// It cannot be read as a store.
    #[error("{place}: not a readable store: {cause}; move it away to start empty")]
    Corrupt {
        /// The path.
        place: String,
        /// What is wrong.
        cause: String,
    },
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The revision asked for is no longer kept.
    #[error("revision {} is gone; the oldest kept is {}", asked.0, oldest.0)]
    Compacted {
        /// The revision asked for.
        asked: Revision,
        /// The oldest readable one.
        oldest: Revision,
    },
    /// The revision asked for has not come yet.
    #[error("revision {} is ahead of {}", asked.0, newest.0)]
    Ahead {
        /// The revision asked for.
        asked: Revision,
        /// The newest one.
        newest: Revision,
    },
    /// The disk.
    #[error("reading the store: {0}")]
    Io(Arc<std::io::Error>),
}

/// Why a commit changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A write's expectation did not hold.
    #[error("{key}: {expected:?} was expected, found {found:?}")]
    Conflict {
        /// Which write, counted from 0.
        index: usize,
        /// Its key.
        key: Key,
        /// What it expected.
        expected: Expect,
        /// The revision that is there.
        found: Option<Revision>,
    },
    /// A value is over the bound, or a key.
    #[error("{key}: {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its key.
        key: Key,
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// A key is empty.
    #[error("write {index} has an empty key")]
    NoKey {
        /// Which write, counted from 0.
        index: usize,
    },
    /// A template's hole is outside its bytes.
    #[error("{key}: the revision is to be put at byte {at} of {bytes}")]
    Hole {
        /// Its key.
        key: Key,
        /// Where the hole is said to be.
        at: u32,
        /// The template's size.
        bytes: usize,
    },
    /// A key appears twice.
    #[error("{0} appears twice in one transaction")]
    Twice(Key),
    /// Too much is waiting; try again later.
    #[error("the store has {0} bytes waiting to be written")]
    Busy(usize),
    /// The disk. Nothing of this transaction is shown; writes are refused until the store is opened again.
    /// Should the disk have kept the transaction all the same, it is there whole after that.
    #[error("writing the store: {0}")]
    Io(Arc<std::io::Error>),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a watch ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The log no longer reaches back so far: list again.
    #[error("too old resource version: {} ({})", asked.0, oldest.0)]
    Compacted {
        /// The revision asked for or reached.
        asked: Revision,
        /// The oldest the log can go on from.
        oldest: Revision,
    },
    /// The revision has not come yet.
    #[error("revision {} is ahead of {}", asked.0, newest.0)]
    Ahead {
        /// The revision asked for.
        asked: Revision,
        /// The newest one.
        newest: Revision,
    },
    /// The disk.
    #[error("reading the store: {0}")]
    Io(Arc<std::io::Error>),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
