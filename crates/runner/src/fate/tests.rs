//! Runs that are played: told, written and ended by a clock that the test moves.

mod golden;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use windlass_fate::{Fate, Role};

use super::*;
use crate::log::stamps::Stamps;
use crate::runtime::{Ended, LOG_LIMIT, Stdio};
use crate::scripted::{Outcome, Scripted};

struct Stage {
    folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    fates: Fates,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn open(folder: &tempfile::TempDir, clock: &Arc<AtomicI64>) -> Fates {
    let clock = Arc::clone(clock);
    Fates::open(folder.path().join("fates"), move || at(clock.load(Ordering::Relaxed)))
}

impl Stage {
    fn new() -> Stage {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(100)));
        Stage { fates: open(&folder, &clock), folder, clock }
    }

    fn pass(&self, seconds: i64) -> Vec<Event> {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
        events(&self.fates)
    }

    fn start(&self, name: &str, fate: &str) -> Vec<Event> {
        self.fates.start(vec![self.of(name, Some(course(fate)))]);
        events(&self.fates)
    }

    fn of(&self, name: &str, fate: Option<Part>) -> Start {
        Start {
            key: key(name),
            argv: Vec::new(),
            env: Vec::new(),
            cwd: None,
            space: None,
            log: self.folder.path().join("logs").join(name),
            log_limit: LOG_LIMIT,
            stdio: Stdio::default(),
            rights: None,
            limits: None,
            fate: fate.map(Box::new),
        }
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("logs").join(name)).unwrap_or_default()
    }

    fn again(&mut self) -> Vec<Event> {
        self.fates = open(&self.folder, &self.clock);
        self.fates.known()
    }
}

fn key(name: &str) -> Key {
    Key { pod: "4e5d".to_owned(), container: name.to_owned(), attempt: 0 }
}

fn course(text: &str) -> Part {
    let metadata = json!({"annotations": {"fate.windlass.dev/pod": text}});
    let fate = Fate::read(&metadata, &json!({"containers": [{"name": "main"}]})).expect("a fate");
    fate.part("job", "main", Role::App)
}

/// What there is now.
fn events(runtime: &dyn Runtime) -> Vec<Event> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match runtime.events().as_mut().poll(&mut context) {
        std::task::Poll::Ready(events) => events.unwrap(),
        std::task::Poll::Pending => Vec::new(),
    }
}

fn started(name: &str, second: i64) -> Event {
    Event::Started { key: key(name), pid: 0, at: at(second), unlimited: None }
}

fn exited(name: &str, from: i64, to: i64, ended: Ended) -> Event {
    let (started_at, finished_at) = (at(from), at(to));
    let key = key(name);
    Event::Exited {
        key,
        ended,
        started_at,
        finished_at,
        cpu_us: 0,
        peak_bytes: 0,
        log_bytes: 0,
        out_of_memory: false,
        unlimited: None,
    }
}

#[test]
fn run_begins_and_ends_by_the_clock_and_its_times_are_its_own() {
    let stage = Stage::new();
    assert_eq!(stage.start("a", "{delay: 5s, run: 10s, exit: 3}"), []);
    assert_eq!(stage.fates.next(), Some(at(105)));
    assert_eq!(stage.pass(4), []);
    assert_eq!(stage.pass(1), [started("a", 105)]);
    assert_eq!(stage.fates.next(), Some(at(115)));
    assert_eq!(stage.pass(1000), [exited("a", 105, 115, Ended::Code(3))]);
    assert_eq!(stage.fates.next(), None);
    assert_eq!(stage.start("b", "exit: 0"), [started("b", 1105), exited("b", 1105, 1105, Ended::Code(0))]);
}

#[test]
fn clock_that_jumps_tells_the_ends_of_all_in_their_order() {
    let stage = Stage::new();
    stage.start("late", "run: 20s");
    stage.start("early", "run: 10s");
    let told = stage.pass(3600);
    assert_eq!(told, [exited("early", 100, 110, Ended::Code(0)), exited("late", 100, 120, Ended::Code(0))]);
}

#[test]
fn start_that_is_repeated_plays_one_run_and_says_its_last_word_again() {
    let stage = Stage::new();
    stage.start("a", "run: 10s");
    assert_eq!(stage.start("a", "run: 20s"), [started("a", 100)]);
    assert_eq!(stage.pass(10), [exited("a", 100, 110, Ended::Code(0))]);
    assert_eq!(stage.start("a", "run: 20s"), [exited("a", 100, 110, Ended::Code(0))]);
}

