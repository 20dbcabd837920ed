//! The files of one log as they are written: a segment at a time, the oldest removed past the limit, and what could not
//! be written counted and told in the log as soon as it can be. It knows entries as text and no pipe.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::packer::Packer;
use crate::log::Output as Channel;
use crate::log::entry::{Count, parse};
use crate::log::segments;

/// The largest segment. A log is at least [`SEGMENTS`] of them at its limit.
const LARGEST: u64 = 8 << 20;
const SEGMENTS: u64 = 8;
/// The smallest: what a limit of next to nothing comes to.
const SMALLEST: u64 = 4 << 10;
/// The last segment of an ended run is packed from this size on.
const WORTH_PACKING: u64 = 64 << 10;
/// So much room is left at the end of a full disk's last block, for the words that something is missing.
const ROOM_FOR_WORDS: usize = 256;
const CHANNELS: [Channel; 2] = [Channel::Stdout, Channel::Stderr];

/// One log. Its first file is made by its first byte: a silent container costs no inode.
pub(crate) struct Record {
    path: PathBuf,
    packer: Arc<Packer>,
    limit: u64,
    /// All that was written, kept or not.
    written: u64,
    /// The segment that is written, and how long it is.
    file: Option<File>,
    number: u64,
    length: u64,
    /// It ends in the middle of an entry, so nothing may follow in it.
    is_torn: bool,
    /// It does not say yet what came before it.
    needs_head: bool,
    /// The sizes of the closed segments that are kept; the last one's number is one less than `number`.
    closed: VecDeque<u64>,
    /// What came, by channel, lost or not.
    came: [Count; 2],
    /// What was lost and not yet told.
    lost: [Count; 2],
    fault: String,
}

impl Record {
    /// A log at `path`, of which about `limit` bytes are kept, before packing.
    pub(crate) fn new(path: PathBuf, limit: u64, packer: Arc<Packer>) -> Record {
        Record {
            path,
            packer,
            limit,
            written: 0,
            file: None,
            number: 0,
            length: 0,
            is_torn: false,
            needs_head: false,
            closed: VecDeque::new(),
            came: Default::default(),
            lost: Default::default(),
            fault: String::new(),
        }
    }

    /// Adds whole entries. An error means that some of them are lost; they are counted, and told in the log later.
    pub(crate) fn append(&mut self, text: &[u8], at: Timestamp) -> io::Result<()> {
        let mut rest = text;
        while !rest.is_empty() {
            let written = self.roll(at).and_then(|()| self.tell_loss(at));
            let piece = &rest[..cut(rest, self.segment().saturating_sub(self.length))];
            match written.and_then(|()| self.write(piece)) {
                Ok(()) => self.count(piece),
                Err((error, kept)) => {
                    self.count(&rest[..kept]);
                    self.lose(&rest[kept..], &error);
                    return Err(error);
                }
            }
            rest = &rest[piece.len()..];
        }
        Ok(())
    }

    /// How much more was written than is kept.
    pub(crate) fn past_limit(&self) -> u64 {
        self.written.saturating_sub(self.limit)
    }

    /// The log is complete. Answers its length.
    pub(crate) fn close(&mut self, at: Timestamp) -> u64 {
        // What cannot be told now is told nowhere but in the shim's own log.
        let _ = self.head(at).and_then(|()| self.tell_loss(at));
        if self.file.take().is_some() && self.length >= WORTH_PACKING {
            let _ = self.shut();
        }
        self.length + self.closed.iter().sum::<u64>()
    }

    fn segment(&self) -> u64 {
        (self.limit / SEGMENTS).clamp(SMALLEST, LARGEST)
    }

    fn count(&mut self, text: &[u8]) {
        let counts = count(text);
        self.came = [0, 1].map(|side| self.came[side].plus(counts[side]));
    }

    fn lose(&mut self, text: &[u8], error: &io::Error) {
        let counts = count(text);
        self.came = [0, 1].map(|side| self.came[side].plus(counts[side]));
        self.lost = [0, 1].map(|side| self.lost[side].plus(counts[side]));
        self.fault = format!("the log could not be written: {error}");
        // Opened again, in case that helps.
        self.file = None;
    }

