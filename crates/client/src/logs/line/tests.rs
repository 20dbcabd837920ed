//! Whatever breaks wherever, the bytes are those that the process wrote.

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Cursor, Cutter};

/// Lines with their times, in milliseconds after a beginning, as a server keeps them.
fn log() -> impl Strategy<Value = Vec<(i64, String)>> {
    let line = (prop_oneof![Just(0i64), Just(1), 0..2500i64], "[a-c ]{0,12}");
    prop::collection::vec(line, 0..20).prop_map(|lines| {
        let mut time = 0;
        let later = |(step, text): (i64, String)| {
            time += step;
            (time, text)
        };
        lines.into_iter().map(later).collect()
    })
}

/// Lines of a machine whose clock jumps.
fn jumping_log() -> impl Strategy<Value = Vec<(i64, String)>> {
    prop::collection::vec((-2500..2500i64, "[a-c ]{0,12}"), 0..20)
}

/// What a server sends of the log from a second on.
fn sent(log: &[(i64, String)], since: Option<&str>) -> Vec<u8> {
    let since = since.map_or(Timestamp::MIN, |since| since.parse().unwrap());
    let mut bytes = Vec::new();
    for (time, text) in log {
        let time = Timestamp::from_millisecond(1_700_000_000_000 + time).unwrap();
        if time >= since {
            bytes.extend_from_slice(format!("{time} {text}\n").as_bytes());
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_connections_lose_and_repeat_nothing(
        log in log(),
        breaks in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        chunk in 1usize..50,
        longest in prop_oneof![Just(30usize), Just(1 << 20)],
    ) {
        let (mut cursor, mut out) = (Cursor::default(), Vec::new());
        for cut in breaks {
            let bytes = sent(&log, cursor.since().as_deref());
            let mut cutter = Cutter::new(cursor, false);
            cutter.longest = longest;
            let end = cut.index(bytes.len() + 1);
            bytes[..end].chunks(chunk).for_each(|part| cutter.take(part, &mut out));
            cursor = cutter.cursor();
        }
        let mut cutter = Cutter::new(cursor.clone(), false);
        cutter.longest = longest;
        sent(&log, cursor.since().as_deref()).chunks(chunk).for_each(|part| cutter.take(part, &mut out));
        cutter.finish(&mut out);
        let written: String = log.iter().map(|(_, text)| format!("{text}\n")).collect();
        prop_assert_eq!(String::from_utf8(out).unwrap(), written);
    }

    #[test]
    fn a_clock_that_jumps_loses_and_repeats_nothing(
        log in jumping_log(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6),
    ) {
        // The log grows between the connections.
        let (mut cursor, mut out, mut written) = (Cursor::new(true), Vec::new(), 0);
        for (growth, cut) in breaks {
            written += growth.index(log.len() - written + 1);
            let bytes = sent(&log[..written], cursor.since().as_deref());
            let mut cutter = Cutter::new(cursor, false);
            cutter.take(&bytes[..cut.index(bytes.len() + 1)], &mut out);
            prop_assert!(!cutter.is_cut());
            cursor = cutter.cursor();
        }
        let mut cutter = Cutter::new(cursor.clone(), false);
        cutter.take(&sent(&log, cursor.since().as_deref()), &mut out);
        prop_assert!(!cutter.is_cut());
        let written: String = log.iter().map(|(_, text)| format!("{text}\n")).collect();
        prop_assert_eq!(String::from_utf8(out).unwrap(), written);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), keep_times: bool) {
        let mut cutter = Cutter::new(Cursor::default(), keep_times);
        cutter.longest = 20;
        let mut out = Vec::new();
        bytes.chunks(7).for_each(|part| cutter.take(part, &mut out));
        let cursor = cutter.finish(&mut out);
        let _ = cursor.since();
    }
}

const GAP: &str = "[windlass: 20 bytes (2 lines) of stdout are missing here: the log was over its limit]\n";
const TOLD: &str = "20 bytes (2 lines) of stdout: the log was over its limit";

#[test]
fn what_an_engine_says_is_missing_is_no_output() {
    let mut out = Vec::new();
    let mut cutter = Cutter::new(Cursor::default(), false);
    let program = "2026-11-20T10:00:00Z [windlass: 1 bytes (1 lines) are missing here: said the program]\n";
    cutter.take(format!("{GAP}{program}").as_bytes(), &mut out);
    assert_eq!(cutter.gaps(), [TOLD]);
    assert_eq!(out, b"[windlass: 1 bytes (1 lines) are missing here: said the program]\n");
}

#[test]
fn gap_that_comes_again_after_a_broken_connection_is_told_once() {
    let (one, two) = ("2026-11-20T10:00:00Z one\n", "2026-11-20T10:00:01Z two\n");
    let mut out = Vec::new();
    let mut cutter = Cutter::new(Cursor::default(), false);
    cutter.take(format!("{GAP}{one}").as_bytes(), &mut out);
    assert_eq!(cutter.gaps(), [TOLD]);
    let mut cutter = Cutter::new(cutter.cursor(), false);
    cutter.take(format!("{GAP}{one}{two}").as_bytes(), &mut out);
    assert_eq!(cutter.gaps(), [""; 0]);
    // A new one, in the place of what was not seen.
    let mut cutter = Cutter::new(cutter.cursor(), false);
    cutter.take(format!("{GAP}2026-11-20T10:00:09Z nine\n").as_bytes(), &mut out);
    assert_eq!(cutter.gaps(), [TOLD]);
    assert_eq!(out, b"one\ntwo\nnine\n");
}

#[test]
fn a_servers_own_words_are_handed_out_as_they_are() {
    let mut out = Vec::new();
    let mut cutter = Cutter::new(Cursor::default(), false);
    cutter.take(b"2026-11-20T10:00:00Z a\nunable to retrieve container logs\n", &mut out);
    assert_eq!(out, b"a\nunable to retrieve container logs\n");
}

#[test]
fn a_log_that_was_cut_off_behind_the_cursor_is_noticed() {
    for is_whole in [true, false] {
        let mut cutter = Cutter::new(Cursor::new(is_whole), false);
        cutter.take(b"2026-11-20T10:00:01Z a\n2026-11-20T10:00:02Z b\n", &mut Vec::new());
        let mut cutter = Cutter::new(cutter.cursor(), false);
        let mut out = Vec::new();
        cutter.take(b"2026-11-20T10:00:07Z f\n2026-11-20T10:00:08Z g\n2026-11-20T10:00:09Z h\n", &mut out);
        assert!(cutter.is_cut(), "{is_whole}");
        assert!(!cutter.is_cut(), "told once");
    }
}

#[test]
fn a_cursor_asks_from_the_whole_second() {
    let mut cutter = Cutter::new(Cursor::default(), false);
    cutter.take(b"2026-11-20T10:00:07.999999999Z a\n", &mut Vec::new());
    assert_eq!(cutter.cursor().since().as_deref(), Some("2026-11-20T10:00:07Z"));
    assert_eq!(Cursor::default().since(), None);
}
