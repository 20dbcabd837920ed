//! Starting a program with a borrowed memory and a stack that is kept: what posix_spawn(3) does, without its mapping
//! of a new stack, its walk over all signals and std's copies each time. It knows no run.
//!
//! The child shares the shim's memory until it executes the program, and the thread that started it sleeps until
//! then. So the child calls nothing but system calls, on values that were made before.
//!
//! One that goes into a control group has a copy of the memory instead: a group that is short of memory may be killed
//! whole while the child is in it, and with a process the kernel kills whoever shares its memory. It goes there last of
//! all, so that nothing but the program itself is held up by what its group may take, and nothing of it is outside.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use super::privileges::Privileges;
use super::spawn;
use crate::mounts::{Entrance, FREE, Join};

/// The child makes a dozen system calls; a signal's frame with all vector registers takes some 4 KiB.
const STACK: usize = 64 << 10;
/// One for each kind of limit.
const MOST_DOORS: usize = 3;
/// What the shim catches or ignores, and a program shall find as the system has it.
const DEFAULTED: [c_int; 7] =
    [libc::SIGPIPE, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// A thread's means to start programs. All signals stay blocked in the thread that made it.
pub(crate) struct Launcher {
    stack: Vec<u8>,
    report: Shared,
    /// Where the kernel writes a child's pid before the child runs.
    made: Arc<AtomicI32>,
}

/// What is to be executed.
pub(crate) struct Image<'a> {
    /// The program, or where it may be: the first that is there.
    pub(crate) programs: &'a Strings,
    pub(crate) argv: &'a Strings,
    pub(crate) env: &'a Strings,
    pub(crate) way: Way<'a>,
    /// stdin, stdout and stderr; all above 2.
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// Whether it has a session of its own, and not only a process group.
    pub(crate) session: bool,
    /// Whether stdin is to become the controlling terminal of that session.
    pub(crate) terminal: bool,
    /// How many files it may have open (RLIMIT_NOFILE); none: as the shim.
    pub(crate) open_files: Option<libc::rlimit>,
    /// What it is to be without.
    pub(crate) privileges: Option<&'a Privileges>,
    /// The doors of the control groups it goes into.
    pub(crate) doors: &'a [OwnedFd],
    /// Whether it is not to run outside them.
    pub(crate) must_enter: bool,
}

/// That a program may not be begun where its limits do not hold.
pub(crate) fn not_in_group(cause: &io::Error) -> io::Error {
    io::Error::other(format!("it cannot be put into the container's control group: {cause}"))
}

/// A program that was started.
pub(crate) struct Launched {
    pub(crate) pid: i32,
    /// It is not in all of its control groups, and why.
    pub(crate) outside: Option<io::Error>,
}

/// Where a program starts.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    /// In a directory, among the host's files.
    Host(&'a CStr),
    /// In a file system of its own, in a directory there.
    Space(&'a Entrance),
    /// In that of another process, in a directory there.
    Join(&'a Join),
}

impl Way<'_> {
    /// How far a child came on it, as a number.
    fn mark(&self) -> usize {
        match self {
            Way::Host(_) => 0,
            Way::Space(space) => space.mark(),
            Way::Join(join) => join.mark(),
        }
    }

    /// The same, of a child that has told it.
    fn set_mark(&self, mark: usize) {
        match self {
            Way::Host(_) => {}
            Way::Space(space) => space.set_mark(mark),
            Way::Join(join) => join.set_mark(mark),
        }
    }
}

/// A list of strings as execve(2) wants it.
pub(crate) struct Strings {
    /// Owns what the pointers point at.
    _texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    /// An error means that one of them holds a NUL.
    pub(crate) fn new(texts: impl Iterator<Item = Vec<u8>>) -> io::Result<Strings> {
        let texts = texts.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Ok(Strings { _texts: texts, pointers })
    }
}

/// What the child sees, and where it says why it failed.
struct Errand {
    programs: *const *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    way: *const Way<'static>,
    stdio: [RawFd; 3],
    session: bool,
    terminal: bool,
    /// Or null.
    open_files: *const libc::rlimit,
    /// Or null.
    privileges: *const Privileges,
    doors: *const OwnedFd,
    door_count: usize,
    must_enter: bool,
    report: *mut Report,
}

/// What the child says, in memory that it shares with the shim in either case.
struct Report {
    /// Why it failed, or 0.
    errno: c_int,
    /// Why it is not in a control group, or 0: it runs all the same.
    outside: c_int,
    /// How far it came on its way.
    mark: usize,
}

/// A page with a report.
struct Shared(*mut Report);

impl Shared {
    fn new() -> io::Result<Shared> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at no address of anybody's.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Report>(), access, kind, -1, 0) };
        if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Shared(page.cast())) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it is our mapping, and nobody has its address any more.
        unsafe { libc::munmap(self.0.cast(), size_of::<Report>()) };
    }
}

