//! From the bytes of two pipes to entries of one log in the CRI line format:
//! `2026-11-20T23:41:06.123456789Z stdout F line`. `P` marks a piece without the newline: a line over 16 KiB is
//! cut, and an unfinished last line stays one, so that the program's bytes can be given back exactly.
//! It knows no file.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::packer::Packer;
use super::record::Record;
use crate::log::Output as Channel;
use crate::log::stamps::Stamps;

/// Where a longer line is cut, as upstream's runtimes cut it.
pub(crate) const MAX_LINE: usize = 16 << 10;

/// One container's output on its way to its log.
pub(crate) struct Output {
    record: Record,
    stamps: Stamps,
    unfinished: [Vec<u8>; 2],
}

impl Output {
    /// Output that goes to a log at `path`, of which no more than `limit` bytes are kept.
    pub(crate) fn new(path: PathBuf, limit: u64, packer: Arc<Packer>) -> Output {
        let record = Record::new(path, limit, packer);
        Output { record, stamps: Stamps::default(), unfinished: [Vec::new(), Vec::new()] }
    }

    /// Takes what was read from a pipe.
    pub(crate) fn push(&mut self, channel: Channel, mut bytes: &[u8], at: Timestamp) -> io::Result<()> {
        let unfinished = &mut self.unfinished[channel as usize];
        let mut text = Vec::with_capacity(bytes.len() + 256);
        while !bytes.is_empty() {
            let room = MAX_LINE - unfinished.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            let newline = window.iter().position(|&byte| byte == b'\n');
            match newline {
                Some(end) => {
                    entry(&mut text, self.stamps.next(at), channel, 'F', unfinished, &bytes[..end]);
                    unfinished.clear();
                    bytes = &bytes[end + 1..];
                }
                None if window.len() > room => {
                    entry(&mut text, self.stamps.next(at), channel, 'P', unfinished, &bytes[..room]);
                    unfinished.clear();
                    bytes = &bytes[room..];
                }
                None => {
                    unfinished.extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
        self.record.append(&text, at)
    }

    /// The pipe ended: what is left is a line without an end.
    pub(crate) fn finish(&mut self, channel: Channel, at: Timestamp) -> io::Result<()> {
        let unfinished = std::mem::take(&mut self.unfinished[channel as usize]);
        if unfinished.is_empty() {
            return Ok(());
        }
        let mut text = Vec::with_capacity(unfinished.len() + 64);
        entry(&mut text, self.stamps.next(at), channel, 'P', &unfinished, &[]);
        self.record.append(&text, at)
    }

    /// How many bytes of log there were more than its limit, kept or not.
    pub(crate) fn past_limit(&self) -> u64 {
        self.record.past_limit()
    }

    /// The run is over: its log is complete. Answers how many bytes it takes, before it is packed.
    pub(crate) fn close(&mut self, at: Timestamp) -> u64 {
        self.record.close(at)
    }
}

fn entry(text: &mut Vec<u8>, time: &[u8], channel: Channel, tag: char, begin: &[u8], rest: &[u8]) {
    text.extend_from_slice(time);
    text.push(b' ');
    text.extend_from_slice(channel.name().as_bytes());
    text.extend_from_slice(if tag == 'F' { b" F " } else { b" P " });
    text.extend_from_slice(begin);
    text.extend_from_slice(rest);
    text.push(b'\n');
}
