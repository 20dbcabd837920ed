//! Which objects a quota with scopes is about.
//!
//! Source: upstream pkg/quota/v1/evaluator/core/pods.go and persistent_volume_claims.go.

use serde_json::Value;

use crate::kind::{Fields, Kind};
use crate::kinds::pod::qos;

/// A condition on objects.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Scope {
    name: String,
    operator: String,
    values: Vec<String>,
}

/// All scopes of a quota's spec: its `scopes`, and those of its selector.
pub(super) fn read(spec: &Value) -> Vec<Scope> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let plain = spec["scopes"].as_array().into_iter().flatten();
    let plain =
        plain.map(|name| Scope { name: text(name), operator: "Exists".to_owned(), values: Vec::new() });
    let selected = spec["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten();
    let selected = selected.map(|expression| Scope {
        name: text(&expression["scopeName"]),
        operator: text(&expression["operator"]),
        values: expression["values"].as_array().into_iter().flatten().map(text).collect(),
    });
    plain.chain(selected).collect()
}

impl Scope {
    /// Whether an object is in it. Kinds without scopes are in none.
    pub(super) fn has(&self, kind: &Kind, object: &dyn Fields) -> bool {
        match (kind.group, kind.kind) {
            ("", "Pod") => self.has_pod(object),
            ("", "PersistentVolumeClaim") => self.has_claim(object),
            _ => false,
        }
    }

    fn has_pod(&self, pod: &dyn Fields) -> bool {
        let spec = &pod["spec"];
        let is_terminating = || spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
        let is_best_effort = || qos::class(spec) == "BestEffort";
        match self.name.as_str() {
            "Terminating" => is_terminating(),
            "NotTerminating" => !is_terminating(),
            "BestEffort" => is_best_effort(),
            "NotBestEffort" => !is_best_effort(),
            "PriorityClass" => self.selects(&names([&spec["priorityClassName"]])),
            "CrossNamespacePodAffinity" => looks_elsewhere(spec),
            _ => false,
        }
    }

    fn has_claim(&self, claim: &dyn Fields) -> bool {
        let status = &claim["status"];
        self.name == "VolumeAttributesClass"
            && self.selects(&names([
                &claim["spec"]["volumeAttributesClassName"],
                &status["currentVolumeAttributesClassName"],
                &status["modifyVolumeStatus"]["targetVolumeAttributesClassName"],
            ]))
    }

    /// Whether one of these names passes the operator; of an object without a name, whether having none does.
    fn selects(&self, names: &[&str]) -> bool {
        let listed = |name: &&str| self.values.iter().any(|value| value == name);
        match self.operator.as_str() {
            "Exists" => !names.is_empty(),
            "DoesNotExist" => names.is_empty(),
            "In" => names.iter().any(listed),
            "NotIn" => names.is_empty() || names.iter().any(|name| !listed(name)),
            _ => false,
        }
    }
}

fn names<const N: usize>(values: [&Value; N]) -> Vec<&str> {
    values.into_iter().filter_map(Value::as_str).filter(|name| !name.is_empty()).collect()
}

/// Whether a pod's affinity is to pods of other namespaces.
fn looks_elsewhere(spec: &Value) -> bool {
    let terms = |kind: &str| {
        let affinity = &spec["affinity"][kind];
        let list = |list: &str| affinity[list].as_array().cloned().unwrap_or_default();
        let preferred = list("preferredDuringSchedulingIgnoredDuringExecution");
        let preferred = preferred.into_iter().map(|weighted| weighted["podAffinityTerm"].clone());
        list("requiredDuringSchedulingIgnoredDuringExecution")
            .into_iter()
            .chain(preferred)
            .collect::<Vec<_>>()
    };
    let elsewhere = |term: &Value| {
        term["namespaces"].as_array().is_some_and(|list| !list.is_empty())
            || !term["namespaceSelector"].is_null()
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| terms(kind).iter().any(elsewhere))
}
