//! What whoever keeps the logs does with one that is complete: find its files, and shed it.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Output;
use super::entry::{Count, Cutter, Tag};
use super::segments;

/// The log that a file is of: its name without a segment's number and `.lz4`.
#[must_use]
pub fn base(file: &Path) -> PathBuf {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plain = name.strip_suffix(segments::PACKED).unwrap_or(name);
    let numbered = plain.rsplit_once('.').filter(|(_, number)| number.parse::<u64>().is_ok());
    file.with_file_name(numbered.map_or(plain, |(base, _)| base))
}

/// All files of a log.
pub fn files(base: &Path) -> io::Result<Vec<PathBuf>> {
    let of = |number| [segments::plain(base, number), segments::packed(base, number)];
    Ok(segments::list(base)?.into_iter().flat_map(of).filter(|path| path.exists()).collect())
}

/// Removes what a complete log holds, all but the words that it is gone, which its readers are told.
pub fn shed(base: &Path) -> io::Result<()> {
    let Some(last) = segments::list(base)?.last().copied() else { return Ok(()) };
    let old = files(base)?;
    let (came, time) = measure(base, last)?;
    if time.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    for output in [Output::Stdout, Output::Stderr] {
        let Count { bytes, lines } = came[output as usize];
        text += &format!("{time} {} S {bytes} {lines}\n", output.name());
    }
    let stub = segments::plain(base, last + 1);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(stub)?;
    file.write_all(text.as_bytes())?;
    old.iter().try_for_each(std::fs::remove_file)
}

/// How much came up to the end of the log, and when the last of it.
fn measure(base: &Path, last: u64) -> io::Result<([Count; 2], String)> {
    let (mut came, mut time) = ([Count::default(); 2], String::new());
    let Some(segment) = segments::open(base, last)? else { return Ok((came, time)) };
    let (mut cutter, mut chunk, mut place) = (Cutter::default(), vec![0; super::CHUNK], 0);
    loop {
        let count = segment.read_at(&mut chunk, place)?;
        if count == 0 {
            return Ok((came, time));
        }
        place += count as u64;
        cutter.take(&chunk[..count], |entry| {
            time.clear();
            time.push_str(entry.time);
            let came = &mut came[entry.output as usize];
            match (entry.tag, Count::parse(entry.content)) {
                (Tag::Start, Some((before, _))) => *came = before,
                (Tag::Gap, Some((lost, _))) => *came = came.plus(lost),
                _ => came.add(&entry),
            }
        })?;
    }
}
