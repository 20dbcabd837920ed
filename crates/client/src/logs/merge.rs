//! Puts the two streams of a container that has ended into one row, by the times of their lines: as a person would
//! have seen them.
//!
//! Pure: knows lines with times in front, as [`super::line::Cutter`] hands them out when times are kept.

use jiff::Timestamp;

use super::line::split;
use crate::limits;

#[cfg(test)]
mod tests;

/// Two streams on their way into one row.
pub(crate) struct Merger {
    sides: [Side; 2],
    keep_times: bool,
}

/// One of the two streams.
#[derive(Default)]
struct Side {
    buffer: Vec<u8>,
    /// Where what is left of the buffer begins.
    at: usize,
    is_closed: bool,
    /// The last thing handed out was the beginning of a line.
    is_inside: bool,
    /// The first line of what is left, if it is all there.
    head: Option<Head>,
}

/// The first line of a side.
#[derive(Clone, Copy)]
struct Head {
    time: Option<Timestamp>,
    /// How long its time is with the space after it.
    prefix: usize,
    end: usize,
}

impl Merger {
    pub(crate) fn new(keep_times: bool) -> Self {
        Merger { sides: Default::default(), keep_times }
    }

    /// Takes what a side brought.
    pub(crate) fn push(&mut self, side: usize, bytes: &[u8]) {
        let side = &mut self.sides[side];
        side.buffer.drain(..side.at);
        side.at = 0;
        side.buffer.extend_from_slice(bytes);
        side.head = side.find_head();
    }

    /// A side brings no more.
    pub(crate) fn close(&mut self, side: usize) {
        let side = &mut self.sides[side];
        side.is_closed = true;
        side.head = side.find_head();
    }

    /// The side that must bring more before anything can be handed out; `None` if neither can.
    pub(crate) fn wants(&self) -> Option<usize> {
        (0..2).find(|side| !self.sides[*side].is_closed && self.sides[*side].head.is_none())
    }

    /// The next lines, all of one side.
    pub(crate) fn next(&mut self) -> Option<(usize, Vec<u8>)> {
        let (first, mut out) = (self.choose()?.0, Vec::new());
        while let Some((side, head)) = self.choose().filter(|(side, _)| *side == first) {
            let side = &mut self.sides[side];
            let from = if self.keep_times { side.at } else { side.at + head.prefix };
            out.extend_from_slice(&side.buffer[from..head.end]);
            side.is_inside = side.buffer[side.at..head.end].last() != Some(&b'\n');
            side.at = head.end;
            side.head = side.find_head();
            if out.len() >= limits::LOG_CHUNK {
                break;
            }
        }
        Some((first, out))
    }

    /// The side whose line comes next: one that is inside a line goes on, else the older line, stdout before stderr.
    fn choose(&self) -> Option<(usize, Head)> {
        let heads = self.sides.each_ref().map(|side| side.head);
        if let Some(inside) = (0..2).find(|side| self.sides[*side].is_inside && !self.sides[*side].is_over())
        {
            let [first, second] = heads;
            return Some((inside, if inside == 0 { first? } else { second? }));
        }
        match heads {
            [Some(first), Some(second)] if second.time < first.time => Some((1, second)),
            [Some(first), Some(_)] => Some((0, first)),
            [Some(first), None] if self.sides[1].is_over() => Some((0, first)),
            [None, Some(second)] if self.sides[0].is_over() => Some((1, second)),
            _ => None,
        }
    }
}

impl Side {
    fn is_over(&self) -> bool {
        self.is_closed && self.at == self.buffer.len()
    }

    fn find_head(&self) -> Option<Head> {
        let rest = &self.buffer[self.at..];
        let line = rest.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
        // The rest of a line comes without a time; a side that is closed may end without a line's end.
        let is_whole = self.is_inside || self.is_closed || rest.len() > limits::LOG_LINE;
        let length = line.or((is_whole && !rest.is_empty()).then_some(rest.len()))?;
        let (time, prefix) = if self.is_inside { (None, 0) } else { split(&rest[..length]) };
        Some(Head { time, prefix, end: self.at + length })
    }
}
