//! What of a Job on the cluster is not as a manifest says. What the manifest does not say is the server's to choose.

use serde_json::Value;
use windlass_model::quantity;

use crate::marks;

/// A field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `spec.template.spec.containers[0].image`.
    pub path: String,
    /// What is there; `None`: nothing.
    pub is: Option<Value>,
    /// What would be; `None`: nothing.
    pub wanted: Option<Value>,
}

/// Every field that differs, in the order of their names.
pub fn difference(there: &Value, wanted: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for part in ["metadata", "spec"] {
        compare(part, &there[part], &wanted[part], &mut changes);
    }
    changes
}

fn compare(path: &str, is: &Value, wanted: &Value, changes: &mut Vec<Change>) {
    match (is, wanted) {
        (Value::Object(there), Value::Object(map)) => {
            for (key, wanted) in map {
                let key_path = match key.contains(['.', '/']) {
                    true => format!("{path}[{key}]"),
                    false => format!("{path}.{key}"),
                };
                compare(&key_path, there.get(key).unwrap_or(&Value::Null), wanted, changes);
            }
            // In these mappings every key is somebody's word: one that is there and not wanted is a difference.
            let is_free = ["labels", "annotations", "nodeSelector", "requests", "limits"];
            if path.rsplit('.').next().is_some_and(|name| is_free.contains(&name)) {
                let gone = there.iter().filter(|(key, _)| !map.contains_key(*key) && !is_made(key));
                changes.extend(gone.map(|(key, value)| Change {
                    path: format!("{path}[{key}]"),
                    is: Some(value.clone()),
                    wanted: None,
                }));
            }
        }
        (Value::Array(there), Value::Array(list)) => {
            for index in 0..there.len().max(list.len()) {
                let at = |list: &[Value]| list.get(index).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}[{index}]"), &at(there), &at(list), changes);
            }
        }
        _ if same(is, wanted) => {}
        _ => {
            let some = |value: &Value| (!value.is_null()).then(|| value.clone());
            changes.push(Change { path: path.to_owned(), is: some(is), wanted: some(wanted) });
        }
    }
}

/// Marks of a submission, and what servers and controllers write.
fn is_made(key: &str) -> bool {
    marks::OURS.contains(&key)
        || key.starts_with("batch.kubernetes.io/")
        || matches!(key, "controller-uid" | "job-name" | marks::RETRY_OF | marks::TASKS)
}

/// An empty value is as good as none, and quantities may be written in several ways.
fn same(is: &Value, wanted: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) => false,
    };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let amounts = || Some(quantity::value(&text(is)?)? == quantity::value(&text(wanted)?)?);
    is == wanted || is_nothing(is) && is_nothing(wanted) || amounts().unwrap_or(false)
}
