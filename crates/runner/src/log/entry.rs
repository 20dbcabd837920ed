//! Entries of a log: `TIME STREAM TAG CONTENT`, the CRI format. Content is bytes. Two tags are our own and tell of what
//! is not there: `S` stands at the begin of every segment but the first and says how much of a stream came before it;
//! `G` says how much is missing at its place, and why. It knows no file.

use std::io;

use super::Output;

/// An entry is at most a line of 16 KiB with its head; more means that the file is no log.
const MAX_ENTRY: usize = 1 << 20;

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tag {
    /// A line ends here.
    Full,
    /// A piece of a line.
    Partial,
    /// How much of the stream came before this segment: a [`Count`].
    Start,
    /// How much of the stream is missing here, and why: a [`Count`] and words.
    Gap,
}

/// One entry without its newline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) time: &'a str,
    pub(crate) output: Output,
    pub(crate) tag: Tag,
    pub(crate) content: &'a [u8],
}

/// So much of a stream, as the program wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Count {
    pub(crate) bytes: u64,
    /// Line ends.
    pub(crate) lines: u64,
}

impl Count {
    /// With one more entry.
    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        let ends = u64::from(entry.tag == Tag::Full);
        if ends == 1 || entry.tag == Tag::Partial {
            // A damaged log may have counted up to the end.
            self.bytes = self.bytes.saturating_add(entry.content.len() as u64 + ends);
            self.lines = self.lines.saturating_add(ends);
        }
    }

    /// Both together.
    pub(crate) fn plus(self, other: Count) -> Count {
        let bytes = self.bytes.saturating_add(other.bytes);
        Count { bytes, lines: self.lines.saturating_add(other.lines) }
    }

    /// What is more here than there.
    pub(crate) fn beyond(self, other: Count) -> Count {
        let bytes = self.bytes.saturating_sub(other.bytes);
        Count { bytes, lines: self.lines.saturating_sub(other.lines) }
    }

    /// Reads one, and what follows it.
    pub(crate) fn parse(content: &[u8]) -> Option<(Count, &str)> {
        let mut words = std::str::from_utf8(content).ok()?.splitn(3, ' ');
        let bytes = words.next()?.parse().ok()?;
        let lines = words.next()?.parse().ok()?;
        Some((Count { bytes, lines }, words.next().unwrap_or_default()))
    }
}

/// Reads an entry.
pub(crate) fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut parts = line.splitn(4, |&byte| byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let output = match parts.next()? {
        b"stdout" => Output::Stdout,
        b"stderr" => Output::Stderr,
        _ => return None,
    };
    // Further tags may follow after a colon.
    let tag = match parts.next()?.first()? {
        b'F' => Tag::Full,
        b'P' => Tag::Partial,
        b'S' => Tag::Start,
        b'G' => Tag::Gap,
        _ => return None,
    };
    Some(Entry { time, output, tag, content: parts.next()? })
}

/// Cuts what is read of a growing file into entries.
#[derive(Default)]
pub(crate) struct Cutter {
    /// The begin of an entry whose end was not read yet.
    carry: Vec<u8>,
}

impl Cutter {
    /// Takes what was read, hands on each whole entry.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(Entry<'_>)) -> io::Result<()> {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.carry.is_empty() {
                each(parse(line).ok_or_else(unreadable)?);
            } else {
                let mut whole = std::mem::take(&mut self.carry);
                whole.extend_from_slice(line);
                each(parse(&whole).ok_or_else(unreadable)?);
            }
        }
        self.carry.extend_from_slice(bytes);
        if self.carry.len() > MAX_ENTRY { Err(unreadable()) } else { Ok(()) }
    }

    /// Forgets the entry whose end was not there: how many bytes of it.
    pub(crate) fn put_back(&mut self) -> usize {
        std::mem::take(&mut self.carry).len()
    }

    /// The file's end: an entry that was cut off by the death of its writer is what there is of it.
    pub(crate) fn finish(&mut self, each: impl FnOnce(Entry<'_>)) {
        let line = std::mem::take(&mut self.carry);
        if let Some(entry) = parse(&line) {
            let tag = if entry.tag == Tag::Full { Tag::Partial } else { entry.tag };
            each(Entry { tag, ..entry });
        }
    }
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the log has an entry that is not in the CRI format")
}
