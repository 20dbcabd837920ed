//! The system calls of a child's life: looking its program up, starting, waiting, killing.
//! It knows no run but the one it is given.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, access};

use super::children::Exit;
use super::privileges::Privileges;
use super::procfs::{self, Birth};
use super::stdio::{self, ChildEnds, Ends};
use super::vfork::{self, Image, Launched, Launcher, Strings, Way};
use crate::cgroup::{Groups, RunGroup, Unlimited};
use crate::exec::Exec;
use crate::mounts::{Entrance, Failure, Join};
use crate::rights::Rights;
use crate::runtime::{Ended, Key, Start, StartFailure};
use crate::text::Text;
use crate::world;

/// Where programs are looked up if the environment has no `PATH`, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The variable that tells a program beside a run the pid of the run's first process.
const FIRST: &str = "WINDLASS_PID";

/// A child that was started.
pub(crate) struct Spawned {
    pub(crate) pid: i32,
    pub(crate) birth: Birth,
    pub(crate) ends: Ends,
    /// Its control group, and which of its limits are not enforced.
    pub(crate) group: Option<RunGroup>,
    pub(crate) unlimited: Option<Unlimited>,
}

/// A thread's means to start children.
pub(crate) struct Spawner {
    launcher: Launcher,
    nothing: File,
    nowhere: File,
    open_files: Option<libc::rlimit>,
    groups: Arc<Groups>,
}

/// What all that the shim starts is started with.
#[derive(Clone)]
pub(crate) struct Means {
    /// How many files a child may have open until it asks for more; none: as many as the shim.
    pub(crate) open_files: Option<u64>,
    /// Where runs with limits are put.
    pub(crate) groups: Arc<Groups>,
}

/// Where a run's process was started, for whoever is to be started beside it.
pub(crate) struct Surroundings {
    pub(crate) env: Vec<(String, Text)>,
    pub(crate) cwd: PathBuf,
    /// Whether it has a file system of its own.
    pub(crate) has_space: bool,
    /// What it is without.
    pub(crate) rights: Option<Box<Rights>>,
    /// Its control group.
    pub(crate) group: Option<RunGroup>,
    /// Its limits that are not enforced.
    pub(crate) unlimited: Option<Box<Unlimited>>,
}

/// A program to start beside a run.
pub(crate) struct Beside {
    /// The run, by its number.
    pub(crate) run: u64,
    pub(crate) exec: Exec,
    pub(crate) surroundings: Arc<Surroundings>,
    /// The run's first process.
    pub(crate) first: i32,
    /// The way into the run's file system, if it has one of its own.
    pub(crate) join: Option<Join>,
}

impl Surroundings {
    /// What a start was told, and what came of its limits.
    pub(crate) fn of(start: Start, group: Option<RunGroup>, unlimited: Option<Unlimited>) -> Surroundings {
        let cwd = start.cwd.unwrap_or_else(|| PathBuf::from("/"));
        let unlimited = unlimited.map(Box::new);
        Surroundings {
            env: start.env,
            cwd,
            has_space: start.space.is_some(),
            rights: start.rights,
            group,
            unlimited,
        }
    }
}

/// A child to be.
struct Child<'a> {
    argv: &'a [String],
    env: &'a [(String, Text)],
    key: &'a Key,
    cwd: &'a Path,
    way: Way<'a>,
    /// Whether its process group is also a session.
    session: bool,
    rights: Option<&'a Rights>,
    group: Option<&'a RunGroup>,
    /// It is begun beside this process of its run: where that is held to its limits, it is, or is not begun.
    beside: Option<i32>,
    streams: &'a dyn Fn() -> io::Result<(Ends, ChildEnds)>,
}

