//! A process that commits is killed in the middle: what it was answered is there, and nothing is half there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use windlass_store::{Bounds, Expect, Op, Options, Revision, Store, Tags, Template, Write};

/// Names the store of the process that will be killed.
const DIR: &str = "WINDLASS_STORE_CRASH_DIR";
const WRITERS: usize = 4;

fn open(dir: &Path) -> Store {
    let bounds = Bounds { log_bytes: 20_000, ..Bounds::default() };
    let now_ms = Arc::new(|| 1);
    Store::open(
        dir,
        Options {
            bounds,
            now_ms,
            first_revision: Revision(0),
            new_id: "a-store".into(),
            indexed: Vec::new(),
        },
    )
    .unwrap()
}

fn put(key: String, number: u64) -> Write {
    let value = Template { bytes: number.to_string().into_bytes(), revision_at: None };
    Write { key: key.into(), expect: Expect::Any, op: Op::Put { value, tags: Tags::default() } }
}

/// The number that a key holds.
fn number(store: &Store, key: &str) -> u64 {
    let entry = store.get(key).unwrap();
    entry.map_or(0, |e| std::str::from_utf8(e.value.bytes()).unwrap().parse().unwrap())
}

#[test]
fn acknowledged_writes_survive_a_kill_and_none_is_half() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    for acknowledgements in [1, 40, 200] {
        let acknowledged = kill_after(&place, acknowledgements);
        let store = open(&place);
        for writer in 0..WRITERS {
            let (left, right) =
                (number(&store, &format!("{writer}/l")), number(&store, &format!("{writer}/r")));
            assert_eq!(left, right, "a transaction of writer {writer} is half there");
            if let Some(last) = acknowledged.get(&writer) {
                assert!(left == *last || left == last + 1, "writer {writer}: {left}, answered {last}");
            }
        }
        let revision = store.revision();
        let sum: u64 = (0..WRITERS).map(|writer| number(&store, &format!("{writer}/l"))).sum();
        assert_eq!(revision, Revision(2 * sum), "each write has one revision");
    }
}

/// Starts the committing process, kills it after so many answers, and returns the last answer of each writer.
fn kill_after(place: &Path, acknowledgements: usize) -> BTreeMap<usize, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process_that_commits_until_it_is_killed", "--nocapture"])
        .env(DIR, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = BTreeMap::new();
    let mut seen = 0;
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The last line may be cut by the kill.
        if let Some(answer) = line.strip_suffix('\n').and_then(|line| line.strip_prefix("acknowledged ")) {
            let (writer, number) = answer.split_once(' ').unwrap();
            acknowledged.insert(writer.parse().unwrap(), number.parse().unwrap());
            seen += 1;
            if seen == acknowledgements {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(seen >= acknowledgements, "it ended by itself after {seen}");
    acknowledged
}

/// Not a test of its own: the body of the process that the test above kills.
#[test]
#[expect(clippy::disallowed_methods, reason = "the entry point of the process that is killed")]
fn process_that_commits_until_it_is_killed() {
    let Some(place) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let store = open(&place);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tasks: Vec<_> =
        (0..WRITERS).map(|writer| runtime.spawn(commit_for_ever(store.clone(), writer))).collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

async fn commit_for_ever(store: Store, writer: usize) {
    let (left, right) = (format!("{writer}/l"), format!("{writer}/r"));
    for next in number(&store, &left) + 1.. {
        store.commit(vec![put(left.clone(), next), put(right.clone(), next)]).await.unwrap();
        if writeln!(std::io::stdout(), "acknowledged {writer} {next}").is_err() {
            return; // Nobody listens: the test has ended.
        }
    }
}
