//! The end of a log that is complete, read at once: a few lines, no more than so many bytes.

use std::io;
use std::path::Path;

use super::entry::Cutter;
use super::render::Render;
use super::segments::{self, Segment};
use super::{ReadOptions, tail};

/// Nothing that lies further ahead in a segment is looked at; an entry is far shorter.
const WINDOW: u64 = 64 << 10;

/// The last `lines` lines of both outputs, or the last `bytes` bytes of them where that is less. A log that is not
/// there is empty. It blocks, for as long as reading some 64 KiB takes.
///
/// # Errors
/// It cannot be read.
pub fn last(path: &Path, lines: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let Some(first) = tail::begin(path, lines, None)? else { return Ok(text) };
    let mut render = Render::new(&ReadOptions::default(), false);
    for number in segments::list(path)?.range(first.segment..) {
        let Some(segment) = segments::open(path, *number)? else { continue };
        let from = if *number == first.segment { first.offset } else { 0 };
        read(&segment, from, &mut render, &mut text)?;
        let beyond = text.len().saturating_sub(bytes);
        text.drain(..beyond);
    }
    Ok(text)
}

fn read(segment: &Segment, from: u64, render: &mut Render, text: &mut Vec<u8>) -> io::Result<()> {
    let end = segment.len()?;
    let begin = from.max(end.saturating_sub(WINDOW));
    let mut block = vec![0; usize::try_from(end.saturating_sub(begin)).unwrap_or(0)];
    let mut count = 0;
    while count < block.len() {
        match segment.read_at(&mut block[count..], begin + count as u64)? {
            0 => break,
            more => count += more,
        }
    }
    block.truncate(count);
    // Where the window begins inside an entry, it begins with the next one.
    let skipped =
        if begin > from { block.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1) } else { 0 };
    let mut cutter = Cutter::default();
    cutter.take(&block[skipped..], |entry| render.put(&entry, text))?;
    cutter.finish(|entry| render.put(&entry, text));
    Ok(())
}
