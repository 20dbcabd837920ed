//! Ctrl-C, a second one, a closed terminal, a reader that goes away.

use nix::sys::signal::Signal;

use crate::home::{Home, Running, job_of};

/// Starts a job that has said `up`, and its name.
fn started(home: &Home, options: &[&str], script: &str) -> (Running, String) {
    let mut running =
        Running::start(home.command(&[&["run"], options, &["--", "sh", "-c", script]].concat()));
    let name = job_of(&running.stderr_has("windlass: job "));
    running.stdout_has("up");
    (running, name)
}

#[test]
fn ctrl_c_cancels_with_grace_and_follows_to_the_end() {
    let home = Home::new();
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let (running, name) = started(&home, &[], script);
    running.signal(Signal::SIGINT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stdout.ends_with("bye\n"), "{ended:?}");
    let list = home.ok(&["list"]);
    assert!(list.contains(&name) && list.contains("Cancelled"), "{list}");
}

#[test]
fn ctrl_c_twice_kills_what_ignores_the_first() {
    let home = Home::new();
    let script = "trap '' TERM INT; echo up; while :; do sleep 0.05; done";
    let (mut running, _) = started(&home, &[], script);
    running.signal(Signal::SIGINT);
    running.stderr_has("cancelling");
    running.signal(Signal::SIGINT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
}

#[test]
fn a_terminal_that_is_closed_after_ctrl_c_takes_nothing_from_the_grace() {
    let home = Home::new();
    let script = "trap 'while ! test -e go; do sleep 0.05; done; echo yes > saved; exit 0' TERM; echo up; \
                  while :; do sleep 0.05; done";
    let (mut running, name) = started(&home, &[], script);
    running.signal(Signal::SIGINT);
    running.stderr_has("cancelling");
    running.signal(Signal::SIGHUP);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("is being ended"), "{ended:?}");
    home.write("go", "");
    assert_eq!(home.windlass(&["wait", &name]).code, Some(130));
    assert!(home.file("saved").exists());
}

#[test]
fn a_lost_terminal_detaches_and_says_how_to_follow() {
    let home = Home::new();
    let (running, name) = started(&home, &[], "echo up; while ! test -e go; do sleep 0.05; done; exit 3");
    running.signal(Signal::SIGHUP);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains(&format!("windlass logs -f {name}")), "{}", ended.stderr);
    home.write("go", "");
    assert_eq!(home.windlass(&["wait", &name]).code, Some(3));
}

#[test]
fn on_interrupt_detach_leaves_the_job_running() {
    let home = Home::new();
    let script = "echo up; while ! test -e go; do sleep 0.05; done";
    let (running, name) = started(&home, &["--on-interrupt", "detach"], script);
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().code, Some(130));
    home.write("go", "");
    home.ok(&["wait", &name]);
}

#[test]
fn a_reader_that_goes_away_ends_the_job_as_it_would_end_a_process() {
    let home = Home::new();
    let ended = home
        .script(r#""$windlass" run --name endless -- yes | head -n 2; "$windlass" wait endless; echo $?"#);
    assert_eq!(ended.stdout, "y\ny\n130\n", "{ended:?}");
}

#[test]
fn short_commands_end_quietly_when_nobody_reads() {
    let home = Home::new();
    let ended =
        home.script(r#""$windlass" completions bash | head -n 1 > /dev/null; "$windlass" --help | true"#);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
}

#[test]
fn a_hang_up_that_was_ignored_from_the_start_stays_ignored() {
    let home = Home::new();
    let mut command = home.program("nohup");
    command.args([env!("CARGO_BIN_EXE_windlass"), "run", "--", "sh", "-c"]);
    command.arg("echo up; while ! test -e go; do sleep 0.05; done; exit 4");
    let mut running = Running::start(command);
    running.stdout_has("up");
    running.signal(Signal::SIGHUP);
    home.write("go", "");
    assert_eq!(running.end().code, Some(4));
}
