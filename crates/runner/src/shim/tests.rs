//! The parts of the shim that need no process.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

mod golden;

use super::door::Question;
use super::ledger::{self, Entry, Ledger, Record};
use super::output::{MAX_LINE, Output};
use super::wire::{self, FrameError, Frames, MAX_FRAME, Reply, Request};
use crate::log::entry::Cutter;
use crate::log::render::Render;
use crate::log::{Output as Channel, ReadOptions};
use crate::runtime::{Event, Key, LOG_LIMIT};
use crate::world;

fn key(container: &str) -> Key {
    Key { pod: "4e5d".to_owned(), container: container.to_owned(), attempt: 0 }
}

fn lost(container: &str) -> Event {
    Event::Lost { key: key(container), message: "gone".to_owned(), at: world::now() }
}

#[test]
fn ledger_gives_back_what_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::create(&path, "boot", vec![Record::Over(lost("old"))]).unwrap();
    for name in ["asked", "over", "forgotten"] {
        ledger.put(&Record::Asked(key(name)));
    }
    let over = lost("over");
    ledger.put(&Record::Over(over.clone()));
    ledger.put(&Record::Over(lost("forgotten")));
    ledger.put(&Record::Forgotten(vec![key("forgotten"), key("old")]));
    ledger.flush().unwrap();
    let (entries, unreadable) = ledger::read(&path).unwrap();
    let expected =
        [(key("asked"), Entry::Asked { boot: "boot".to_owned() }), (key("over"), Entry::Over(over))];
    assert_eq!((entries, unreadable), (expected.into(), 0));
}

#[test]
fn ledger_of_forgotten_runs_is_rewritten_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let mut ledger = Ledger::create(&path, "boot", Vec::new()).unwrap();
    for n in 0..2000 {
        ledger.put(&Record::Asked(key(&n.to_string())));
        ledger.put(&Record::Over(lost(&n.to_string())));
        ledger.put(&Record::Forgotten(vec![key(&n.to_string())]));
    }
    ledger.flush().unwrap();
    assert!(ledger.is_mostly_dead(1) && !ledger.is_mostly_dead(1000));
    ledger.compact(vec![Record::Asked(key("live"))]).unwrap();
    assert!(!ledger.is_mostly_dead(1) && path.metadata().unwrap().len() < 200);
    ledger.put(&Record::Asked(key("next")));
    ledger.flush().unwrap();
    assert_eq!(ledger::read(&path).unwrap().0.len(), 2);
}

#[test]
fn ledger_whose_file_was_taken_away_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::create(&folder.path().join("ledger"), "boot", Vec::new()).unwrap();
    assert!(!ledger.is_unlinked());
    folder.close().unwrap();
    assert!(ledger.is_unlinked());
}

#[test]
fn ledger_on_a_full_disk_keeps_its_records_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let open = |path: &Path| File::options().append(true).create(true).open(path).unwrap();
    let mut ledger = Ledger::into(open(&path));
    ledger.put(&Record::Asked(key("before")));
    ledger.flush().unwrap();
    ledger.move_to(open(Path::new("/dev/full")));
    for name in ["first", "second"] {
        ledger.put(&Record::Asked(key(name)));
        assert_eq!(ledger.flush().unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(ledger.is_behind());
    }
    // What there was room for, where a file cannot be cut back.
    open(&path).write_all(b"{\"Asked\":{\"pod\"").unwrap();
    ledger.move_to(open(&path));
    ledger.put(&Record::Asked(key("third")));
    ledger.flush().unwrap();
    assert!(!ledger.is_behind());
    let (entries, unreadable) = ledger::read(&path).unwrap();
    let names: Vec<_> = entries.keys().map(|key| key.container.as_str()).collect();
    assert_eq!((names, unreadable), (vec!["before", "first", "second", "third"], 1));
}

