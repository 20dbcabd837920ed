//! Processes that do not behave: that fill their log, or do not want to end.

mod common;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Home, ended, ends, executable, is_alive, next, read_fifo, whole};
use windlass_runner::log::ReadOptions;
use windlass_runner::runtime::{Ended, Event, Exec, ExecError, Runtime};
use windlass_runner::shim::ShimRuntime;
use windlass_runner::testing::shim_argv;

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
    // One that has just been packed is gone, and there is another instead.
    let size: u64 = files.map(|file| file.unwrap().metadata().map_or(0, |file| file.len())).sum();
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

/// A program that cannot be executed as long as the file is open here: the kernel waits for the lease to be given back.
fn leased(path: &Path) -> File {
    // fcntl(2); libc has no name for it.
    const F_SETSIG: libc::c_int = 10;
    // Nobody may have it open for writing: no other test's child either, for a moment.
    executable(path, &std::fs::read("/bin/true").unwrap());
    let file = File::open(path).unwrap();
    // SAFETY: both calls take an open descriptor and plain numbers. What is sent when somebody waits is ignored.
    let done = unsafe {
        libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG);
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    file
}

#[tokio::test]
async fn start_that_hangs_in_the_kernel_holds_up_no_end() {
    let home = Home::new();
    let runtime = home.connect().await;
    let program = home.folder.path().join("program");
    let lease = leased(&program);
    runtime.start(vec![home.start("hung", &[program.to_str().unwrap()])]);
    // Each leaves a process behind that nobody but the shim can reap.
    let orphans = "for n in 1 2 3; do (true &); done; exit 4";
    runtime.start((0..8).map(|n| home.sh(&n.to_string(), orphans)).collect());
    let over = ends(&runtime, 8).await;
    assert!(over.len() == 8 && over.values().all(|event| ended(event) == Ended::Code(4)), "{over:?}");
    drop(lease);
    assert_eq!(ended(&ends(&runtime, 1).await["hung"]), Ended::Code(0));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn starts_that_hang_in_the_kernel_hold_up_no_other_for_long() {
    let home = Home::new();
    let runtime = home.connect().await;
    // More than the threads that usually start programs.
    let hung: Vec<(String, File)> = (0..7)
        .map(|n| {
            let program = home.folder.path().join(format!("program-{n}"));
            let lease = leased(&program);
            (program.display().to_string(), lease)
        })
        .collect();
    let starts = hung.iter().map(|(program, _)| home.start(program.rsplit('/').next().unwrap(), &[program]));
    runtime.start(starts.collect());
    runtime.start((0..20).map(|n| home.sh(&n.to_string(), "exit 4")).collect());
    let over = ends(&runtime, 20).await;
    assert!(over.values().all(|event| ended(event) == Ended::Code(4)), "{over:?}");
    drop(hung);
    assert!(ends(&runtime, 7).await.values().all(|event| ended(event) == Ended::Code(0)));
    // Those that took their turn have left, or leave with their next start; who is left starts as ever.
    runtime.start((20..60).map(|n| home.sh(&n.to_string(), "exit 5")).collect());
    assert!(ends(&runtime, 40).await.values().all(|event| ended(event) == Ended::Code(5)));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn programs_beside_a_run_that_hang_hold_up_no_others_but_its_own() {
    let home = Home::new();
    let shim = Arc::new(home.connect().await);
    let gates = ["slow", "quick"].map(|name| (name, home.fifo(name)));
    shim.start(
        gates.iter().map(|(name, gate)| home.sh(name, &format!("read x < {}", gate.display()))).collect(),
    );
    common::starts(&*shim, 2).await;
    // More than the threads that usually start programs; the kernel waits for those who hold their files.
    let hung: Vec<(String, File)> = (0..5)
        .map(|n| {
            let program = home.folder.path().join(format!("program-{n}"));
            let lease = leased(&program);
            (program.display().to_string(), lease)
        })
        .collect();
    let exec = |container: &str, argv: &[&str]| Exec {
        key: home.start(container, &[]).key,
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        stdin: false,
        stdout: false,
        stderr: false,
        tty: false,
    };
    let slow = hung.iter().map(|(program, _)| {
        let (shim, exec) = (Arc::clone(&shim), exec("slow", &[program]));
        tokio::spawn(async move { shim.exec(exec).await.map(|session| session.end) })
    });
    let slow: Vec<_> = slow.collect();
    for _ in 0..3 {
        let mut session = shim.exec(exec("quick", &["sh", "-c", "exit 4"])).await.unwrap();
        assert_eq!(session.end.wait().await.unwrap(), Ended::Code(4));
    }
    shim.start(vec![home.sh("run", "exit 5")]);
    assert_eq!(ended(&ends(&*shim, 1).await["run"]), Ended::Code(5));
    drop(hung);
    for begun in slow {
        // Each has its turn now; how long the last waited is not this test's.
        drop(begun.await.unwrap());
    }
    shim.shutdown(true).await;
}

#[tokio::test]
async fn programs_that_wait_for_one_that_hangs_beside_their_run_are_not_begun_when_it_ends() {
    let home = Home::new();
    let shim = Arc::new(home.connect().await);
    let gate = home.fifo("gate");
    shim.start(vec![home.sh("run", &format!("read x < {}", gate.display()))]);
    common::starts(&*shim, 1).await;
    let hung: Vec<(PathBuf, File)> = (0..5)
        .map(|n| home.folder.path().join(format!("program-{n}")))
        .map(|program| (program.clone(), leased(&program)))
        .collect();
    let mut asked = tokio::task::JoinSet::new();
    for (program, _) in &hung {
        let (shim, key) = (Arc::clone(&shim), home.start("run", &[]).key);
        let argv = vec![program.display().to_string()];
        let exec = Exec { key, argv, stdin: false, stdout: false, stderr: false, tty: false };
        asked.spawn(async move { shim.exec(exec).await.map(drop) });
    }
    let _open = common::write_fifo(&gate);
    // All but the one that hangs are told at once.
    for _ in 1..hung.len() {
        let answer =
            tokio::time::timeout(common::PATIENCE, asked.join_next()).await.expect("an answer in time");
        let answer = answer.unwrap().unwrap();
        assert!(matches!(answer, Err(ExecError::NotRunning)), "{answer:?}");
    }
    drop(hung);
    drop(asked.join_next().await.unwrap().unwrap());
    assert_eq!(ended(&ends(&*shim, 1).await["run"]), Ended::Code(0));
    shim.shutdown(true).await;
}

#[tokio::test]
async fn shim_whose_disk_is_full_starts_nothing_until_there_is_room() {
    let home = Home::new();
    // As a disk that is full: a file may grow to a kilobyte and no further.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 2; exec \"$@\"", "sh"].map(OsString::from);
    let argv = limited.into_iter().chain(shim_argv()).collect();
    let runtime = ShimRuntime::connect(home.shim(), argv).await.unwrap();
    runtime.start(vec![home.start("before", &["true"])]);
    assert_eq!(ended(&ends(&runtime, 1).await["before"]), Ended::Code(0));
    let names: Vec<_> = (0..30).map(|n| n.to_string()).collect();
    runtime.start(names.iter().map(|name| home.start(name, &["true"])).collect());
    // It cannot be started, but it can be ended.
    runtime.signal(&home.start("7", &[]).key, 9);
    let event = next(&runtime, |_| true).await;
    assert!(matches!(&event, Event::Failed { key, .. } if key.container == "7"), "{event:?}");
    let room = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    let pid = runtime.pid().unwrap().cast_signed();
    // SAFETY: the limit is a value of this function's; the old one is not asked for.
    let done = unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &raw const room, std::ptr::null_mut()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    assert!(ends(&runtime, 29).await.values().all(|event| ended(event) == Ended::Code(0)));
    runtime.shutdown(true).await;
    // Nothing of it was lost.
    let runtime = home.connect().await;
    assert_eq!(runtime.known().len(), 31);
    let notes = std::fs::read_to_string(home.shim().join("shim.log")).unwrap();
    assert!(
        notes.contains("the ledger cannot be written") && !notes.contains("could not be read"),
        "{notes}"
    );
    runtime.shutdown(true).await;
}
