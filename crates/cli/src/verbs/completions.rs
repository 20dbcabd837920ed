//! `windlass completions`: a shell's completion script.

use clap::CommandFactory;

use crate::args::low::{Cli, Completions};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;

/// Prints it.
pub(crate) fn run(options: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "windlass", &mut script);
    let script = String::from_utf8(script).map_err(|error| Failure::new("completions", error))?;
    out::data(&script)?;
    Ok(Exit::OK)
}
