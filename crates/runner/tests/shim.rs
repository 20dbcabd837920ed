//! The shim with real processes.

mod common;

use common::{Home, ends, entries, next};
use windlass_runner::runtime::{Ended, Event, Runtime, StartFailure};

fn ended(event: &Event) -> Ended {
    match event {
        Event::Exited { ended, .. } => *ended,
        other => panic!("it did not exit: {other:?}"),
    }
}

fn failure(event: &Event) -> StartFailure {
    match event {
        Event::Failed { failure, .. } => failure.clone(),
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start(vec![
        home.start("true", &["true"]),
        home.sh("seven", "exit 7"),
        home.sh("killed", "kill -9 $$"),
    ]);
    let over = ends(&runtime, 3).await;
    assert_eq!(ended(&over["true"]), Ended::Code(0));
    assert_eq!(ended(&over["seven"]), Ended::Code(7));
    assert_eq!(ended(&over["killed"]), Ended::Signal(9));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn a_run_that_is_signalled_ends_by_it() {
    let home = Home::new();
    let runtime = home.connect().await;
    let start = home.start("sleep", &["sleep", "1000"]);
    let key = start.key.clone();
    runtime.start(vec![start]);
    next(&runtime, |event| matches!(event, Event::Started { .. })).await;
    runtime.signal(&key, 15);
    assert_eq!(ended(&ends(&runtime, 1).await["sleep"]), Ended::Signal(15));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn streams_are_told_apart_and_in_order() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start(vec![home.sh("both", "for n in 1 2 3; do echo out$n; echo err$n >&2; done; printf tail")]);
    ends(&runtime, 1).await;
    let entries = entries(&home.log("both"));
    let of = |name: &str| -> Vec<_> {
        entries.iter().filter(|e| e.0 == name).map(|e| (e.1.as_str(), e.2.as_str())).collect()
    };
    assert_eq!(of("stdout"), [("F", "out1"), ("F", "out2"), ("F", "out3"), ("P", "tail")]);
    assert_eq!(of("stderr"), [("F", "err1"), ("F", "err2"), ("F", "err3")]);
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn what_cannot_start_fails_by_its_class() {
    let home = Home::new();
    let runtime = home.connect().await;
    let mut nowhere = home.start("nowhere", &["true"]);
    nowhere.cwd = Some("/does/not/exist".into());
    let plain = home.folder.path().join("plain");
    std::fs::write(&plain, "text").unwrap();
    runtime.start(vec![
        nowhere,
        home.start("missing", &["no-such-program-here"]),
        home.start("path", &["/no/such/program"]),
        home.start("plain", &[plain.to_str().unwrap()]),
        home.start("empty", &[]),
    ]);
    let over = ends(&runtime, 5).await;
    assert_eq!(failure(&over["nowhere"]), StartFailure::NoDirectory);
    assert_eq!(failure(&over["missing"]), StartFailure::NotFound);
    assert_eq!(failure(&over["path"]), StartFailure::NotFound);
    assert_eq!(failure(&over["plain"]), StartFailure::NotExecutable);
    assert_eq!(failure(&over["empty"]), StartFailure::NotFound);
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn three_hundred_at_once_all_end() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start((0..300).map(|n| home.sh(&n.to_string(), "echo here")).collect());
    let over = ends(&runtime, 300).await;
    assert!(over.values().all(|event| ended(event) == Ended::Code(0)));
    for n in 0..300 {
        assert_eq!(entries(&home.log(&n.to_string())).len(), 1);
    }
    runtime.shutdown(true).await;
}
