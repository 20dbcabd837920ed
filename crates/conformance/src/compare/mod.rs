//! Two answers side by side: every difference is a row with its place, and a row is explained or it is a defect. Pure.

mod diff;
mod reasons;

pub use diff::{Change, diff};
pub use reasons::{Reason, Reasons};

use std::collections::BTreeMap;

use serde_json::{Value, json};

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
        let shown =
            |value: &Option<Value>| value.as_ref().map_or_else(|| "(absent)".to_owned(), Value::to_string);
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
            rows.extend(changes(there, here).into_iter().map(|change| Row {
                topic: name.to_owned(),
                case: case.clone(),
                step: format!("{}. {step}", number + 1),
                change,
            }));
        }
    }
    rows
}

/// The differences of two records. One was refused and the other was not: that is one difference, not one a field.
fn changes(upstream: Option<&Value>, engine: Option<&Value>) -> Vec<Change> {
    let code = |record: Option<&Value>| record.and_then(|r| r["code"].as_u64()).filter(|code| *code != 0);
    match (code(upstream), code(engine)) {
        (Some(there), Some(here)) if there != here => vec![Change {
            path: "/code".to_owned(),
            upstream: upstream.map(summary),
            engine: engine.map(summary),
        }],
        _ => diff(upstream, engine),
    }
}

/// An answer's code and sentence.
fn summary(record: &Value) -> Value {
    let message = [&record["body"]["message"], &record["body"]["/message"], &record["body"]];
    let message = message.into_iter().find_map(Value::as_str);
    match message {
        Some(message) => json!({"code": record["code"], "message": message}),
        None => json!({"code": record["code"]}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_against_an_answer_is_one_difference() {
        let upstream = json!({"step": "GET /x", "code": 404, "body": {"kind": "Status", "message": "none"}});
        let engine = json!({"step": "GET /x", "code": 200, "body": {"kind": "Job", "spec": {}}});
        let changes = changes(Some(&upstream), Some(&engine));
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].upstream, Some(json!({"code": 404, "message": "none"})));
    }

    #[test]
    fn a_case_that_only_one_side_went_through_is_told() {
        let one = Answers::from([("a".to_owned(), vec![json!({"step": "GET /x", "code": 200})])]);
        assert_eq!(topic("t", &one, &one), []);
        assert_eq!(topic("t", &one, &Answers::new()).len(), 1);
    }
}
