//! Job definitions as k8s-jobs has them: a file that names templates, and a template that becomes a Job.
//!
//! [`read()`] reads the file: a YAML list of `name` with `spec`, `spec_path`, or `spec_config_map_name` and
//! `spec_config_map_namespace`. [`Definition::render`] makes a Job of a template, in the language of Jinja2, and
//! arguments. Arguments fill values and never add keys. Where a template's text comes from (files, ConfigMaps) is the
//! caller's affair.

mod errors;
mod file;
mod fill;
mod marker;
mod naming;
mod template;

use std::collections::BTreeSet;

use serde_json::Value;
use windlass_model::{JobName, Problem, SubmissionId};

use super::Written;
use crate::fields::nearest;
use crate::read::{ReadError, jobs_of};
use crate::{Base, Edit, JobEdit, tree};
use errors::{missing, names, unreadable};
use fill::Filler;
use template::{Rendered, Run};

pub use file::read;
pub use naming::{derive_name, long_name, stem};
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
        let documents = tree::parse(&rendered.text)
            .map_err(|error| vec![unreadable(template, run, &rendered, &error)])?;
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
}
