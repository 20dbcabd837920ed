//! A home with an engine of its own, and the commands that are run on it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The longest that any command of a test may take.
const DEADLINE: Duration = Duration::from_secs(600);
const WINDLASS: &str = env!("CARGO_BIN_EXE_windlass");

/// A home below a temporary directory; its engine ends with it.
pub(crate) struct Home {
    dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home { dir: tempfile::tempdir().unwrap() }
    }

    /// A file below the temporary directory, outside the engine's home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file there.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Has another process write a file that can be executed: what this one has open for writing is, for a moment, also
    /// open in whatever another test starts meanwhile, and cannot be executed as long (`Text file busy`).
    pub(crate) fn executable(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        let mut install = Command::new("install");
        let mut child =
            install.args(["-m", "755", "/dev/stdin"]).arg(&path).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        path
    }

    /// The engine's home.
    pub(crate) fn state(&self) -> PathBuf {
        self.file("state")
    }

    /// A program in the environment of the tests: nothing of the caller's but PATH.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        #[expect(
            clippy::disallowed_methods,
            reason = "the commands under test are found as the caller's are"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.dir.path()).env("USER", "tester");
        command.env("WINDLASS_HOME", self.state()).current_dir(self.dir.path());
        // What runs these tests may have them ignore signals (nohup, a shell's background), and so would all they start.
        // SAFETY: `signal` is safe to call between fork and exec.
        unsafe {
            command.pre_exec(|| {
                for ignored in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
                    signal(ignored, SigHandler::SigDfl)?;
                }
                Ok(())
            });
        }
        command
    }

    /// `windlass` with these arguments.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = self.program(WINDLASS);
        command.args(args);
        command
    }

    /// Runs it to its end.
    pub(crate) fn windlass<S: AsRef<OsStr>>(&self, args: &[S]) -> Ended {
        finish(self.command(args))
    }

    /// Runs it; it must succeed. Its stdout.
    #[track_caller]
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let ended = self.windlass(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }

    /// A shell script; `windlass` is in its PATH.
    pub(crate) fn script(&self, script: &str) -> Ended {
        let mut command = self.program("sh");
        command.args(["-c", script]).env("windlass", WINDLASS);
        finish(command)
    }

    /// The running engine's process, by its own word.
    pub(crate) fn engine(&self) -> Option<i32> {
        let state = std::fs::read(self.state().join("engine.json")).ok()?;
        let state: serde_json::Value = serde_json::from_slice(&state).ok()?;
        i32::try_from(state["pid"].as_i64()?).ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.state().join("lock").exists() {
            return;
        }
        let ended = finish(self.command(&["down", "--force"]));
        if ended.code != Some(0)
            && let Some(pid) = self.engine()
        {
            _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Runs a command to its end, and its output to its own: whoever holds its pipes open is found out here.
pub(crate) fn finish(mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::of(command.spawn().unwrap()).end()
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
    seen: (String, String),
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::of(command.spawn().unwrap())
    }

    /// Starts a command that reads this.
    pub(crate) fn reading(mut command: Command, stdin: impl Into<Stdio>) -> Running {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::of(command.spawn().unwrap())
    }

    /// The writing end of its stdin, if it reads a pipe.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    fn of(mut child: Child) -> Running {
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Running { child, stdout, stderr, seen: Default::default() }
    }

    /// Waits for a line of stdout that contains this.
    #[track_caller]
    pub(crate) fn stdout_has(&mut self, text: &str) -> String {
        await_line(&self.stdout, &mut self.seen.0, text)
    }

    /// Waits for a line of stderr that contains this.
    #[track_caller]
    pub(crate) fn stderr_has(&mut self, text: &str) -> String {
        await_line(&self.stderr, &mut self.seen.1, text)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end and its output's.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        rest(&self.stdout, &mut self.seen.0, &mut self.child);
        rest(&self.stderr, &mut self.seen.1, &mut self.child);
        let status: ExitStatus = self.child.wait().unwrap();
        let (stdout, stderr) = std::mem::take(&mut self.seen);
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A stream's lines, with their line ends.
fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

#[track_caller]
fn await_line(stream: &mpsc::Receiver<String>, seen: &mut String, text: &str) -> String {
    loop {
        let line = stream.recv_timeout(DEADLINE);
        let line = line.unwrap_or_else(|error| panic!("{error}: no {text:?} in {seen:?}"));
        seen.push_str(&line);
        if line.contains(text) {
            return line;
        }
    }
}

#[track_caller]
fn rest(stream: &mpsc::Receiver<String>, seen: &mut String, child: &mut Child) {
    loop {
        match stream.recv_timeout(DEADLINE) {
            Ok(line) => seen.push_str(&line),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                _ = child.kill();
                panic!("the command has not ended its output after {DEADLINE:?}; so far: {seen:?}");
            }
        }
    }
}

/// A terminal of this size: our end, and the command's. No process that another test starts meanwhile has either.
pub(crate) fn terminal(columns: u16, rows: u16) -> (File, OwnedFd) {
    let ours = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ptsname_r(&ours).unwrap();
    let theirs = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(theirs).unwrap();
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and TIOCSWINSZ reads a winsize.
    assert_eq!(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    // SAFETY: the descriptor has just been given up by its owner.
    let ours = unsafe { File::from_raw_fd(ours.into_raw_fd()) };
    (ours, theirs.into())
}

/// Waits until something holds that a change in a directory brings about.
#[track_caller]
pub(crate) fn until(directory: &Path, holds: impl Fn() -> bool) {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
    inotify.add_watch(directory, AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE).unwrap();
    while !holds() {
        let mut poll = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        let millis = PollTimeout::try_from(DEADLINE).unwrap();
        assert_eq!(nix::poll::poll(&mut poll, millis).unwrap(), 1, "it never came so far");
        inotify.read_events().unwrap();
    }
}

/// Waits until a process of somebody else's has gone.
#[track_caller]
pub(crate) fn gone(pid: i32) {
    let Some(fd) = pidfd(pid) else { return };
    let mut poll = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let millis = PollTimeout::try_from(DEADLINE).unwrap();
    assert_eq!(
        nix::poll::poll(&mut poll, millis).unwrap(),
        1,
        "process {pid} has not ended after {DEADLINE:?}"
    );
}

/// A descriptor that becomes readable when the process ends; none if there is no such process.
fn pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just given it to us.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The name of the job that `run` says on stderr.
pub(crate) fn job_of(line: &str) -> String {
    line.trim().rsplit(' ').next().unwrap().to_owned()
}

/// Whether a process runs: one that nobody has reaped yet does not.
pub(crate) fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
