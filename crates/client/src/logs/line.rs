//! Cuts a log that the server sends with timestamps into lines, and knows how to go on after a lost connection.
//!
//! Pure: bytes in, pieces out. A line is `TIME SPACE BYTES NEWLINE`; the time is the server's, in RFC 3339.

use std::str::FromStr;

use jiff::Timestamp;

use crate::limits;

#[cfg(test)]
mod tests;

/// How far a log was handed out: up to the `lines`-th line of a time, and `bytes` of the line after it.
///
/// A server leaves out every line whose time is before the one that is asked for, also of those that were written
/// after its clock went back (`pkg/kubelet/kuberuntime/logs`). A short log is therefore read from its beginning
/// again, and so is one in which time has been seen going back; what was handed out is skipped by its number. Of a
/// long log that is asked for by time, lines are lost if the clock goes back just while the connection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    at: Option<Timestamp>,
    lines: u64,
    bytes: usize,
    /// Lines with a time, from the first one.
    total: u64,
    /// What they hold, in bytes.
    size: u64,
    /// Whether a line was older than the one before it.
    is_back: bool,
    /// Whether the connection began with the first line of the log.
    is_whole: bool,
}

impl Cursor {
    /// A cursor at the beginning of a log, or of its end that was asked for.
    pub(crate) fn new(is_whole: bool) -> Self {
        Cursor { is_whole, ..Cursor::default() }
    }

    /// Whether nothing was handed out yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.at.is_none() && self.bytes == 0
    }

    /// Whether the log is read from its beginning again.
    fn counts(&self) -> bool {
        self.is_whole && (self.is_back || self.size <= limits::LOG_AGAIN)
    }

    /// From when to ask for more: the whole second, which is what a server understands. `None` is the beginning.
    pub(crate) fn since(&self) -> Option<String> {
        let at = self.at.filter(|_| !self.counts())?;
        let second = Timestamp::from_second(at.as_second()).ok()?;
        Some(format!("{second:.0}"))
    }
}

/// Cuts one connection's bytes.
pub(crate) struct Cutter {
    cursor: Cursor,
    /// What was handed out before this connection and comes again; `None` once it is past.
    again: Option<Cursor>,
    /// Lines of it, or of its time, that have come again.
    seen_again: u64,
    /// Whether something that was handed out did not come again: the log was cut off before it.
    is_cut: bool,
    /// The beginning of a line, or what follows the part of it that was cut off.
    buffer: Vec<u8>,
    /// The line whose beginning was cut off because it is too long to keep.
    part: Option<Part>,
    keep_times: bool,
    longest: usize,
    /// What the server says is missing, to be told now.
    gaps: Vec<String>,
    /// The same, as long as it may be what was told before this connection.
    held: Vec<String>,
}

/// A line that is being handed out.
#[derive(Clone, Copy)]
struct Part {
    time: Option<Timestamp>,
    /// Whether a former connection handed it out.
    is_old: bool,
    /// How many of its bytes this connection has brought.
    bytes: usize,
}

impl Cutter {
    /// A cutter that goes on at a cursor.
    pub(crate) fn new(cursor: Cursor, keep_times: bool) -> Self {
        let again = (!cursor.is_fresh()).then(|| cursor.clone());
        Cutter {
            cursor,
            again,
            seen_again: 0,
            is_cut: false,
            buffer: Vec::new(),
            part: None,
            keep_times,
            longest: limits::LOG_LINE,
            gaps: Vec::new(),
            held: Vec::new(),
        }
    }

    /// What the server said is missing of what was taken.
    pub(crate) fn gaps(&mut self) -> Vec<String> {
        std::mem::take(&mut self.gaps)
    }

