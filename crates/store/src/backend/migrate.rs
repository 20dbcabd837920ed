//! From format 1 to format 2: the store is written anew beside the old one, which stays as it is.
//!
//! Until the header says 2, the new one counts for nothing: a migration that was interrupted begins again.

use std::fs;
use std::path::Path;

use fjall::PersistMode;
use tracing::info;

use super::durable::{LoadError, Parts, open_or_mend};
use crate::errors::OpenError;
use crate::format::{self, Malformed};
use crate::format_1;
use crate::types::Bounds;

/// Bytes that are written at once.
const PART: usize = 1 << 20;

/// Writes the data of format 1 that lies at one place to another place in format 2.
pub(super) fn from_1(old: &Path, new: &Path, bounds: &Bounds) -> Result<(), OpenError> {
    info!(from = %old.display(), to = %new.display(), "rewriting the store in its present format");
    if new.exists() {
        fs::remove_dir_all(new).map_err(|error| LoadError::Io(error).at(new))?;
    }
    let from = open_or_mend(old, bounds).map_err(|error| error.at(old))?;
    let to = Parts::open(new, bounds).map_err(|error| error.at(new))?;
    let keys = copy_keys(&from, &to).map_err(|error| error.at(old))?;
    copy_log(&from, &to, keys).map_err(|error| error.at(old))?;
    copy_values(&from, &to).map_err(|error| error.at(old))?;
    to.db.persist(PersistMode::SyncAll).map_err(|error| LoadError::Disk(error).at(new))
}

/// Copies the keys, and says how many.
fn copy_keys(from: &Parts, to: &Parts) -> Result<u64, LoadError> {
    let mut copy = Copy::to(to);
    for pair in from.meta.iter() {
        let (key, record) = pair.into_inner()?;
        std::str::from_utf8(&key).map_err(|_| Malformed::Text)?;
        copy.put(&to.meta, &key, format::version(&format_1::read_version(&record)?))?;
    }
    copy.end()
}

fn copy_log(from: &Parts, to: &Parts, keys: u64) -> Result<(), LoadError> {
    let mut made = 0;
    for pair in from.log.iter() {
        made += grown(&format_1::read_change(&pair.value()?)?);
    }
    // How many keys there were before the first change.
    let mut count = keys.checked_add_signed(-made).ok_or(Malformed::Number)?;
    let mut copy = Copy::to(to);
    for pair in from.log.iter() {
        let (revision, record) = pair.into_inner()?;
        let change = format_1::read_change(&record)?;
        count = count.checked_add_signed(grown(&change)).ok_or(Malformed::Number)?;
        copy.put(&to.log, &revision, format::change(&change, count))?;
    }
    copy.end().map(drop)
}

/// By how many keys there are more after a change.
fn grown(change: &crate::state::Logged) -> i64 {
    i64::from(change.after.is_some()) - i64::from(change.before.is_some())
}

fn copy_values(from: &Parts, to: &Parts) -> Result<(), LoadError> {
    let mut copy = Copy::to(to);
    for pair in from.values.iter() {
        let (revision, record) = pair.into_inner()?;
        copy.put(&to.values, &revision, record.to_vec())?;
    }
    copy.end().map(drop)
}

/// Writes that are made a part at a time.
struct Copy<'a> {
    to: &'a Parts,
    batch: fjall::OwnedWriteBatch,
    bytes: usize,
    records: u64,
}

impl<'a> Copy<'a> {
    fn to(to: &'a Parts) -> Copy<'a> {
        Copy { to, batch: to.db.batch(), bytes: 0, records: 0 }
    }

    fn put(&mut self, part: &fjall::Keyspace, key: &[u8], record: Vec<u8>) -> Result<(), LoadError> {
        self.records += 1;
        self.bytes += key.len() + record.len();
        self.batch.insert(part, key, record);
        if self.bytes >= PART {
            let full = std::mem::replace(&mut self.batch, self.to.db.batch());
            self.bytes = 0;
            full.commit()?;
        }
        Ok(())
    }

    fn end(self) -> Result<u64, LoadError> {
        self.batch.commit()?;
        Ok(self.records)
    }
}
