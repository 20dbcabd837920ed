//! The last batch of the journal after a power loss: pages of it may be missing while its end is there. The
//! embedded store refuses such a journal, although that batch was never acknowledged. Without the mark of its
//! end it counts as what it is, an unfinished batch, and is dropped.
//!
//! Whether the rest is sound is not known here: the embedded store decides that when it opens again, and if it
//! is not, everything is put back.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::journal::{self, END, used};

/// What was cut off.
pub(crate) struct Torn {
    journal: PathBuf,
    at: u64,
    tail: Vec<u8>,
    /// The journal's whole length, with the zeros at its end.
    length: u64,
}

/// Cuts the end mark of the newest journal's last batch, if there is one.
pub(crate) fn cut(data: &Path) -> io::Result<Option<Torn>> {
    let Some(journal) = newest_journal(data)? else { return Ok(None) };
    let mut bytes = fs::read(&journal)?;
    let length = bytes.len() as u64;
    bytes.truncate(used(&bytes));
    let Some(at) = bytes.windows(END.len()).rposition(|window| window == END) else { return Ok(None) };
    let torn = Torn { journal, at: at as u64, tail: bytes[at..].to_vec(), length };
    let file = File::options().write(true).open(&torn.journal)?;
    file.set_len(torn.at)?;
    file.sync_all()?;
    Ok(Some(torn))
}

/// Writes the newest journal over itself, so that all of it is surely on the disk. That takes no room.
pub(crate) fn rewrite(data: &Path) -> io::Result<()> {
    let Some(journal) = newest_journal(data)? else { return Ok(()) };
    let mut bytes = fs::read(&journal)?;
    bytes.truncate(used(&bytes));
    let file = File::options().write(true).open(&journal)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_all()
}

impl Torn {
    /// Puts back what was cut off.
    pub(crate) fn restore(&self) -> io::Result<()> {
        let file = File::options().write(true).open(&self.journal)?;
        file.write_all_at(&self.tail, self.at)?;
        file.set_len(self.length)?;
        file.sync_all()
    }
}

/// The newest journal: batches are only ever added to that one.
fn newest_journal(data: &Path) -> io::Result<Option<PathBuf>> {
    Ok(journal::all(data)?.pop())
}