    /// Takes bytes, hands out whole lines. A line that is longer than the limit comes in pieces.
    pub(crate) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            if self.buffer.is_empty() {
                self.line(line, out);
            } else {
                let mut whole = std::mem::take(&mut self.buffer);
                whole.extend_from_slice(line);
                self.line(&whole, out);
            }
            rest = after;
        }
        self.buffer.extend_from_slice(rest);
        if self.buffer.len() > self.longest {
            let piece = std::mem::take(&mut self.buffer);
            let part = self.piece(&piece, out);
            self.part = Some(part);
        }
    }

    /// Whether a part of the log was taken away between what was handed out and what has come. Told once.
    pub(crate) fn is_cut(&mut self) -> bool {
        std::mem::take(&mut self.is_cut)
    }

    /// The log has ended for good: what is left is a line without an end.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Cursor {
        let rest = std::mem::take(&mut self.buffer);
        if !rest.is_empty() {
            self.line(&rest, out);
        }
        self.gaps.append(&mut self.held);
        self.cursor.clone()
    }

    /// How far it is: what is left behind the last whole line comes again.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor.clone()
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if let Some(gap) = gap(line).filter(|_| self.part.is_none()) {
            let gaps = if self.again.is_some() { &mut self.held } else { &mut self.gaps };
            if gaps.len() < limits::LOG_GAPS {
                gaps.push(gap);
            }
            return;
        }
        let part = self.piece(line, out);
        if part.is_old {
            self.held.clear();
            return;
        }
        self.gaps.append(&mut self.held);
        self.cursor.bytes = 0;
        let Some(time) = part.time else { return };
        self.cursor.total += 1;
        self.cursor.size += line.len() as u64;
        if self.cursor.at == Some(time) {
            self.cursor.lines += 1;
        } else {
            self.cursor.is_back |= self.cursor.at.is_some_and(|before| time < before);
            (self.cursor.at, self.cursor.lines) = (Some(time), 1);
        }
    }

    /// Hands out what is new of the beginning of a line, or of what follows the part that was cut off.
    fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Part {
        let (mut part, content) = match self.part.take() {
            Some(part) => (part, piece),
            None => {
                let (time, prefix) = split(piece);
                let is_old = self.skips(time);
                if self.keep_times && !is_old && self.cursor.bytes == 0 {
                    out.extend_from_slice(&piece[..prefix]);
                }
                (Part { time, is_old, bytes: 0 }, &piece[prefix..])
            }
        };
        let given = self.cursor.bytes.saturating_sub(part.bytes).min(content.len());
        part.bytes += content.len();
        if !part.is_old {
            out.extend_from_slice(&content[given..]);
            self.cursor.bytes = self.cursor.bytes.max(part.bytes);
        }
        part
    }

    /// Whether a line was handed out before this connection. A server's own words between such lines were, too.
    fn skips(&mut self, time: Option<Timestamp>) -> bool {
        let Some(again) = &self.again else { return false };
        let Some(at) = again.at else { return false };
        let (lines, counts) = if again.counts() { (again.total, true) } else { (again.lines, false) };
        let Some(time) = time else { return self.seen_again < lines || !counts };
        if !counts && time < at {
            return true;
        }
        if self.seen_again < lines && (counts || time == at) {
            self.seen_again += 1;
            // The last of them is known by its time, unless the log no longer begins where it did.
            self.is_cut |= self.seen_again == lines && time != at;
            return true;
        }
        self.is_cut |= self.seen_again < lines;
        self.again = None;
        false
    }
}

/// What an engine says is missing at this place: a line without a time, though times were asked for, so no program's.
/// The engine half's `runner/src/log/render.rs` writes it.
fn gap(line: &[u8]) -> Option<String> {
    let words = std::str::from_utf8(line.strip_prefix(b"[windlass: ")?).ok()?;
    let (amount, why) = words.trim_end().strip_suffix(']')?.split_once(" missing here: ")?;
    let amount = amount.trim_end_matches(" is").trim_end_matches(" are");
    Some(format!("{amount}: {why}"))
}

/// A line's time, and how long it is with the space after it. A line without one is a server's own words.
pub(crate) fn split(line: &[u8]) -> (Option<Timestamp>, usize) {
    let Some(space) = line.iter().take(64).position(|byte| *byte == b' ') else { return (None, 0) };
    let time = std::str::from_utf8(&line[..space]).ok().and_then(|text| Timestamp::from_str(text).ok());
    (time, if time.is_some() { space + 1 } else { 0 })
}
