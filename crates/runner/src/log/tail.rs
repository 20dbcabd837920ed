//! Where the last lines of a log begin, found from its end.

use std::io;
use std::path::Path;

use super::Output;
use super::entry::{Tag, parse};
use super::segments::{self, Segment};

const BLOCK: u64 = 64 << 10;

/// A place in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// Whether nothing that there was lies before it.
    pub(super) is_begin: bool,
}

/// The place of the first of the last `lines` lines of `output` (of both, if none is named). `None`: there is no log.
pub(super) fn begin(base: &Path, lines: u64, output: Option<Output>) -> io::Result<Option<Place>> {
    let mut count = Count { left: lines, output, is_last: [true; 2] };
    let mut first = None;
    for number in segments::list(base)?.into_iter().rev() {
        let Some(segment) = segments::open_whole(base, number)? else { continue };
        let offset = if lines == 0 { Some(segment.len()?) } else { scan(&segment, &mut count)? };
        if let Some(offset) = offset {
            return Ok(Some(Place { segment: number, offset, is_begin: false }));
        }
        first = Some(Place { segment: number, offset: 0, is_begin: true });
    }
    Ok(first)
}

/// The place behind the last entry that is not wanted any more, if it is in this segment.
fn scan(segment: &Segment, count: &mut Count) -> io::Result<Option<u64>> {
    let mut place = segment.len()?;
    // What was read of an entry whose begin lies further ahead.
    let mut rest: Vec<u8> = Vec::new();
    while place > 0 {
        let size = place.min(BLOCK);
        place -= size;
        let mut block = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut read = 0;
        while read < block.len() {
            match segment.read_at(&mut block[read..], place + read as u64)? {
                // It was cut shorter meanwhile.
                0 => break,
                more => read += more,
            }
        }
        block.truncate(read);
        block.append(&mut rest);
        let mut end = block.len();
        while let Some(newline) = block[..end.saturating_sub(1)].iter().rposition(|&byte| byte == b'\n') {
            if count.is_beyond(&block[newline + 1..end]) {
                return Ok(Some(place + end as u64));
            }
            end = newline + 1;
        }
        block.truncate(end);
        rest = block;
    }
    // The first entry of the file.
    Ok(count.is_beyond(&rest).then_some(rest.len() as u64))
}

/// The place behind the last whole entry.
pub(super) fn end(base: &Path) -> io::Result<Place> {
    for number in segments::list(base)?.into_iter().rev() {
        let Some(segment) = segments::open_whole(base, number)? else { continue };
        // An entry is shorter than a block, and what stands behind the last line end is not whole yet.
        let begin = segment.len()?.saturating_sub(BLOCK);
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(0)];
        let mut read = 0;
        while read < block.len() {
            match segment.read_at(&mut block[read..], begin + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        let newline = block[..read].iter().rposition(|&byte| byte == b'\n');
        let offset = newline.map_or(begin, |newline| begin + newline as u64 + 1);
        return Ok(Place { segment: number, offset, is_begin: false });
    }
    Ok(Place { is_begin: true, ..Place::default() })
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
        let is_text = matches!(entry.tag, Tag::Full | Tag::Partial);
        if !is_text || self.output.is_some_and(|output| output != entry.output) {
            return false;
        }
        let is_last = std::mem::replace(&mut self.is_last[entry.output as usize], false);
        if entry.tag == Tag::Partial && !is_last {
            return false;
        }
        if self.left == 0 {
            return true;
        }
        self.left -= 1;
        false
    }
}
