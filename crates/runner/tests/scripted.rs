//! The scripted runtime keeps the promises of the real one.

use windlass_runner::runtime::{
    Ended, Event, Exec, ExecError, Key, Runtime, RuntimeGone, Start, StartFailure, Stdio,
};
use windlass_runner::scripted::{Aside, Outcome, Scripted};

fn start(container: &str) -> Start {
    let key = Key { pod: "4e5d".to_owned(), container: container.to_owned(), attempt: 0 };
    Start {
        key,
        argv: vec!["x".to_owned()],
        env: Vec::new(),
        cwd: None,
        space: None,
        log: "/dev/null".into(),
        log_limit: windlass_runner::runtime::LOG_LIMIT,
        stdio: Stdio::default(),
        rights: None,
        fate: None,
        limits: None,
    }
}

fn runtime() -> Scripted {
    let clock = || "2026-11-20T00:00:00Z".parse().unwrap();
    Scripted::new(clock, |start| match start.key.container.as_str() {
        "runs" => Outcome::Runs,
        "stubborn" => Outcome::RunsUntilKilled,
        "fails" => Outcome::Fails(StartFailure::NotFound, "no".to_owned()),
        "hangs" => Outcome::Hangs,
        code => Outcome::Exits(code.parse().unwrap()),
    })
}

fn ended(event: Option<&Event>) -> Option<Ended> {
    match event {
        Some(Event::Exited { ended, .. }) => Some(*ended),
        _ => None,
    }
}

#[tokio::test]
async fn run_starts_before_it_exits() {
    let runtime = runtime();
    runtime.start(vec![start("7")]);
    let events = runtime.events().await.unwrap();
    assert!(matches!(events[0], Event::Started { .. }));
    assert_eq!((ended(events.get(1)), events.len()), (Some(Ended::Code(7)), 2));
}

#[tokio::test]
async fn same_key_twice_starts_once_and_is_told_again() {
    let runtime = runtime();
    runtime.start(vec![start("runs"), start("runs")]);
    assert_eq!((runtime.starts().len(), runtime.events().await.unwrap().len()), (1, 2));
}

#[tokio::test]
async fn signals_end_what_heeds_them_and_are_sent_once() {
    let runtime = runtime();
    runtime.start(vec![start("runs"), start("stubborn")]);
    let (runs, stubborn) = (start("runs").key, start("stubborn").key);
    for key in [&runs, &stubborn, &stubborn] {
        runtime.signal(key, 15);
    }
    assert_eq!(runtime.running(), std::slice::from_ref(&stubborn));
    assert_eq!(runtime.signals(&stubborn), [15]);
    runtime.signal(&stubborn, 9);
    assert_eq!(ended(runtime.events().await.unwrap().last()), Some(Ended::Signal(9)));
}

#[tokio::test]
async fn what_runs_is_not_forgotten() {
    let runtime = runtime();
    runtime.start(vec![start("runs"), start("0"), start("fails")]);
    runtime.events().await.unwrap();
    runtime.forget(vec![start("runs").key, start("0").key, start("fails").key]);
    assert_eq!(runtime.forgotten(), [start("0").key, start("fails").key]);
    runtime.repeat();
    assert!(matches!(runtime.events().await.unwrap()[..], [Event::Started { .. }]));
}

#[tokio::test]
async fn hanging_start_begins_and_is_lost_when_told() {
    let runtime = runtime();
    runtime.start(vec![start("hangs")]);
    runtime.begin(&start("hangs").key);
    runtime.lose(&start("hangs").key, "the shim died");
    let events = runtime.events().await.unwrap();
    assert!(matches!(events[..], [Event::Started { .. }, Event::Lost { .. }]));
    runtime.go("over");
    assert_eq!(runtime.events().await, Err(RuntimeGone("over".to_owned())));
}

fn exec(container: &str, word: &str) -> Exec {
    let Start { key, .. } = start(container);
    Exec { key, argv: vec![word.to_owned()], stdin: false, stdout: true, stderr: true, tty: false }
}

#[tokio::test]
async fn program_beside_a_run_does_what_its_script_says() {
    let runtime = runtime().with_asides(|exec| match exec.argv[0].as_str() {
        "runs" => Aside::Runs,
        "fails" => Aside::Fails(StartFailure::NotFound, "no".to_owned()),
        code => Aside::Exits(code.parse().unwrap(), "out\n".to_owned(), "err\n".to_owned()),
    });
    runtime.start(vec![start("runs"), start("7")]);
    let (ended, said) = runtime.exec(exec("runs", "3")).await.unwrap().collect(100).await.unwrap();
    assert_eq!(ended, Ended::Code(3));
    assert!([b"out\nerr\n", b"err\nout\n"].contains(&said.as_slice().try_into().unwrap()));
    let failed = runtime.exec(exec("runs", "fails")).await.err();
    assert!(matches!(failed, Some(ExecError::Failed { failure: StartFailure::NotFound, .. })), "{failed:?}");
    let mut endless = runtime.exec(exec("runs", "runs")).await.unwrap();
    tokio::select! {
        biased;
        ended = endless.end.wait() => panic!("{ended:?}"),
        () = std::future::ready(()) => {}
    }
    let over = runtime.exec(exec("7", "3")).await.err();
    assert!(matches!(over, Some(ExecError::NotRunning)), "{over:?}");
    assert_eq!(runtime.execs().len(), 3, "those that were begun or tried");
}

#[tokio::test]
async fn without_a_script_for_them_there_are_no_programs_beside_runs() {
    let runtime = runtime();
    runtime.start(vec![start("runs")]);
    let refused = runtime.exec(exec("runs", "true")).await.err();
    assert!(matches!(refused, Some(ExecError::Unsupported)), "{refused:?}");
}
