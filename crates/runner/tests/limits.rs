//! Runs with limits, in real control groups: where this machine has them and this user may. What it does not have is
//! said on stderr and left out.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use windlass_runner::cgroup::Reason;
use windlass_runner::runtime::{Ended, Event, Exec, Limits, Runtime, Start, Unlimited};
use windlass_runner::shim::ShimRuntime;

use common::{Home, ended, ends, entries, is_alive, next};

const MEMORY: Limits = Limits { memory_bytes: Some(32 << 20), cpu_millis: None, pids: None };
const CPU: Limits = Limits { memory_bytes: None, cpu_millis: Some(20), pids: None };
const PIDS: Limits = Limits { memory_bytes: None, cpu_millis: None, pids: Some(16) };

fn limited(start: Start, limits: Limits) -> Start {
    Start { limits: Some(limits), ..start }
}

/// A shim whose runs' limits are enforced, or none where they cannot be.
async fn enforcing(home: &Home, limits: Limits) -> Option<ShimRuntime> {
    let shim = home.connect().await;
    let (unlimited, _) = through(&shim, limited(home.start("probe", &["true"]), limits)).await;
    match unlimited {
        None => Some(shim),
        Some(told) => {
            #[expect(clippy::print_stderr, reason = "what is left out is said")]
            {
                eprintln!("left out: {}", told.message);
            }
            None
        }
    }
}

/// Runs it to its end: what of its limits was not enforced, and the end.
async fn through(shim: &ShimRuntime, start: Start) -> (Option<Unlimited>, Event) {
    let key = start.key.clone();
    shim.start(vec![start]);
    let mut told = None;
    loop {
        for event in next_event(shim).await.into_iter().filter(|event| *event.key() == key) {
            match event {
                Event::Started { unlimited, .. } => told = unlimited.map(|unlimited| *unlimited),
                over => return (told, over),
            }
        }
    }
}

/// The directories of a process's control groups, wherever they are mounted.
fn directories(pid: i32) -> Vec<PathBuf> {
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let paths = own
        .lines()
        .map(|line| line.splitn(3, ':').nth(2).unwrap())
        .filter(|path| path.contains("/windlass-"));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points: Vec<&str> = mounts
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .map(|line| line.split(' ').nth(4).unwrap())
        .collect();
    let own_of_mount = |path: &str| {
        // Of a mount of a part, the path begins with the part.
        points
            .iter()
            .map(|point| Path::new(point).join(path.trim_start_matches('/')))
            .find(|directory| directory.join("cgroup.procs").exists())
    };
    let found: Vec<PathBuf> =
        paths.filter_map(own_of_mount).filter(|path| path.to_string_lossy().contains("/run-")).collect();
    assert!(!found.is_empty(), "{own}");
    found
}

async fn started(shim: &ShimRuntime, container: &str) -> i32 {
    let is_it = |event: &Event| matches!(event, Event::Started { key, .. } if key.container == container);
    let Event::Started { pid, unlimited, .. } = next(shim, is_it).await else { panic!() };
    assert_eq!(unlimited, None);
    pid
}

fn is_out_of_memory(event: &Event) -> bool {
    matches!(event, Event::Exited { out_of_memory: true, .. })
}

#[tokio::test]
async fn program_that_takes_more_memory_than_it_may_is_killed_alone() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, MEMORY).await else { return };
    let before = shim.pid();
    let gate = home.fifo("gate");
    let waiter = home.sh("waiter", &format!("read line < {}", gate.display()));
    shim.start(vec![limited(home.start("hog", &["tail", "/dev/zero"]), MEMORY), limited(waiter, MEMORY)]);
    let hog = next(&shim, |event| matches!(event, Event::Exited { key, .. } if key.container == "hog")).await;
    assert!(is_out_of_memory(&hog), "{hog:?}");
    assert_eq!(ended(&hog), Ended::Signal(9));
    let _open = common::write_fifo(&gate);
    let over = ends(&shim, 1).await;
    assert_eq!((ended(&over["waiter"]), is_out_of_memory(&over["waiter"])), (Ended::Code(0), false));
    assert_eq!(shim.pid(), before);
}