impl Spawner {
    /// To be made by the thread that uses it.
    ///
    /// `made` holds the pid of a child from before its first step on. It is reset when its program cannot be executed;
    /// otherwise by whoever has written the child down.
    pub(crate) fn new(made: Arc<AtomicI32>, means: Means) -> io::Result<Spawner> {
        let Means { open_files, groups } = means;
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let open_files = open_files.map(|soft| libc::rlimit { rlim_cur: soft.min(hard), rlim_max: hard });
        let (nothing, nowhere) = (File::open("/dev/null")?, File::options().write(true).open("/dev/null")?);
        Ok(Spawner { launcher: Launcher::new(made)?, nothing, nowhere, open_files, groups })
    }

    /// Starts a run's process in a process group of its own, marked, with pipes or a terminal for its streams.
    pub(crate) fn spawn(&mut self, start: &Start) -> Result<Spawned, (StartFailure, String)> {
        let cwd = start.cwd.as_deref().unwrap_or(Path::new("/"));
        let other = |cause: &dyn std::fmt::Display| (StartFailure::Other, cause.to_string());
        let space = start.space.as_deref().map(|space| Entrance::new(space, cwd)).transpose();
        let space = space.map_err(|cause| other(&cause))?;
        let host = c_string(cwd).map_err(|cause| other(&cause))?;
        let (group, unlimited) = start.limits.map_or((None, None), |limits| self.groups.make(&limits));
        let started = self.start(&Child {
            argv: &start.argv,
            env: &start.env,
            key: &start.key,
            cwd,
            way: space.as_ref().map_or(Way::Host(&host), Way::Space),
            session: false,
            rights: start.rights.as_deref(),
            group: group.as_ref(),
            beside: None,
            streams: &|| stdio::make(start.stdio),
        });
        match (started, group) {
            (Ok((spawned, outside)), group) => {
                let outside = outside.zip(start.limits);
                let outside = outside.and_then(|(error, limits)| self.groups.not_entered(&limits, &error));
                Ok(Spawned { group, unlimited: outside.or(unlimited), ..spawned })
            }
            (Err(failure), group) => {
                if let Some(group) = group {
                    self.groups.give_back(&group);
                }
                Err(failure)
            }
        }
    }

    /// Starts a program beside a run, in a session of its own, with the run's mark.
    pub(crate) fn spawn_beside(&mut self, beside: &Beside) -> Result<Spawned, (StartFailure, String)> {
        let Beside { exec, surroundings, first, join, .. } = beside;
        let mut env = surroundings.env.clone();
        // In a container of its own this would be 1.
        env.push((FIRST.to_owned(), first.to_string().into()));
        if exec.tty && !env.iter().any(|(name, _)| name == "TERM") {
            // As of a container that has a terminal itself.
            env.push(("TERM".to_owned(), "xterm".into()));
        }
        let host = c_string(&surroundings.cwd).map_err(|cause| (StartFailure::Other, cause.to_string()))?;
        let started = self.start(&Child {
            argv: &exec.argv,
            env: &env,
            key: &exec.key,
            cwd: &surroundings.cwd,
            way: join.as_ref().map_or(Way::Host(&host), Way::Join),
            session: true,
            rights: surroundings.rights.as_deref(),
            group: surroundings.group.as_ref(),
            beside: Some(*first).filter(|_| surroundings.unlimited.is_none()),
            streams: &|| stdio::make_beside(exec),
        });
        Ok(started?.0)
    }

