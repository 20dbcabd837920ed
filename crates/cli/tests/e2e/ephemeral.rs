//! `up --ephemeral`: a private engine for one command, of which nothing is left.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::{Home, Running, finish, gone, lives};

/// `up --ephemeral` with these arguments, its temporary home below the test's.
fn ephemeral(home: &Home, args: &[&str]) -> Command {
    let temporary = home.file("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut command = home.command(&[&["up", "--ephemeral"], args].concat());
    command.env("TMPDIR", temporary);
    command
}

/// What is left of private engines.
fn left(home: &Home) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.file("tmp")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The process of the engine of a private home.
fn engine(root: &Path) -> i32 {
    let state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("engine.json")).unwrap()).unwrap();
    i32::try_from(state["pid"].as_i64().unwrap()).unwrap()
}

/// Starts one whose command has started a job and tells the job's process; all three, and its home.
fn with_a_job(home: &Home) -> (Running, i32, PathBuf) {
    let script = r#"trap 'exit 3' TERM HUP
        "$windlass" run -q -- sh -c 'echo $$; exec sleep 600' & wait; wait"#;
    let mut command = ephemeral(home, &["--", "sh", "-c", script]);
    command.env("windlass", env!("CARGO_BIN_EXE_windlass"));
    let mut running = Running::start(command);
    let job = running.stdout_has("").trim().parse().unwrap();
    assert!(lives(job));
    let root = left(home).remove(0);
    (running, job, root)
}

#[test]
fn a_command_has_an_engine_of_its_own_and_its_code_is_passed_on() {
    let home = Home::new();
    let script = r#""$windlass" run -q -- echo from a job && echo "$WINDLASS_HOME" && test -s "$KUBECONFIG" && exit 7"#;
    let mut command = ephemeral(&home, &["--", "sh", "-c", script]);
    command.env("windlass", env!("CARGO_BIN_EXE_windlass")).env("WINDLASS_CONTEXT", "elsewhere");
    let ended = finish(command);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(
        ended.stdout.starts_with("from a job\n") && ended.stdout.contains("windlass-ephemeral-"),
        "{ended:?}"
    );
    assert_eq!(left(&home), [] as [PathBuf; 0]);
    assert!(!home.state().exists(), "the usual home is not touched");
}

#[test]
fn a_command_that_is_not_there_ends_as_in_a_shell() {
    let home = Home::new();
    let ended = finish(ephemeral(&home, &["--", "no-such-command"]));
    assert_eq!(ended.code, Some(127), "{ended:?}");
    assert!(ended.stderr.contains("no-such-command"), "{ended:?}");
    let file = home.write("file", "no program");
    let ended = finish(ephemeral(&home, &["--", file.to_str().unwrap()]));
    assert_eq!(ended.code, Some(126), "{ended:?}");
    assert_eq!(left(&home), [] as [PathBuf; 0]);
}

#[test]
fn a_killed_command_leaves_nothing() {
    let home = Home::new();
    let ended = finish(ephemeral(&home, &["--", "sh", "-c", "kill -KILL $$"]));
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert_eq!(left(&home), [] as [PathBuf; 0]);
}

#[test]
fn signals_are_handed_on_and_its_jobs_end_with_it() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let home = Home::new();
        let (running, job, root) = with_a_job(&home);
        let engine = engine(&root);
        running.signal(signal);
        assert_eq!(running.end().code, Some(3), "{signal}");
        assert!(!lives(job) && !lives(engine), "{signal}");
        assert_eq!(left(&home), [] as [PathBuf; 0]);
    }
}

#[test]
fn after_its_owners_kill_the_engine_ends_its_jobs_and_goes() {
    let home = Home::new();
    let (running, job, root) = with_a_job(&home);
    let engine = engine(&root);
    running.signal(Signal::SIGKILL);
    gone(engine);
    assert!(!lives(job));
    assert_eq!(left(&home), [] as [PathBuf; 0]);
}

#[test]
fn after_its_owners_kill_the_command_ends_too() {
    let home = Home::new();
    let mut running = Running::start(ephemeral(&home, &["--", "sh", "-c", "echo $$; exec sleep 600"]));
    let command = running.stdout_has("").trim().parse().unwrap();
    let engine = engine(&left(&home).remove(0));
    running.signal(Signal::SIGKILL);
    gone(command);
    gone(engine);
    assert_eq!(left(&home), [] as [PathBuf; 0]);
}

#[test]
fn what_a_killed_owner_and_a_killed_engine_left_the_next_one_removes() {
    let home = Home::new();
    let (running, job, root) = with_a_job(&home);
    let engine = engine(&root);
    kill(Pid::from_raw(engine), Signal::SIGSTOP).unwrap();
    running.signal(Signal::SIGKILL);
    kill(Pid::from_raw(engine), Signal::SIGKILL).unwrap();
    gone(engine);
    // Who followed the job has it open, and touches the home no more when it closes it.
    running.end();
    assert!(root.exists());
    assert_eq!(finish(ephemeral(&home, &["--", "true"])).code, Some(0));
    assert_eq!(left(&home), [] as [PathBuf; 0]);
    // The shim finds its directory gone.
    gone(job);
}

#[test]
fn without_a_command_it_tells_its_kubeconfig_and_stays_until_interrupted() {
    let home = Home::new();
    let mut running = Running::start(ephemeral(&home, &[]));
    let kubeconfig = running.stdout_has("kubeconfig");
    let mut run = home.command(&["run", "-q", "--kubeconfig", kubeconfig.trim(), "--", "echo", "hi"]);
    run.env_remove("WINDLASS_HOME");
    let ended = finish(run);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hi\n"), "{ended:?}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().code, Some(0));
    assert_eq!(left(&home), [] as [PathBuf; 0]);
}

#[test]
fn an_engine_that_dies_under_its_command_comes_back_and_leaves_nothing_either() {
    let home = Home::new();
    let script = r#"kill -KILL $(grep -o '"pid": [0-9]*' "$WINDLASS_HOME/engine.json" | grep -o '[0-9]*')
        "$windlass" run -q -- echo still here"#;
    let mut command = ephemeral(&home, &["--", "sh", "-c", script]);
    command.env("windlass", env!("CARGO_BIN_EXE_windlass"));
    let ended = finish(command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "still here\n"), "{ended:?}");
    assert_eq!(left(&home), [] as [PathBuf; 0]);
}

#[test]
fn two_at_once_do_not_meet() {
    let home = Home::new();
    let script = r#""$windlass" run -q --name one -- echo done; "$windlass" list -o name"#;
    let start = || {
        let mut command = ephemeral(&home, &["--", "sh", "-c", script]);
        command.env("windlass", env!("CARGO_BIN_EXE_windlass"));
        Running::start(command)
    };
    let both = [start(), start()];
    for running in both {
        let ended = running.end();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "done\none\n"), "{ended:?}");
    }
    assert_eq!(left(&home), [] as [PathBuf; 0]);
}
