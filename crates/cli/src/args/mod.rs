//! From words to what is meant: clap's structs ([`low`]) become plain values ([`high`]) in one pure step.
//!
//! Reads no environment, file or clock of its own; what is wrong comes back as [`Usage`], never as an exit.

pub(crate) mod high;
mod job;
pub(crate) mod low;
mod low_job;
mod more;
mod usage;

use std::ffi::OsString;

use clap::Parser;

use crate::env::Env;
pub(crate) use usage::Usage;

/// Reads a command line, program name first.
///
/// # Errors
/// A [`Usage`] with what to print, where, and how to exit; `--help` and `--version` among them.
pub(crate) fn parse(argv: &[OsString], env: &Env) -> Result<high::Request, Usage> {
    match low::Cli::try_parse_from(argv) {
        Ok(cli) => high::raise(cli, env),
        Err(error) => Err(usage::of_clap(&error, argv)),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
