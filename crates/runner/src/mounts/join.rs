//! The way into the namespaces of a process that runs, in a child: system calls only, on descriptors that were opened
//! before. It knows no run.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Failure;

/// How far a child came.
const ARRIVED: u8 = 0;
const JOINING: u8 = 1;
const ENTERING: u8 = 2;
/// What is said of the first part of the way.
const WHAT: &str = "entering the namespaces of the container";

/// The namespaces of a process, and a directory in them.
pub(crate) struct Join {
    /// In the order in which they can be entered: only who has entered the user namespace may enter the other.
    namespaces: Vec<File>,
    cwd: CString,
    /// Written by the child.
    at: AtomicU8,
}

impl Join {
    /// The namespaces that a run with a space has of its own. The process must not have been reaped.
    ///
    /// # Errors
    /// The process has ended, or cannot be looked at.
    pub(crate) fn of(pid: i32, cwd: &Path) -> io::Result<Join> {
        // Root mounts without a user namespace (see `enter`), and to enter the one that it is in is refused.
        let kinds: &[&str] = if nix::unistd::geteuid().is_root() { &["mnt"] } else { &["user", "mnt"] };
        let namespaces = kinds.iter().map(|kind| File::open(format!("/proc/{pid}/ns/{kind}")));
        let namespaces = namespaces.collect::<io::Result<_>>()?;
        let cwd = CString::new(cwd.as_os_str().as_bytes())?;
        Ok(Join { namespaces, cwd, at: AtomicU8::new(ARRIVED) })
    }

    /// What [`Join::failure`] goes by, for a child whose memory is not its parent's.
    pub(crate) fn mark(&self) -> usize {
        self.at.load(Ordering::Relaxed).into()
    }

    /// What such a child told.
    pub(crate) fn set_mark(&self, mark: usize) {
        self.at.store(u8::try_from(mark).unwrap_or(JOINING), Ordering::Relaxed);
    }

    /// Where the way ended, if it did.
    pub(crate) fn failure(&self) -> Option<Failure<'_>> {
        match self.at.load(Ordering::Relaxed) {
            ARRIVED => None,
            JOINING => Some(Failure::Mounting(WHAT)),
            _ => Some(Failure::WorkingDirectory),
        }
    }

    /// Enters. False if a call fails: `errno` says why.
    ///
    /// # Safety
    /// To be called in a child.
    pub(crate) unsafe fn enter(&self) -> bool {
        self.at.store(JOINING, Ordering::Relaxed);
        for namespace in &self.namespaces {
            // SAFETY: an open descriptor; 0 takes a namespace of any kind.
            if unsafe { libc::setns(namespace.as_raw_fd(), 0) } < 0 {
                return false;
            }
        }
        self.at.store(ENTERING, Ordering::Relaxed);
        // SAFETY: a string that lives as long as `self`.
        if unsafe { libc::chdir(self.cwd.as_ptr()) } < 0 {
            return false;
        }
        self.at.store(ARRIVED, Ordering::Relaxed);
        true
    }
}