#[test]
fn lines_are_written_when_they_are_said_and_none_after_the_end() {
    let stage = Stage::new();
    stage.start("a", "{stdout: \"1\\n2\\n3\", stderr: oops, every: 10s, run: forever}");
    let first = "1970-01-01T00:01:40.000000000Z stdout F 1\n1970-01-01T00:01:40.000000001Z stderr F oops\n";
    assert_eq!(stage.log("a"), first);
    assert_eq!(stage.fates.next(), Some(at(110)));
    stage.pass(10);
    assert_eq!(stage.log("a"), format!("{first}1970-01-01T00:01:50.000000000Z stdout F 2\n"));
    stage.fates.signal(&key("a"), 15);
    let told = events(&stage.fates);
    let Some(Event::Exited { ended: Ended::Signal(15), log_bytes, .. }) = told.last() else {
        panic!("{told:?}")
    };
    assert_eq!(*log_bytes, stage.log("a").len() as u64);
    stage.pass(100);
    assert!(!stage.log("a").contains("stdout F 3"));
}

#[test]
fn long_line_is_cut_between_characters() {
    let said = "é".repeat(9000);
    let line = windlass_fate::Line { after: Duration::ZERO, is_stderr: false, text: &said };
    let text = record::entries(&mut Stamps::default(), [(at(0), line)].into_iter());
    let tags: Vec<&str> = text.lines().map(|entry| entry.split(' ').nth(2).unwrap()).collect();
    assert_eq!(tags, ["P", "F"]);
    let content: String = text.lines().map(|entry| entry.splitn(4, ' ').nth(3).unwrap()).collect();
    assert_eq!(content, said);
}

#[test]
fn who_is_asked_to_end_does_as_it_was_written() {
    for (term, ended) in [
        ("0s", vec![exited("a", 100, 100, Ended::Signal(15))]),
        ("5s", vec![exited("a", 100, 105, Ended::Signal(15))]),
        ("{after: 5s, exit: 0}", vec![exited("a", 100, 105, Ended::Code(0))]),
        ("ignore", vec![]),
    ] {
        let stage = Stage::new();
        stage.start("a", &format!("{{run: forever, term: {term}}}"));
        stage.fates.signal(&key("a"), 15);
        let mut told = events(&stage.fates);
        told.extend(stage.pass(100));
        assert_eq!(told, ended, "{term}");
        stage.fates.signal(&key("a"), 15);
        assert_eq!(events(&stage.fates), [], "once is enough");
        stage.fates.signal(&key("a"), 9);
        let killed = events(&stage.fates);
        assert_eq!(killed.len(), usize::from(term == "ignore"), "{killed:?}");
    }
}

#[test]
fn run_that_has_not_begun_ends_by_the_first_signal() {
    let stage = Stage::new();
    stage.start("a", "delay: 1h");
    stage.fates.signal(&key("a"), 15);
    assert_eq!(events(&stage.fates), [started("a", 100), exited("a", 100, 100, Ended::Signal(15))]);
}

#[test]
fn out_of_memory_is_a_kill_with_a_name() {
    let stage = Stage::new();
    let told = stage.start("a", "exit: OOMKilled");
    assert!(
        matches!(told.last(), Some(Event::Exited { ended: Ended::Signal(9), out_of_memory: true, .. })),
        "{told:?}"
    );
}

#[test]
fn run_is_ready_after_its_time_and_that_is_told() {
    let stage = Stage::new();
    stage.start("a", "{run: forever, ready: 7s}");
    let keys = || [key("a"), key("other")].into_iter();
    assert_eq!(stage.fates.unready(keys()), ["a"]);
    assert_eq!(stage.fates.next(), Some(at(107)));
    assert_eq!(stage.pass(7), [started("a", 100)], "said again, so that its pod is looked at");
    assert!(stage.fates.unready(keys()).is_empty());
    assert_eq!(stage.fates.next(), None);
}

#[test]
fn pod_is_struck_when_the_time_of_its_run_is_over() {
    let stage = Stage::new();
    stage.start("a", "{run: 7s, exit: Evicted, message: no disk}");
    let struck = || stage.fates.struck([key("a")].into_iter());
    assert_eq!(struck(), None);
    assert_eq!(stage.pass(7), [started("a", 100)]);
    let expected = Struck { what: windlass_fate::Exit::Evicted, at: at(107), message: "no disk".to_owned() };
    assert_eq!(struck(), Some(expected));
    assert_eq!(stage.fates.next(), None);
    stage.fates.signal(&key("a"), 15);
    assert_eq!(events(&stage.fates), [exited("a", 100, 107, Ended::Signal(15))]);
    assert!(struck().is_some(), "it stays so until it is forgotten");
}

