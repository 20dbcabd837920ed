//! Two answers side by side: every difference is a row with its place, and a row is explained or it is a defect. Pure.

mod diff;
mod reasons;

pub use diff::{Change, diff};
pub use reasons::{Reason, Reasons};

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::Answers;

/// One difference.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The topic.
    pub topic: String,
    /// The case.
    pub case: String,
    /// The step in one line.
    pub step: String,
    /// Where in the step's record, and what.
    pub change: Change,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "(absent)".to_owned(), Value::to_string);
        let Change { path, upstream, engine } = &self.change;
        writeln!(f, "{} / {} / {}", self.topic, self.case, self.step)?;
        writeln!(f, "    at {path}")?;
        writeln!(f, "    upstream: {}", shown(upstream))?;
        write!(f, "    engine:   {}", shown(engine))
    }
}

/// Every difference between upstream's and the engine's answers to a topic.
#[must_use]
pub fn topic(name: &str, upstream: &Answers, engine: &Answers) -> Vec<Row> {
    let cases: BTreeMap<&String, ()> = upstream.keys().chain(engine.keys()).map(|case| (case, ())).collect();
    let none = Vec::new();
    let mut rows = Vec::new();
    for case in cases.into_keys() {
        let (there, here) = (upstream.get(case).unwrap_or(&none), engine.get(case).unwrap_or(&none));
        for number in 0..there.len().max(here.len()) {
            let (there, here) = (there.get(number), here.get(number));
            let step = there.or(here).and_then(|r| r["step"].as_str()).unwrap_or("its end").to_owned();
            rows.extend(diff(there, here).into_iter().map(|change| Row {
                topic: name.to_owned(),
                case: case.clone(),
                step: format!("{}. {step}", number + 1),
                change,
            }));
        }
    }
    rows
}
