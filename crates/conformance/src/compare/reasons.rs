//! Differences that are meant, each with its reason: `reasons.yaml`. Pure but for reading the file.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::Row;
use crate::script::{folder, read};

/// Why some rows are no defect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// A sentence.
    pub reason: String,
    /// Topics, with `*` for any text; none: all.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Cases, with `*` for any text; none: all.
    #[serde(default)]
    pub cases: Vec<String>,
    /// Paths: `*` is one segment or a part of it, `**` any number of segments.
    pub paths: Vec<String>,
    /// Only rows of this form.
    #[serde(default)]
    pub only: Option<Form>,
    /// Only rows whose value upstream fits one of these, as JSON text with `*` for any text; none: all.
    #[serde(default)]
    pub upstream: Vec<String>,
    /// Only rows whose value here fits one of these, as JSON text with `*` for any text; none: all.
    #[serde(default)]
    pub engine: Vec<String>,
}

/// The form of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The engine has nothing there.
    Missing,
    /// Only the engine has something there.
    Extra,
    /// Both have something, not the same.
    Changed,
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Reasons(pub Vec<Reason>);

impl Reasons {
    /// Reads the table of this crate.
    pub fn load() -> Result<Reasons> {
        Ok(Reasons(read(&folder().join("reasons.yaml"))?))
    }

    /// The first reason that fits a row.
    #[must_use]
    pub fn explain(&self, row: &Row) -> Option<usize> {
        self.0.iter().position(|reason| reason.fits(row))
    }
}

impl Reason {
    fn fits(&self, row: &Row) -> bool {
        let any =
            |patterns: &[String], text: &str| patterns.is_empty() || patterns.iter().any(|p| glob(p, text));
        let value = |patterns: &[String], value: &Option<Value>| {
            patterns.is_empty() || value.as_ref().is_some_and(|value| any(patterns, &value.to_string()))
        };
        let change = &row.change;
        any(&self.topics, &row.topic)
            && any(&self.cases, &row.case)
            && self.paths.iter().any(|pattern| path_fits(pattern, &change.path))
            && self.only.is_none_or(|form| form == form_of(row))
            && value(&self.upstream, &change.upstream)
            && value(&self.engine, &change.engine)
    }
}

fn form_of(row: &Row) -> Form {
    match (&row.change.upstream, &row.change.engine) {
        (_, None) => Form::Missing,
        (None, _) => Form::Extra,
        _ => Form::Changed,
    }
}

fn path_fits(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    segments_fit(&pattern, &path)
}

fn segments_fit(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skip| segments_fit(rest, &path[skip..])),
        ([first, rest @ ..], [segment, tail @ ..]) => glob(first, segment) && segments_fit(rest, tail),
        _ => false,
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| glob(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compare::Change;

    fn row(path: &str, upstream: Option<Value>, engine: Option<Value>) -> Row {
        let change = Change { path: path.to_owned(), upstream, engine };
        Row { topic: "tables".to_owned(), case: "wide".to_owned(), step: "1. GET".to_owned(), change }
    }

    fn reason(paths: &[&str]) -> Reason {
        Reason {
            reason: "a test's".to_owned(),
            topics: vec!["tab*".to_owned()],
            cases: Vec::new(),
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
            only: None,
            upstream: Vec::new(),
            engine: Vec::new(),
        }
    }

    #[test]
    fn stars_stand_for_segments() {
        let row = row("/body/columns/[Age]/description", Some(json!(1)), None);
        assert!(reason(&["/body/columns/*/description"]).fits(&row));
        assert!(reason(&["/**/description"]).fits(&row));
        assert!(!reason(&["/body/*/description"]).fits(&row));
        assert!(!reason(&["/body/columns/*"]).fits(&row));
    }

    #[test]
    fn a_reason_is_no_wider_than_it_says() {
        let missing = row("/a", Some(json!("x y")), None);
        assert!(Reason { only: Some(Form::Missing), ..reason(&["/a"]) }.fits(&missing));
        assert!(!Reason { only: Some(Form::Extra), ..reason(&["/a"]) }.fits(&missing));
        assert!(Reason { upstream: vec!["\"x *".to_owned()], ..reason(&["/a"]) }.fits(&missing));
        assert!(!Reason { engine: vec!["*".to_owned()], ..reason(&["/a"]) }.fits(&missing));
        assert!(!Reason { cases: vec!["other".to_owned()], ..reason(&["/a"]) }.fits(&missing));
    }
}
