//! The words about job definitions: which file, which of them, with which arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;
use windlass_manifest::Payload;
use windlass_manifest::formats::definition::Arguments;
use windlass_model::{Problem, Problems};

use super::job;
use super::low::{DataFormat, JobArgs};
use super::more::pairs;
use super::source::Mistake;
use crate::env::Env;

const HEADING: &str = "From a job definition";

/// A job of a definition.
#[derive(Args, Debug, Default)]
pub(crate) struct DefinitionArgs {
    /// Make the job of this definition: a template with arguments
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "job_spec_file"], help_heading = HEADING)]
    pub definition: Option<String>,
    #[command(flatten)]
    pub file: DefinitionsFile,
    #[command(flatten)]
    pub given: GivenArgs,
}

impl DefinitionArgs {
    /// Whether one was named, or something that means nothing without one.
    pub(super) fn is_named(&self) -> bool {
        let given = [&self.given.arg, &self.given.arg_json];
        self.definition.is_some()
            || self.file.definitions.is_some()
            || given.iter().any(|all| !all.is_empty())
    }
}

/// Where the definitions are.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DefinitionsFile {
    /// Take the definitions of this file [default: JOB_DEFINITIONS_CONFIG_PATH, or `definitions` of the config file]
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub definitions: Option<PathBuf>,
}

/// A template's arguments.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct GivenArgs {
    /// Give the template an argument
    #[arg(long, value_name = "NAME=VALUE", help_heading = HEADING)]
    pub arg: Vec<String>,
    /// Give the template an argument that is no plain text: a list, a mapping, or true
    #[arg(long, value_name = "NAME=JSON", help_heading = HEADING)]
    pub arg_json: Vec<String>,
}

/// `windlass definitions`
#[derive(Args, Debug)]
pub(crate) struct Definitions {
    #[command(subcommand)]
    pub verb: DefinitionsVerb,
}

/// What is done with the definitions.
#[derive(Subcommand, Debug)]
pub(crate) enum DefinitionsVerb {
    /// List them
    List {
        #[command(flatten)]
        file: DefinitionsFile,
        /// Format of the list
        #[arg(short, long, value_enum, value_name = "FORMAT")]
        output: Option<DataFormat>,
    },
    /// Print the template of one
    Show {
        /// The definition
        name: String,
        #[command(flatten)]
        file: DefinitionsFile,
    },
    /// Print the variables of its template, one a line
    Vars {
        /// The definition
        name: String,
        #[command(flatten)]
        file: DefinitionsFile,
    },
    /// Print the Job that it makes of arguments; nothing is submitted
    Render {
        /// The definition
        name: String,
        #[command(flatten)]
        file: DefinitionsFile,
        #[command(flatten)]
        given: GivenArgs,
        /// Format of the Job
        #[arg(short, long, value_enum, default_value = "yaml", value_name = "FORMAT")]
        output: DataFormat,
    },
}

/// `windlass clean`
#[derive(Args, Debug)]
pub(crate) struct Clean {
    /// Only jobs that ended longer ago than this
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub older_than: String,
    /// Jobs with this signature (app.kubernetes.io/managed-by) instead of those that Windlass submitted
    #[arg(long, value_name = "NAME")]
    pub signature: Option<String>,
    /// Print which, and delete none
    #[arg(long)]
    pub dry_run: bool,
}

/// A definition with its arguments, and what is changed of the job that it makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FromDefinition {
    /// Its name.
    pub name: String,
    /// The file that was named.
    pub file: Option<PathBuf>,
    /// The template's arguments.
    pub arguments: Arguments,
    /// What is to be run, if the caller says it.
    pub payload: Payload,
    /// What is changed of the job.
    pub edits: Vec<windlass_manifest::Edit>,
}

/// A job of a definition, if one was named.
pub(super) fn work(
    job: JobArgs,
    args: DefinitionArgs,
    payload: Payload,
    env: &Env,
) -> Result<FromDefinition, Mistake> {
    let mut problems = Problems::new();
    let arguments = given(&args.given, &mut problems);
    let edits = job::edits(job, env);
    problems.extend(edits.as_ref().err().into_iter().flat_map(Problems::iter).cloned());
    problems.or(())?;
    let Some(name) = args.definition else {
        return Err(Problem::new("--definition", "is missing; say which definition").into());
    };
    Ok(FromDefinition { name, file: args.file.definitions, arguments, payload, edits: edits? })
}

/// The template's arguments.
pub(crate) fn given(args: &GivenArgs, problems: &mut Problems) -> Arguments {
    let texts = pairs("--arg", &args.arg, problems);
    let mut all: Vec<(&str, String, Value)> =
        texts.into_iter().map(|(name, text)| ("--arg", name, text.into())).collect();
    for (name, text) in pairs("--arg-json", &args.arg_json, problems) {
        match serde_json::from_str(&text) {
            Ok(value) => all.push(("--arg-json", name, value)),
            Err(error) => problems.add("--arg-json", format!("{name}: {text:?} is no JSON: {error}")),
        }
    }
    let mut arguments = Arguments::new();
    for (option, name, value) in all {
        if arguments.insert(name.clone(), value).is_some() {
            problems.add(option, format!("{name} is given twice"));
        }
    }
    arguments
}
