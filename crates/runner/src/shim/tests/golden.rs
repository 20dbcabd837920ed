//! Ledgers as shims have written them. What stands in `runner/tests/golden/ledger/` is never changed: another format is
//! another file, and is still read.

use std::path::PathBuf;

use super::super::ledger::{self, Entry, Ledger, Record};
use super::super::procfs::Birth;
use crate::cgroup::{Reason, Unlimited};
use crate::runtime::{Ended, Event, Key, StartFailure};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ledger").join(name)
}

fn key(container: &str, attempt: u32) -> Key {
    Key { pod: "4e5d".to_owned(), container: container.to_owned(), attempt }
}

fn exited(ended: Ended) -> Event {
    let (started_at, finished_at) =
        ("2026-01-02T03:04:05Z".parse().unwrap(), "2026-01-02T03:04:06Z".parse().unwrap());
    let (cpu_us, peak_bytes, log_bytes, out_of_memory) = (10, 20, 0, false);
    let key = key("over", 0);
    Event::Exited {
        key,
        ended,
        started_at,
        finished_at,
        cpu_us,
        peak_bytes,
        log_bytes,
        out_of_memory,
        unlimited: None,
    }
}

fn running(spread: u64) -> Entry {
    let (boot, birth) = ("first boot".to_owned(), Birth { ticks: 100, spread });
    Entry::Started { boot, pid: 7, birth, at: "2026-01-02T03:04:05.5Z".parse().unwrap() }
}

#[test]
fn ledger_of_the_first_shims_is_read_whole() {
    let expected = [
        (key("asked", 0), Entry::Asked { boot: "first boot".to_owned() }),
        (key("over", 0), Entry::Over(exited(Ended::Signal(9)))),
        (key("runs", 2), running(0)),
    ];
    assert_eq!(ledger::read(&golden("format-1-first")).unwrap(), (expected.into(), 0));
}

#[test]
fn ledger_is_read_as_it_is_written_and_written_as_it_always_was() {
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut over = exited(Ended::Code(3));
    if let Event::Exited { log_bytes, out_of_memory, unlimited, .. } = &mut over {
        (*log_bytes, *out_of_memory) = (30, true);
        let message = "none is enforced".to_owned();
        *unlimited = Some(Box::new(Unlimited { reason: Reason::ReadOnly, message }));
    }
    let failed = Event::Failed {
        key: key("failed", 0),
        failure: StartFailure::NotFound,
        message: "no such program".to_owned(),
        at,
    };
    let expected = [
        (key("asked", 0), Entry::Asked { boot: "first boot".to_owned() }),
        (key("failed", 0), Entry::Over(failed.clone())),
        (key("over", 0), Entry::Over(over.clone())),
        (key("runs", 2), running(3)),
    ];
    assert_eq!(ledger::read(&golden("format-1")).unwrap(), (expected.into(), 0));

    let began = "2026-01-02T03:04:05.5Z".parse().unwrap();
    let lost = Event::Lost { key: key("lost", 0), message: "gone".to_owned(), at };
    let records = vec![
        Record::Asked(key("asked", 0)),
        Record::Asked(key("runs", 2)),
        Record::started(key("runs", 2), 7, Birth { ticks: 100, spread: 3 }, began),
        Record::Over(over),
        Record::Over(failed),
        Record::Over(lost),
        Record::Forgotten(vec![key("lost", 0)]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    drop(Ledger::create(&path, "first boot", records).unwrap());
    assert_eq!(std::fs::read_to_string(path).unwrap(), std::fs::read_to_string(golden("format-1")).unwrap());
}

#[test]
fn ledger_of_another_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    std::fs::write(&path, "{\"Session\":{\"version\":2,\"boot\":\"b\"}}\n{\"New\":1}\n").unwrap();
    let error = ledger::read(&path).unwrap_err();
    assert!(error.to_string().ends_with("ledger has format 2; this shim reads 1"), "{error}");
}
