//! Job definitions as k8s-jobs has them: a file that names templates, and a template that becomes a Job.
//!
//! [`read()`] reads the file: a YAML list of `name` with `spec`, `spec_path`, or `spec_config_map_name` and
//! `spec_config_map_namespace`. [`Definition::render`] makes a Job of a template, in the language of Jinja2, and
//! arguments. Arguments fill values and never add keys. Where a template's text comes from (files, ConfigMaps) is the
//! caller's affair.

mod file;
mod fill;
mod marker;
mod naming;
mod template;

use std::collections::BTreeSet;

use minijinja::ErrorKind;
use serde_json::Value;
use windlass_model::{JobName, Problem, SubmissionId};

use super::Written;
use crate::fields::nearest;
use crate::read::{ReadError, jobs_of, syntax};
use crate::{Base, Edit, JobEdit, tree};
use fill::{Filler, Refusal, Why};
use template::{Rendered, Run};

pub use file::read;
pub use naming::{long_name, stem};
pub use template::Arguments;

/// Label of a Job: the signature of whoever may list and delete it.
pub const SIGNATURE: &str = "app.kubernetes.io/managed-by";
/// Label of a Job: the definition that it was made from.
pub const DEFINITION: &str = "job_definition_name";
/// Annotation of a Job: when it may be deleted, in seconds since 1970.
pub const DELETION_TIME: &str = "job_deletion_time_unix_sec";

/// How many lists and mappings one rendering may put in: each is looked up in the template.
const STRUCTURES: usize = 100;
/// How many missing arguments one message names.
const MISSING: usize = 20;

/// One definition of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name: a label's value.
    pub name: String,
    /// The file that it stands in, as the user named it.
    pub file: String,
    /// Where it begins, from 1.
    pub line: u64,
    /// Where its template is.
    pub source: Source,
    /// Arguments that the template does not use are no error.
    pub extra_arguments: bool,
    /// Names in the template whose values may be lists and mappings.
    pub allow_structure: BTreeSet<String>,
}

/// Where a definition's template is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the file of the definitions.
    Inline(Template),
    /// In this file, as it is written there.
    Path(String),
    /// In a ConfigMap, under the key that is its name.
    ConfigMap {
        /// The ConfigMap, and the key in it.
        name: String,
        /// Its namespace.
        namespace: String,
    },
}

/// A template's text, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The file, as the user named it, or the ConfigMap.
    pub file: String,
    /// The line of that file in which the text begins, from 1.
    pub first_line: u64,
    /// The text.
    pub text: String,
}

impl Template {
    /// A whole file, or a ConfigMap's key.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Template { file: file.into(), first_line: 1, text: text.into() }
    }

    /// The names that it takes from its arguments, those with a default among them.
    ///
    /// # Errors
    /// What is wrong with the template, with file and line.
    pub fn variables(&self) -> Result<BTreeSet<String>, Vec<ReadError>> {
        self.check_length()?;
        template::variables(&self.text).map_err(|error| vec![self.fault(&error)])
    }

    fn check_length(&self) -> Result<(), Vec<ReadError>> {
        match self.text.len() > template::MAX_TEMPLATE {
            true => Err(vec![ReadError::TooLong { file: self.file.clone(), limit: template::MAX_TEMPLATE }]),
            false => Ok(()),
        }
    }

    fn at(&self, line: u64, message: String) -> ReadError {
        let line = self.first_line + line.max(1) - 1;
        ReadError::Line { file: self.file.clone(), line, message }
    }

    /// What the engine of templates says, in our words where it says little.
    fn fault(&self, error: &minijinja::Error) -> ReadError {
        let message = match error.kind() {
            ErrorKind::OutOfFuel => "the template runs on and on: does it loop?".to_owned(),
            ErrorKind::WriteFailure => {
                format!("the template makes more than {} MiB of text", template::MAX_TEXT >> 20)
            }
            ErrorKind::UndefinedError => match error.range().and_then(|range| self.text.get(range)) {
                Some(words) => format!("{words:?} is not defined"),
                None => "a value is not defined".to_owned(),
            },
            kind => match error.detail() {
                Some(detail) => format!("{kind}: {detail}"),
                None => kind.to_string(),
            },
        };
        self.at(error.line().and_then(|line| u64::try_from(line).ok()).unwrap_or(1), message)
    }
}

