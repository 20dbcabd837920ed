//! What keeps values, and on a disk everything else. One writer writes; anyone reads values.

mod durable;

mod header;

mod journal;

mod load;

mod memory;

mod migrate;

mod torn;

pub(crate) use durable::{Opened, open};
pub(crate) use memory::Memory;

/// What the fuzz targets ask of the journals.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::journal::{END, damage_in, goes_on, used};
}

use std::io;
use std::path::Path;

use crate::staging::Staged;
use crate::state::{Forgotten, State};
use crate::types::{Revision, Value};

/// A group of changes, written whole or not at all.
pub(crate) struct Batch<'a> {
    /// How many keys there were before it.
    pub(crate) keys: u64,
    /// What is new.
    pub(crate) staged: &'a [Staged],
    /// What can go.
    pub(crate) forgotten: &'a [Forgotten],
}

/// Keeps what the store is given.
pub(crate) trait Backend: Send + Sync {
    /// Writes a batch; when it returns, the batch is as durable as the backend makes it.
    fn write(&self, batch: &Batch<'_>) -> io::Result<()>;
    /// The value that was written at a revision, unless it was forgotten.
    fn value(&self, revision: Revision) -> io::Result<Option<Value>>;
    /// Whether after a failed write it may be opened anew: surely nothing that was acknowledged is at stake.
    fn is_mendable(&self, error: &io::Error) -> bool {
        let _ = error;
        false
    }
    /// Where it lies, if it has a place.
    fn place(&self) -> Option<&Path> {
        None
    }
    /// Opens what is on the disk anew, if there is room for writing again, and tells what is there.
    /// An error leaves it as it was, if only to read, unless the disk fails more than before.
    fn mend(&mut self) -> io::Result<State> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Is told that nobody has written for a while: time to give memory back.
    fn rest(&self) {}
    /// Is told the last revision when the writer ends well.
    fn end(&self, revision: Revision) {
        let _ = revision;
    }
}
