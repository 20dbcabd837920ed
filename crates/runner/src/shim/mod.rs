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
    pub(crate) use super::wire::{Frames, Reply, Request, put};

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
