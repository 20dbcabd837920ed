//! The system calls of a child's life: looking its program up, starting, waiting, killing.
//! It knows no run but the one it is given.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::children::Exit;
use super::procfs;
use super::stdio::{self, Ends};
use crate::runtime::{Ended, Start, StartFailure};

/// Where programs are looked up if the environment has no `PATH`, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A child that was started.
pub(crate) struct Spawned {
    pub(crate) pid: i32,
    pub(crate) ticks: u64,
    pub(crate) ends: Ends,
}

/// Starts a child in a process group of its own, marked, with pipes or a terminal for its streams.
pub(crate) fn spawn(start: &Start) -> Result<Spawned, (StartFailure, String)> {
    let name = start.argv.first().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| (StartFailure::NotFound, "no command was given".to_owned()))?;
    let cwd = start.cwd.as_deref().unwrap_or(Path::new("/"));
    let program = look_up(name, &start.env, cwd)?;
    let mut attempt = attempt(&program, &[], start, cwd);
    if matches!(&attempt, Err(error) if error.raw_os_error() == Some(libc::ENOEXEC)) {
        // A script without a first line that says by what: a shell takes it as its own.
        let script = program.to_string_lossy().into_owned();
        attempt = self::attempt(Path::new("/bin/sh"), &[script], start, cwd);
    }
    attempt.map_err(|error| classify(&error, name, cwd))
}

fn attempt(program: &Path, before: &[String], start: &Start, cwd: &Path) -> io::Result<Spawned> {
    let (ends, child_ends) = stdio::make(start.stdio)?;
    let mut command = command(program, before, start, cwd);
    child_ends.give(&mut command)?;
    let child = command.spawn()?;
    // A pid is positive and fits: the kernel's own type is i32.
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    // Not reaped before it is written down, so that this is the child even if it has ended.
    let ticks = procfs::stat(pid).map_or(0, |stat| stat.ticks);
    Ok(Spawned { pid, ticks, ends })
}

fn command(program: &Path, before: &[String], start: &Start, cwd: &Path) -> Command {
    let mut command = Command::new(program);
    if before.is_empty() {
        command.arg0(&start.argv[0]);
    }
    command.args(before).args(&start.argv[1..]).current_dir(cwd).env_clear();
    command.envs(start.env.iter().map(|(name, value)| (name, value)));
    command.env(procfs::MARK, procfs::mark(&start.key));
    command
}

/// Finds the program as execvp(3) does. Done here because std leaves posix_spawn when `PATH` is given.
fn look_up(name: &str, env: &[(String, String)], cwd: &Path) -> Result<PathBuf, (StartFailure, String)> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, path)| path);
    let mut refused = None;
    for directory in path.split(':') {
        let candidate = cwd.join(directory).join(name);
        match access(&candidate, AccessFlags::X_OK) {
            Ok(()) if candidate.is_file() => return Ok(candidate),
            Err(Errno::EACCES) => refused = Some(candidate),
            _ => {}
        }
    }
    match refused {
        Some(candidate) => Err((
            StartFailure::NotExecutable,
            format!("exec: \"{}\": permission denied", candidate.display()),
        )),
        None => {
            Err((StartFailure::NotFound, format!("exec: \"{name}\": executable file not found in $PATH")))
        }
    }
}

fn classify(error: &io::Error, name: &str, cwd: &Path) -> (StartFailure, String) {
    let directory = format!("the working directory {} ", cwd.display());
    match (cwd.metadata(), error.raw_os_error()) {
        (Err(cause), _) => (StartFailure::NoDirectory, format!("{directory}cannot be entered: {cause}")),
        (Ok(meta), _) if !meta.is_dir() => (StartFailure::NoDirectory, format!("{directory}is no directory")),
        (_, Some(libc::ENOENT | libc::ENOTDIR)) => {
            (StartFailure::NotFound, format!("exec: \"{name}\": {error}"))
        }
        (_, Some(libc::EACCES)) if access(cwd, AccessFlags::X_OK).is_err() => {
            (StartFailure::NoDirectory, format!("{directory}cannot be entered: {error}"))
        }
        (_, Some(libc::EACCES | libc::EPERM | libc::ENOEXEC | libc::ETXTBSY | libc::EISDIR)) => {
            (StartFailure::NotExecutable, format!("exec: \"{name}\": {error}"))
        }
        _ => (StartFailure::Other, format!("exec: \"{name}\": {error}")),
    }
}

/// Waits until some child has ended and leaves it unreaped. `None`: there are no children.
pub(crate) fn wait_for_any() -> Option<i32> {
    loop {
        // nix refuses children that a real-time signal ended, so the call is made here.
        // SAFETY: an all-zero siginfo_t is a valid value of that plain C struct.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is a valid place to write to, and the flags are ones that waitid(2) knows.
        let done = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
        if done == 0 {
            // SAFETY: after a successful waitid the SIGCHLD fields are the ones that are set.
            return Some(unsafe { info.si_pid() });
        }
        if Errno::last() != Errno::EINTR {
            return None;
        }
    }
}

/// Reaps a child that has ended.
pub(crate) fn reap(pid: i32, at: Timestamp) -> Exit {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid value of that plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to valid places; the child is a zombie, so this does not block.
    while unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } < 0 && Errno::last() == Errno::EINTR
    {
    }
    let ended = if libc::WIFSIGNALED(status) {
        Ended::Signal(libc::WTERMSIG(status))
    } else {
        Ended::Code(libc::WEXITSTATUS(status))
    };
    let micros = |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs();
    let cpu_us = micros(usage.ru_utime) + micros(usage.ru_stime);
    Exit { ended, at, cpu_us, peak_bytes: usage.ru_maxrss.unsigned_abs() * 1024 }
}

/// Signals a process group. That nobody is left in it is no error.
pub(crate) fn kill_group(group: i32, signal: i32) {
    if group > 1 {
        kill(-group, signal);
    }
}

/// Signals one process. That it is gone is no error.
pub(crate) fn kill_one(pid: i32, signal: i32) {
    if pid > 1 {
        kill(pid, signal);
    }
}

fn kill(target: i32, signal: i32) {
    // nix has no real-time signals, so the call is made here.
    // SAFETY: kill(2) takes any numbers.
    unsafe { libc::kill(target, signal) };
}

/// A handle on a process that cannot come to mean another one.
pub(crate) fn pidfd(pid: i32) -> Option<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: pidfd_open(2) takes any numbers; there is no wrapper in libc or nix.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0)?;
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Some(unsafe { File::from_raw_fd(fd) })
}
