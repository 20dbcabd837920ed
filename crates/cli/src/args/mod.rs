//! From words to what is meant: clap's structs ([`low`]) become plain values ([`high`]) in one pure step.
//!
//! Reads no environment, file or clock of its own; what is wrong comes back as [`Usage`], never as an exit.

pub(crate) mod array;
pub(crate) mod batch;
mod clock;
pub(crate) mod cron;
pub(crate) mod definition;
mod helper;
pub(crate) mod high;
pub(crate) mod job;
pub(crate) mod low;
mod low_job;
mod low_tasks;
mod more;
pub(crate) mod plan;
pub(crate) mod source;
mod up;
mod usage;

use std::ffi::OsString;

use clap::{Args, FromArgMatches, Parser};

use crate::env::Env;
pub(crate) use usage::Usage;

/// Reads a command line, program name first.
///
/// # Errors
/// A [`Usage`] with what to print, where, and how to exit; `--help` and `--version` among them.
pub(crate) fn parse(argv: &[OsString], env: &Env) -> Result<high::Request, Usage> {
    if let Some(cli) = quick(argv) {
        return high::raise(cli, env);
    }
    match low::Cli::try_parse_from(argv) {
        Ok(cli) => usage::of_nothing(&cli, argv).map_or_else(|| high::raise(cli, env), Err),
        Err(error) => Err(usage::of_clap(&error, argv)),
    }
}

/// A command that begins with one of the verbs that are typed most: clap need not be told of all the others. What it
/// does not take as it stands, help among it, is read again by the whole parser, whose words are the ones that are
/// printed.
fn quick(argv: &[OsString]) -> Option<low::Cli> {
    match argv.get(1)?.to_str()? {
        "run" => one(argv, low::Verb::Run),
        "list" => one(argv, low::Verb::List),
        _ => None,
    }
}

/// A command that is this verb.
fn one<T: Args>(argv: &[OsString], verb: fn(T) -> low::Verb) -> Option<low::Cli> {
    let command = T::augment_args(low::Global::augment_args(clap::Command::new("")));
    let matches = command.try_get_matches_from(&argv[1..]).ok()?;
    let global = low::Global::from_arg_matches(&matches).ok()?;
    Some(low::Cli { global, verb: verb(T::from_arg_matches(&matches).ok()?) })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
