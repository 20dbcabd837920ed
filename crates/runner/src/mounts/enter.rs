//! The way into a space, in the child: system calls only, on values that were made before. The child may share its
//! parent's memory: nothing here allocates, locks or panics on its way.

use std::ffi::{CStr, CString, c_ulong};
use std::io;
use std::path::Path;
use std::ptr::null;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;

use super::plan::{Op, Step, plan};
use super::{MountError, Space};

/// No step.
const NONE: usize = usize::MAX;
/// What is said of the steps before the first.
const BEGINNING: &str = "entering a namespace of its own";

/// How often a source that is not there is looked for once more.
const AGAIN: usize = 3;

/// Everything that leads into a space.
pub(crate) struct Entrance {
    steps: Vec<Step>,
    /// The files to write for a user namespace, and what; none for root.
    maps: Vec<(CString, CString)>,
    /// The step that failed, written by the child.
    failed: AtomicUsize,
}

/// Where the way into a space ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure<'a> {
    /// Doing this.
    Mounting(&'a str),
    /// At its end: the working directory is not there.
    WorkingDirectory,
}

impl Entrance {
    /// Prepares the way into a space, to a working directory.
    pub(crate) fn new(space: &Space, cwd: &Path) -> Result<Entrance, MountError> {
        Ok(Entrance::of(plan(space, cwd)?))
    }

    fn of(steps: Vec<Step>) -> Entrance {
        let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let text = |text: String| CString::new(text).unwrap_or_default();
        let maps = [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/uid_map", format!("{user} {user} 1")),
            ("/proc/self/gid_map", format!("{group} {group} 1")),
        ];
        let maps = maps.map(|(path, line)| (text(path.to_owned()), text(line)));
        Entrance {
            steps,
            maps: if user.is_root() { Vec::new() } else { maps.into() },
            failed: AtomicUsize::new(NONE),
        }
    }

    /// Goes through the door in this process, as far as to mount something.
    pub(crate) fn probe(space: &Space) -> io::Result<()> {
        let stage = CString::new(std::os::unix::ffi::OsStrExt::as_bytes(space.stage.as_os_str()))?;
        let what = format!("mounting at {}", space.stage.display());
        let step = Step { op: Op::Tmpfs(stage, c"mode=755".to_owned()), what };
        let entrance = Entrance::of(vec![step]);
        // SAFETY: this process has one thread, and its memory is its own.
        match unsafe { entrance.enter() } {
            true => Ok(()),
            false => {
                let cause = Errno::last().desc();
                let what = match entrance.failure() {
                    Some(Failure::Mounting(what)) => what,
                    Some(Failure::WorkingDirectory) | None => BEGINNING,
                };
                Err(io::Error::other(format!("{what}: {cause}")))
            }
        }
    }

    /// What [`Entrance::failure`] goes by, for a child whose memory is not its parent's.
    pub(crate) fn mark(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    /// What such a child told.
    pub(crate) fn set_mark(&self, mark: usize) {
        self.failed.store(mark, Ordering::Relaxed);
    }

    /// What was being done when `enter` failed, if it failed there.
    pub(crate) fn failure(&self) -> Option<Failure<'_>> {
        match self.failed.load(Ordering::Relaxed) {
            NONE => None,
            0 => Some(Failure::Mounting(BEGINNING)),
            at => self.steps.get(at - 1).map(|step| match step.op {
                Op::Enter(_) => Failure::WorkingDirectory,
                _ => Failure::Mounting(&step.what),
            }),
        }
    }

    /// Enters. False if a call fails: `errno` says why, and [`Entrance::failure`] where.
    ///
    /// # Safety
    /// To be called in a child, or in a process that shall change its own view.
    pub(crate) unsafe fn enter(&self) -> bool {
        self.failed.store(0, Ordering::Relaxed);
        // SAFETY: as the caller says; the pointers below are of values that live as long as `self`.
        unsafe {
            if !self.leave_the_hosts_view() {
                return false;
            }
            for (at, step) in self.steps.iter().enumerate() {
                self.failed.store(at + 1, Ordering::Relaxed);
                if !Entrance::take(&step.op) {
                    return false;
                }
            }
        }
        self.failed.store(NONE, Ordering::Relaxed);
        true
    }

    unsafe fn leave_the_hosts_view(&self) -> bool {
        // SAFETY: plain numbers, and strings that live as long as `self`.
        unsafe {
            let user = if self.maps.is_empty() { 0 } else { libc::CLONE_NEWUSER };
            if libc::unshare(libc::CLONE_NEWNS | user) < 0 {
                return false;
            }
            for (path, line) in &self.maps {
                if !write(path, line) {
                    return false;
                }
            }
            mount(null(), c"/".as_ptr(), null(), libc::MS_REC | libc::MS_PRIVATE, null())
        }
    }

