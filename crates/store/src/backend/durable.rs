//! Everything on disk, in an embedded LSM store with three parts: `meta` (key → version) is all that an open
//! has to read besides the log; `log` (revision → change) and `values` (revision → bytes) are only ever added
//! to at one end and trimmed at the other.

use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tracing::warn;

use super::header::{self, Header, Prepared};
use super::journal::{self, Damage};
use super::{Backend, Batch, load, migrate, torn};
use crate::errors::OpenError;
use crate::format::{self, Malformed};
use crate::state::State;
use crate::types::{Bounds, Options, Revision, Value};

/// Bytes that the embedded store caches of its files; recent values have a cache of their own.
const BLOCK_CACHE_BYTES: u64 = 8 << 20;
/// Bytes of journal after which the parts are made to write their files: bounds what an open replays.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Threads that write and merge files. Of two the first would turn in circles while the second merges: it hands every
/// request to merge back to the queue that it takes it from.
const WORKERS: usize = 1;

/// Bytes that must find room before a store that ran out of it is opened again.
const PROBE_BYTES: usize = 1 << 20;

/// The disk.
pub(crate) struct Durable {
    /// None only if it could not be opened anew.
    parts: Option<Parts>,
    dir: PathBuf,
    bounds: Bounds,
    header: Header,
    /// Dropped last.
    _lock: File,
}

/// The embedded store.
pub(super) struct Parts {
    pub(super) meta: Keyspace,
    pub(super) values: Keyspace,
    pub(super) log: Keyspace,
    pub(super) db: Database,
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
    let Prepared { header, lock, older } = header::prepare(dir, options)?;
    let place = dir.join(header::DATA);
    if let Some(older) = older {
        migrate::from_1(&older.data, &place, &options.bounds)?;
        older.keep_header(dir)?;
    }
    let bounds = options.bounds.clone();
    let (parts, state) = open_whole(&place, &bounds, &header)?;
    header::complete(dir, &header, state.revision())?;
    let id = header.store.clone();
    let backend = Durable { parts: Some(parts), dir: dir.to_owned(), bounds, header, _lock: lock };
    Ok(Opened { id, state, backend })
}

/// Opens the embedded store and reads what memory holds of it.
fn open_whole(place: &Path, bounds: &Bounds, header: &Header) -> Result<(Parts, State), OpenError> {
    let parts = open_or_mend(place, bounds).map_err(|error| error.at(place))?;
    // The embedded store asserts where it reads damaged files.
    let load = || load::load(&parts, header);
    let loaded = catch_unwind(AssertUnwindSafe(load)).unwrap_or(Err(LoadError::Panic));
    let state = loaded.map_err(|error| error.at(place))?;
    Ok((parts, state))
}

/// Opens the embedded store; drops the last batch if that is torn and nothing else is wrong.
pub(super) fn open_or_mend(place: &Path, bounds: &Bounds) -> Result<Parts, LoadError> {
    if let Some(Damage { journal, at }) = journal::check(place)? {
        return Err(LoadError::Journal { journal, at });
    }
    // The embedded store asserts where it reads damaged files.
    let open =
        || catch_unwind(AssertUnwindSafe(|| Parts::open(place, bounds))).unwrap_or(Err(LoadError::Panic));
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
        let Parts { meta, values, log, db } = self.parts()?;
        // Also what is only forgotten is synced: then no more than the last batch can be torn.
        let mut writes = db.batch().durability(Some(PersistMode::SyncData));
        let mut keys = batch.keys;
        for staged in batch.staged {
            let change = &staged.change;
            let revision = format::revision(staged.revision);
            keys += u64::from(change.after.is_some());
            keys -= u64::from(change.before.is_some());
            writes.insert(log, revision, format::change(change, keys));
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
        let values = &self.parts()?.values;
        // The embedded store asserts where it reads damaged files.
        let read = || values.get(format::revision(revision)).map_err(to_io);
        let bytes = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged()))?;
        let value = bytes.map(|bytes| format::read_value(&bytes)).transpose();
        value.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn is_mendable(&self, error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            || matches!(error.get_ref(), Some(cause) if cause.is::<Background>())
    }

    fn place(&self) -> Option<&Path> {
        Some(&self.dir)
    }

    fn mend(&mut self) -> io::Result<State> {
        self.probe()?;
        // The embedded store locks its files: the old one goes first.
        self.parts = None;
        let place = self.dir.join(header::DATA);
        // What the failed write has left in the journal may be in the system's memory alone, and be lost with it.
        let rewritten = torn::rewrite(&place);
        let (parts, state) = open_whole(&place, &self.bounds, &self.header).map_err(io::Error::other)?;
        self.parts = Some(parts);
        rewritten?;
        Ok(state)
    }

    fn rest(&self) {
        let Ok(Parts { meta, values, log, .. }) = self.parts() else { return };
        for part in [meta, values, log] {
            // What was gathered is in the journal too: it is written a second time only to let go of the memory, and
            // so that the next open need not read the journal.
            if let Err(error) = part.rotate_memtable() {
                warn!(%error, "the store did not write what it has gathered");
            }
        }
    }

    fn end(&self, revision: Revision) {
        if let Err(error) = header::complete(&self.dir, &self.header, revision) {
            warn!(%error, "the store's last revision was not noted");
        }
    }
}

