//! The differences of two values, each with the path where it is. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// A place where two values differ.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The path: object keys, list positions or, where a list's items have names, `[name]`.
    pub path: String,
    /// What upstream has; none: nothing.
    pub upstream: Option<Value>,
    /// What the engine has; none: nothing.
    pub engine: Option<Value>,
}

/// Keys by which items of a list are known, the first that fits.
const KEYS: [&str; 6] = ["name", "resource", "subresource", "version", "type", "mountPath"];

/// Every difference of two values.
#[must_use]
pub fn diff(upstream: Option<&Value>, engine: Option<&Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    walk(String::new(), upstream, engine, &mut changes);
    changes
}

fn walk(path: String, upstream: Option<&Value>, engine: Option<&Value>, changes: &mut Vec<Change>) {
    match (upstream, engine) {
        (Some(Value::Object(there)), Some(Value::Object(here))) => {
            let keys: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
            for key in keys {
                walk(format!("{path}/{}", escape(key)), there.get(key), here.get(key), changes);
            }
        }
        (Some(Value::Array(there)), Some(Value::Array(here))) => lists(&path, there, here, changes),
        (there, here) if there == here => {}
        (there, here) => changes.push(Change { path, upstream: there.cloned(), engine: here.cloned() }),
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn lists(path: &str, there: &[Value], here: &[Value], changes: &mut Vec<Change>) {
    if let (Some(names_there), Some(names_here)) = (names(there), names(here))
        && !(there.is_empty() && here.is_empty())
    {
        let all: BTreeSet<&String> = names_there.iter().chain(&names_here).collect();
        let find = |list: &'_ [Value], names: &[String], name: &String| {
            names.iter().position(|n| n == name).map(|at| list[at].clone())
        };
        for name in all {
            let (a, b) = (find(there, &names_there, name), find(here, &names_here, name));
            walk(format!("{path}/[{}]", escape(name)), a.as_ref(), b.as_ref(), changes);
        }
        let common = |names: &[String], other: &[String]| -> Vec<String> {
            names.iter().filter(|n| other.contains(n)).cloned().collect()
        };
        let (a, b) = (common(&names_there, &names_here), common(&names_here, &names_there));
        if a != b {
            changes.push(Change {
                path: format!("{path}/(order)"),
                upstream: Some(a.into()),
                engine: Some(b.into()),
            });
        }
        return;
    }
    for at in 0..there.len().max(here.len()) {
        walk(format!("{path}/{at}"), there.get(at), here.get(at), changes);
    }
}

/// The names of a list's items, if every one has one of its own.
fn names(list: &[Value]) -> Option<Vec<String>> {
    let name = |item: &Value, key: &str| match item[key].as_str() {
        Some(name) => Some(name.to_owned()),
        None => item["metadata"][key].as_str().map(str::to_owned),
    };
    KEYS.iter().find_map(|key| {
        let names: Vec<String> = list.iter().map(|item| name(item, key)).collect::<Option<_>>()?;
        let distinct: BTreeSet<&String> = names.iter().collect();
        (distinct.len() == names.len()).then_some(names)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(upstream: &Value, engine: &Value) -> Vec<String> {
        diff(Some(upstream), Some(engine)).into_iter().map(|change| change.path).collect()
    }

    #[test]
    fn equal_values_have_no_difference() {
        let value = json!({"a": [1, {"b": null}], "c": "d"});
        assert_eq!(paths(&value, &value), Vec::<String>::new());
    }

    #[test]
    fn a_difference_is_named_by_its_path() {
        assert_eq!(paths(&json!({"a": {"b/c": 1}}), &json!({"a": {"b/c": 2}})), ["/a/b~1c"]);
        assert_eq!(paths(&json!({"a": 1}), &json!({})), ["/a"]);
        assert_eq!(paths(&json!([1, 2]), &json!([1])), ["/1"]);
    }

    #[test]
    fn items_with_names_are_compared_by_them() {
        let list = |names: &[&str]| json!(names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>());
        assert_eq!(paths(&list(&["a", "b", "c"]), &list(&["a", "c"])), ["/[b]"]);
        assert_eq!(paths(&list(&["a", "b"]), &list(&["b", "a"])), ["/(order)"]);
    }
}