#[test]
fn new_engine_finds_each_run_where_the_clock_has_taken_it() {
    let mut stage = Stage::new();
    stage.start("over", "{run: 10s, exit: 1, stdout: \"1\\n2\", every: 5s}");
    stage.start("runs", "run: forever");
    stage.start("asked", "{run: forever, term: 60s}");
    stage.start("gone", "exit: 0");
    stage.fates.signal(&key("asked"), 15);
    stage.fates.forget(vec![key("gone"), key("runs")]);
    stage.pass(5);
    let before = stage.log("over");
    stage.clock.fetch_add(35, Ordering::Relaxed);
    let mut known = stage.again();
    known.sort_by_key(|event| format!("{event:?}"));
    let Some(Event::Exited { finished_at, ended, .. }) = known.first() else { panic!("{known:?}") };
    assert_eq!((*finished_at, *ended), (at(110), Ended::Code(1)));
    assert_eq!(known[1..], [started("asked", 100), started("over", 100), started("runs", 100)]);
    assert_eq!(stage.log("over"), before, "its lines are there once");
    assert_eq!(stage.fates.next(), Some(at(160)));
    assert_eq!(stage.pass(20), [exited("asked", 100, 160, Ended::Signal(15))]);
    stage.fates.forget(vec![key("over"), key("asked")]);
    assert_eq!(stage.again(), [started("runs", 100)]);
}

#[test]
fn ledger_that_is_torn_loses_what_is_torn_alone() {
    let mut stage = Stage::new();
    stage.start("a", "run: forever");
    let path = stage.folder.path().join("fates");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{}", &text[..text.len() / 2])).unwrap();
    assert_eq!(stage.again(), [started("a", 100)]);
    assert_eq!(stage.again(), [started("a", 100)]);
}

#[test]
fn ledger_that_is_torn_within_a_letter_loses_what_is_torn_alone() {
    let mut stage = Stage::new();
    stage.start("a", "{run: forever, stdout: \u{e4}}");
    let path = stage.folder.path().join("fates");
    let text = std::fs::read(&path).unwrap();
    let start = text.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let within = text.iter().position(|byte| !byte.is_ascii()).unwrap() + 1;
    std::fs::write(&path, [&text[..], &text[start..within]].concat()).unwrap();
    assert_eq!(stage.again(), [started("a", 100)]);
}

#[test]
fn runs_of_one_work_end_one_after_the_other_also_under_the_next_engine() {
    let mut stage = Stage::new();
    let codes = |told: Vec<Event>| -> Vec<i32> {
        let code = |event: &Event| match event {
            Event::Exited { ended, .. } => Some(ended.exit_code()),
            _ => None,
        };
        told.iter().filter_map(code).collect()
    };
    let script = "exit: [1, OOMKilled, 0]";
    assert_eq!(codes(stage.start("first", script)), [1]);
    assert_eq!(codes(stage.start("first", script)), [1], "repeated, it is the same");
    stage.fates.forget(vec![key("first")]);
    stage.again();
    assert_eq!(codes(stage.start("second", script)), [137]);
    stage.again();
    assert_eq!(codes(stage.start("third", script)), [0]);
    assert_eq!(codes(stage.start("fourth", script)), [0]);
    stage.fates.disown("job");
    stage.again();
    assert_eq!(codes(stage.start("fifth", script)), [1], "another owner of this name begins anew");
}

#[test]
fn nothing_is_written_before_the_first_run() {
    let mut stage = Stage::new();
    stage.again();
    assert!(!stage.folder.path().join("fates").exists());
}

#[tokio::test]
async fn what_has_no_fate_is_run_by_the_other_runtime() {
    let stage = Stage::new();
    let (plain, played) = (stage.of("plain", None), stage.of("played", Some(course("run: forever"))));
    let inner = Arc::new(Scripted::new(|| at(0), |_| Outcome::Runs));
    let clock = Arc::clone(&stage.clock);
    let path = stage.folder.path().join("other");
    let fates = Arc::new(Fates::open(path, move || at(clock.load(Ordering::Relaxed))));
    let both = WithFates::new(inner.clone(), Arc::clone(&fates));
    both.start(vec![plain, played]);
    assert_eq!(inner.starts().len(), 1);
    let told = both.events().await.unwrap();
    assert_eq!(told[0], started("played", 100));
    assert!(matches!(told[1..], [Event::Started { pid: 1, .. }]), "{told:?}");
    both.signal(&key("played"), 9);
    both.signal(&key("plain"), 15);
    assert_eq!(inner.signals(&key("plain")), [15]);
    let told = both.events().await.unwrap();
    assert_eq!((&told[0], told.len()), (&exited("played", 100, 100, Ended::Signal(9)), 2));
    both.forget(vec![key("plain"), key("played")]);
    assert_eq!(inner.forgotten(), [key("plain")]);
    assert!(!fates.knows(&key("played")));
    assert!(matches!(both.input(&key("plain")).await, Err(InputError::NotRunning)));
}