    unsafe fn take(op: &Op) -> bool {
        const RECURSIVE: c_ulong = libc::MS_BIND | libc::MS_REC;
        const SMALL: c_ulong = libc::MS_NOSUID | libc::MS_NODEV;
        // SAFETY: plain numbers, and strings that live as long as `self`.
        unsafe {
            match op {
                Op::Tmpfs(at, mode) => {
                    let tmpfs = c"tmpfs".as_ptr();
                    mount(tmpfs, at.as_ptr(), tmpfs, SMALL, mode.as_ptr())
                }
                Op::Hide(at) => mount(null(), at.as_ptr(), null(), libc::MS_UNBINDABLE, null()),
                Op::Directory(at) => libc::mkdir(at.as_ptr(), 0o755) == 0 || Errno::last() == Errno::EEXIST,
                Op::File(at) => make_file(at),
                Op::Symlink(to, at) => libc::symlink(to.as_ptr(), at.as_ptr()) == 0,
                Op::Keep(from, to) => {
                    mount(from.as_ptr(), to.as_ptr(), null(), RECURSIVE, null())
                        || matches!(Errno::last(), Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR)
                }
                Op::Move(from, to) => mount(from.as_ptr(), to.as_ptr(), null(), libc::MS_MOVE, null()),
                Op::Pivot(root) => {
                    let here = c".".as_ptr();
                    libc::chdir(root.as_ptr()) == 0 && libc::syscall(libc::SYS_pivot_root, here, here) == 0
                }
                Op::Hold(descriptor, path) => {
                    let open = || libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
                    let mut fd = open();
                    // Files of a volume that was being changed meanwhile are in another directory now.
                    for _ in 0..AGAIN {
                        if fd >= 0 || Errno::last() != Errno::ENOENT {
                            break;
                        }
                        fd = open();
                    }
                    fd >= 0 && (fd == *descriptor || libc::dup3(fd, *descriptor, libc::O_CLOEXEC) >= 0)
                }
                Op::Bind(from, to) => mount(from.as_ptr(), to.as_ptr(), null(), RECURSIVE, null()),
                Op::ReadOnly(at) => read_only(at),
                Op::Leave => libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0,
                Op::Enter(directory) => libc::chdir(directory.as_ptr()) == 0,
            }
        }
    }
}

unsafe fn mount(
    source: *const libc::c_char,
    target: *const libc::c_char,
    kind: *const libc::c_char,
    flags: c_ulong,
    data: *const libc::c_char,
) -> bool {
    // SAFETY: the callers give strings or null.
    unsafe { libc::mount(source, target, kind, flags, data.cast()) == 0 }
}

unsafe fn write(path: &CStr, line: &CStr) -> bool {
    // SAFETY: `line` has so many bytes.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return false;
        }
        let bytes = line.to_bytes();
        let written = libc::write(fd, bytes.as_ptr().cast(), bytes.len());
        let errno = Errno::last();
        libc::close(fd);
        errno.set();
        usize::try_from(written) == Ok(bytes.len())
    }
}

unsafe fn make_file(at: &CStr) -> bool {
    // SAFETY: a string and plain numbers.
    unsafe {
        let fd = libc::open(at.as_ptr(), libc::O_CREAT | libc::O_RDONLY | libc::O_CLOEXEC, 0o644);
        fd >= 0 && libc::close(fd) == 0
    }
}

/// A mount keeps the flags that it has, which a user namespace may not take away.
unsafe fn read_only(at: &CStr) -> bool {
    // SAFETY: an all-zero statvfs is a valid value of that plain C struct; the pointers are to valid places.
    unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(at.as_ptr(), &raw mut stat) < 0 {
            return false;
        }
        let pairs = [
            (libc::ST_NOSUID, libc::MS_NOSUID),
            (libc::ST_NODEV, libc::MS_NODEV),
            (libc::ST_NOEXEC, libc::MS_NOEXEC),
            (libc::ST_NOATIME, libc::MS_NOATIME),
            (libc::ST_NODIRATIME, libc::MS_NODIRATIME),
            (libc::ST_RELATIME, libc::MS_RELATIME),
        ];
        let mut flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        for (has, flag) in pairs {
            if stat.f_flag & has != 0 {
                flags |= flag;
            }
        }
        mount(null(), at.as_ptr(), null(), flags, null())
    }
}
