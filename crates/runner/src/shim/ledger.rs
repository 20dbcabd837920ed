//! The ledger: what the shim was asked for, what it started and how that ended, in a file that outlives it.
//! It knows no process; it is a list of records and its compaction. It is not synced to the disk: a process
//! that survives the shim runs under the same kernel, whose page cache survives the shim too, and what a
//! power failure takes from it is told from the boot id.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::procfs::Birth;
use super::wire;
use crate::runtime::{Event, Key};

const VERSION: u32 = 1;
/// Below this many records a rewrite is not worth it.
const COMPACT_FROM: usize = 4096;

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Record {
    /// A shim began to write; what follows happened under this boot.
    Session { version: u32, boot: String },
    /// A start was accepted; its process may exist from here on.
    Asked(Key),
    /// It runs. Its start time, as `/proc/PID/stat` has it, is `ticks` or up to `spread` more.
    Started {
        key: Key,
        pid: i32,
        ticks: u64,
        #[serde(default)]
        spread: u64,
        at: Timestamp,
    },
    /// It is over: how.
    Over(Event),
    /// The engine knows.
    Forgotten(Vec<Key>),
}

impl Record {
    /// A run began.
    pub(crate) fn started(key: Key, pid: i32, birth: Birth, at: Timestamp) -> Record {
        let Birth { ticks, spread } = birth;
        Record::Started { key, pid, ticks, spread, at }
    }
}

/// What the ledger says of one run.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Entry {
    /// Accepted, perhaps started.
    Asked { boot: String },
    /// Started.
    Started { boot: String, pid: i32, birth: Birth, at: Timestamp },
    /// Over.
    Over(Event),
}

/// The open file.
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    boot: String,
    /// What the file does not have yet.
    buffer: Vec<u8>,
    /// How much of the file is whole records, in bytes.
    length: u64,
    is_behind: bool,
    records: usize,
}

/// Reads what an earlier shim left. Lines that cannot be read (a torn last one) are counted, not guessed.
pub(crate) fn read(path: &Path) -> io::Result<(BTreeMap<Key, Entry>, usize)> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    understand(&bytes).map_err(|version| {
        let words = format!("{} has format {version}; this shim reads {VERSION}", path.display());
        io::Error::new(io::ErrorKind::Unsupported, words)
    })
}

/// What a ledger's bytes say; its version if that is another one.
pub(crate) fn understand(bytes: &[u8]) -> Result<(BTreeMap<Key, Entry>, usize), u32> {
    let mut entries = BTreeMap::new();
    let mut boot = String::new();
    let mut unreadable = 0;
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Record::Session { version, .. }) if version != VERSION => return Err(version),
            Ok(Record::Session { boot: id, .. }) => boot = id,
            Ok(record) => apply(&mut entries, &boot, record),
            Err(_) => unreadable += 1,
        }
    }
    Ok((entries, unreadable))
}

fn apply(entries: &mut BTreeMap<Key, Entry>, boot: &str, record: Record) {
    let boot = boot.to_owned();
    match record {
        Record::Session { .. } => {}
        Record::Asked(key) => {
            entries.entry(key).or_insert(Entry::Asked { boot });
        }
        Record::Started { key, pid, ticks, spread, at } => {
            let birth = Birth { ticks, spread };
            entries.insert(key, Entry::Started { boot, pid, birth, at });
        }
        Record::Over(event) => {
            entries.insert(event.key().clone(), Entry::Over(event));
        }
        Record::Forgotten(keys) => {
            for key in keys {
                entries.remove(&key);
            }
        }
    }
}

impl Ledger {
    /// Begins a new file that holds exactly `records`, in place of whatever was there.
    pub(crate) fn create(path: &Path, boot: &str, records: Vec<Record>) -> io::Result<Ledger> {
        let fresh = path.with_extension("new");
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&fresh)?;
        let mut ledger = Ledger::begin(path, file, boot);
        for record in records {
            ledger.put(&record);
        }
        if let Err(error) = ledger.flush() {
            // Half of it is of no use, and takes room where there may be none.
            let _ = std::fs::remove_file(&fresh);
            return Err(error);
        }
        std::fs::rename(&fresh, path)?;
        Ok(ledger)
    }

    fn begin(path: &Path, file: File, boot: &str) -> Ledger {
        let (path, boot) = (path.to_owned(), boot.to_owned());
        let mut ledger =
            Ledger { path, file, boot, buffer: Vec::new(), length: 0, is_behind: false, records: 0 };
        ledger.put(&Record::Session { version: VERSION, boot: ledger.boot.clone() });
        ledger
    }

    /// Adds a record to the next write.
    pub(crate) fn put(&mut self, record: &Record) {
        if wire::put(&mut self.buffer, record).is_ok() {
            self.records += 1;
        }
    }

    /// Writes what was put. No start may be made before this; what cannot be written is written with the next.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.buffer);
        self.is_behind = written.is_err();
        if written.is_ok() {
            self.length += self.buffer.len() as u64;
            self.buffer.clear();
        } else if self.file.set_len(self.length).is_err() && self.buffer.first() != Some(&b'\n') {
            // A record that was half written stays; the next one shall not be a part of it.
            self.buffer.insert(0, b'\n');
        }
        written
    }

    /// Whether the file lacks something, because it could not be written.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Whether most of the file speaks of runs that are forgotten.
    pub(crate) fn is_mostly_dead(&self, live_runs: usize) -> bool {
        self.records > COMPACT_FROM && self.records > live_runs * 8
    }

    /// Replaces the file by one with these records only.
    pub(crate) fn compact(&mut self, records: Vec<Record>) -> io::Result<()> {
        *self = Ledger::create(&self.path, &self.boot, records)?;
        Ok(())
    }

    /// Whether the file was taken away (its directory was deleted).
    pub(crate) fn is_unlinked(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    /// One that is written to a file of the test's.
    #[cfg(test)]
    pub(crate) fn into(file: File) -> Ledger {
        Ledger::begin(Path::new("nowhere"), file, "boot")
    }

    /// Its file is another one from here on.
    #[cfg(test)]
    pub(crate) fn move_to(&mut self, file: File) {
        self.file = file;
    }
}
