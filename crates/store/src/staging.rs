//! Decides a group of transactions: what each finds, which revisions it takes and what it changes.
//! Pure but for the values of deleted keys, which it asks for. Nothing is applied here.

use std::collections::{BTreeMap, BTreeSet};

use crate::errors::CommitError;
use crate::state::{Logged, State, Version};
use crate::tags::Tags;
use crate::types::{Committed, Entry, Expect, Key, Op, Revision, Template, Value, Write};

/// Reads the value of a revision that is on the disk.
pub(crate) type ReadValue<'a> = dyn Fn(Revision) -> Result<Value, CommitError> + 'a;

/// One change that is decided and not yet written.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Its revision.
    pub(crate) revision: Revision,
    /// The change.
    pub(crate) change: Logged,
    /// The value of a put.
    pub(crate) value: Option<Value>,
}

/// A group under way: the state of now with the group's changes on top.
pub(crate) struct Staging<'a> {
    state: &'a State,
    read: &'a ReadValue<'a>,
    now_ms: u64,
    first: Revision,
    staged: Vec<Staged>,
    newest: BTreeMap<Key, usize>,
}

impl<'a> Staging<'a> {
    /// An empty group on top of a state.
    pub(crate) fn new(state: &'a State, read: &'a ReadValue<'a>, now_ms: u64) -> Staging<'a> {
        let first = Revision(state.revision().0 + 1);
        Staging { state, read, now_ms, first, staged: Vec::new(), newest: BTreeMap::new() }
    }

    /// Adds a transaction, whole or not at all.
    pub(crate) fn add(&mut self, writes: Vec<Write>) -> Result<Committed, CommitError> {
        let mut before = Vec::with_capacity(writes.len());
        for (index, write) in writes.iter().enumerate() {
            before.push(self.check(index, write)?);
        }
        let entries =
            writes.into_iter().zip(before).map(|(write, before)| self.stage(write, before)).collect();
        Ok(Committed { revision: Revision(self.next().0 - 1), entries })
    }

    /// The group's changes in the order of their revisions.
    pub(crate) fn finish(self) -> Vec<Staged> {
        self.staged
    }

    fn next(&self) -> Revision {
        Revision(self.first.0 + self.staged.len() as u64)
    }

    /// The version a write meets, and for a delete its value.
    fn check(&self, index: usize, write: &Write) -> Result<Option<Before>, CommitError> {
        let found = self.find(&write.key);
        let modified = found.map(|(_, version)| version.modified);
        let holds = match write.expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Present => found.is_some(),
            Expect::At(revision) => modified == Some(revision),
        };
        if !holds {
            return Err(CommitError::Conflict {
                index,
                key: write.key.clone(),
                expected: write.expect,
                found: modified,
            });
        }
        let Some((key, version)) = found else { return Ok(None) };
        let value = match write.op {
            Op::Delete => Some(self.value(version.modified)?),
            Op::Put { .. } | Op::Check => None,
        };
        Ok(Some(Before { key: key.clone(), version: version.clone(), value }))
    }

    fn find(&self, key: &Key) -> Option<(&Key, &Version)> {
        let Some(at) = self.newest.get(key) else { return self.state.get(key) };
        let change = &self.staged[*at].change;
        change.after.as_ref().map(|version| (&change.key, version))
    }

    fn value(&self, revision: Revision) -> Result<Value, CommitError> {
        let staged = revision.0.checked_sub(self.first.0).and_then(|at| self.staged.get(at as usize));
        match staged.and_then(|s| s.value.clone()) {
            Some(value) => Ok(value),
            None => (self.read)(revision),
        }
    }

    fn stage(&mut self, write: Write, before: Option<Before>) -> Option<Entry> {
        // A key that is there is kept once.
        let key = before.as_ref().map_or(write.key, |before| before.key.clone());
        match (write.op, before) {
            (Op::Put { value, tags }, before) => {
                let revision = self.next();
                let value = Value::fill(&value, revision);
                let version = Version {
                    created: before.as_ref().map_or(revision, |b| b.version.created),
                    modified: revision,
                    size: u32::try_from(value.bytes().len()).unwrap_or(u32::MAX),
                    tags: share(tags, before.as_ref()),
                };
                let entry = entry(&key, &version, value.clone());
                self.push(key, before.map(|b| b.version), Some(version), Some(value));
                Some(entry)
            }
            (Op::Delete, Some(Before { version, value, .. })) => {
                let last = value.map(|value| entry(&key, &version, value));
                self.push(key, Some(version), None, None);
                last
            }
            (Op::Delete, None) | (Op::Check, _) => None,
        }
    }

    fn push(&mut self, key: Key, before: Option<Version>, after: Option<Version>, value: Option<Value>) {
        let revision = self.next();
        self.newest.insert(key.clone(), self.staged.len());
        let change = Logged { at_ms: self.now_ms, key, before, after };
        self.staged.push(Staged { revision, change, value });
    }
}

/// Tags that stay the same are kept once.
fn share(tags: Tags, before: Option<&Before>) -> Tags {
    before.map(|before| &before.version.tags).filter(|old| **old == tags).cloned().unwrap_or(tags)
}

/// What a write found.
struct Before {
    key: Key,
    version: Version,
    value: Option<Value>,
}

/// A version with its value.
pub(crate) fn entry(key: &Key, version: &Version, value: Value) -> Entry {
    let Version { created, modified, ref tags, .. } = *version;
    Entry { key: key.clone(), created, modified, tags: tags.clone(), value }
}

/// Checks what needs no state, and returns the bytes that the transaction brings.
pub(crate) fn measure(writes: &[Write], value_bytes: usize) -> Result<usize, CommitError> {
    let mut keys = BTreeSet::new();
    let mut total = 0;
    for (index, Write { key, op, .. }) in writes.iter().enumerate() {
        if key.is_empty() {
            return Err(CommitError::NoKey { index });
        }
        if !keys.insert(&**key) {
            return Err(CommitError::Twice(key.clone()));
        }
        if key.len() > KEY_BYTES {
            return Err(CommitError::TooLarge { key: key.clone(), bytes: key.len(), limit: KEY_BYTES });
        }
        total += key.len() + std::mem::size_of::<Write>();
        if let Op::Put { value, tags } = op {
            check_template(key, value, value_bytes)?;
            total += value.bytes.len() + tags.bytes();
        }
    }
    Ok(total)
}

/// Bytes of one key: what the disk's index takes, with room to spare.
const KEY_BYTES: usize = 16 << 10;

fn check_template(key: &Key, value: &Template, limit: usize) -> Result<(), CommitError> {
    let bytes = value.bytes.len();
    if bytes > limit {
        return Err(CommitError::TooLarge { key: key.clone(), bytes, limit });
    }
    match value.revision_at {
        Some(at) if at as usize > bytes => Err(CommitError::Hole { key: key.clone(), at, bytes }),
        _ => Ok(()),
    }
}
