//! From the bytes of two pipes to one log file in the CRI line format:
//! `2026-11-20T23:41:06.123456789Z stdout F line`. `P` marks a piece without the newline: a line over 16 KiB is
//! cut, and an unfinished last line stays one, so that the program's bytes can be given back exactly.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use jiff::Timestamp;

/// Where a longer line is cut, as upstream's runtimes cut it.
pub(crate) const MAX_LINE: usize = 16 << 10;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

impl Channel {
    /// As the log file names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
        }
    }
}

/// One container's log. The file is made by the first byte: a silent container costs no inode.
pub(crate) struct Output {
    path: PathBuf,
    file: Option<File>,
    unfinished: [Vec<u8>; 2],
}

impl Output {
    /// A log that will be at `path`.
    pub(crate) fn new(path: PathBuf) -> Output {
        Output { path, file: None, unfinished: [Vec::new(), Vec::new()] }
    }

    /// Takes what was read from a pipe.
    pub(crate) fn push(&mut self, channel: Channel, mut bytes: &[u8], at: Timestamp) -> io::Result<()> {
        let unfinished = &mut self.unfinished[channel as usize];
        let head = format!("{at:.9} {} ", channel.name());
        let mut text = Vec::with_capacity(bytes.len() + 256);
        while !bytes.is_empty() {
            let room = MAX_LINE - unfinished.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            let newline = window.iter().position(|&byte| byte == b'\n');
            match newline {
                Some(end) => {
                    entry(&mut text, &head, 'F', unfinished, &bytes[..end]);
                    unfinished.clear();
                    bytes = &bytes[end + 1..];
                }
                None if window.len() > room => {
                    entry(&mut text, &head, 'P', unfinished, &bytes[..room]);
                    unfinished.clear();
                    bytes = &bytes[room..];
                }
                None => {
                    unfinished.extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
        self.write(&text)
    }

    /// The pipe ended: what is left is a line without an end.
    pub(crate) fn finish(&mut self, channel: Channel, at: Timestamp) -> io::Result<()> {
        let unfinished = std::mem::take(&mut self.unfinished[channel as usize]);
        if unfinished.is_empty() {
            return Ok(());
        }
        let mut text = Vec::with_capacity(unfinished.len() + 64);
        entry(&mut text, &format!("{at:.9} {} ", channel.name()), 'P', &unfinished, &[]);
        self.write(&text)
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        match &mut self.file {
            Some(file) => file.write_all(text),
            None => Ok(()),
        }
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = self.path.parent() {
                    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
                }
                options.open(&self.path)
            }
            opened => opened,
        }
    }
}

fn entry(text: &mut Vec<u8>, head: &str, tag: char, begin: &[u8], rest: &[u8]) {
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(if tag == 'F' { b"F " } else { b"P " });
    text.extend_from_slice(begin);
    text.extend_from_slice(rest);
    text.push(b'\n');
}
