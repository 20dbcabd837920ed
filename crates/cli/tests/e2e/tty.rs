//! `windlass run -t` and `-i` in a terminal, as somebody sits before it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::libc;
use nix::pty::Winsize;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;

use crate::home::{Home, terminal};

/// The longest that anything may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// A terminal with a command in it.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    /// The command's side.
    side: OwnedFd,
    shows: mpsc::Receiver<Vec<u8>>,
    seen: String,
    before: Termios,
}

impl Terminal {
    pub(crate) fn start(mut command: Command, columns: u16, rows: u16) -> Terminal {
        let (keys, theirs) = terminal(columns, rows);
        let side = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "vt100");
        // SAFETY: two system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let before = tcgetattr(&theirs).unwrap();
        let child = command.spawn().unwrap();
        let mut reader = keys.try_clone().unwrap();
        let (sender, shows) = mpsc::channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count) = reader.read(&mut chunk) {
                if count == 0 || sender.send(chunk[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Terminal { child, keys, side: theirs, shows, seen: String::new(), before }
    }

    /// Waits until this has been shown; all that was.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> &str {
        while !self.seen.contains(text) {
            let bytes = self.shows.recv_timeout(DEADLINE);
            let bytes = bytes.unwrap_or_else(|error| panic!("{error}: no {text:?} in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        &self.seen
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.side).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    /// Waits for the command's end; the terminal must be as it was before.
    #[track_caller]
    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let after = tcgetattr(self.side.as_fd()).unwrap();
        assert_eq!(after.local_flags, self.before.local_flags);
        assert_eq!(after.input_flags, self.before.input_flags);
        assert_eq!(after.output_flags, self.before.output_flags);
        while let Ok(bytes) = self.shows.try_recv() {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status, std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn shell(home: &Home, options: &[&str], script: &str) -> Terminal {
    Terminal::start(home.command(&[&["run"], options, &["--", "sh", "-c", script]].concat()), 111, 37)
}

#[test]
fn keys_go_to_the_job_and_what_it_shows_comes_here() {
    let home = Home::new();
    let mut terminal =
        shell(&home, &["-t"], "read x; printf 'name? '; read name; echo \"hello $name on $TERM\"; exit 7");
    // Nothing is shown before the terminal is attached, so that the log has no part in it.
    terminal.shows("job ");
    terminal.types("\r");
    terminal.shows("name? ");
    terminal.types("you\r");
    terminal.shows("hello you on vt100\r\n");
    let (status, seen) = terminal.end();
    assert_eq!(status.code(), Some(7), "{seen}");
    assert_eq!(seen.matches("name? ").count(), 1, "{seen:?}");
}

#[test]
fn size_is_this_terminals_and_follows_it() {
    let home = Home::new();
    let script = "read x; stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut terminal = shell(&home, &["-t"], script);
    terminal.shows("job ");
    terminal.types("\r");
    terminal.shows("37 111");
    terminal.shows("ready");
    // SAFETY: the descriptor is open, and TIOCSWINSZ reads a winsize.
    unsafe { libc::ioctl(terminal.keys.as_raw_fd(), libc::TIOCSWINSZ, &raw const *Box::new(size(90, 20))) };
    terminal.shows("20 90");
    assert_eq!(terminal.end().0.code(), Some(0));
}

#[test]
fn ctrl_c_is_a_key_of_the_jobs() {
    let home = Home::new();
    let script = "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.05; done";
    let mut terminal = shell(&home, &["-t"], script);
    terminal.shows("up");
    while !terminal.is_raw() {
        std::thread::yield_now();
    }
    terminal.types("\x03");
    terminal.shows("caught");
    assert_eq!(terminal.end().0.code(), Some(9));
}

#[test]
fn signal_cancels_the_job_and_gives_the_terminal_back() {
    for signal in [Signal::SIGTERM, Signal::SIGQUIT] {
        let home = Home::new();
        let mut terminal = shell(&home, &["-t"], "echo up; exec sleep 600");
        terminal.shows("up");
        while !terminal.is_raw() {
            std::thread::yield_now();
        }
        kill(Pid::from_raw(terminal.child.id().cast_signed()), signal).unwrap();
        let (status, seen) = terminal.end();
        // The one is listened to, the other ends the process as it always does.
        let expected = if signal == Signal::SIGTERM { Some(130) } else { None };
        assert_eq!(status.code(), expected, "{seen}");
    }
}

#[test]
fn job_that_ends_at_once_has_shown_all() {
    let home = Home::new();
    let mut terminal = shell(&home, &["-t"], "test -t 1 && seq 500; exit 2");
    terminal.shows("\n500\r\n");
    let (status, seen) = terminal.end();
    assert_eq!(status.code(), Some(2), "{seen}");
    assert_eq!(seen.matches("\n250\r\n").count(), 1, "{seen}");
}

#[test]
fn interactive_without_a_terminal_reads_lines_until_ctrl_d() {
    let home = Home::new();
    let mut terminal = shell(&home, &["-i"], "test -t 0 || echo none; wc -l; exit 4");
    terminal.shows("none");
    terminal.types("one\ntwo\n\x04");
    terminal.shows("2\r\n");
    assert_eq!(terminal.end().0.code(), Some(4));
}

#[test]
fn terminal_as_stdin_is_not_passed_on_unasked() {
    let home = Home::new();
    let terminal = shell(&home, &[], "cat; exit 5");
    assert_eq!(terminal.end().0.code(), Some(5));
}

#[test]
fn terminal_that_is_only_looked_at_needs_no_keys() {
    let home = Home::new();
    let ended = home.windlass(&["run", "-q", "-t", "--", "sh", "-c", "test -t 0 && test -t 1 && echo it is"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "it is\r\n"), "{ended:?}");
    let ended = home.script(r#"echo | "$windlass" run -t -- cat"#);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("--tty: stdin is no terminal"), "{}", ended.stderr);
}
