//! A shim that is older than the engine: what it cannot do is told, and it is replaced when it has nothing to do.

mod common;

use windlass_runner::cgroup::Reason;
use windlass_runner::runtime::{Ended, Event, Exec, ExecError, Key, Limits, Runtime, Start};
use windlass_runner::shim::ShimRuntime;
use windlass_runner::testing::OlderShim;

use common::{Home, ended, ends, next};

const LIMITED: Limits = Limits { memory_bytes: Some(1 << 30), cpu_millis: None, pids: None };

fn reason(event: &Event) -> Option<Reason> {
    match event {
        Event::Started { unlimited, .. } => unlimited.as_ref().map(|told| told.reason),
        other => panic!("{other:?}"),
    }
}

fn is_start_of(event: &Event, container: &str) -> bool {
    matches!(event, Event::Started { key, .. } if key.container == container)
}

/// Runs it to its end: why its limits are not enforced, and the end.
async fn through(shim: &ShimRuntime, start: Start) -> (Option<Reason>, Event) {
    let key = start.key.clone();
    shim.start(vec![start]);
    let mut told = None;
    loop {
        let events =
            tokio::time::timeout(common::PATIENCE, shim.events()).await.expect("events come in time");
        for event in events.unwrap().into_iter().filter(|event| *event.key() == key) {
            match event {
                Event::Started { .. } => told = reason(&event),
                over => return (told, over),
            }
        }
    }
}

fn exec(key: Key) -> Exec {
    Exec { key, argv: vec!["true".to_owned()], stdin: false, stdout: false, stderr: false, tty: false }
}

#[tokio::test]
async fn older_shim_s_limits_are_not_claimed_to_hold_and_it_is_replaced_when_its_last_run_has_ended() {
    let home = Home::new();
    let older = OlderShim::listen(&home.shim()).unwrap();
    older.has_run(&home.start("before", &[]).key);
    let shim = home.connect().await;
    assert_eq!(shim.known().iter().map(reason).collect::<Vec<_>>(), [Some(Reason::OlderShim)]);

    let limited = Start { limits: Some(LIMITED), ..home.start("limited", &["true"]) };
    // In this order, so that the other has started too when the limited one has.
    shim.start(vec![home.start("free", &["true"]), limited]);
    let told = next(&shim, |event| is_start_of(event, "limited")).await;
    assert_eq!(reason(&told), Some(Reason::OlderShim));
    let refused = shim.exec(exec(home.start("free", &[]).key)).await.err();
    assert!(matches!(refused, Some(ExecError::Older(_))), "{refused:?}");

    older.end_all();
    let over = ends(&shim, 3).await;
    assert!(over.values().all(|event| ended(event) == Ended::Code(0)));
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        older.wait_until_left();
        tell.send(())
    });
    tokio::time::timeout(common::PATIENCE, told).await.expect("it leaves in time").unwrap();
    // Whether another has taken the place or not yet: it runs there.
    let after = Start { limits: Some(LIMITED), ..home.sh("after", "exit 7") };
    let (told, over) = through(&shim, after).await;
    assert_ne!(told, Some(Reason::OlderShim));
    assert_eq!(ended(&over), Ended::Code(7));
    assert_ne!(shim.pid(), Some(std::process::id()));
}

#[tokio::test]
async fn older_shim_that_runs_nothing_is_replaced_before_anything_is_started() {
    let home = Home::new();
    let _older = OlderShim::listen(&home.shim()).unwrap();
    let shim = home.connect().await;
    let first = Start { limits: Some(LIMITED), ..home.sh("first", "exit 3") };
    let (told, over) = through(&shim, first).await;
    assert_ne!(told, Some(Reason::OlderShim));
    assert_eq!(ended(&over), Ended::Code(3));
}
