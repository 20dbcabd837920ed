//! Processes that do not behave: that fill their log, or do not want to end.

mod common;

use common::{Home, ended, ends, is_alive, next, read_fifo, whole};
use windlass_runner::log::ReadOptions;
use windlass_runner::runtime::{Ended, Event, Runtime};

#[tokio::test]
async fn process_that_fills_its_log_takes_no_more_than_its_limit_and_ends_as_it_would() {
    let home = Home::new();
    let runtime = home.connect().await;
    let mut start = home.sh("main", "head -c 12000000 /dev/zero | tr '\\0' x; echo; echo last; exit 3");
    start.log_limit = 1 << 20;
    runtime.start(vec![start, home.sh("other", "echo here")]);
    let over = ends(&runtime, 2).await;
    assert_eq!((ended(&over["main"]), ended(&over["other"])), (Ended::Code(3), Ended::Code(0)));
    let files = home.log("main").parent().unwrap().read_dir().unwrap();
    let size: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(size <= 1 << 20, "{size}");
    let text = String::from_utf8(whole(&home.log("main"), ReadOptions::default()).await).unwrap();
    assert!(text.starts_with("[windlass: ") && text.ends_with("x\nlast\n"), "{}", text.len());
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn what_is_deaf_to_a_polite_end_is_killed_with_all_that_it_started() {
    let home = Home::new();
    let runtime = home.connect().await;
    let (pids, ready) = (home.folder.path().join("pids"), home.fifo("ready"));
    // Forked twice, out of its session, with other outputs, and deaf; so is what started it.
    let deaf = format!(
        "trap '' TERM HUP INT; echo $$ >> {p}; echo > {r}; while :; do sleep 1000; done",
        p = pids.display(),
        r = ready.display()
    );
    let child = home.folder.path().join("deaf");
    std::fs::write(&child, deaf).unwrap();
    let script = format!(
        "trap '' TERM; echo $$ >> {p}; (setsid sh {c} >/dev/null 2>&1 </dev/null &); wait; while :; do sleep 1000; done",
        p = pids.display(),
        c = child.display()
    );
    let start = home.sh("main", &script);
    let key = start.key.clone();
    runtime.start(vec![start]);
    read_fifo(&ready).await;
    runtime.signal(&key, 15);
    // Frames are in order: when this run has ended the signal was sent.
    runtime.start(vec![home.start("true", &["true"])]);
    next(&runtime, |event| matches!(event, Event::Exited { key, .. } if key.container == "true")).await;
    let pids: Vec<i32> =
        std::fs::read_to_string(pids).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!((pids.len(), pids.iter().all(|pid| is_alive(*pid))), (2, true));
    runtime.signal(&key, 9);
    assert_eq!(ended(&ends(&runtime, 1).await["main"]), Ended::Signal(9));
    assert!(!pids.into_iter().any(is_alive));
    runtime.shutdown(true).await;
}