    /// Answers also why the child is not in its control group.
    fn start(&mut self, child: &Child<'_>) -> Result<(Spawned, Option<io::Error>), (StartFailure, String)> {
        let name = child.argv.first().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| (StartFailure::NotFound, "no command was given".to_owned()))?;
        let is_host = matches!(child.way, Way::Host(_));
        // Where something is mounted the host's own files do not tell what is there: the child looks itself.
        let programs = if is_host || name.contains('/') {
            vec![look_up(name, child.env, child.cwd)?]
        } else {
            candidates(name, child.env, child.cwd).collect()
        };
        let mut attempt = self.attempt(&programs, &[], child);
        for program in &programs {
            if !is_exec_format(&attempt) {
                break;
            }
            // A script without a first line that says by what: a shell takes it as its own. Of several it is the first
            // that is there.
            if programs.len() > 1 {
                match self.attempt(slice::from_ref(program), &[], child) {
                    Err(error) if is_elsewhere(&error) => continue,
                    alone => attempt = alone,
                }
            }
            if is_exec_format(&attempt) {
                let script = [Path::new("/bin/sh"), program].map(|path| path.as_os_str().as_bytes().to_vec());
                attempt = self.attempt(&[PathBuf::from("/bin/sh")], &script, child);
                break;
            }
        }
        attempt.map_err(|error| {
            let failure = match child.way {
                Way::Host(_) => return classify(&error, name, child.cwd),
                Way::Space(space) => space.failure(),
                Way::Join(join) => join.failure(),
            };
            match classify_inside(&error, name, child.cwd, failure) {
                (StartFailure::NotFound, _) if !name.contains('/') => not_found(name),
                told => told,
            }
        })
    }

    /// `before` takes the place of the program's name among the arguments.
    fn attempt(
        &mut self,
        programs: &[PathBuf],
        before: &[Vec<u8>],
        child: &Child<'_>,
    ) -> io::Result<(Spawned, Option<io::Error>)> {
        let arguments = child.argv.iter().skip(usize::from(!before.is_empty()));
        let arguments = arguments.map(|argument| argument.clone().into_bytes());
        let argv = Strings::new(before.iter().cloned().chain(arguments))?;
        let programs = Strings::new(programs.iter().map(|path| path.as_os_str().as_bytes().to_vec()))?;
        let env = environment(child.key, child.env)?;
        let (ends, child_ends) = (child.streams)()?;
        let privileges = child.rights.map(Privileges::of);
        let doors = child.group.map(|group| match child.beside {
            Some(first) => group.doors_beside(first),
            None => group.doors(),
        });
        let (doors, closed) = match doors {
            Some(Err(error)) if child.beside.is_some() => return Err(vfork::not_in_group(&error)),
            Some(Err(error)) => (Vec::new(), Some(error)),
            doors => (doors.and_then(Result::ok).unwrap_or_default(), None),
        };
        let image = Image {
            programs: &programs,
            argv: &argv,
            env: &env,
            way: child.way,
            stdio: child_ends.in_order(self.nothing.as_fd(), self.nowhere.as_fd()),
            session: child.session,
            terminal: child_ends.is_terminal(),
            open_files: self.open_files,
            privileges: privileges.as_ref(),
            doors: &doors,
            must_enter: child.beside.is_some(),
        };
        let before = world::since_boot();
        let Launched { pid, outside } = self.launcher.launch(&image)?;
        let birth = Birth::between(before, world::since_boot());
        Ok((Spawned { pid, birth, ends, group: None, unlimited: None }, closed.or(outside)))
    }
}

/// Of a variable that is named twice the last value counts.
fn environment(key: &Key, env: &[(String, Text)]) -> io::Result<Strings> {
    let mark = procfs::mark(key);
    let mut variables: BTreeMap<&str, &[u8]> =
        env.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    variables.insert(procfs::MARK, mark.as_bytes());
    Strings::new(variables.into_iter().map(|(name, value)| [name.as_bytes(), b"=", value].concat()))
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Finds the program as execvp(3) does. Done before the start: the child shall not allocate.
fn look_up(name: &str, env: &[(String, Text)], cwd: &Path) -> Result<PathBuf, (StartFailure, String)> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let mut refused = None;
    for candidate in candidates(name, env, cwd) {
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
        None => Err(not_found(name)),
    }
}

fn not_found(name: &str) -> (StartFailure, String) {
    (StartFailure::NotFound, format!("exec: \"{name}\": executable file not found in $PATH"))
}

fn is_exec_format<T>(attempt: &io::Result<T>) -> bool {
    attempt.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENOEXEC))
}

/// Whether the program may be in the next place.
fn is_elsewhere(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES))
}

