//! What must hold of every byte that is read from files, from `/proc`, from pods and from the shim's door: the bodies of the fuzz targets in
//! `fuzz/`.
//!
//! Built for tests and with the feature `fuzzing`; no part of the runner.

mod guests;
mod kernel;
mod pods;
mod stored;
#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;

pub use guests::guests;
pub use kernel::{cgroups, processes};
pub use pods::{pod_plans, pod_processes};
pub use stored::{fate_ledgers, packed_logs};

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::log::entry::{Cutter, Entry, parse};
use crate::log::render::Render;
use crate::log::{Output, ReadOptions};
use crate::process::expand;
use crate::shim::fuzz::{Frames, Reply, Request, put, read_ledger};

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: &[(&str, Target)] = &[
    ("cgroups", cgroups),
    ("expansions", expansions),
    ("fate_ledgers", fate_ledgers),
    ("frames", frames),
    ("guests", guests),
    ("ledgers", ledgers),
    ("log_entries", log_entries),
    ("packed_logs", packed_logs),
    ("pod_plans", pod_plans),
    ("pod_processes", pod_processes),
    ("processes", processes),
];

/// The first byte says how long the pieces are in which the rest comes.
fn pieces(data: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(*first) + 1, rest))
}

/// Frames are the same however they are cut on their way, and what is read can be written.
pub fn frames(data: &[u8]) {
    let Some((size, bytes)) = pieces(data) else { return };
    assert_eq!(taken::<Request>(bytes, size), taken::<Request>(bytes, bytes.len().max(1)));
    assert_eq!(taken::<Reply>(bytes, size), taken::<Reply>(bytes, bytes.len().max(1)));
}

/// The frames up to the first that cannot be read, as they are written again.
fn taken<T: DeserializeOwned + Serialize>(bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut frames = Frames::default();
    let mut all = Vec::new();
    for piece in bytes.chunks(size) {
        frames.add(piece);
        loop {
            match frames.next::<T>() {
                Ok(Some(frame)) => all.push(again(&frame)),
                Ok(None) => break,
                Err(_) => return all,
            }
        }
    }
    all
}

fn again<T: DeserializeOwned + Serialize>(frame: &T) -> Vec<u8> {
    let mut written = Vec::new();
    put(&mut written, frame).expect("what was read can be written");
    let mut frames = Frames::default();
    frames.add(&written);
    let read = frames.next::<T>().expect("what was written can be read").expect("it is whole");
    let mut twice = Vec::new();
    put(&mut twice, &read).expect("it can be written again");
    assert_eq!(twice, written);
    written
}

/// A ledger tells of no more runs than it has lines, and of none that it cannot read.
pub fn ledgers(data: &[u8]) {
    let Some((entries, unreadable)) = read_ledger(data) else { return };
    let lines = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(entries + unreadable <= lines, "{entries} and {unreadable} of {lines}");
}

/// Entries are the same however the file is read, are what stands in it, and are shown in bounded words.
pub fn log_entries(data: &[u8]) {
    let Some((size, bytes)) = pieces(data) else { return };
    let (once, pieces) = (cut(bytes, bytes.len().max(1)), cut(bytes, size));
    assert_eq!(once, pieces);
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Some(entry) = parse(line) {
            assert!(line.ends_with(entry.content) && line.starts_with(entry.time.as_bytes()));
        }
    }
    for (timestamps, output) in [(false, None), (true, None), (true, Some(Output::Stderr))] {
        let mut render = Render::new(&ReadOptions { timestamps, output, ..ReadOptions::default() }, true);
        let mut shown = Vec::new();
        let mut cutter = Cutter::default();
        let _ = cutter.take(bytes, |entry| render.put(&entry, &mut shown));
        cutter.finish(|entry| render.put(&entry, &mut shown));
        // A line about what is missing is longer than what tells it, not without bound.
        assert!(shown.len() <= 16 * bytes.len() + 256, "{} bytes of {}", shown.len(), bytes.len());
    }
}

/// What a reader is given of a file: each entry in words, and whether it can be read to its end.
fn cut(bytes: &[u8], size: usize) -> (Vec<String>, bool) {
    let mut cutter = Cutter::default();
    let mut all = Vec::new();
    let word = |entry: Entry<'_>| format!("{entry:?}");
    for piece in bytes.chunks(size) {
        if cutter.take(piece, |entry| all.push(word(entry))).is_err() {
            return (all, false);
        }
    }
    cutter.finish(|entry| all.push(word(entry)));
    (all, true)
}

/// Text without a reference stays, what is escaped comes back, and no reference makes more than its value.
pub fn expansions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let values = BTreeMap::from([("A", "value"), ("B", "$(A)"), ("", "nothing")]);
    let value = |name: &str| values.get(name).map(|value| value.as_bytes());
    let expand = |text: &str, value: &dyn Fn(&str) -> Option<&'static [u8]>| {
        expand(text, value).into_string().expect("text made of text")
    };
    let expanded = expand(text, &value);
    assert!(expanded.len() <= text.len() * 3, "{expanded:?}");
    assert_eq!(expand(&text.replace('$', "$$"), &value), text);
    if !text.contains('$') {
        assert_eq!(expanded, text);
    }
    assert!(expand(text, &|_| None).len() <= text.len());
}
