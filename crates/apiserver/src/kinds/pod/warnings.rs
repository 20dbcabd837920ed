//! What a pod's writer is warned of. Source: upstream pkg/api/pod/warnings.go, the part that concerns what runs here.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kinds::json::{int, is_set, items, text};

/// Warnings about a pod.
pub(crate) fn of_pod(pod: &Value) -> Vec<String> {
    of_spec(&pod["spec"], "spec")
}

/// Warnings about a pod's spec under a path.
pub(crate) fn of_spec(spec: &Value, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in items(spec, list).iter().enumerate() {
            hidden_variables(&mut warnings, container, &format!("{path}.{list}[{i}].env"));
        }
    }
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|s| s < 0) {
        warnings.push(format!(
            "{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    warnings
}

/// A variable set again hides the first, unless it is built from it.
fn hidden_variables(warnings: &mut Vec<String>, container: &Value, path: &str) {
    let mut seen = BTreeSet::new();
    for (i, variable) in items(container, "env").iter().enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        let reference = format!("$({name})");
        let hides = is_set(variable, "valueFrom") || value == reference || !value.contains(&reference);
        if !seen.insert(name) && hides {
            warnings.push(format!(
                "{path}[{i}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}