impl Durable {
    fn parts(&self) -> io::Result<&Parts> {
        self.parts.as_ref().ok_or_else(|| io::Error::other("the disk failed; open the store again"))
    }

    /// Whether there is room to write again.
    fn probe(&self) -> io::Result<()> {
        let place = self.dir.join(header::PROBE);
        let write = || File::create(&place)?.write_all(&vec![0x55; PROBE_BYTES]);
        let written = write().and_then(|()| File::open(&place)?.sync_all());
        // It is removed when the store is opened at the latest.
        let _ = std::fs::remove_file(&place);
        written
    }
}

impl Parts {
    pub(super) fn open(place: &Path, bounds: &Bounds) -> Result<Parts, LoadError> {
        let db = Database::builder(place)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .open()?;
        let part = |name, shape: Shape| db.keyspace(name, || shape.options(bounds));
        Ok(Parts {
            meta: part("meta", Shape { block_kib: 16, share: 2 })?,
            values: part("values", Shape { block_kib: 32, share: 1 })?,
            log: part("log", Shape { block_kib: 32, share: 2 })?,
            db,
        })
    }
}

/// How a part lies on the disk.
struct Shape {
    /// What is compressed together and read at once. Neighbours are much alike: large blocks take far less of the
    /// disk, and what is smaller is sooner written.
    block_kib: u32,
    /// Its share of [`Bounds::memtable_bytes`] is one of so many.
    share: u64,
}

impl Shape {
    fn options(&self, bounds: &Bounds) -> KeyspaceCreateOptions {
        KeyspaceCreateOptions::default()
            .max_memtable_size(bounds.memtable_bytes / self.share)
            .data_block_size_policy(BlockSizePolicy::all(self.block_kib << 10))
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
            .expect_point_read_hits(true)
    }
}

/// Why the records do not make a store.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("{0}")]
    Disk(#[from] fjall::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("the log has a hole before revision {}", .0.0)]
    Hole(Revision),
    #[error("the keys and the log do not agree at revision {}", .0.0)]
    Disagree(Revision),
    #[error("{found} keys are there, {told} were written")]
    Keys { found: u64, told: u64 },
    #[error("the log ends at revision {}, the store had reached {}", revision.0, reached.0)]
    Short { reached: Revision, revision: Revision },
    #[error("{} is damaged at byte {at}", journal.display())]
    Journal { journal: PathBuf, at: u64 },
    #[error("its files are damaged")]
    Panic,
}

impl LoadError {
    pub(super) fn at(self, place: &Path) -> OpenError {
        let place = place.display().to_string();
        match self {
            LoadError::Disk(fjall::Error::Io(cause)) | LoadError::Io(cause) => OpenError::Io { place, cause },
            LoadError::Disk(fjall::Error::Locked) => OpenError::InUse(place),
            other => OpenError::Corrupt { place, cause: other.to_string() },
        }
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its files are damaged")
}

/// Writing or merging files in the background failed. Everything is in the journal still.
#[derive(Debug, thiserror::Error)]
#[error("its files could not be written; is the disk full?")]
struct Background;

fn to_io(error: fjall::Error) -> io::Error {
    match error {
        fjall::Error::Io(error) => error,
        fjall::Error::Poisoned => io::Error::other(Background),
        other => io::Error::other(other),
    }
}
