//! Where the last lines of a log begin, found from its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Output;
use super::entry::parse;

const BLOCK: u64 = 64 << 10;

/// The place of the first of the last `lines` lines of `output` (of both, if none is named).
pub(super) fn begin(path: &Path, lines: u64, output: Option<Output>) -> io::Result<u64> {
    let file = File::open(path)?;
    let mut place = file.metadata()?.len();
    if lines == 0 {
        return Ok(place);
    }
    // What was read of an entry whose begin lies further ahead.
    let mut rest: Vec<u8> = Vec::new();
    let mut count = Count { left: lines, output, is_last: [true; 2] };
    while place > 0 {
        let size = place.min(BLOCK);
        place -= size;
        let mut block = vec![0; usize::try_from(size).unwrap_or(0)];
        file.read_exact_at(&mut block, place)?;
        block.append(&mut rest);
        let mut end = block.len();
        while let Some(newline) = block[..end.saturating_sub(1)].iter().rposition(|&byte| byte == b'\n') {
            if count.is_beyond(&block[newline + 1..end]) {
                return Ok(place + end as u64);
            }
            end = newline + 1;
        }
        block.truncate(end);
        rest = block;
    }
    // The first entry of the file.
    if count.is_beyond(&rest) { Ok(rest.len() as u64) } else { Ok(0) }
}

/// The begin of the entry that is written at this place: a length that was read while an entry was being written is
/// within it.
pub(super) fn entry(path: &Path, place: u64) -> io::Result<u64> {
    let size = place.min(BLOCK);
    let mut block = vec![0; usize::try_from(size).unwrap_or(0)];
    File::open(path)?.read_exact_at(&mut block, place - size)?;
    let newline = block.iter().rposition(|&byte| byte == b'\n');
    // An entry is shorter than a block: without a newline it is the file's first.
    Ok(newline.map_or(place - size, |newline| place - size + newline as u64 + 1))
}

struct Count {
    left: u64,
    output: Option<Output>,
    /// Nothing of this output was seen: an unfinished line at the end is a line.
    is_last: [bool; 2],
}

impl Count {
    /// Whether this entry ends a line that is not wanted any more.
    fn is_beyond(&mut self, entry: &[u8]) -> bool {
        let Some(entry) = parse(entry.strip_suffix(b"\n").unwrap_or(entry)) else { return false };
        if self.output.is_some_and(|output| output != entry.output) {
            return false;
        }
        let is_last = std::mem::replace(&mut self.is_last[entry.output as usize], false);
        if !entry.is_full && !is_last {
            return false;
        }
        if self.left == 0 {
            return true;
        }
        self.left -= 1;
        false
    }
}
