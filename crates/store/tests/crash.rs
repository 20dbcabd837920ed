//! A process that commits is killed in the middle, again and again on the same store: what it was answered is there,
//! nothing is half there, and no revision is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use windlass_store::{Bounds, Expect, Op, Options, Revision, Store, Tags, Template, Write};

/// Names the store of the process that will be killed.
const DIR: &str = "WINDLASS_STORE_CRASH_DIR";
const WRITERS: usize = 6;
/// Keys of a writer. Its transaction number n puts n in all of them but one, which it deletes.
const KEYS: u64 = 4;
const KILLS: u64 = 12;

fn open(dir: &Path) -> Store {
    let bounds = Bounds {
        // So small that files are written and merged, and the log is cut, all the time.
        memtable_bytes: 128_000,
        log_bytes: 100_000,
        ..Bounds::default()
    };
    let now_ms = Arc::new(|| 1);
    Store::open(
        dir,
        Options {
            bounds,
            now_ms,
            first_revision: Revision(0),
            new_id: "a-store".into(),
            indexed: vec!["writer".into()],
        },
    )
    .unwrap()
}

fn key(writer: usize, which: u64) -> String {
    format!("{writer}/{which}")
}

/// The writer's transaction of a number. It meets what the one before left.
fn transaction(writer: usize, number: u64) -> Vec<Write> {
    let write = |which: u64| {
        let expect = match () {
            () if number == 1 => Expect::Absent,
            () if (number - 1) % KEYS == which => Expect::Absent,
            () => Expect::Present,
        };
        let text = format!("{number} {}", "x".repeat((number * 37 % 900) as usize));
        let value = Template { bytes: text.into_bytes(), revision_at: None };
        let tags = Tags::new(vec![("writer".into(), writer.to_string().into())]);
        let op = match number % KEYS == which {
            true if matches!(expect, Expect::Absent) => Op::Check,
            true => Op::Delete,
            false => Op::Put { value, tags },
        };
        Write { key: key(writer, which).into(), expect, op }
    };
    (0..KEYS).map(write).collect()
}

/// The number of a writer's last transaction, which must be there whole.
fn number(store: &Store, writer: usize) -> u64 {
    let read = |which| {
        let entry = store.get(&key(writer, which)).unwrap()?;
        let text = std::str::from_utf8(entry.value.bytes()).unwrap().to_owned();
        let (number, rest) = text.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        assert_eq!(rest.len() as u64, number * 37 % 900, "a value is half there");
        Some(number)
    };
    let numbers: Vec<Option<u64>> = (0..KEYS).map(read).collect();
    let last = numbers.iter().flatten().max().copied().unwrap_or_default();
    for (which, there) in numbers.iter().enumerate() {
        let deleted = last == 0 || last % KEYS == which as u64;
        let wanted = (!deleted).then_some(last);
        assert_eq!(*there, wanted, "transaction {last} of writer {writer} is half there: {numbers:?}");
    }
    last
}

/// Chance that is the same in every run.
fn chance(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

/// What the killed processes were answered.
#[derive(Default)]
struct Answers {
    /// The last transaction of each writer.
    last: BTreeMap<usize, u64>,
    /// Each transaction's revision.
    revisions: BTreeSet<u64>,
    /// In this life.
    seen: u64,
}

#[test]
fn acknowledged_writes_survive_any_kill_and_none_is_half() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store");
    let (mut seed, mut answers) = (20_261_121, Answers::default());
    let mut reached = 0;
    for kill in 0..KILLS {
        // Soon after the start, or after a while.
        let many = if kill % 3 == 0 { 1 } else { 1 + chance(&mut seed, 200) };
        kill_after(&place, many, &mut answers);
        let store = open(&place);
        for writer in 0..WRITERS {
            let (there, told) = (number(&store, writer), answers.last.get(&writer).copied().unwrap_or(0));
            assert!(there == told || there == told + 1, "writer {writer}: {there}, answered {told}");
            answers.last.insert(writer, there);
        }
        let newest = answers.revisions.last().copied().unwrap_or_default();
        assert!(store.revision().0 >= newest.max(reached), "kill {kill}: revisions went back");
        reached = store.revision().0;
        let of = |writer: usize| store.count(&format!("{writer}/"));
        assert_eq!(store.count(""), (0..WRITERS).map(of).sum::<usize>(), "no other key is there");
        let mut scanned = 0;
        store.scan("", &mut |_, _, modified, _| {
            assert!(modified.0 <= reached);
            scanned += 1;
        });
        assert_eq!(scanned, store.count(""));
    }
    assert!(answers.revisions.len() > 300, "{} transactions are few", answers.revisions.len());
}

/// Starts the committing process and kills it after so many answers.
fn kill_after(place: &Path, many: u64, answers: &mut Answers) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process_that_commits_until_it_is_killed", "--nocapture"])
        .env(DIR, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    answers.seen = 0;
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The last line may be cut by the kill.
        if let Some(answer) = line.strip_suffix('\n').and_then(|line| line.strip_prefix("acknowledged ")) {
            let numbers: Vec<u64> = answer.split(' ').map(|number| number.parse().unwrap()).collect();
            let [writer, number, revision] = numbers[..] else { panic!("{answer}") };
            let before = answers.last.insert(writer as usize, number).unwrap_or_default();
            assert_eq!(number, before + 1, "writer {writer} goes on where it was");
            assert!(answers.revisions.insert(revision), "revision {revision} was given twice");
            answers.seen += 1;
            if answers.seen == many {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(answers.seen >= many, "it ended by itself after {}", answers.seen);
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
    for next in number(&store, writer) + 1.. {
        let committed = store.commit(transaction(writer, next)).await.unwrap();
        let answer = format!("acknowledged {writer} {next} {}\n", committed.revision.0);
        // One write: a kill cuts the last line alone. An error: nobody listens, the test has ended.
        if std::io::stdout().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
