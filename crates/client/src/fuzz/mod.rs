//! What must hold of everything that a cluster sends and a kubeconfig says: the bodies of the fuzz targets in `fuzz/`.
//!
//! Built for tests and with the feature `fuzzing`; no part of the library.

mod answers;
#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;

pub use answers::{refusals, slim_objects};

use crate::attach::fuzz::{AttachEvent, heard};
use crate::connect::fuzz::{end_of_certificate, end_of_token, merged, said};
use crate::logs::fuzz::{Cursor, Cutter, Merger};
use crate::watch::fuzz::events;

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: &[(&str, Target)] = &[
    ("credentials", credentials),
    ("followed_logs", followed_logs),
    ("heard_channels", heard_channels),
    ("kubeconfigs", kubeconfigs),
    ("refusals", refusals),
    ("slim_objects", slim_objects),
    ("watches", watches),
];

/// The first byte says how long the pieces are in which the rest comes.
fn pieces(data: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((usize::from(*first) + 1, rest))
}

/// Kubeconfigs, lines of `===` between them: together they have the contexts of each, by a name once, in their order;
/// the one that is chosen is one of them; and the same once more changes nothing.
pub fn kubeconfigs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let texts: Vec<&str> = text.split("\n===\n").take(8).collect();
    texts.iter().for_each(|text| said(text));
    let Some((contexts, chosen)) = merged(&texts) else { return };
    let each = texts.iter().filter_map(|text| merged(&[text])).flat_map(|(contexts, _)| contexts);
    assert_eq!(once(contexts.clone()), once(each.collect()));
    assert!(chosen.as_ref().is_none_or(|chosen| contexts.contains(chosen)));
    let twice: Vec<&str> = texts.iter().chain(&texts).copied().collect();
    assert_eq!(merged(&twice), Some((contexts, chosen)));
}

/// Each name where it comes first.
fn once(names: Vec<String>) -> Vec<String> {
    let mut known = std::collections::BTreeSet::new();
    names.into_iter().filter(|name| known.insert(name.clone())).collect()
}

/// A watch is the same however it is cut on its way.
pub fn watches(data: &[u8]) {
    let Some((size, bytes)) = pieces(data) else { return };
    assert_eq!(events(bytes, size), events(bytes, bytes.len().max(1)));
}

/// A log is the same however it is cut on its way; the second time it brings nothing; and of two streams in one row each
/// has all that it brought, in its order.
pub fn followed_logs(data: &[u8]) {
    let Some((size, bytes)) = pieces(data) else { return };
    for keep_times in [true, false] {
        let (whole, cursor) = cut(bytes, bytes.len().max(1), Cursor::new(true), keep_times);
        assert_eq!(cut(bytes, size, Cursor::new(true), keep_times), (whole.clone(), cursor.clone()));
        assert!(whole.len() <= bytes.len());
        if !cursor.is_fresh() && cursor.since().is_none() {
            let (again, _) = cut(bytes, size, cursor, keep_times);
            assert!(again.len() <= whole.len(), "{} bytes again", again.len());
        }
    }
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut merger = Merger::new(true);
    let (mut left, mut out) = ([first.chunks(size), second.chunks(size)], [Vec::new(), Vec::new()]);
    loop {
        while let Some((side, lines)) = merger.next() {
            assert!(!lines.is_empty());
            out[side].extend(lines);
        }
        let Some(side) = merger.wants() else { break };
        match left[side].next() {
            Some(piece) => merger.push(side, piece),
            None => merger.close(side),
        }
    }
    assert_eq!(out, [first.to_vec(), second.to_vec()]);
}

fn cut(bytes: &[u8], size: usize, cursor: Cursor, keep_times: bool) -> (Vec<u8>, Cursor) {
    let (mut cutter, mut out) = (Cutter::new(cursor, keep_times), Vec::new());
    bytes.chunks(size).for_each(|piece| cutter.take(piece, &mut out));
    let cursor = cutter.finish(&mut out);
    let gaps = cutter.gaps().concat();
    assert!(gaps.len() <= bytes.len());
    (out, cursor)
}

/// Tokens, certificates and kubeconfigs: they say until when they are good, or do not.
pub fn credentials(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        end_of_certificate(data);
        return;
    };
    assert!(end_of_token(text).is_none() || text.contains('.'));
    end_of_certificate(data);
    // A file that it names is not to be read here.
    if !text.contains("File") && !text.contains("client-certificate") && !text.contains("authority") {
        said(text);
    }
}

/// A message of a server: what a container wrote is what it wrote, to the byte.
pub fn heard_channels(data: &[u8]) {
    match heard(data) {
        Some(AttachEvent::Output(bytes)) => {
            assert!(matches!(data.first(), Some(1 | 2)));
            assert_eq!(bytes[..], data[1..]);
        }
        Some(AttachEvent::Ended | AttachEvent::Refused(_)) => assert_eq!(data.first(), Some(&3)),
        Some(other) => panic!("a message says {other:?}"),
        None => {}
    }
}