    /// Says in the log what is missing at this place.
    fn tell_loss(&mut self, at: Timestamp) -> Result<(), (io::Error, usize)> {
        for channel in CHANNELS {
            let Count { bytes, lines } = self.lost[channel as usize];
            if bytes > 0 {
                let text = format!("{at:.9} {} G {bytes} {lines} {}\n", channel.name(), self.fault);
                self.write(text.as_bytes()).map_err(|(error, _)| (error, 0))?;
                self.lost[channel as usize] = Count::default();
            }
        }
        Ok(())
    }

    /// Goes on in a new segment if this one is full.
    fn roll(&mut self, at: Timestamp) -> Result<(), (io::Error, usize)> {
        if self.length < self.segment() && !self.is_torn {
            return self.head(at);
        }
        let next = self.number + 1;
        let file = open(&segments::plain(&self.path, next)).map_err(|error| (error, 0))?;
        // A reader that sees the old one closed finds the new one there.
        let _ = self.shut();
        self.closed.push_back(self.length);
        (self.file, self.number, self.length, self.is_torn) = (Some(file), next, 0, false);
        self.needs_head = true;
        self.drop_oldest();
        self.head(at)
    }

    /// Says at the begin of a segment what came before it. What was lost and not told is told in it.
    fn head(&mut self, at: Timestamp) -> Result<(), (io::Error, usize)> {
        if !self.needs_head {
            return Ok(());
        }
        let mut text = String::new();
        for channel in CHANNELS {
            let Count { bytes, lines } = self.came[channel as usize].beyond(self.lost[channel as usize]);
            text += &format!("{at:.9} {} S {bytes} {lines}\n", channel.name());
        }
        self.write(text.as_bytes()).map_err(|(error, _)| (error, 0))?;
        self.needs_head = false;
        Ok(())
    }

    /// Closes the present segment, and has it packed.
    fn shut(&mut self) -> io::Result<()> {
        let path = segments::plain(&self.path, self.number);
        std::fs::set_permissions(&path, Permissions::from_mode(0o400))?;
        self.packer.pack(path);
        Ok(())
    }

    fn drop_oldest(&mut self) {
        while !self.closed.is_empty() && self.closed.iter().sum::<u64>() + self.segment() > self.limit {
            let oldest = self.number - self.closed.len() as u64;
            self.closed.pop_front();
            // One of the two is there; what cannot be removed is the sweeper's.
            let _ = std::fs::remove_file(segments::plain(&self.path, oldest));
            let _ = std::fs::remove_file(segments::packed(&self.path, oldest));
        }
    }

    /// Writes whole entries to the present segment. With the error: how many bytes of whole entries stay.
    fn write(&mut self, text: &[u8]) -> Result<(), (io::Error, usize)> {
        let mut written = 0;
        let error = loop {
            let file = match &mut self.file {
                Some(file) => file,
                None => match open(&segments::plain(&self.path, self.number)) {
                    Ok(file) => self.file.insert(file),
                    Err(error) => break error,
                },
            };
            match file.write(&text[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
            if written == text.len() {
                self.length += written as u64;
                self.written += written as u64;
                return Ok(());
            }
        };
        // Cut back to whole entries, and a little more: where nothing fits any more the words about it shall.
        let kept = &text[..written.saturating_sub(ROOM_FOR_WORDS)];
        let kept = kept.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let length = self.length + kept as u64;
        if written > kept && self.file.as_ref().is_some_and(|file| file.set_len(length).is_err()) {
            self.is_torn = true;
        }
        self.length = length;
        Err((error, kept))
    }
}

/// As much of the text as fits into the room, at least one entry.
fn cut(text: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if text.len() <= room {
        return text.len();
    }
    let last = text[..room].iter().rposition(|&byte| byte == b'\n');
    let first = || text.iter().position(|&byte| byte == b'\n');
    last.or_else(first).map_or(text.len(), |end| end + 1)
}

fn count(text: &[u8]) -> [Count; 2] {
    let mut counts = [Count::default(); 2];
    for entry in text.split(|&byte| byte == b'\n').filter_map(parse) {
        counts[entry.output as usize].add(&entry);
    }
    counts
}

fn open(path: &std::path::Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            options.open(path)
        }
        opened => opened,
    }
}
