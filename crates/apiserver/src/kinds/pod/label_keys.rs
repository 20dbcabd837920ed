//! `matchLabelKeys` and `mismatchLabelKeys` of affinities and of spreading: the pod's own labels, as requirements of the
//! selector beside them.
//!
//! Source: upstream pkg/registry/core/pod/strategy.go (`applyLabelKeysToLabelSelector`) and
//! `ValidateMatchLabelKeysAndMismatchLabelKeys` of the core validation.

use serde_json::{Map, Value, json};

use crate::field::{Errors, FieldError};
use crate::kinds::json::{is_set, items};
use crate::kinds::rules::{at, item, wrong};
use crate::names;

const RULES: [&str; 2] =
    ["requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"];

/// Adds what the keys of a new pod mean to its selectors.
pub(super) fn merge(pod: &mut Value) {
    let has_any =
        |spec: &Value| spec["affinity"].is_object() || !items(spec, "topologySpreadConstraints").is_empty();
    if !has_any(&pod["spec"]) {
        return;
    }
    let labels = pod["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let Some(spec) = pod.get_mut("spec") else { return };
    for of in ["podAffinity", "podAntiAffinity"] {
        for rule in RULES {
            let terms =
                spec.get_mut("affinity").and_then(|all| all.get_mut(of)?.get_mut(rule)?.as_array_mut());
            for term in terms.into_iter().flatten() {
                if rule == RULES[0] {
                    extend(term, &labels);
                } else if let Some(term) = term.get_mut("podAffinityTerm") {
                    extend(term, &labels);
                }
            }
        }
    }
    let constraints = spec.get_mut("topologySpreadConstraints").and_then(Value::as_array_mut);
    constraints.into_iter().flatten().for_each(|constraint| extend(constraint, &labels));
}

fn extend(term: &mut Value, labels: &Map<String, Value>) {
    let added = |field: &str, operator: &str| {
        let keys = items(term, field).iter().filter_map(Value::as_str);
        let known = keys.filter_map(|key| Some((key, labels.get(key)?)));
        let rules = known.map(|(key, value)| json!({"key": key, "operator": operator, "values": [value]}));
        rules.collect::<Vec<Value>>()
    };
    let added = [added("matchLabelKeys", "In"), added("mismatchLabelKeys", "NotIn")].concat();
    let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_object_mut) else { return };
    if added.is_empty() {
        return;
    }
    match selector.get_mut("matchExpressions") {
        Some(Value::Array(rules)) => rules.extend(added),
        _ => drop(selector.insert("matchExpressions".to_owned(), Value::Array(added))),
    }
}

/// Every problem of the keys of a term.
pub(super) fn validate(errors: &mut Errors, term: &Value, path: &str) {
    let keys = |field: &str| items(term, field).iter().filter_map(Value::as_str).collect::<Vec<_>>();
    let selector = &term["labelSelector"];
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let path = at(path, field);
        let keys = keys(field);
        if !keys.is_empty() && !is_set(term, "labelSelector") {
            errors.push(FieldError::forbidden(path, "must not be specified when labelSelector is not set"));
            continue;
        }
        for (i, key) in keys.into_iter().enumerate() {
            wrong(errors, &item(&path, i), key, names::qualified_name(key));
        }
    }
    let (matching, other) = (keys("matchLabelKeys"), keys("mismatchLabelKeys"));
    // What the keys themselves have added stands there once.
    let labels = selector["matchLabels"].as_object();
    let mut seen: Vec<&str> = labels.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    for rule in items(selector, "matchExpressions") {
        let key = rule["key"].as_str().unwrap_or_default();
        if let Some(i) = matching.iter().rposition(|own| *own == key).filter(|_| seen.contains(&key)) {
            let detail = "exists in both matchLabelKeys and labelSelector";
            errors.push(FieldError::invalid(item(path, i), key, detail));
        }
        seen.push(key);
    }
    for (i, key) in matching.into_iter().enumerate().filter(|(_, key)| other.contains(key)) {
        let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.push(FieldError::invalid(item(&at(path, "matchLabelKeys"), i), key, detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(term: &Value) -> Value {
        json!({"metadata": {"labels": {"run": "a", "app": "w"}}, "spec": {
            "affinity": {"podAffinity": {RULES[0]: [term]}, "podAntiAffinity": {RULES[1]: [{"podAffinityTerm": term}]}},
            "topologySpreadConstraints": [term],
        }})
    }

    #[test]
    fn keys_become_requirements_of_every_selector_that_there_is() {
        let term = json!({"labelSelector": {"matchLabels": {"x": "y"}, "matchExpressions": [{"key": "z", "operator": "Exists"}]},
            "matchLabelKeys": ["run", "absent"], "mismatchLabelKeys": ["app"]});
        let mut whole = pod(&term);
        merge(&mut whole);
        let expected = json!([
            {"key": "z", "operator": "Exists"}, {"key": "run", "operator": "In", "values": ["a"]},
            {"key": "app", "operator": "NotIn", "values": ["w"]}]);
        let spec = &whole["spec"];
        for selector in [
            &spec["affinity"]["podAffinity"][RULES[0]][0]["labelSelector"],
            &spec["affinity"]["podAntiAffinity"][RULES[1]][0]["podAffinityTerm"]["labelSelector"],
            &spec["topologySpreadConstraints"][0]["labelSelector"],
        ] {
            assert_eq!(selector["matchExpressions"], expected);
        }
        for term in [json!({"matchLabelKeys": ["run"]}), json!({"labelSelector": {}}), json!({})] {
            let (mut after, before) = (pod(&term), pod(&term));
            merge(&mut after);
            assert_eq!(after, before, "{term}");
        }
        let mut bare = json!({"metadata": {}, "spec": {}});
        merge(&mut bare);
        assert_eq!(bare, json!({"metadata": {}, "spec": {}}));
    }

    #[test]
    fn keys_that_stand_twice_or_beside_no_selector_are_refused() {
        let told = |term: &Value| {
            let mut errors = Errors::new();
            validate(&mut errors, term, "t");
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let merged = json!({"key": "run", "operator": "In", "values": ["a"]});
        assert!(
            told(&json!({"matchLabelKeys": ["run"], "labelSelector": {"matchExpressions": [merged]}}))
                .is_empty()
        );
        assert_eq!(
            told(
                &json!({"matchLabelKeys": ["run"], "labelSelector": {"matchLabels": {"run": "b"}, "matchExpressions": [merged]}})
            ),
            ["t[0]: Invalid value: \"run\": exists in both matchLabelKeys and labelSelector"]
        );
        assert_eq!(
            told(&json!({"mismatchLabelKeys": ["run"]})),
            ["t.mismatchLabelKeys: Forbidden: must not be specified when labelSelector is not set"]
        );
        assert_eq!(
            told(&json!({"matchLabelKeys": ["run"], "mismatchLabelKeys": ["run"], "labelSelector": {}})),
            [
                "t.matchLabelKeys[0]: Invalid value: \"run\": exists in both matchLabelKeys and mismatchLabelKeys"
            ]
        );
    }
}
