//! What a pod's spec may say, on its own and as a template. Source: upstream pkg/apis/core/validation/validation.go.
//!
//! Not checked here: what only a pod of Windows may say of its rights, and annotations of old instead of fields.

mod affinity;
mod claims;
mod containers;
mod devices;
mod env;
mod handlers;
mod mounts;
mod projected;
pub(crate) mod resources;
mod security;
mod sources;
mod surroundings;
mod volumes;
mod whole;

pub(crate) use affinity::node_selector;
pub(crate) use mounts::no_backsteps;
pub(crate) use resources::check as resources;
pub(crate) use volumes::HOST_PATHS;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fate;
use crate::field::{Errors, FieldError};
use crate::kinds::json::{flag, int, is_set, items, text};
use crate::kinds::rules::{at, choice, entry, item, optional_choice, wrong};
use crate::names;

/// What of a pod's spec the checks of its parts look at.
pub(super) struct Context<'a> {
    /// The pod's spec.
    pub(super) spec: &'a Value,
    /// Its sound volumes, by name.
    pub(super) volumes: BTreeMap<&'a str, &'a Value>,
    /// The names of its resource claims.
    pub(super) claims: BTreeSet<&'a str>,
}

/// Every problem of a new pod.
pub(crate) fn pod(pod: &Value) -> Errors {
    let mut errors = of_any_pod(pod);
    fate::check(&mut errors, pod, "");
    let of_spec = &pod["spec"];
    if !items(of_spec, "ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden("spec.ephemeralContainers", "cannot be set on create"));
    }
    if !text(of_spec, "nodeName").is_empty() && !items(of_spec, "schedulingGates").is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden("spec.nodeName", detail));
    }
    errors
}

/// Every problem of a pod, new or changed.
pub(super) fn of_any_pod(pod: &Value) -> Errors {
    let mut errors = Errors::new();
    spec(&mut errors, &pod["spec"], "spec", Some(text(&pod["metadata"], "name")));
    for list in ["containers", "initContainers"] {
        for (i, container) in items(&pod["spec"], list).iter().enumerate() {
            let image = text(container, "image");
            if image.trim() != image {
                errors.push(FieldError::invalid(
                    format!("spec.{list}[{i}].image"),
                    image,
                    "must not have leading or trailing whitespace",
                ));
            }
        }
    }
    errors
}

/// Every problem of a pod template.
pub(crate) fn template(errors: &mut Errors, template: &Value, path: &str) {
    errors.extend(names::labels(&template["metadata"]["labels"], &at(path, "labels")));
    errors.extend(names::annotations(&template["metadata"]["annotations"], &at(path, "annotations")));
    fate::check(errors, template, path);
    spec(errors, &template["spec"], &at(path, "spec"), None);
    if !items(&template["spec"], "ephemeralContainers").is_empty() {
        let path = at(path, "spec.ephemeralContainers");
        errors.push(FieldError::forbidden(path, "ephemeral containers not allowed in pod template"));
    }
}

/// `pod` is the name of the pod; a template has none.
fn spec(errors: &mut Errors, spec: &Value, path: &str, pod: Option<&str>) {
    // A negative one is only warned of: pods made from it get one second.
    if !is_set(spec, "terminationGracePeriodSeconds") {
        errors.push(FieldError::required(at(path, "terminationGracePeriodSeconds"), ""));
    }
    let volumes = volumes::check(errors, items(spec, "volumes"), &at(path, "volumes"), pod);
    let claims = claims::of_pod(errors, items(spec, "resourceClaims"), &at(path, "resourceClaims"));
    let context = Context { spec, volumes, claims };
    containers::check(errors, &context, path);
    whole::check(errors, &context, path);
    host_ports(errors, spec, path, pod.is_some());
    choice(errors, spec, path, "restartPolicy", &["Always", "OnFailure", "Never"]);
    choice(errors, spec, path, "dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    errors.extend(names::labels(&spec["nodeSelector"], &at(path, "nodeSelector")));
    security::pod(errors, spec, path);
    affinity::check(errors, spec, path);
    surroundings::dns(errors, spec, path);
    gates(errors, spec, path);
    surroundings::users(errors, spec, path);
    surroundings::host_name(errors, spec, path);
    surroundings::names_of(errors, spec, path);
    surroundings::system(errors, spec, path);
    deadline(errors, spec, path);
    tolerations(errors, spec, path);
    optional_choice(errors, spec, path, "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    if is_set(spec, "overhead") {
        let overhead = serde_json::json!({"limits": spec["overhead"]});
        resources::check(errors, &overhead, &at(path, "overhead"));
    }
    env::files(errors, spec, path);
}

/// All containers of a pod with their paths, in upstream's order (`VisitContainersWithPath`).
fn containers_of<'a>(spec: &'a Value, path: &str) -> impl Iterator<Item = (&'a Value, String)> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(move |list| {
        let path = at(path, list);
        items(spec, list).iter().enumerate().map(move |(i, container)| (container, item(&path, i)))
    })
}

