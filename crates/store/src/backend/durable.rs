//! Everything on disk, in an embedded LSM store with three parts: `meta` (key → version) is all that an open
//! has to read besides the log; `log` (revision → change) and `values` (revision → bytes) are only ever added
//! to at one end and trimmed at the other, which such a store does without rewriting.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tracing::warn;

use super::header::{self, Header, Prepared};
use super::{Backend, Batch, torn};
use crate::errors::OpenError;
use crate::format::{self, Malformed};
use crate::state::{Logged, State, Version};
use crate::types::{Key, Options, Revision, Value};

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
    parts: Parts,
    dir: PathBuf,
    header: Header,
    /// Dropped last.
    _lock: File,
}

/// The embedded store.
struct Parts {
    meta: Keyspace,
    values: Keyspace,
    log: Keyspace,
    db: Database,
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
    let Prepared { header, lock } = header::prepare(dir, options)?;
    let place = dir.join(header::DATA);
    let parts = open_or_mend(&place).map_err(|error| error.at(&place))?;
    let state = parts.load(&header).map_err(|error| error.at(&place))?;
    header::complete(dir, &header, state.revision())?;
    let id = header.store.clone();
    Ok(Opened { id, state, backend: Durable { parts, dir: dir.to_owned(), header, _lock: lock } })
}

/// Opens the embedded store; drops the last batch if that is torn and nothing else is wrong.
fn open_or_mend(place: &Path) -> Result<Parts, LoadError> {
    // The embedded store asserts where it reads damaged files.
    let open = || catch_unwind(AssertUnwindSafe(|| Parts::open(place))).unwrap_or(Err(LoadError::Panic));
    let error = match open() {
        Err(error @ LoadError::Disk(fjall::Error::JournalRecovery(_))) => error,
        other => return other,
    };
    let Some(torn) = torn::cut(place)? else { return Err(error) };
    match open() {
        Ok(parts) => {
            warn!(%error, "dropped a batch of writes that a crash tore before it was acknowledged");
            Ok(parts)
        }
        Err(_) => {
            torn.restore()?;
            Err(error)
        }
    }
}

impl Backend for Durable {
    fn write(&self, batch: &Batch<'_>) -> io::Result<()> {
        let Parts { meta, values, log, db } = &self.parts;
        let mut writes = db.batch().durability(Some(PersistMode::SyncData));
        for staged in batch.staged {
            let change = &staged.change;
            let revision = format::revision(staged.revision);
            writes.insert(log, revision, format::change(change));
            match &change.after {
                Some(version) => writes.insert(meta, change.key.as_bytes(), format::version(version)),
                None => writes.remove(meta, change.key.as_bytes()),
            }
            if let Some(value) = &staged.value {
                writes.insert(values, revision, format::value(value));
            }
        }
        for forgotten in batch.forgotten {
            writes.remove(log, format::revision(forgotten.revision));
            if let Some(value) = forgotten.value {
                writes.remove(values, format::revision(value));
            }
        }
        writes.commit().map_err(to_io)
    }

    fn value(&self, revision: Revision) -> io::Result<Option<Value>> {
        let bytes = self.parts.values.get(format::revision(revision)).map_err(to_io)?;
        let value = bytes.map(|bytes| format::read_value(&bytes)).transpose();
        value.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn end(&self, revision: Revision) {
        if let Err(error) = header::complete(&self.dir, &self.header, revision) {
            warn!(%error, "the store's last revision was not noted");
        }
    }
}

impl Parts {
    fn open(place: &Path) -> Result<Parts, LoadError> {
        let db = Database::builder(place)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .open()?;
        let options = || {
            let options = KeyspaceCreateOptions::default();
            options.max_memtable_size(MEMTABLE_BYTES).expect_point_read_hits(true)
        };
        let part = |name| db.keyspace(name, options);
        Ok(Parts { meta: part("meta")?, values: part("values")?, log: part("log")?, db })
    }

    /// Reads what memory holds. The log's last change tells the revision; a store without one is new.
    fn load(&self, header: &Header) -> Result<State, LoadError> {
        let index = self.load_index()?;
        let (floor, log) = self.load_log(&index)?;
        let revision = floor.map_or(header.first_revision, |floor| Revision(floor.0 + log.len() as u64));
        let newest = index.values().map(|version| version.modified).max();
        let reached = newest.unwrap_or_default().max(header.reached);
        if reached > revision {
            return Err(LoadError::Short { reached, revision });
        }
        Ok(State::new(revision, index, log))
    }

    fn load_index(&self) -> Result<BTreeMap<Key, Version>, LoadError> {
        let mut index = BTreeMap::new();
        for pair in self.meta.iter() {
            let (key, record) = pair.into_inner()?;
            let key = std::str::from_utf8(&key).map_err(|_| Malformed::Text)?;
            index.insert(key.into(), format::read_version(&record)?);
        }
        Ok(index)
    }

    fn load_log(
        &self,
        index: &BTreeMap<Key, Version>,
    ) -> Result<(Option<Revision>, VecDeque<Logged>), LoadError> {
        let mut floor = None;
        let mut log = VecDeque::new();
        for pair in self.log.iter() {
            let (revision, record) = pair.into_inner()?;
            let revision = format::read_revision(&revision)?;
            let floor = floor.get_or_insert(Revision(revision.0.saturating_sub(1)));
            let mut change = format::read_change(&record)?;
            share(&mut change, index);
            log.push_back(change);
            if revision.0 != floor.0 + log.len() as u64 {
                return Err(LoadError::Hole(revision));
            }
        }
        Ok((floor, log))
    }
}

/// Keeps keys and tags once that the log and the index both have, as before the restart.
fn share(change: &mut Logged, index: &BTreeMap<Key, Version>) {
    let Some((key, newest)) = index.get_key_value(&change.key) else { return };
    change.key = key.clone();
    for version in [&mut change.before, &mut change.after].into_iter().flatten() {
        if version.tags == newest.tags {
            version.tags = newest.tags.clone();
        }
    }
}

/// Why the records do not make a store.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("{0}")]
    Disk(#[from] fjall::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("the log has a hole before revision {}", .0.0)]
    Hole(Revision),
    #[error("the log ends at revision {}, the store had reached {}", revision.0, reached.0)]
    Short { reached: Revision, revision: Revision },
    #[error("its files are damaged")]
    Panic,
}

impl LoadError {
    fn at(self, place: &Path) -> OpenError {
        let place = place.display().to_string();
        match self {
            LoadError::Disk(fjall::Error::Io(cause)) | LoadError::Io(cause) => OpenError::Io { place, cause },
            LoadError::Disk(fjall::Error::Locked) => OpenError::InUse(place),
            other => OpenError::Corrupt { place, cause: other.to_string() },
        }
    }
}

fn to_io(error: fjall::Error) -> io::Error {
    match error {
        fjall::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
