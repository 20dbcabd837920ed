//! Entries of the CRI format: `TIME STREAM TAG CONTENT`. Content is bytes.

use std::io;

use jiff::Timestamp;

use super::{Output, ReadOptions};

/// An entry is at most a line of 16 KiB with its head; more means that the file is no log.
const MAX_ENTRY: usize = 1 << 20;

/// One entry without its newline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'a> {
    pub(super) time: &'a str,
    pub(super) output: Output,
    /// Whether a line ends here.
    pub(super) is_full: bool,
    pub(super) content: &'a [u8],
}

/// Reads an entry.
pub(super) fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut parts = line.splitn(4, |&byte| byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let output = match parts.next()? {
        b"stdout" => Output::Stdout,
        b"stderr" => Output::Stderr,
        _ => return None,
    };
    // Further tags may follow after a colon.
    let is_full = match parts.next()?.first()? {
        b'F' => true,
        b'P' => false,
        _ => return None,
    };
    Some(Entry { time, output, is_full, content: parts.next()? })
}

/// Turns a growing file into the program's bytes.
pub(crate) struct Entries {
    output: Option<Output>,
    since: Option<Timestamp>,
    timestamps: bool,
    /// The begin of an entry whose end was not read yet.
    carry: Vec<u8>,
    /// Whether a line is unfinished, by output.
    is_inside: [bool; 2],
}

impl Entries {
    pub(crate) fn new(options: &ReadOptions) -> Entries {
        let ReadOptions { output, since, timestamps, .. } = *options;
        Entries { output, since, timestamps, carry: Vec::new(), is_inside: [false; 2] }
    }

    /// Takes what was read of the file, gives what is wanted of it.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len());
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.carry.is_empty() {
                self.put(line, &mut out)?;
            } else {
                let mut whole = std::mem::take(&mut self.carry);
                whole.extend_from_slice(line);
                self.put(&whole, &mut out)?;
            }
        }
        self.carry.extend_from_slice(bytes);
        if self.carry.len() > MAX_ENTRY {
            return Err(unreadable());
        }
        Ok(out)
    }

    /// The file's end: an entry that was cut off by the death of its writer gives what there is of it.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.carry);
        let mut out = Vec::new();
        if let Some(entry) = parse(&line) {
            self.render(Entry { is_full: false, ..entry }, &mut out);
        }
        out
    }

    fn put(&mut self, line: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let entry = parse(line).ok_or_else(unreadable)?;
        self.render(entry, out);
        Ok(())
    }

    fn render(&mut self, entry: Entry<'_>, out: &mut Vec<u8>) {
        let is_inside = std::mem::replace(&mut self.is_inside[entry.output as usize], !entry.is_full);
        let is_other = self.output.is_some_and(|output| output != entry.output);
        let is_older =
            || self.since.is_some_and(|since| entry.time.parse::<Timestamp>().is_ok_and(|time| time < since));
        if is_other || is_older() {
            return;
        }
        if self.timestamps && !is_inside {
            out.extend_from_slice(entry.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(entry.content);
        if entry.is_full {
            out.push(b'\n');
        }
    }
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the log has an entry that is not in the CRI format")
}