#[tokio::test]
async fn child_that_was_killed_for_memory_is_told_whatever_its_parent_makes_of_it() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, MEMORY).await else { return };
    shim.start(vec![limited(home.sh("parent", "tail /dev/zero; exit 3"), MEMORY)]);
    let over = ends(&shim, 1).await;
    assert!(is_out_of_memory(&over["parent"]), "{over:?}");
    // In version 2 the kernel ends all of a group, in version 1 one process.
    let is_whole =
        std::fs::read_to_string("/proc/self/cgroup").unwrap().lines().all(|line| !line.contains("memory"));
    let expected = if is_whole { Ended::Signal(9) } else { Ended::Code(3) };
    assert_eq!(ended(&over["parent"]), expected);
}

#[tokio::test]
async fn limit_that_is_too_small_for_any_program_ends_it_and_never_the_shim() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, MEMORY).await else { return };
    let before = shim.pid();
    for bytes in [1, 4 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10] {
        let least = Limits { memory_bytes: Some(bytes), ..Limits::default() };
        let (_, over) =
            through(&shim, limited(home.start(&format!("small-{bytes}"), &["true"]), least)).await;
        let is_told = is_out_of_memory(&over)
            || matches!(
                &over,
                Event::Failed { .. } | Event::Exited { ended: Ended::Code(0) | Ended::Signal(_), .. }
            );
        assert!(is_told, "{over:?}");
        assert_eq!(shim.pid(), before, "{bytes}");
    }
}

#[tokio::test]
async fn programs_beside_a_run_that_is_out_of_memory_never_take_the_shim_with_them() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, MEMORY).await else { return };
    let before = shim.pid();
    for round in 0..5 {
        let start = limited(home.start(&format!("hog-{round}"), &["tail", "/dev/zero"]), MEMORY);
        let key = start.key.clone();
        shim.start(vec![start]);
        let beside = async {
            // Until the run has ended, which the last of them is told.
            loop {
                let argv = vec!["true".to_owned()];
                let exec =
                    Exec { key: key.clone(), argv, stdin: false, stdout: false, stderr: false, tty: false };
                match shim.exec(exec).await {
                    Ok(mut session) => drop(session.end.wait().await),
                    Err(_) if shim.pid() != before => return,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let over = async {
            loop {
                let events = next_event(&shim).await;
                if events.iter().any(|event| *event.key() == key && !matches!(event, Event::Started { .. })) {
                    return;
                }
            }
        };
        tokio::select! { () = beside => {}, () = over => {} }
        assert_eq!(shim.pid(), before, "in round {round}");
    }
}

#[tokio::test]
async fn program_that_kills_itself_was_not_out_of_memory() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, MEMORY).await else { return };
    shim.start(vec![limited(home.sh("suicide", "kill -9 $$"), MEMORY)]);
    let over = ends(&shim, 1).await;
    assert_eq!((ended(&over["suicide"]), is_out_of_memory(&over["suicide"])), (Ended::Signal(9), false));
}

#[tokio::test]
async fn program_cannot_have_more_processes_than_it_may() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, PIDS).await else { return };
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do sleep 1000 & done; echo all";
    shim.start(vec![limited(home.sh("bomb", script), PIDS), home.sh("other", script)]);
    let over = ends(&shim, 2).await;
    assert_eq!(ended(&over["other"]), Ended::Code(0), "who has no limit is not held");
    let said = entries(&home.log("bomb"));
    assert!(said.iter().all(|(_, _, line)| line != "all"), "{said:?}");
    assert_ne!(ended(&over["bomb"]), Ended::Code(0));
}

#[tokio::test]
async fn program_that_takes_more_cpu_than_it_may_is_throttled() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, CPU).await else { return };
    let gate = home.fifo("gate");
    // It ends when it has been throttled, however long that takes.
    let script =
        format!("read file < {}; until grep -q 'nr_throttled [1-9]' $file; do :; done", gate.display());
    shim.start(vec![limited(home.sh("busy", &script), CPU)]);
    let directories = directories(started(&shim, "busy").await);
    let place =
        directories.iter().map(|directory| directory.join("cpu.stat")).find(|path| path.exists()).unwrap();
    let mut fifo = std::fs::File::options().read(true).write(true).open(&gate).unwrap();
    std::io::Write::write_all(&mut fifo, format!("{}\n", place.display()).as_bytes()).unwrap();
    let over = ends(&shim, 1).await;
    assert_eq!(ended(&over["busy"]), Ended::Code(0));
    let Event::Exited { cpu_us, .. } = over["busy"] else { panic!() };
    assert!(cpu_us > 0);
}

