//! Leaving the caller: an engine's process keeps nothing of the terminal, the descriptors and the directory it
//! was started with.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

/// The log that was there is kept once when a new one begins, and a new one begins at this size, bytes.
const LOG_LIMIT: u64 = 8 << 20;

/// Closes every descriptor but stdin, stdout and stderr. Must come before anything is opened.
pub(super) fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return };
    let open: Vec<RawFd> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // The directory's own descriptor is among them and closed by now: that is no fault.
        _ = close(fd);
    }
}

/// A session, a directory and masks of its own. A leader of a session already has what it needs.
pub(super) fn leave() {
    // Whoever starts it may have signals held back.
    _ = SigSet::empty().thread_set_mask();
    _ = setsid();
    _ = chdir("/");
    umask(Mode::from_bits_truncate(0o022));
}

/// stdin from nowhere, stderr to the engine's log.
pub(super) fn redirect(log: &Path) -> io::Result<()> {
    if std::fs::metadata(log).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        std::fs::rename(log, log.with_extension("log.1"))?;
    }
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    dup2_stderr(&log)?;
    dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(())
}

/// stdout to nowhere: the starter's pipe ends here.
pub(super) fn end_stdout() -> io::Result<()> {
    Ok(dup2_stdout(OpenOptions::new().write(true).open("/dev/null")?)?)
}
