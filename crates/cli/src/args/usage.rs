//! What a command line that cannot be followed answers.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::low::{Cli, Verb};
use crate::exit::Exit;
use crate::strangers;

/// What to print instead of acting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The text, line end included.
    pub text: String,
    /// Whether it was asked for (`--help`): then it goes to stdout.
    pub asked: bool,
    /// How to exit.
    pub exit: Exit,
}

impl Usage {
    /// A mistake in the arguments of `verb`.
    pub(crate) fn mistake(verb: &str, message: &str, way_out: &str) -> Usage {
        let text = format!("windlass: {verb}: {message}\n  {way_out}\n");
        Usage { text, asked: false, exit: exit_of(Some(verb)) }
    }
}

/// A `--` after which nothing comes, or an empty word, where a command may come: of a variable that is empty.
pub(super) fn of_nothing(cli: &Cli, argv: &[OsString]) -> Option<Usage> {
    let Verb::Up(up) = &cli.verb else { return None };
    let is_open = match up.command.first() {
        Some(first) => first.is_empty(),
        None => argv.last().is_some_and(|last| last == "--"),
    };
    is_open.then(|| {
        let way_out =
            "write the command there, or leave out `--`: then the engine stays until it is interrupted";
        Usage::mistake("up", "no command comes after `--`", way_out)
    })
}

/// The exit code of a mistake: the codes of `run`, `wait` and `submit` are jobs', so theirs is 125.
fn exit_of(verb: Option<&str>) -> Exit {
    match verb {
        Some("run" | "wait" | "submit") => Exit::FAILED,
        _ => Exit::USAGE,
    }
}

/// What clap found, in our words where we know better.
pub(crate) fn of_clap(error: &clap::Error, argv: &[OsString]) -> Usage {
    let verb = verb(argv);
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Usage { text: error.render().to_string(), asked: true, exit: Exit::OK }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Usage { text: error.render().to_string(), asked: false, exit: Exit::USAGE }
        }
        ErrorKind::InvalidSubcommand => match text(ContextKind::InvalidSubcommand) {
            Some(theirs) => unknown_verb(theirs, error),
            None => plain(error, verb.as_deref()),
        },
        ErrorKind::UnknownArgument => match (verb.as_deref(), text(ContextKind::InvalidArg)) {
            (Some(verb @ ("run" | "submit")), Some(word)) if !word.starts_with('-') => {
                let way_out = format!("windlass {verb} [OPTIONS] -- {word} ...");
                Usage::mistake(verb, "the command comes after `--`", &way_out)
            }
            (Some("run"), Some("--dry-run")) => {
                let way_out = "windlass submit --dry-run -- COMMAND: the server checks it; windlass plan -- COMMAND shows it";
                Usage::mistake("run", "what is only tried has no output that could be followed", way_out)
            }
            (verb, _) => plain(error, verb),
        },
        _ => plain(error, verb.as_deref()),
    }
}

/// Clap's own words, in our frame.
fn plain(error: &clap::Error, verb: Option<&str>) -> Usage {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let place = verb.map(|verb| format!("{verb}: ")).unwrap_or_default();
    Usage { text: format!("windlass: {place}{text}"), asked: false, exit: exit_of(verb) }
}

/// A verb of another tool is answered with ours.
fn unknown_verb(theirs: &str, error: &clap::Error) -> Usage {
    match strangers::ours(theirs) {
        Some(ours) => Usage {
            text: format!("windlass: {theirs}: no such command here\n  {ours}\n"),
            asked: false,
            exit: Exit::USAGE,
        },
        None => plain(error, None),
    }
}

/// The verb of a command line that may be wrong elsewhere: the first word that is no option and no option's value.
fn verb(argv: &[OsString]) -> Option<String> {
    let mut words = argv.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match word.as_ref() {
            "--" => return None,
            "--context" | "--kubeconfig" | "--namespace" | "-n" => {
                words.next();
            }
            word if word.starts_with('-') => {}
            word => return Some(word.to_owned()),
        }
    }
    None
}
