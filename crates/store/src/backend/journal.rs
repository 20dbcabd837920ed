//! The shape of fjall's journals (its format 3), looked at before they are opened. Where the embedded store meets
//! what it does not understand, it drops all that follows. That is right for what a crash has torn at the end, and
//! would lose acknowledged writes were it done for damage in the middle: such a journal is refused, and not touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What each batch ends with.
pub(crate) const END: &[u8] = b"FJL\x03";

/// Where the zeros begin with which a journal is made, to a page.
pub(crate) fn used(bytes: &[u8]) -> usize {
    const PAGE: [u8; 4096] = [0; 4096];
    let pages = bytes.chunks(PAGE.len()).rposition(|page| page != &PAGE[..page.len()]);
    pages.map_or(0, |last| bytes.len().min((last + 1) * PAGE.len()))
}

/// The journals in the order in which they were written.
pub(crate) fn all(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for file in fs::read_dir(data)? {
        let path = file?.path();
        if let (Some("jnl"), Some(stem)) =
            (path.extension().and_then(|e| e.to_str()), path.file_stem().and_then(|s| s.to_str()))
        {
            journals.extend(stem.parse::<u64>().ok().map(|number| (number, path)));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// Damage that is no torn end.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The file.
    pub(crate) journal: PathBuf,
    /// Where, in bytes from its start.
    pub(crate) at: usize,
}

/// Looks for damage before the end of what was written.
pub(crate) fn check(data: &Path) -> io::Result<Option<Damage>> {
    let journals = if data.exists() { all(data)? } else { Vec::new() };
    for (number, journal) in journals.iter().enumerate() {
        let mut bytes = fs::read(journal)?;
        bytes.truncate(used(&bytes));
        let newest = number + 1 == journals.len();
        let Err(at) = batches(&bytes) else { continue };
        if !newest || goes_on(&bytes[at..]) {
            return Ok(Some(Damage { journal: journal.clone(), at }));
        }
    }
    Ok(None)
}

/// Whether after a batch that cannot be read another one follows.
fn goes_on(rest: &[u8]) -> bool {
    let Some(end) = rest.windows(END.len()).position(|window| window == END) else { return false };
    let after = &rest[end + END.len()..];
    after.windows(END.len()).any(|window| window == END)
}

/// Walks over all batches; where the first begins that cannot be read.
fn batches(bytes: &[u8]) -> Result<(), usize> {
    let mut rest = bytes;
    while rest.iter().any(|byte| *byte != 0) {
        rest = batch(rest).ok_or(bytes.len() - rest.len())?;
    }
    Ok(())
}

/// What follows a batch.
fn batch(bytes: &[u8]) -> Option<&[u8]> {
    let (1, rest) = byte(bytes)? else { return None };
    let (many, rest) = number(rest)?;
    let mut rest = rest.get(8..)?;
    for _ in 0..many {
        rest = item(rest)?;
    }
    let (3, rest) = byte(rest)? else { return None };
    rest.get(8..)?.strip_prefix(END)
}

/// What follows a write of a batch.
fn item(bytes: &[u8]) -> Option<&[u8]> {
    let (2, rest) = byte(bytes)? else { return None };
    // The kind of write, the compression (one byte each), the part (eight).
    let rest = rest.get(2 + 8..)?;
    let (key, rest) = rest.split_first_chunk()?;
    let (_, rest) = number(rest)?;
    let (value, rest) = number(rest)?;
    rest.get(usize::from(u16::from_le_bytes(*key)) + value..)
}

fn byte(bytes: &[u8]) -> Option<(u8, &[u8])> {
    bytes.split_first().map(|(byte, rest)| (*byte, rest))
}

/// A number of four bytes.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}