impl Definition {
    /// The Job of a template and arguments.
    ///
    /// # Errors
    /// All that is wrong, each with file and line: an argument that is missing or left over, a template that is none,
    /// a value that cannot be put in, a text that is not one Job.
    pub fn render(&self, template: &Template, arguments: &Arguments) -> Result<Written, Vec<ReadError>> {
        let known = template.variables()?;
        self.left_over(&known, arguments)?;
        let run = Run { text: &template.text, arguments };
        let rendered = run.render().map_err(|error| missing(template, &known, arguments, &error))?;
        let documents = tree::parse(&rendered.text).map_err(|error| vec![unreadable(template, &error)])?;
        let [document] = documents.as_slice() else {
            let count = documents.len();
            let message = match count {
                0 => "the template makes an empty text; a definition is one Job".to_owned(),
                _ => format!("the template makes {count} documents; a definition is one Job: split it"),
            };
            return Err(vec![template.at(1, message)]);
        };
        let job = self.fill(template, run, &rendered, document)?;
        let line = template.first_line + document.at.line.max(1) - 1;
        let mut jobs = jobs_of(&template.file, "", vec![(line, job)])?;
        if jobs.len() != 1 {
            let message = format!("the template makes a list of {}; a definition is one Job", jobs.len());
            return Err(vec![template.at(1, message)]);
        }
        let base = Base::Manifest(jobs.swap_remove(0).job);
        Ok(Written { file: template.file.clone(), line, base, edits: self.marks(None) })
    }

    /// What a Job of this definition is marked with, and by whose signature.
    pub fn marks(&self, signature: Option<&str>) -> Vec<Edit> {
        let signature = signature.map(|text| (SIGNATURE, text));
        let all = [(DEFINITION, self.name.as_str())].into_iter().chain(signature);
        all.map(|(key, value)| Edit::Job(JobEdit::Label(key.to_owned(), value.to_owned()))).collect()
    }

    /// The name of the Job of a submission, as k8s-jobs makes it: the beginning of the template's own name (or the
    /// definition's) and 24 hexadecimal digits.
    ///
    /// # Errors
    /// A name in the template that no Job may have.
    pub fn job_name(&self, job: &Value, id: &SubmissionId) -> Result<JobName, Problem> {
        long_name(&stem(job, &self.name)?, id)
    }

