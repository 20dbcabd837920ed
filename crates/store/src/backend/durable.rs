//! Everything on disk, in an embedded LSM store with three parts: `meta` (key → version) is all that an open
//! has to read besides the log; `log` (revision → change) and `values` (revision → bytes) are only ever added
//! to at one end and trimmed at the other, which such a store does without rewriting.

use std::fs::File;
use std::io;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::header;
use super::{Backend, Batch};
use crate::format::{self, Malformed};
use crate::state::{Logged, State};
use crate::types::{OpenError, Options, Revision, Value};

/// Bytes that the embedded store caches of its files; recent values have a cache of their own.
const BLOCK_CACHE_BYTES: u64 = 16 << 20;
/// Bytes that each part gathers in memory before it writes a sorted file.
const MEMTABLE_BYTES: u64 = 16 << 20;
/// Bytes of journal after which the parts are made to write their files: bounds what an open replays.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Threads that write and merge files; two, so that a long merge does not hold up a flush.
const WORKERS: usize = 2;

/// The disk.
pub(crate) struct Durable {
    meta: Keyspace,
    values: Keyspace,
    log: Keyspace,
    db: Database,
    /// Dropped last.
    _lock: File,
}

/// A store as it was found or made.
pub(crate) struct Opened {
    /// Its identity.
    pub(crate) id: String,
    /// What memory holds of it.
    pub(crate) state: State,
    /// The rest.
    pub(crate) backend: Durable,
}

/// Opens the store in a directory, or makes it.
pub(crate) fn open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    let prepared = header::prepare(dir, options)?;
    let place = dir.join(header::DATA);
    let told = |error| explain(&place, error);
    let db = Database::builder(&place)
        .cache_size(BLOCK_CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(WORKERS)
        .open()
        .map_err(told)?;
    let part = |name| {
        let options = || {
            let options = KeyspaceCreateOptions::default();
            options.max_memtable_size(MEMTABLE_BYTES).expect_point_read_hits(true)
        };
        db.keyspace(name, options).map_err(told)
    };
    let (meta, values, log) = (part("meta")?, part("values")?, part("log")?);
    header::complete(dir, &prepared)?;
    let backend = Durable { meta, values, log, db, _lock: prepared.lock };
    let state = backend.load(prepared.header.first_revision).map_err(|error| error.at(&place))?;
    Ok(Opened { id: prepared.header.store, state, backend })
}

impl Backend for Durable {
    fn write(&self, batch: &Batch<'_>) -> io::Result<()> {
        let mut writes = self.db.batch().durability(Some(PersistMode::SyncData));
        for staged in batch.staged {
            let change = &staged.change;
            let revision = format::revision(staged.revision);
            writes.insert(&self.log, revision, format::change(change));
            match &change.after {
                Some(version) => writes.insert(&self.meta, change.key.as_bytes(), format::version(version)),
                None => writes.remove(&self.meta, change.key.as_bytes()),
            }
            if let Some(value) = &staged.value {
                writes.insert(&self.values, revision, format::value(value));
            }
        }
        for forgotten in batch.forgotten {
            writes.remove(&self.log, format::revision(forgotten.revision));
            if let Some(value) = forgotten.value {
                writes.remove(&self.values, format::revision(value));
            }
        }
        writes.commit().map_err(to_io)
    }

    fn value(&self, revision: Revision) -> io::Result<Option<Value>> {
        let bytes = self.values.get(format::revision(revision)).map_err(to_io)?;
        let value = bytes.map(|bytes| format::read_value(&bytes)).transpose();
        value.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Durable {
    /// Reads what memory holds. The log's last change tells the revision; a store without one is new.
    fn load(&self, first: Revision) -> Result<State, LoadError> {
        let (floor, log) = self.load_log()?;
        let revision = floor.map_or(first, |floor| Revision(floor.0 + log.len() as u64));
        let mut index = std::collections::BTreeMap::new();
        for pair in self.meta.iter() {
            let (key, record) = pair.into_inner()?;
            let version = format::read_version(&record)?;
            if version.modified > revision {
                return Err(LoadError::Ahead { modified: version.modified, revision });
            }
            let key = std::str::from_utf8(&key).map_err(|_| Malformed::Text)?;
            index.insert(key.into(), version);
        }
        Ok(State::new(revision, index, log))
    }

    fn load_log(&self) -> Result<(Option<Revision>, Vec<Logged>), LoadError> {
        let mut floor = None;
        let mut log = Vec::new();
        for pair in self.log.iter() {
            let (revision, record) = pair.into_inner()?;
            let revision = format::read_revision(&revision)?;
            let floor = floor.get_or_insert(Revision(revision.0.saturating_sub(1)));
            log.push(format::read_change(&record)?);
            if revision.0 != floor.0 + log.len() as u64 {
                return Err(LoadError::Hole(revision));
            }
        }
        Ok((floor, log))
    }
}

/// Why the records do not make a store.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("{0}")]
    Disk(#[from] fjall::Error),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("the log has a hole before revision {}", .0.0)]
    Hole(Revision),
    #[error("a key is at revision {}, the log ends at {}", modified.0, revision.0)]
    Ahead { modified: Revision, revision: Revision },
}

impl LoadError {
    fn at(self, place: &Path) -> OpenError {
        match self {
            LoadError::Disk(error) => explain(place, error),
            other => OpenError::Corrupt { place: place.display().to_string(), cause: other.to_string() },
        }
    }
}

fn explain(place: &Path, error: fjall::Error) -> OpenError {
    let place = place.display().to_string();
    match error {
        fjall::Error::Io(cause) => OpenError::Io { place, cause },
        fjall::Error::Locked => OpenError::InUse(place),
        other => OpenError::Corrupt { place, cause: other.to_string() },
    }
}

fn to_io(error: fjall::Error) -> io::Error {
    match error {
        fjall::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