impl Launcher {
    /// Makes the stack, and blocks all signals in this thread: a child begins with what its parent blocks, and none
    /// shall be caught on the shim's behalf.
    pub(crate) fn new(made: Arc<AtomicI32>) -> io::Result<Launcher> {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
        Ok(Launcher { stack: vec![0; STACK], report: Shared::new()?, made })
    }

    /// Starts a program in a process group of its own, or with a terminal in a session of its own. The error is that of the call that failed,
    /// in the child or before it. A child that could not execute its program is left to whoever reaps.
    pub(crate) fn launch(&mut self, image: &Image<'_>) -> io::Result<Launched> {
        let mut errand = Errand {
            programs: image.programs.pointers.as_ptr(),
            argv: image.argv.pointers.as_ptr(),
            env: image.env.pointers.as_ptr(),
            way: (&raw const image.way).cast(),
            stdio: image.stdio.map(|fd| fd.as_raw_fd()),
            session: image.session || image.terminal,
            terminal: image.terminal,
            open_files: image.open_files.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            privileges: image.privileges.map_or(std::ptr::null(), std::ptr::from_ref),
            doors: image.doors.as_ptr(),
            door_count: image.doors.len(),
            must_enter: image.must_enter,
            report: self.report.0,
        };
        let end = self.stack.as_mut_ptr_range().end;
        // Stacks grow down, from an address that the ABI wants aligned.
        let top = end.wrapping_sub(end.addr() % 16);
        let shares = if image.doors.is_empty() { libc::CLONE_VM } else { 0 };
        let flags = shares | libc::CLONE_VFORK | libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
        // SAFETY: the page is ours, and no child has it now.
        unsafe { self.report.0.write_volatile(Report { errno: 0, outside: 0, mark: 0 }) };
        let made = self.made.as_ptr();
        // SAFETY: `top` is the end of memory that is ours alone while this call lasts, and the call lasts until the
        // child has left the memory (CLONE_VFORK), or it has a copy. `errand` and all it points at live as long, and so does `made`, an
        // atomic that the kernel writes whole.
        let pid = unsafe { libc::clone(child, top.cast(), flags, (&raw mut errand).cast(), made) };
        // SAFETY: the child, which is another process to the compiler, may have written it.
        let Report { errno, outside, mark } = unsafe { self.report.0.read_volatile() };
        let error = match errno {
            _ if pid < 0 => io::Error::last_os_error(),
            0 => {
                let outside = (outside != 0).then(|| io::Error::from_raw_os_error(outside));
                return Ok(Launched { pid, outside });
            }
            errno => {
                image.way.set_mark(mark);
                // It has left this memory, but maybe not its control group yet.
                spawn::wait_for_end(pid);
                match outside {
                    0 => io::Error::from_raw_os_error(errno),
                    outside if image.must_enter => not_in_group(&io::Error::from_raw_os_error(outside)),
                    _ => io::Error::from_raw_os_error(errno),
                }
            }
        };
        self.made.store(0, Ordering::Release);
        Err(error)
    }
}

extern "C" fn child(errand: *mut c_void) -> c_int {
    let errand = errand.cast::<Errand>();
    // SAFETY: the parent sleeps, so the errand is this function's alone; it makes system calls only.
    unsafe {
        become_program(&*errand);
        let report = (*errand).report;
        (&raw mut (*report).errno).write_volatile(*libc::__errno_location());
        (&raw mut (*report).mark).write_volatile((*(*errand).way).mark());
        libc::_exit(127)
    }
}

