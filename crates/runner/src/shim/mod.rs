//! The shim: one small process that starts children, reaps them, owns their pipes, and outlives the engine.
//!
//! It is told what to start over a unix socket, writes to its ledger what it starts and how that ends before it
//! says so, and ends every descendant of a run with the run. It leaves by itself when nobody is connected and
//! nothing runs: what ended and was not yet heard of is in the ledger, and the next shim says it.
//!
//! It knows no pod, no restart policy and no Kubernetes.

mod ability;
mod children;
mod client;
mod connection;
mod descend;
mod door;
mod enter;
mod ledger;
mod link;
mod outbox;
mod output;
mod packer;
mod privileges;
pub(crate) mod procfs;
mod record;
mod recover;
mod run;
mod server;
mod setup;
pub(crate) mod spawn;
mod stdio;
mod vfork;
mod wire;

#[cfg(test)]
mod tests;

/// What the fuzz targets ask of the shim.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::door::{Answer, CHUNK, Guest, Heard, Question};
    pub(crate) use super::procfs::{MARK, mark_in, stat_of};
    pub(crate) use super::wire::{Frames, Reply, Request, put};

    /// What the door hears of a guest who says this in such pieces: a question as it is written, and whether the guest
    /// is shown out.
    pub(crate) fn heard(said: &[u8], size: usize) -> (Option<Vec<u8>>, bool) {
        let (mut theirs, ours) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("it does not block");
        let (mut guest, mut asked) = (Guest::new(ours), None);
        for piece in said.chunks(size) {
            theirs.write_all(piece).expect("a piece fits");
            // What is read at once is shorter than a piece may be.
            for _ in 0..=piece.len() / CHUNK {
                match guest.hear() {
                    Heard::Nothing => {}
                    Heard::Gone => return (asked, true),
                    Heard::Question(question) => asked = Some(written(&question)),
                }
            }
        }
        (asked, false)
    }

    /// The line that such a question is; none if this is no question.
    pub(crate) fn question(line: &[u8]) -> Option<Vec<u8>> {
        Some(written(&serde_json::from_slice::<Question>(line).ok()?))
    }

    /// An answer as a guest reads it, written again, and what came after it.
    pub(crate) fn answered(said: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut theirs, ours) = UnixStream::pair().expect("a pair of sockets");
        theirs.write_all(said).expect("it fits");
        drop(theirs);
        let (answer, more) = super::enter::heard(ours).ok()?;
        Some((written::<Answer>(&answer), more))
    }

    fn written<T: serde::Serialize>(what: &T) -> Vec<u8> {
        let mut line = Vec::new();
        put(&mut line, what).expect("what was read can be written");
        line
    }

    /// Of how many runs a ledger tells, and how many of its lines cannot be read; none if it is of another format.
    pub(crate) fn read_ledger(bytes: &[u8]) -> Option<(usize, usize)> {
        let (entries, unreadable) = super::ledger::understand(bytes).ok()?;
        Some((entries.len(), unreadable))
    }
}

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) use setup::say;

use crate::mounts;

pub use client::{ConnectError, ShimRuntime};

/// The most runs that the shim keeps: running, or ended and not forgotten.
pub const MAX_RUNS: usize = 100_000;

/// The argument before how many files a child may have open (the soft RLIMIT_NOFILE): the shim itself has use for more
/// than the user's programs shall find. Without it they have as many as the shim.
pub const OPEN_FILES: &str = "--open-files";

/// The program. The last argument is the shim's directory, which must exist; before it there may be [`OPEN_FILES`] (or `--probe-mounts` and a
/// directory, see [`mounts::probe`]). What goes wrong before it listens is
/// said on stdout, as is `ready`.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let (directory, open_files) = match args.as_slice() {
        [directory] => (directory, None),
        [option, count, directory] if option == OPEN_FILES => {
            match count.to_str().and_then(|count| count.parse().ok()) {
                Some(count) => (directory, Some(count)),
                None => return ExitCode::from(2),
            }
        }
        [probe, stage] if probe == mounts::PROBE => return mounts::try_out(Path::new(stage)),
        _ => return ExitCode::from(2),
    };
    match setup::prepare(&PathBuf::from(directory), open_files) {
        Ok(Some(server)) => {
            server.run();
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            setup::say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