#[test]
fn frames_are_taken_however_they_are_cut() {
    let mut bytes = Vec::new();
    for name in ["a", "b", "c"] {
        wire::put(&mut bytes, &Request::Signal { key: key(name), signal: 15 }).unwrap();
    }
    for size in [1, 7, 64, bytes.len()] {
        let mut frames = Frames::default();
        let mut names = Vec::new();
        for piece in bytes.chunks(size) {
            frames.add(piece);
            while let Some(request) = frames.next::<Request>().unwrap() {
                let Request::Signal { key, .. } = request else { panic!() };
                names.push(key.container);
            }
        }
        assert_eq!(names, ["a", "b", "c"]);
    }
}

#[test]
fn frame_without_an_end_is_refused_at_the_limit() {
    let mut frames = Frames::default();
    frames.add(&vec![b' '; MAX_FRAME + 1]);
    assert!(matches!(frames.next::<Reply>(), Err(FrameError::TooLong)));
    let mut frames = Frames::default();
    frames.add(b"{\"Unknown\":1}\n");
    assert!(matches!(frames.next::<Reply>(), Err(FrameError::Unreadable(_))));
}

fn piece() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let byte = prop_oneof![8 => any::<u8>(), 1 => Just(b'\n')];
    let short = proptest::collection::vec(byte, 0..200);
    let long = (MAX_LINE - 2..MAX_LINE * 2 + 2).prop_map(|length| vec![b'x'; length]);
    (any::<bool>(), prop_oneof![8 => short, 1 => long])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn log_gives_back_each_streams_bytes(pieces in proptest::collection::vec(piece(), 0..20)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/0.log");
        let mut output = Output::new(path.clone(), LOG_LIMIT, Arc::default());
        let mut expected = [Vec::new(), Vec::new()];
        for (is_stderr, bytes) in &pieces {
            let channel = if *is_stderr { Channel::Stderr } else { Channel::Stdout };
            output.push(channel, bytes, world::now()).unwrap();
            expected[usize::from(*is_stderr)].extend_from_slice(bytes);
        }
        output.finish(Channel::Stdout, world::now()).unwrap();
        output.finish(Channel::Stderr, world::now()).unwrap();
        let text = std::fs::read(&path).unwrap_or_default();
        for (wanted, expected) in [Channel::Stdout, Channel::Stderr].into_iter().zip(expected) {
            let options = ReadOptions { output: Some(wanted), ..ReadOptions::default() };
            let (mut render, mut read) = (Render::new(&options, true), Vec::new());
            Cutter::default().take(&text, |entry| render.put(&entry, &mut read)).unwrap();
            prop_assert!(read == expected);
        }
    }
}

#[test]
fn no_two_entries_have_one_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/0.log");
    let mut output = Output::new(path.clone(), LOG_LIMIT, Arc::default());
    let now = world::now();
    let long = vec![b'x'; MAX_LINE + 1];
    output.push(Channel::Stdout, b"one\ntwo\n\nunfinished", now).unwrap();
    output.push(Channel::Stderr, &long, now).unwrap();
    output.finish(Channel::Stdout, now).unwrap();
    output.finish(Channel::Stderr, now).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let times: Vec<&str> = text.lines().map(|entry| entry.split(' ').next().unwrap()).collect();
    assert_eq!(times.len(), 6);
    assert!(times.is_sorted_by(|before, after| before < after), "{times:?}");
}

#[test]
fn question_of_an_older_engine_is_one_and_that_of_a_newer_is_none_to_an_older_shim() {
    let input = r#"{"key":{"pod":"4e5d","container":"main","attempt":0}}"#;
    assert!(matches!(serde_json::from_str(input), Ok(Question::Input { .. })));
    let exec = r#"{"exec":{"key":{"pod":"4e5d","container":"main","attempt":0},"argv":["true"],"stdin":false,"stdout":true,"stderr":true,"tty":false}}"#;
    assert!(matches!(serde_json::from_str(exec), Ok(Question::Exec { .. })));
    // What an older shim looks for is not at its place: it hands nothing out.
    let older: serde_json::Value = serde_json::from_str(exec).unwrap();
    assert!(older.get("key").is_none());
}
