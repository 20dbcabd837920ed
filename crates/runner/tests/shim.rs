//! The shim with real processes.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Home, ended, ends, entries, is_alive, next, read_fifo, starts, whole, write_fifo};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use windlass_runner::log::ReadOptions;
use windlass_runner::runtime::{Ended, Event, Runtime, StartFailure};

fn failure(event: &Event) -> StartFailure {
    match event {
        Event::Failed { failure, .. } => failure.clone(),
        other => panic!("it did not fail: {other:?}"),
    }
}

fn is_started(event: &Event) -> bool {
    matches!(event, Event::Started { .. })
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start(vec![
        home.start("true", &["true"]),
        home.sh("seven", "exit 7"),
        home.sh("killed", "kill -9 $$"),
        home.sh("realtime", "kill -40 $$"),
    ]);
    let over = ends(&runtime, 4).await;
    assert_eq!(ended(&over["true"]), Ended::Code(0));
    assert_eq!(ended(&over["seven"]), Ended::Code(7));
    assert_eq!(ended(&over["killed"]), Ended::Signal(9));
    assert_eq!(ended(&over["realtime"]), Ended::Signal(40));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn run_is_measured() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start(vec![home.sh("busy", "n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done")]);
    let over = ends(&runtime, 1).await;
    let Event::Exited { cpu_us, peak_bytes, started_at, finished_at, .. } = over["busy"] else { panic!() };
    assert!(cpu_us > 0 && peak_bytes > 100_000 && finished_at > started_at);
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn run_that_is_signalled_ends_by_it() {
    let home = Home::new();
    let runtime = home.connect().await;
    let start = home.start("sleep", &["sleep", "1000"]);
    let key = start.key.clone();
    runtime.start(vec![start]);
    next(&runtime, is_started).await;
    runtime.signal(&key, 15);
    assert_eq!(ended(&ends(&runtime, 1).await["sleep"]), Ended::Signal(15));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn signal_that_comes_with_the_start_is_not_lost() {
    let home = Home::new();
    let runtime = home.connect().await;
    let start = home.start("sleep", &["sleep", "1000"]);
    let key = start.key.clone();
    runtime.start(vec![start]);
    runtime.signal(&key, 9);
    assert_eq!(ended(&ends(&runtime, 1).await["sleep"]), Ended::Signal(9));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn repeated_signal_is_sent_once() {
    let home = Home::new();
    let runtime = home.connect().await;
    let (ready, go) = (home.fifo("ready"), home.fifo("go"));
    let script = format!(
        "n=0; trap 'n=$((n+1))' TERM; exec 3<>{}; echo > {}; until read line <&3; do :; done; echo $n; exit 0",
        go.display(),
        ready.display()
    );
    let start = home.sh("counts", &script);
    let key = start.key.clone();
    runtime.start(vec![start]);
    read_fifo(&ready).await;
    // The script may speak before the shim has heard from the thread that started it; until then signals wait.
    next(&runtime, is_started).await;
    for _ in 0..3 {
        runtime.signal(&key, 15);
    }
    // Frames are in order: when this run has ended the signals were sent.
    runtime.start(vec![home.start("true", &["true"])]);
    next(&runtime, |event| matches!(event, Event::Exited { key, .. } if key.container == "true")).await;
    let _go = write_fifo(&go);
    ends(&runtime, 1).await;
    assert_eq!(entries(&home.log("counts"))[0].2, "1");
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
async fn ten_megabytes_come_through_whole() {
    let home = Home::new();
    let runtime = home.connect().await;
    let text: String = (0..1_000_000).map(|n| format!("{n:09}\n")).collect();
    let input = home.folder.path().join("input");
    std::fs::write(&input, &text).unwrap();
    runtime.start(vec![home.start("cat", &["cat", input.to_str().unwrap()])]);
    ends(&runtime, 1).await;
    let read = whole(&home.log("cat"), ReadOptions::default()).await;
    assert!(read == text.as_bytes(), "{} bytes of {}", read.len(), text.len());
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn line_of_sixty_kilobytes_is_cut_and_can_be_joined() {
    let home = Home::new();
    let runtime = home.connect().await;
    // A longer log is packed once it is complete, and then not there as text.
    let line = "x".repeat(60_000);
    let input = home.folder.path().join("input");
    std::fs::write(&input, format!("{line}\n")).unwrap();
    runtime.start(vec![home.start("cat", &["cat", input.to_str().unwrap()])]);
    ends(&runtime, 1).await;
    let entries = entries(&home.log("cat"));
    let tags: String = entries.iter().map(|entry| entry.1.as_str()).collect();
    assert_eq!(tags, "PPPF");
    assert!(entries.iter().all(|entry| entry.2.len() <= 16 << 10));
    assert_eq!(entries.into_iter().map(|entry| entry.2).collect::<String>(), line);
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
        home.start("directory", &["/usr/bin"]),
        home.start("nul", &["true", "a\0b"]),
        home.start("empty", &[]),
    ]);
    let over = ends(&runtime, 7).await;
    assert_eq!(failure(&over["nowhere"]), StartFailure::NoDirectory);
    assert_eq!(failure(&over["missing"]), StartFailure::NotFound);
    assert_eq!(failure(&over["path"]), StartFailure::NotFound);
    assert_eq!(failure(&over["plain"]), StartFailure::NotExecutable);
    assert_eq!(failure(&over["directory"]), StartFailure::NotExecutable);
    assert_eq!(failure(&over["nul"]), StartFailure::Other);
    assert_eq!(failure(&over["empty"]), StartFailure::NotFound);
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn script_without_a_first_line_is_a_shells() {
    let home = Home::new();
    let runtime = home.connect().await;
    let script = home.executable("script", b"exit $1\n");
    runtime.start(vec![home.start("script", &[script.to_str().unwrap(), "5"])]);
    assert_eq!(ended(&ends(&runtime, 1).await["script"]), Ended::Code(5));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn process_sees_its_environment_and_nothing_else() {
    let home = Home::new();
    let runtime = home.connect().await;
    let mut start = home.start("env", &["env"]);
    start.env.push(("A".to_owned(), "1".into()));
    start.cwd = Some("/usr".into());
    let mut raw = home.sh("raw", "printf %s \"$RAW\" | od -An -tx1");
    raw.env.push(("RAW".to_owned(), b"\xffa\xfe".to_vec().into()));
    let mut nul = home.start("nul", &["env"]);
    nul.env.push(("NUL".to_owned(), "a\0b".into()));
    let mut cwd = home.sh("cwd", "pwd; cat; ls -l /proc/self/fd | grep -c -- '->'; trap");
    cwd.cwd = Some("/usr".into());
    runtime.start(vec![start, raw, nul, cwd]);
    let told = ends(&runtime, 4).await;
    assert!(
        matches!(&told["nul"], Event::Failed { message, .. } if message.contains("nul byte")),
        "{told:?}"
    );
    let lines =
        |name: &str| -> Vec<String> { entries(&home.log(name)).into_iter().map(|entry| entry.2).collect() };
    assert_eq!(
        lines("env"),
        ["A=1", "PATH=/usr/bin:/bin", format!("WINDLASS_RUN={}/env/0", home.pod()).as_str()]
    );
    assert_eq!(lines("raw"), [" ff 61 fe"]);
    // stdin is empty; the fourth descriptor is the one that ls reads the directory by.
    assert_eq!(lines("cwd"), ["/usr", "4"]);
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

#[tokio::test]
async fn same_key_twice_starts_once() {
    let home = Home::new();
    let runtime = home.connect().await;
    let start = home.sh("once", "echo here");
    runtime.start(vec![start.clone(), start.clone()]);
    let first = ends(&runtime, 1).await;
    runtime.start(vec![start]);
    assert_eq!(ends(&runtime, 1).await, first);
    assert_eq!(entries(&home.log("once")).len(), 1);
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn descendants_end_with_their_run_however_they_hide() {
    let home = Home::new();
    let runtime = home.connect().await;
    let pids = home.folder.path().join("pids");
    // In the group; in a session of its own; with an empty environment besides; behind an intermediate; as a daemon
    // that keeps nothing.
    let script = format!(
        "p={}; sleep 1000 & echo $! >> $p; \
         setsid sh -c \"echo \\$\\$ >> $p; exec sleep 1000\" & \
         env -i setsid sh -c \"echo \\$\\$ >> $p; exec /usr/bin/env sleep 1000\" & \
         (setsid sh -c \"echo \\$\\$ >> $p; sleep 1000 & echo \\$! >> $p; wait\" >/dev/null 2>&1 &) ; \
         (env -i setsid sh -c \"echo \\$\\$ >> $p; exec /bin/sleep 1000\" >/dev/null 2>&1 </dev/null &) ; \
         while [ $(wc -l < $p) -lt 6 ]; do :; done; exit 3",
        pids.display()
    );
    runtime.start(vec![home.sh("parent", &script)]);
    assert_eq!(ended(&ends(&runtime, 1).await["parent"]), Ended::Code(3));
    let pids: Vec<i32> =
        std::fs::read_to_string(pids).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(pids.len(), 6);
    assert!(!pids.into_iter().any(is_alive));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn signal_reaches_descendants_outside_the_group() {
    let home = Home::new();
    let runtime = home.connect().await;
    let (ready, told) = (home.fifo("ready"), home.fifo("told"));
    let child = format!(
        "trap 'echo child > {}; exit 0' TERM; echo > {}; while :; do sleep 0.01; done",
        told.display(),
        ready.display()
    );
    let child_file = home.folder.path().join("child");
    std::fs::write(&child_file, child).unwrap();
    let script = format!("trap 'wait; exit 9' TERM; setsid sh {} & wait", child_file.display());
    let start = home.sh("parent", &script);
    let key = start.key.clone();
    runtime.start(vec![start]);
    read_fifo(&ready).await;
    runtime.signal(&key, 15);
    assert_eq!(read_fifo(&told).await, "child\n");
    assert_eq!(ended(&ends(&runtime, 1).await["parent"]), Ended::Code(9));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn files_are_the_owners_alone() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start(vec![home.sh("main", "echo here")]);
    ends(&runtime, 1).await;
    assert_eq!(mode(&home.shim()), 0o700);
    for file in ["ledger", "lock", "shim.sock", "shim.log"] {
        assert_eq!(mode(&home.shim().join(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&home.log("main")), 0o600);
    assert_eq!(mode(home.log("main").parent().unwrap()), 0o700);
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn new_engine_finds_what_runs_and_what_ended_meanwhile() {
    let home = Home::new();
    let (go, runtime) = (home.fifo("go"), home.connect().await);
    runtime.start(vec![
        home.sh("first", &format!("read x < {}; exit 4", go.display())),
        home.start("second", &["sleep", "1000"]),
    ]);
    starts(&runtime, 2).await;
    let pid = runtime.pid();
    drop(runtime);
    let _go = write_fifo(&go);
    let runtime = home.connect().await;
    assert_eq!(runtime.pid(), pid, "the shim outlived the engine");
    let keys: std::collections::BTreeSet<_> = runtime.known().iter().map(Event::key).collect();
    assert_eq!(keys.len(), 2);
    runtime.signal(&home.start("second", &[]).key, 9);
    let over = ends(&runtime, 2).await;
    assert_eq!(ended(&over["first"]), Ended::Code(4));
    assert_eq!(ended(&over["second"]), Ended::Signal(9));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn forgotten_runs_are_not_told_again_and_others_are() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start(vec![home.start("kept", &["true"]), home.start("gone", &["true"])]);
    ends(&runtime, 2).await;
    runtime.forget(vec![home.start("gone", &[]).key]);
    runtime.shutdown(true).await;
    let runtime = home.connect().await;
    let known: Vec<_> = runtime.known().iter().map(|event| event.key().container.as_str()).collect();
    assert_eq!(known, ["kept"]);
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn killed_shim_is_replaced_and_what_it_left_is_ended_and_lost() {
    let home = Home::new();
    let runtime = home.connect().await;
    let pids = home.folder.path().join("pids");
    let ready = home.fifo("ready");
    let script = format!(
        "echo $$ >> {p}; setsid sh -c \"echo \\$\\$ >> {p}; echo > {r}; exec sleep 1000\" & exec sleep 1000",
        p = pids.display(),
        r = ready.display()
    );
    runtime.start(vec![home.start("done", &["true"]), home.sh("left", &script)]);
    next(&runtime, |event| matches!(event, Event::Exited { .. })).await;
    read_fifo(&ready).await;
    let old = runtime.pid().unwrap();
    kill(Pid::from_raw(old.cast_signed()), Signal::SIGKILL).unwrap();
    let event = next(&runtime, |event| matches!(event, Event::Lost { .. })).await;
    assert_eq!(event.key().container, "left");
    let pids: Vec<i32> =
        std::fs::read_to_string(pids).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    assert!(!pids.into_iter().any(is_alive));
    runtime.start(vec![home.start("later", &["true"])]);
    let later = next(&runtime, |event| event.key().container == "later" && !is_started(event)).await;
    assert_eq!(ended(&later), Ended::Code(0));
    assert_ne!(runtime.pid(), Some(old));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn run_of_another_boot_is_lost_and_nobody_is_killed_for_it() {
    let home = Home::new();
    std::fs::create_dir(home.shim()).unwrap();
    let me = std::process::id();
    let ledger = format!(
        "{{\"Session\":{{\"version\":1,\"boot\":\"another\"}}}}\n\
         {{\"Asked\":{{\"pod\":\"4e5d\",\"container\":\"main\",\"attempt\":0}}}}\n\
         {{\"Started\":{{\"key\":{{\"pod\":\"4e5d\",\"container\":\"main\",\"attempt\":0}},\"pid\":{me},\"ticks\":1,\"at\":\"2026-11-20T00:00:00Z\"}}}}\n\
         {{\"Over\":{{\"torn"
    );
    std::fs::write(home.shim().join("ledger"), ledger).unwrap();
    let runtime = home.connect().await;
    let [Event::Lost { message, .. }] = runtime.known() else { panic!("{:?}", runtime.known()) };
    assert!(message.contains("the machine was restarted"), "{message}");
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn pid_that_another_process_has_now_is_left_alone() {
    let home = Home::new();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut other = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::create_dir(home.shim()).unwrap();
    let ledger = format!(
        "{{\"Session\":{{\"version\":1,\"boot\":\"{}\"}}}}\n\
         {{\"Started\":{{\"key\":{{\"pod\":\"4e5d\",\"container\":\"main\",\"attempt\":0}},\"pid\":{},\"ticks\":1,\"at\":\"2026-11-20T00:00:00Z\"}}}}\n",
        boot.trim(),
        other.id()
    );
    std::fs::write(home.shim().join("ledger"), ledger).unwrap();
    let runtime = home.connect().await;
    assert!(matches!(runtime.known(), [Event::Lost { .. }]));
    assert!(is_alive(other.id().cast_signed()));
    other.kill().unwrap();
    other.wait().unwrap();
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn ledger_of_a_newer_format_is_refused_with_words() {
    let home = Home::new();
    std::fs::create_dir(home.shim()).unwrap();
    std::fs::write(home.shim().join("ledger"), "{\"Session\":{\"version\":9,\"boot\":\"b\"}}\n").unwrap();
    let argv = windlass_runner::testing::shim_argv();
    let error = windlass_runner::shim::ShimRuntime::connect(home.shim(), argv).await.err().unwrap();
    assert!(error.to_string().contains("has format 9; this shim reads 1"), "{error}");
}

#[tokio::test]
async fn shim_that_cannot_be_started_is_an_error() {
    let home = Home::new();
    let connect =
        |program: &str| windlass_runner::shim::ShimRuntime::connect(home.shim(), vec![program.into()]);
    let error = connect("/no/such/shim").await.err().unwrap().to_string();
    assert!(error.starts_with("the shim /no/such/shim cannot be started"), "{error}");
    let error = connect("/bin/true").await.err().unwrap().to_string();
    assert_eq!(error, "the shim did not begin to work: it ended without a word");
}

#[tokio::test]
async fn shutdown_ends_what_runs() {
    let home = Home::new();
    let runtime = home.connect().await;
    runtime.start(vec![home.start("sleep", &["sleep", "1000"])]);
    let Event::Started { pid, .. } = next(&runtime, is_started).await else { panic!() };
    runtime.shutdown(true).await;
    assert!(!is_alive(pid));
    assert_eq!(runtime.pid(), None);
    assert_eq!(runtime.events().await.unwrap().len(), 1, "how it ended");
    assert!(runtime.events().await.is_err());
    let runtime = home.connect().await;
    assert_eq!(ended(&runtime.known()[0]), Ended::Signal(9));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn deep_directory_is_no_obstacle_for_a_socket() {
    let home = Home::new();
    let deep = home.folder.path().join("d".repeat(100)).join("e".repeat(100));
    let argv = windlass_runner::testing::shim_argv();
    let runtime = windlass_runner::shim::ShimRuntime::connect(deep, argv).await.unwrap();
    runtime.start(vec![home.start("true", &["true"])]);
    assert_eq!(ended(&ends(&runtime, 1).await["true"]), Ended::Code(0));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn log_that_cannot_be_written_does_not_change_the_result() {
    let home = Home::new();
    let runtime = home.connect().await;
    let mut start = home.sh("main", "echo here; exit 3");
    start.log = "/proc/no/such/place/0.log".into();
    runtime.start(vec![start]);
    assert_eq!(ended(&ends(&runtime, 1).await["main"]), Ended::Code(3));
    runtime.shutdown(true).await;
}

#[tokio::test]
async fn children_have_the_limit_of_open_files_that_was_given_and_may_raise_it() {
    let home = Home::new();
    let mut argv = windlass_runner::testing::shim_argv();
    argv.extend([windlass_runner::shim::OPEN_FILES.into(), "77".into()]);
    let runtime = windlass_runner::shim::ShimRuntime::connect(home.shim(), argv).await.unwrap();
    runtime.start(vec![home.sh("given", "ulimit -Sn; ulimit -n 78; ulimit -Sn")]);
    assert_eq!(ended(&ends(&runtime, 1).await["given"]), Ended::Code(0));
    assert_eq!(whole(&home.log("given"), ReadOptions::default()).await, b"77\n78\n");
    let shim = std::fs::read_to_string(format!("/proc/{}/limits", runtime.pid().unwrap())).unwrap();
    assert!(!shim.contains("Max open files            77 "), "{shim}");
    runtime.shutdown(true).await;
}
