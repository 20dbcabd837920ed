//! What a person at a terminal sees, and what happens when the terminal goes.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::home::{Home, job_of, terminal};

/// Starts a command as the first of a session whose terminal this is.
fn start(mut command: Command, theirs: &OwnedFd, stderr: Stdio) -> Child {
    let end = || Stdio::from(theirs.try_clone().unwrap());
    command.stdin(end()).stdout(end()).stderr(stderr);
    // SAFETY: both calls are safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command.spawn().unwrap()
}

/// Reads until this was said; all that was.
#[track_caller]
fn until(ours: &mut File, text: &str) -> String {
    let mut seen = String::new();
    let mut bytes = [0; 1024];
    while !seen.contains(text) {
        let count = ours.read(&mut bytes).unwrap_or_else(|error| panic!("{error}: no {text:?} in {seen:?}"));
        assert!(count > 0, "no {text:?} in {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    seen
}

#[test]
fn a_closed_terminal_leaves_the_job_running_and_says_how_to_follow_it() {
    let home = Home::new();
    let (mut ours, theirs) = terminal(0, 0);
    let script = "echo up; while ! test -e go; do sleep 0.05; echo tick; done; exit 3";
    let stderr = File::create(home.file("stderr")).unwrap();
    let command = home.command(&["run", "--", "sh", "-c", script]);
    let mut child = start(command, &theirs, stderr.into());
    drop(theirs);
    until(&mut ours, "up");
    drop(ours);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let said = std::fs::read_to_string(home.file("stderr")).unwrap();
    let name = job_of(said.lines().find(|line| line.starts_with("windlass: job ")).unwrap());
    assert!(said.contains(&format!("windlass logs -f {name}")), "{said}");
    home.write("go", "");
    assert_eq!(home.windlass(&["wait", &name]).code, Some(3));
}

#[test]
fn a_terminal_shows_what_is_waited_for_and_gets_its_line_back() {
    let home = Home::new();
    home.ok(&["up"]);
    let (mut ours, theirs) = terminal(0, 0);
    let command = home.command(&["run", "--no-fail-fast", "--image", "i", "--", "true"]);
    let end = Stdio::from(theirs.try_clone().unwrap());
    let mut child = start(command, &theirs, end);
    drop(theirs);
    let seen = until(&mut ours, "blocked by");
    assert!(seen.contains("\r\u{1b}[K"), "{seen:?}");
    home.ok(&["cancel", "last"]);
    let seen = until(&mut ours, "cancelled by");
    assert!(seen.contains("\r\u{1b}[K"), "{seen:?}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // The same without a terminal has no such line.
    let ended = home.windlass(&["run", "--give-up-after", "1s", "--image", "i", "--", "true"]);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn a_terminal_shows_how_far_many_tasks_are_in_one_line() {
    let home = Home::new();
    let (mut ours, theirs) = terminal(0, 0);
    let tasks = ["--completions", "3", "--parallelism", "1", "--indexed", "--log-dir", "logs"];
    let script = "while [ $JOB_COMPLETION_INDEX = 1 ] && ! test -e go; do sleep 0.05; done";
    let command = home.command(&[&["run"], &tasks[..], &["--", "sh", "-c", script]].concat());
    let end = Stdio::from(theirs.try_clone().unwrap());
    let mut child = start(command, &theirs, end);
    drop(theirs);
    let seen = until(&mut ours, "\r\u{1b}[K[########----------------] 1/3, 1 running, 1 waiting, ");
    home.write("go", "");
    let rest = until(&mut ours, "3 of 3 succeeded");
    // What is there is taken back before anything is said.
    assert!(rest.contains("\r\u{1b}[Kwindlass: ") && !seen.contains("done"), "{seen:?} {rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