/// Where a program of this name may be.
fn candidates<'a>(
    name: &'a str,
    env: &'a [(String, Text)],
    cwd: &'a Path,
) -> impl Iterator<Item = PathBuf> + 'a {
    let path = env.iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map_or(DEFAULT_PATH.as_bytes(), |(_, path)| path.as_bytes());
    let directories = path.split(|byte| *byte == b':').map(OsStr::from_bytes);
    directories.map(move |directory| cwd.join(directory).join(name))
}

fn classify(error: &io::Error, name: &str, cwd: &Path) -> (StartFailure, String) {
    let directory = format!("the working directory {} ", cwd.display());
    match (cwd.metadata(), error.raw_os_error()) {
        (Err(cause), _) => (StartFailure::NoDirectory, format!("{directory}cannot be entered: {cause}")),
        (Ok(meta), _) if !meta.is_dir() => (StartFailure::NoDirectory, format!("{directory}is no directory")),
        (_, Some(libc::EACCES)) if access(cwd, AccessFlags::X_OK).is_err() => {
            (StartFailure::NoDirectory, format!("{directory}cannot be entered: {error}"))
        }
        _ => classify_program(error, name),
    }
}

/// Where the host's own files tell nothing: the directory and the program may lie in what was mounted.
fn classify_inside(
    error: &io::Error,
    name: &str,
    cwd: &Path,
    failure: Option<Failure<'_>>,
) -> (StartFailure, String) {
    match failure {
        Some(Failure::Mounting(what)) => (StartFailure::Other, format!("{what}: {error}")),
        Some(Failure::WorkingDirectory) => {
            let message = format!("the working directory {} cannot be entered: {error}", cwd.display());
            (StartFailure::NoDirectory, message)
        }
        None => classify_program(error, name),
    }
}

fn classify_program(error: &io::Error, name: &str) -> (StartFailure, String) {
    let failure = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => StartFailure::NotFound,
        Some(libc::EACCES | libc::EPERM | libc::ENOEXEC | libc::ETXTBSY | libc::EISDIR) => {
            StartFailure::NotExecutable
        }
        _ => StartFailure::Other,
    };
    // As Go's programs say it, and with them runc: `LookPath` of os/exec looks at a path before it is executed.
    let words = error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |code| Errno::from_raw(code).desc().to_lowercase());
    let look = if failure == StartFailure::NotFound { format!("stat {name}: ") } else { String::new() };
    (failure, format!("exec: \"{name}\": {look}{words}"))
}

/// What there is to reap.
pub(crate) enum Ready {
    /// This child has ended.
    Child(i32),
    /// None that has not been reaped.
    Nothing,
    /// There are no children.
    NoChildren,
}

/// Looks for a child that has ended and leaves it unreaped; waits for one if so wanted.
pub(crate) fn ended_child(waits: bool) -> Ready {
    let flags = libc::WEXITED | libc::WNOWAIT | if waits { 0 } else { libc::WNOHANG };
    loop {
        // nix refuses children that a real-time signal ended, so the call is made here.
        // SAFETY: an all-zero siginfo_t is a valid value of that plain C struct.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is a valid place to write to, and the flags are ones that waitid(2) knows.
        let done = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
        if done == 0 {
            // SAFETY: after a successful waitid the SIGCHLD fields are the ones that are set.
            return match unsafe { info.si_pid() } {
                0 => Ready::Nothing,
                pid => Ready::Child(pid),
            };
        }
        if Errno::last() != Errno::EINTR {
            return Ready::NoChildren;
        }
    }
}

/// Waits for the end of a child that is about to end, and leaves it unreaped: afterwards it is in no control group. That
/// it was reaped already is as good.
pub(crate) fn wait_for_end(pid: i32) {
    let Ok(pid) = libc::id_t::try_from(pid) else { return };
    loop {
        // SAFETY: an all-zero siginfo_t is a valid value of that plain C struct.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is a valid place to write to, and the flags are ones that waitid(2) knows.
        let done = unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
        if done == 0 || Errno::last() != Errno::EINTR {
            return;
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