#[tokio::test]
async fn group_ends_what_has_nothing_left_of_its_run_and_goes() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, PIDS).await else { return };
    let (gate, other) = (home.fifo("gate"), home.fifo("other"));
    // A daemon with a session, an environment and streams of its own, while another run goes on.
    let script = format!(
        "env -i setsid sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!; read line < {}",
        gate.display()
    );
    let waiter = home.sh("waiter", &format!("read line < {}", other.display()));
    shim.start(vec![limited(home.sh("parent", &script), PIDS), limited(waiter, PIDS)]);
    let pid = started_of(&shim, 2, "parent").await;
    let directories = directories(pid);
    assert!(directories.iter().all(|directory| directory.is_dir()));
    let _open = common::write_fifo(&gate);
    let over = ends(&shim, 1).await;
    assert_eq!(ended(&over["parent"]), Ended::Code(0));
    let daemon: i32 = entries(&home.log("parent"))[0].2.parse().unwrap();
    assert!(!is_alive(daemon));
    assert!(directories.iter().all(|directory| !directory.exists()));
    let _other = common::write_fifo(&other);
    ends(&shim, 1).await;
}

#[tokio::test]
async fn many_processes_of_a_run_end_with_it() {
    let home = Home::new();
    let many = Limits { pids: Some(1000), ..Limits::default() };
    let Some(shim) = enforcing(&home, many).await else { return };
    // Daemons, each with a session and an environment of its own, which say that they live; as long as one does, it
    // holds `alive`.
    let (gate, alive) = (home.fifo("gate"), home.fifo("alive"));
    let script = format!(
        "n=0; while [ $n -lt 150 ]; do env -i setsid sh -c 'echo up; exec sleep 1000' < /dev/null > {} 2>&1 & \
         echo $!; n=$((n+1)); done; read line < {}; exit 5",
        alive.display(),
        gate.display()
    );
    let (tell, gone) = tokio::sync::oneshot::channel();
    let (seen, is_seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(File::open(alive).unwrap()).lines();
        let living = lines.by_ref().take(150).count();
        is_seen.recv().unwrap();
        let _open = common::write_fifo(&gate);
        tell.send((living, lines.count()))
    });
    shim.start(vec![limited(home.sh("many", &script), many)]);
    let directories = directories(started(&shim, "many").await);
    seen.send(()).unwrap();
    assert_eq!(ended(&ends(&shim, 1).await["many"]), Ended::Code(5));
    assert_eq!(entries(&home.log("many")).len(), 150);
    // Killed they are; that the machine lets 150 die in time is not this test's.
    let gone = tokio::time::timeout(common::PATIENCE, gone).await.expect("they die in time");
    assert_eq!(gone.unwrap(), (150, 0));
    shim.shutdown(true).await;
    assert!(directories.iter().all(|directory| !directory.exists()));
}

/// Waits until so many have started, and answers the pid of one.
async fn started_of(shim: &ShimRuntime, count: usize, container: &str) -> i32 {
    let (mut seen, mut found) = (0, None);
    while seen < count {
        let event = next_event(shim).await;
        for event in event {
            if let Event::Started { key, pid, .. } = event {
                seen += 1;
                found = found.or((key.container == container).then_some(pid));
            }
        }
    }
    found.expect("it started")
}

async fn next_event(shim: &ShimRuntime) -> Vec<Event> {
    tokio::time::timeout(common::PATIENCE, shim.events()).await.expect("events come in time").unwrap()
}

#[tokio::test]
async fn group_of_a_shim_that_was_killed_is_ended_and_removed_by_the_next() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, PIDS).await else { return };
    let script = "env -i setsid sleep 1000 < /dev/null > /dev/null 2>&1 & echo $! > $0; exec sleep 1000";
    let note = home.fifo("note");
    let argv = ["sh", "-c", script, note.to_str().unwrap()];
    shim.start(vec![limited(home.start("left", &argv), PIDS)]);
    let pid = started(&shim, "left").await;
    let daemon: i32 = common::read_fifo(&note).await.trim().parse().unwrap();
    let directories = directories(pid);
    let killed = i32::try_from(shim.pid().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(killed), nix::sys::signal::Signal::SIGKILL).unwrap();
    // The runtime starts another one, which tells what became of the run.
    next(&shim, |event| matches!(event, Event::Lost { .. })).await;
    assert!(!is_alive(pid) && !is_alive(daemon));
    assert!(directories.iter().all(|directory| !directory.exists()));
    // And limits hold again.
    let (unlimited, over) = through(&shim, limited(home.sh("after", "exit 7"), PIDS)).await;
    assert_eq!((unlimited, ended(&over)), (None, Ended::Code(7)));
}