/// A pod on the host's network has the ports that its containers have.
fn host_ports(errors: &mut Errors, spec: &Value, path: &str, of_pod: bool) {
    for (i, container) in items(spec, "containers").iter().enumerate().filter(|_| flag(spec, "hostNetwork")) {
        for (j, port) in items(container, "ports").iter().enumerate() {
            let (host, own) = (int(port, "hostPort").unwrap_or(0), int(port, "containerPort").unwrap_or(0));
            if (of_pod || host != 0) && host != own {
                errors.push(FieldError::invalid(
                    format!("{path}.containers[{i}].ports[{j}].hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                ));
            }
        }
    }
}

fn gates(errors: &mut Errors, spec: &Value, path: &str) {
    for (i, gate) in items(spec, "readinessGates").iter().enumerate() {
        let path = at(&item(&at(path, "readinessGates"), i), "conditionType");
        let kind = text(gate, "conditionType");
        wrong(errors, &path, kind, names::qualified_name(kind));
    }
    let mut seen = BTreeSet::new();
    for (i, gate) in items(spec, "schedulingGates").iter().enumerate() {
        let (path, name) = (item(&at(path, "schedulingGates"), i), text(gate, "name"));
        wrong(errors, &path, name, names::qualified_name(name));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(path, name));
        }
    }
}

fn deadline(errors: &mut Errors, spec: &Value, path: &str) {
    if let Some(seconds) = int(spec, "activeDeadlineSeconds") {
        let most = i64::from(i32::MAX);
        wrong(errors, &at(path, "activeDeadlineSeconds"), seconds, names::in_range(seconds, 1, most));
    }
}

/// Every problem of a list of tolerations under `path`.
pub(crate) fn tolerations(errors: &mut Errors, spec: &Value, path: &str) {
    for (i, toleration) in items(spec, "tolerations").iter().enumerate() {
        let path = item(&at(path, "tolerations"), i);
        let of = |key| text(toleration, key);
        let (key, operator, value, effect) = (of("key"), of("operator"), of("value"), of("effect"));
        let mut refuse = |key: &str, value: &str, detail: String| {
            errors.push(FieldError::invalid(at(&path, key), value, detail));
        };
        for detail in names::qualified_name(key).into_iter().filter(|_| !key.is_empty()) {
            refuse("key", key, detail);
        }
        if key.is_empty() && operator != "Exists" {
            let detail =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            refuse("operator", operator, detail.to_owned());
        }
        if is_set(toleration, "tolerationSeconds") && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            refuse("effect", effect, detail.to_owned());
        }
        let bad_value = names::label_value(value);
        match operator {
            "" | "Equal" if !bad_value.is_empty() => refuse("operator", value, bad_value.join(";")),
            "Exists" if !value.is_empty() => {
                refuse("operator", value, "value must be empty when `operator` is 'Exists'".to_owned());
            }
            "" | "Equal" | "Exists" => {}
            other => {
                let supported: &[&str] = match other {
                    "Lt" | "Gt" => &["Equal", "Exists", "Lt", "Gt"],
                    _ => &["Equal", "Exists"],
                };
                errors.push(FieldError::not_supported(at(&path, "operator"), other, supported));
            }
        }
        if !effect.is_empty() {
            let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            optional_choice(errors, toleration, &path, "effect", &effects);
        }
    }
}

/// The path of a resource in a list of resources.
pub(super) fn of_resource(path: &str, list: &str, name: &str) -> String {
    entry(&at(path, list), name)
}
