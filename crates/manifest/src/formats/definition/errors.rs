//! What is wrong with a template, its arguments or its text, in words with file and line.

use std::collections::BTreeSet;

use minijinja::ErrorKind;
use serde_json::Value;

use super::fill::{Refusal, Why};
use super::template::{self, Rendered, Run};
use super::{Arguments, Definition, MISSING, STRUCTURES, Template};
use crate::read::{ReadError, syntax};

impl Template {
    /// An error of a line of the text.
    pub(super) fn at(&self, line: u64, message: String) -> ReadError {
        let line = self.first_line + line.max(1) - 1;
        ReadError::Line { file: self.file.clone(), line, message }
    }

    /// What the engine of templates says, in our words where it says little.
    pub(super) fn fault(&self, error: &minijinja::Error) -> ReadError {
        let message = match error.kind() {
            ErrorKind::OutOfFuel => "the template runs on and on: does it loop?".to_owned(),
            ErrorKind::WriteFailure => {
                format!("the template makes more than {} MiB of text", template::MAX_TEXT >> 20)
            }
            ErrorKind::UndefinedError => {
                match error.range().and_then(|range| template::braces(&self.text, range)) {
                    Some(words) => format!("{words:?} is not defined"),
                    None => "a value is not defined".to_owned(),
                }
            }
            kind => match error.detail() {
                Some(detail) => format!("{kind}: {detail}"),
                None => kind.to_string(),
            },
        };
        self.at(error.line().and_then(|line| u64::try_from(line).ok()).unwrap_or(1), message)
    }
}

impl Definition {
    /// A refusal in words: the expression, its place in the template, and the way out.
    pub(super) fn refused(
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
pub(super) fn names(expression: &str) -> Option<BTreeSet<String>> {
    template::variables(&format!("{{{{ {expression} }}}}")).ok()
}

/// The text that a template makes is no YAML. Its lines are the template's, as long as no block adds or leaves out some.
pub(super) fn unreadable(
    template: &Template,
    run: Run<'_>,
    rendered: &Rendered,
    error: &serde_saphyr::Error,
) -> ReadError {
    let note =
        if template.text.contains("{%") { " (a line of the text that the template makes)" } else { "" };
    match syntax(&template.file, &rendered.text, error) {
        ReadError::Syntax { file, line, column, message } => {
            let line = template.first_line + line.max(1) - 1;
            let message = format!("{}{note}", unmarked(message, run, rendered));
            ReadError::Syntax { file, line, column, message }
        }
        other => other,
    }
}

/// A message in which expressions stand for the markers of their values.
fn unmarked(mut message: String, run: Run<'_>, rendered: &Rendered) -> String {
    for (_, index) in rendered.markers.all(&message.clone()).into_iter().take(STRUCTURES) {
        let words = run.expression(&rendered.markers, index).map_or("...".to_owned(), |(_, words)| words);
        message = message.replace(&rendered.markers.of(index), &format!("{{{{ {words} }}}}"));
    }
    message
}

/// Why a run failed. If a value is not defined: every argument that it needs and does not have.
pub(super) fn missing(
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