/// The doors of the control groups that a child goes into: one a hierarchy at most.
struct Doors {
    fds: [RawFd; MOST_DOORS],
    report: *mut Report,
}

impl Doors {
    /// # Safety
    /// The errand's doors are open descriptors in a list of the length that it says.
    unsafe fn of(errand: &Errand) -> Doors {
        let mut fds = [-1; MOST_DOORS];
        for (number, fd) in fds.iter_mut().enumerate().take(errand.door_count) {
            // SAFETY: it is one of the list.
            *fd = unsafe { (*errand.doors.add(number)).as_raw_fd() };
        }
        Doors { fds, report: errand.report }
    }

    /// Brings them where no mount needs a descriptor. One that finds no place there is gone through at once.
    ///
    /// # Safety
    /// To be called in a child that has a copy of its parent's memory.
    unsafe fn keep(&mut self) {
        for at in 0..MOST_DOORS {
            if self.fds[at] < 0 {
                continue;
            }
            // SAFETY: an open descriptor, and plain numbers.
            let kept = unsafe { libc::fcntl(self.fds[at], libc::F_DUPFD_CLOEXEC, FREE) };
            if kept < 0 {
                // SAFETY: as the caller says.
                unsafe { self.enter_one(at) };
            }
            self.fds[at] = kept;
        }
    }

    /// Goes into the groups.
    ///
    /// # Safety
    /// As `keep`.
    unsafe fn enter(&self) {
        for at in (0..MOST_DOORS).filter(|at| self.fds[*at] >= 0) {
            // SAFETY: as the caller says.
            unsafe { self.enter_one(at) };
        }
    }

    unsafe fn enter_one(&self, at: usize) {
        // SAFETY: an open descriptor, a string, and the page that both processes have.
        unsafe {
            if libc::write(self.fds[at], c"0".as_ptr().cast(), 1) != 1 {
                (&raw mut (*self.report).outside).write_volatile(*libc::__errno_location());
            }
        }
    }
}

/// Returns only if a call fails; `errno` says why.
///
/// # Safety
/// To be called in a child that shares its parent's memory: nothing here allocates, locks or panics.
unsafe fn become_program(errand: &Errand) {
    // SAFETY: all pointers are to values that the parent made and keeps; the rest are plain numbers.
    unsafe {
        // A session of its own is also a group of its own.
        if (if errand.session { libc::setsid() } else { libc::setpgid(0, 0) }) < 0 {
            return;
        }
        for (fd, target) in errand.stdio.iter().zip(0..) {
            if libc::dup2(*fd, target) < 0 {
                return;
            }
        }
        if errand.terminal && libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
            return;
        }
        let mut doors = Doors::of(errand);
        let is_there = match &*errand.way {
            Way::Host(cwd) => libc::chdir(cwd.as_ptr()) == 0,
            Way::Space(space) => {
                doors.keep();
                space.enter()
            }
            Way::Join(join) => join.enter(),
        };
        if !is_there {
            return;
        }
        if !errand.open_files.is_null() && libc::setrlimit(libc::RLIMIT_NOFILE, errand.open_files) < 0 {
            return;
        }
        if !errand.privileges.is_null() && !(*errand.privileges).take() {
            return;
        }
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        for signal in DEFAULTED {
            libc::sigaction(signal, &raw const default, std::ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        // Nothing is left but the program itself.
        doors.enter();
        if errand.must_enter && (*errand.report).outside != 0 {
            return;
        }
        execute(errand);
    }
}

/// Executes the first of the programs that is there, as execvp(3) does. Returns only if there is none.
///
/// # Safety
/// As `become_program`.
unsafe fn execute(errand: &Errand) {
    let mut is_refused = false;
    let mut program = errand.programs;
    // SAFETY: the list ends with a null pointer, and the rest is as the caller says.
    unsafe {
        while !(*program).is_null() {
            libc::execve(*program, errand.argv, errand.env);
            match *libc::__errno_location() {
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => is_refused = true,
                _ => return,
            }
            program = program.add(1);
        }
        if is_refused {
            *libc::__errno_location() = libc::EACCES;
        }
    }
}
