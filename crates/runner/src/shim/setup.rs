//! The shim's first moments: leave the engine's session and descriptors, take the lock, read the ledger, listen.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::door::{Door, MAX_GUESTS};
use super::ledger::{Ledger, Record};
use super::server::Server;
use super::spawn::Means;
use super::{ledger, procfs, recover};
use crate::cgroup::{self, Groups};

/// Descriptors that are kept for the shim itself.
const OWN_DESCRIPTORS: u64 = 64;
/// Two pipes, a log file and perhaps a stdin.
const DESCRIPTORS_A_RUN: u64 = 4;
/// Its connection, and a terminal of the program that runs for it.
const DESCRIPTORS_A_GUEST: u64 = 2;

/// Makes the shim in `directory`, whose children may have so many files open. `None`: another one lives there.
pub(crate) fn prepare(directory: &Path, open_files: Option<u64>) -> io::Result<Option<Server>> {
    leave_the_engine();
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    let handle = File::open(directory)?;
    let Some(lock) = lock(directory, &handle)? else {
        say("ready");
        return Ok(None);
    };
    let notes = notes(directory)?;
    let boot = procfs::boot_id()?;
    let path = directory.join("ledger");
    let (entries, unreadable) = ledger::read(&path)?;
    let known = recover::recover(entries, &boot);
    cgroup::clean_up(directory);
    let groups = Arc::new(Groups::new(directory, &handle)?);
    let records = known.iter().cloned().map(Record::Over).collect();
    let ledger = Ledger::create(&path, &boot, records)?;
    let socket = socket_path(&handle);
    match std::fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (max_open, max_guests) = shares(getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft));
    let door = Door::open(&handle, max_guests)?;
    let listener = UnixListener::bind(&socket)?;
    std::fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    let means = Means { open_files, groups };
    let mut server = Server::new(listener, door, ledger, notes, lock, max_open, means)?;
    server.adopt(known);
    if unreadable > 0 {
        server.note(&format!("{unreadable} lines of the ledger could not be read"));
    }
    say("ready");
    be_silent();
    Ok(Some(server))
}

/// Says a line to whoever started the shim. That nobody listens is no error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
}

/// The socket of the conversation, by a name that is short however deep the directory is (108 bytes is all that a socket may have).
pub(crate) fn socket_path(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/shim.sock", directory.as_raw_fd()))
}

fn leave_the_engine() {
    // Fails only for a group's leader: then a terminal's hang-up is caught below all the same.
    let _ = setsid();
    // SAFETY: at the begin of main nobody holds descriptors above the standard ones.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let _ = std::env::set_current_dir("/");
    // A handler, not SIG_IGN: what is ignored stays ignored in the children.
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::SA_RESTART, SigSet::empty());
    for signal in
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2]
    {
        // SAFETY: the handler does nothing, which is safe at any point.
        let _ = unsafe { sigaction(signal, &action) };
    }
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

extern "C" fn nothing(_signal: i32) {}

/// The lock says who is the shim here. One that is about to leave is waited for.
fn lock(directory: &Path, handle: &File) -> io::Result<Option<Flock<File>>> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join("lock"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
            if UnixStream::connect(socket_path(handle)).is_ok() {
                return Ok(None);
            }
            let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
            Ok(Some(lock))
        }
        Err((_, error)) => Err(error.into()),
    }
}

/// `shim.log`: a few lines about what nobody was there to hear. A large one begins anew.
fn notes(directory: &Path) -> io::Result<File> {
    let path = directory.join("shim.log");
    if path.metadata().is_ok_and(|meta| meta.len() > 1 << 20) {
        std::fs::remove_file(&path)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn be_silent() {
    let Ok(null) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) else { return };
    let _ = dup2_stdin(&null);
    let _ = dup2_stdout(&null);
    let _ = dup2_stderr(&null);
}

/// How many runs may be open, and how many guests may be here at once, with so many descriptors.
fn shares(descriptors: u64) -> (usize, usize) {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let guests = count(descriptors / 8).min(MAX_GUESTS);
    let runs =
        descriptors.saturating_sub(OWN_DESCRIPTORS + guests as u64 * DESCRIPTORS_A_GUEST) / DESCRIPTORS_A_RUN;
    (count(runs).clamp(1, super::MAX_RUNS), guests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_guests_together_leave_the_shim_its_own() {
        for descriptors in [256, 1024, 4096, 1 << 20] {
            let (runs, guests) = shares(descriptors);
            let taken =
                runs as u64 * DESCRIPTORS_A_RUN + guests as u64 * DESCRIPTORS_A_GUEST + OWN_DESCRIPTORS;
            assert!(taken <= descriptors && runs > 0 && guests > 0, "{descriptors}: {runs} {guests}");
        }
        assert_eq!(shares(1 << 20), (super::super::MAX_RUNS, MAX_GUESTS));
        assert_eq!(shares(0), (1, 0));
    }
}