    fn left_over(&self, known: &BTreeSet<String>, arguments: &Arguments) -> Result<(), Vec<ReadError>> {
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let left = arguments.keys().filter(|name| !self.extra_arguments && !known.contains(*name));
        let errors: Vec<ReadError> = left
            .map(|name| {
                let hint = match nearest(name, &names) {
                    Some(near) => format!("did you mean {near}?"),
                    None if names.is_empty() => "its template has no variables".to_owned(),
                    None => format!("its variables are {}", names.join(", ")),
                };
                let message = format!(
                    "definition {:?} does not use the argument {name:?}; {hint} (extra_arguments: allow in the \
                     definition lets it pass)",
                    self.name
                );
                ReadError::Line { file: self.file.clone(), line: self.line, message }
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn fill(
        &self,
        template: &Template,
        run: Run<'_>,
        rendered: &Rendered,
        document: &tree::Node,
    ) -> Result<Value, Vec<ReadError>> {
        let mut asked = 0;
        let mut allows = |index: usize| {
            asked += 1;
            let expression =
                (asked <= STRUCTURES).then(|| run.expression(&rendered.markers, index)).flatten();
            expression.is_some_and(|(_, words)| {
                names(&words).is_some_and(|names| names.is_subset(&self.allow_structure))
            })
        };
        let filled = Filler::new(rendered, &mut allows).fill(document);
        filled.map_err(|refusals| {
            let told = refusals.iter().take(STRUCTURES);
            told.map(|refusal| self.refused(template, run, rendered, refusal)).collect()
        })
    }

    /// A refusal in words: the expression, its place in the template, and the way out.
    fn refused(
        &self,
        template: &Template,
        run: Run<'_>,
        rendered: &Rendered,
        refusal: &Refusal,
    ) -> ReadError {
        let expression = run.expression(&rendered.markers, refusal.index);
        let (line, words) = match expression {
            Some((line, words)) => (u64::try_from(line).unwrap_or(1), words),
            None => (refusal.at.line, "...".to_owned()),
        };
        let names = names(&words).unwrap_or_default().into_iter().collect::<Vec<_>>().join(", ");
        let place = if refusal.path.is_empty() { String::new() } else { format!("{}: ", refusal.path) };
        let words = format!("{{{{ {words} }}}}");
        let message = match refusal.why {
            Why::Key => format!(
                "{place}{words} stands in a key; arguments fill values and add no keys: write the key out, or give \
                 the whole mapping with allow_structure: [NAME] in the definition"
            ),
            Why::Structure => format!(
                "{place}{words} is a list or a mapping; arguments fill values and add no keys: put it in quotes to have \
                 its text, or write allow_structure: [{names}] into the definition {:?}",
                self.name
            ),
            Why::Lost => format!(
                "{place}{words} does not come out of the template as it went in: put it in quotes, and do not cut, \
                 compare or change what a block or macro has written"
            ),
            Why::TooLong => {
                format!("{place}{words} makes the Job longer than {} MiB", template::MAX_TEXT >> 20)
            }
        };
        template.at(line, message)
    }
}

/// The names in an expression; `None` if it is none.
fn names(expression: &str) -> Option<BTreeSet<String>> {
    template::variables(&format!("{{{{ {expression} }}}}")).ok()
}

/// The text that a template makes is no YAML. Its lines are the template's, as long as no block adds or leaves out some.
fn unreadable(template: &Template, error: &serde_saphyr::Error) -> ReadError {
    let note =
        if template.text.contains("{%") { " (a line of the text that the template makes)" } else { "" };
    match syntax(&template.file, error) {
        ReadError::Syntax { file, line, column, message } => {
            let line = template.first_line + line.max(1) - 1;
            ReadError::Syntax { file, line, column, message: format!("{message}{note}") }
        }
        other => other,
    }
}

/// Why a run failed. If a value is not defined: every argument that it needs and does not have.
fn missing(
    template: &Template,
    known: &BTreeSet<String>,
    arguments: &Arguments,
    error: &minijinja::Error,
) -> Vec<ReadError> {
    if error.kind() != ErrorKind::UndefinedError {
        return vec![template.fault(error)];
    }
    let absent: Vec<&String> =
        known.iter().filter(|name| !arguments.contains_key(*name)).take(MISSING).collect();
    let needed = absent.iter().filter_map(|name| {
        // With something for all the others: does it fail for this one?
        let others = absent.iter().filter(|other| *other != name);
        let mut given = arguments.clone();
        given.extend(others.map(|other| ((*other).clone(), Value::from("0"))));
        let error = Run { text: &template.text, arguments: &given }.render().err()?;
        (error.kind() == ErrorKind::UndefinedError).then(|| {
            let line = error.line().and_then(|line| u64::try_from(line).ok()).unwrap_or(1);
            template.at(line, format!("the argument {name:?} is missing; add --arg {name}=VALUE"))
        })
    });
    let needed: Vec<ReadError> = needed.collect();
    if needed.is_empty() { vec![template.fault(error)] } else { needed }
}