#[tokio::test]
async fn shim_that_leaves_takes_its_groups_with_it() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, PIDS).await else { return };
    let gate = home.fifo("gate");
    shim.start(vec![limited(home.sh("one", &format!("read line < {}", gate.display())), PIDS)]);
    let directories = directories(started(&shim, "one").await);
    let _open = common::write_fifo(&gate);
    ends(&shim, 1).await;
    shim.shutdown(false).await;
    for base in directories.iter().map(|directory| directory.parent().unwrap()) {
        // In version 2 the engine, which is this test, may be in a leaf of it.
        assert!(!base.exists() || base.join("engine").exists(), "{}", base.display());
    }
}

#[tokio::test]
async fn program_beside_a_run_has_its_limits() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, PIDS).await else { return };
    let gate = home.fifo("gate");
    let start = limited(home.sh("main", &format!("read line < {}", gate.display())), PIDS);
    let key = start.key.clone();
    shim.start(vec![start]);
    let pid = started(&shim, "main").await;
    let argv = ["cat", "/proc/self/cgroup"].map(str::to_owned).to_vec();
    let exec = Exec { key, argv, stdin: false, stdout: true, stderr: false, tty: false };
    let mut session = shim.exec(exec).await.unwrap();
    let (mut said, output) = (Vec::new(), session.stdout.as_mut().unwrap());
    loop {
        let more =
            tokio::time::timeout(common::PATIENCE, output.read()).await.expect("it ends in time").unwrap();
        if more.is_empty() {
            break;
        }
        said.extend_from_slice(&more);
    }
    let said = String::from_utf8(said).unwrap();
    let groups = |text: &str| {
        text.lines().filter(|line| line.contains("/run-")).map(str::to_owned).collect::<Vec<_>>()
    };
    let own = groups(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap());
    assert!(!own.is_empty());
    assert_eq!(groups(&said), own);
    let _open = common::write_fifo(&gate);
    ends(&shim, 1).await;
}

#[tokio::test]
async fn run_without_limits_has_no_group() {
    let home = Home::new();
    let shim = home.connect().await;
    shim.start(vec![home.sh("free", "cat /proc/self/cgroup")]);
    ends(&shim, 1).await;
    let said = entries(&home.log("free"));
    assert!(said.iter().all(|(_, _, line)| !line.contains("/run-")), "{said:?}");
    assert!(!home.shim().join("groups").exists());
}

#[tokio::test]
async fn run_whose_program_is_not_there_leaves_no_group() {
    let home = Home::new();
    let Some(shim) = enforcing(&home, PIDS).await else { return };
    shim.start(vec![limited(home.start("absent", &["/no/such/program"]), PIDS)]);
    let over = ends(&shim, 1).await;
    assert!(matches!(over["absent"], Event::Failed { .. }), "{over:?}");
    for base in std::fs::read_to_string(home.shim().join("groups")).unwrap().lines() {
        let left = std::fs::read_dir(base).unwrap().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("run-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Where the user may not: the run goes on, and its start says what is not enforced.
#[tokio::test]
async fn ordinary_user_without_a_group_is_told_so() {
    const AGAIN: &str = "WINDLASS_TEST_ORDINARY";
    #[expect(clippy::disallowed_methods, reason = "says which of the two processes of this test this is")]
    let is_ordinary = std::env::var_os(AGAIN).is_some();
    if nix::unistd::geteuid().is_root() && !is_ordinary {
        // Once more as nobody, if the user nobody can get at this program.
        let name = "ordinary_user_without_a_group_is_told_so";
        let mut again = std::process::Command::new("setpriv");
        again
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(std::env::current_exe().unwrap());
        again.args(["--exact", name, "--nocapture"]).env(AGAIN, "1").current_dir("/");
        let told = again.output().unwrap();
        let said =
            String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
        assert!(
            told.status.success() && said.contains("1 passed") || said.contains("Permission denied"),
            "{said}"
        );
        return;
    }
    let home = Home::new();
    let shim = home.connect().await;
    let all = Limits { memory_bytes: Some(64 << 20), cpu_millis: Some(500), pids: Some(50) };
    let (unlimited, over) = through(&shim, limited(home.sh("main", "exit 3"), all)).await;
    assert_eq!(ended(&over), Ended::Code(3));
    // Where the user may after all there is nothing to tell.
    if let Some(Unlimited { reason, message }) = &unlimited {
        assert!(*reason != Reason::Refused && message.contains("not enforced: "), "{message}");
        assert!(!home.shim().join("groups").exists());
    }
}
