//! What whoever keeps the logs does with one that is complete: find its files, and shed it.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Output;
use super::entry::{Count, Cutter, Tag};
use super::segments;

/// What is behind the name of a file that is not whole yet.
const DRAFT: &str = "new";

/// The log that a file is of: its name without a segment's number, `.lz4` and `.new`.
#[must_use]
pub fn base(file: &Path) -> PathBuf {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(DRAFT).and_then(|name| name.strip_suffix('.')).unwrap_or(name);
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
    let numbers = segments::list(base)?;
    let Some(last) = numbers.last().copied() else { return Ok(()) };
    let old = files(base)?;
    // The last one may hold nothing: an entry is written after its file is made.
    let mut measured = numbers.iter().rev().map(|number| measure(base, *number));
    let measured = measured.find(|measured| !matches!(measured, Ok((_, time)) if time.is_empty()));
    let Some((came, time)) = measured.transpose()? else { return Ok(()) };
    let mut text = String::new();
    for output in [Output::Stdout, Output::Stderr] {
        let Count { bytes, lines } = came[output as usize];
        text += &format!("{time} {} S {bytes} {lines}\n", output.name());
    }
    // It has its name when it is whole: who dies on the way leaves a draft, which the next one writes over.
    let stub = segments::plain(base, last + 1);
    let draft = stub.with_added_extension(DRAFT);
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(&draft)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(draft, stub)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shedding_that_was_cut_off_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0.log");
        std::fs::write(&log, "2026-01-01T00:00:00.000000000Z stdout F hello\n").unwrap();
        // An empty file in its place, and a draft.
        std::fs::write(segments::plain(&log, 1), "").unwrap();
        std::fs::write(folder.path().join("0.log.2.new"), "2026").unwrap();
        shed(&log).unwrap();
        let left: Vec<_> = folder.path().read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(left, [segments::plain(&log, 2)]);
        let text = std::fs::read_to_string(&left[0]).unwrap();
        assert!(text.starts_with("2026-01-01T00:00:00.000000000Z stdout S 6 1\n"), "{text}");
    }

    #[test]
    fn every_file_of_a_log_names_it() {
        for name in ["0.log", "0.log.7", "0.log.7.lz4", "0.log.7.new", "0.log.lz4"] {
            assert_eq!(base(Path::new(name)), Path::new("0.log"), "{name}");
        }
    }
}
