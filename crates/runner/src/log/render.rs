//! From entries to what a reader is given: the program's bytes, with times in front of lines if wanted, and a line of
//! its own at each place where something is missing. It knows no file.
//!
//! That line is `[windlass: 4096 bytes (31 lines) of stdout are missing here: WHY]`. It never has a time in front,
//! which is how a reader who asks for times tells it from a program's own words.

use jiff::Timestamp;

use super::entry::{Count, Entry, Tag};
use super::{Output, ReadOptions};

const DROPPED: &str = "the log was over its limit";

/// Renders the entries of one log in their order.
pub(crate) struct Render {
    output: Option<Output>,
    since: Option<Timestamp>,
    timestamps: bool,
    /// Whether a line is unfinished, by output.
    is_inside: [bool; 2],
    /// How much of each output was passed; none where reading did not begin at the log's begin.
    passed: [Option<Count>; 2],
    /// Whether a segment was left out of which it is not known how much it held.
    has_jumped: bool,
    /// Whether what was given last ended a line.
    is_fresh: bool,
}

impl Render {
    /// `is_whole`: reading begins where the log began.
    pub(crate) fn new(options: &ReadOptions, is_whole: bool) -> Render {
        let ReadOptions { output, since, timestamps, .. } = *options;
        let passed = [is_whole.then(Count::default); 2];
        let is_inside = [false; 2];
        Render { output, since, timestamps, is_inside, passed, has_jumped: false, is_fresh: true }
    }

    /// A segment is gone that was to be read next.
    pub(crate) fn jump(&mut self) {
        self.has_jumped = true;
    }

    /// Adds what an entry gives.
    pub(crate) fn put(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let side = entry.output as usize;
        match entry.tag {
            Tag::Full | Tag::Partial => {
                if let Some(passed) = &mut self.passed[side] {
                    passed.add(entry);
                }
                self.text(entry, out);
            }
            Tag::Start => {
                let Some((before, _)) = Count::parse(entry.content) else { return };
                let missing = match self.passed[side] {
                    Some(passed) => Some(before.beyond(passed)),
                    None if self.has_jumped => None,
                    None => Some(Count::default()),
                };
                self.passed[side] = Some(before);
                self.gap(entry, missing, DROPPED, out);
            }
            Tag::Gap => {
                let Some((missing, why)) = Count::parse(entry.content) else { return };
                if let Some(passed) = &mut self.passed[side] {
                    *passed = passed.plus(missing);
                }
                self.gap(entry, Some(missing), why, out);
            }
        }
    }

    fn text(&mut self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let is_full = entry.tag == Tag::Full;
        let is_inside = std::mem::replace(&mut self.is_inside[entry.output as usize], !is_full);
        if !self.is_wanted(entry) {
            return;
        }
        if self.timestamps && !is_inside {
            out.extend_from_slice(entry.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(entry.content);
        if is_full {
            out.push(b'\n');
        }
        self.is_fresh = is_full;
    }

    /// `None`: nobody knows how much.
    fn gap(&mut self, entry: &Entry<'_>, missing: Option<Count>, why: &str, out: &mut Vec<u8>) {
        if missing == Some(Count::default()) || !self.is_wanted(entry) {
            return;
        }
        if !self.is_fresh {
            out.push(b'\n');
        }
        self.is_fresh = true;
        // What goes on behind the gap is a line of its own.
        self.is_inside[entry.output as usize] = false;
        let stream = entry.output.name();
        let text = match missing {
            Some(Count { bytes, lines }) => {
                format!("[windlass: {bytes} bytes ({lines} lines) of {stream} are missing here: {why}]\n")
            }
            None => format!("[windlass: an unknown part of {stream} is missing here: {why}]\n"),
        };
        out.extend_from_slice(text.as_bytes());
    }

    fn is_wanted(&self, entry: &Entry<'_>) -> bool {
        let is_other = self.output.is_some_and(|output| output != entry.output);
        let is_older =
            || self.since.is_some_and(|since| entry.time.parse::<Timestamp>().is_ok_and(|time| time < since));
        !is_other && !is_older()
    }
}
