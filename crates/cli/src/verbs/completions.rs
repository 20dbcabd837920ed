//! `windlass completions`: what a shell reads at its start to complete our command lines; it asks [`crate::complete`] then.

use clap_complete::Shell;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::args::low::Completions;
use crate::complete::VARIABLE;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;

/// Prints it.
pub(crate) fn run(options: &Completions) -> Outcome {
    let fault = |cause: &dyn std::fmt::Display| Failure::new("completions", cause);
    let shell: &dyn EnvCompleter = match options.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        other => return Err(fault(&format!("{other} is not known"))),
    };
    let mut script = Vec::new();
    // The program is looked for in the path each time, so that a newer one completes its own words.
    shell
        .write_registration(VARIABLE, "windlass", "windlass", "windlass", &mut script)
        .map_err(|error| fault(&error))?;
    let script = String::from_utf8(script).map_err(|error| fault(&error))?;
    out::data(&script)?;
    Ok(Exit::OK)
}
