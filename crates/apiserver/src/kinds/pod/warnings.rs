//! What a pod's writer is warned of. Source: upstream pkg/api/pod/warnings.go, the part that concerns what runs here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::kinds::json::{entries, int, is_set, items, text};
use crate::kinds::rules::RENAMED_LABELS;
use crate::names;
use crate::quantity::Quantity;

/// Warnings about a pod.
pub(crate) fn of_pod(pod: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let wrong = names::dns_label(text(&pod["metadata"], "name"));
    if !wrong.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
            wrong.join(" ")
        ));
    }
    warnings.extend(of_spec(&pod["spec"], "spec"));
    warnings
}

/// Warnings about a pod's spec under a path.
pub(crate) fn of_spec(spec: &Value, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    old_labels(&mut warnings, spec, path);
    overlaps(&mut warnings, spec);
    repeated(&mut warnings, spec, path);
    for (container, path) in containers(spec, path) {
        fractions(&mut warnings, container, &path);
        hidden_variables(&mut warnings, container, &path);
    }
    ports(&mut warnings, spec, path);
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|s| s < 0) {
        warnings.push(format!(
            "{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    terms_of_none(&mut warnings, spec, path);
    warnings
}

/// All containers with their paths, those that run first first.
fn containers<'a>(spec: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    let of = |list: &'static str| {
        items(spec, list).iter().enumerate().map(move |(i, c)| (c, format!("{path}.{list}[{i}]")))
    };
    of("initContainers").chain(of("containers")).collect()
}

fn old_labels(warnings: &mut Vec<String>, spec: &Value, path: &str) {
    let new_name = |key: &str| {
        let (_, since, new) = RENAMED_LABELS.iter().find(|(old, ..)| *old == key)?;
        Some(format!("deprecated since {since}; use \"{new}\" instead"))
    };
    for (key, _) in entries(spec, "nodeSelector") {
        if let Some(text) = new_name(key) {
            warnings.push(format!("{path}.nodeSelector[{key}]: {text}"));
        }
    }
    for (i, constraint) in items(spec, "topologySpreadConstraints").iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{i}]");
        let key = text(constraint, "topologyKey");
        if let Some(text) = new_name(key) {
            warnings.push(format!("{path}.topologyKey: {key} is {text}"));
        }
        matches_none(warnings, constraint, &path);
    }
}

fn matches_none(warnings: &mut Vec<String>, term: &Value, path: &str) {
    if !is_set(term, "labelSelector") {
        warnings.push(format!("{path}.labelSelector: a null labelSelector results in matching no pod"));
    }
}

/// Terms about other pods that match no pod.
fn terms_of_none(warnings: &mut Vec<String>, spec: &Value, path: &str) {
    let given = ["podAffinity", "podAntiAffinity"].into_iter().filter(|of| is_set(&spec["affinity"], of));
    for of in given {
        let (affinity, path) = (&spec["affinity"][of], format!("{path}.affinity.{of}"));
        let key = "requiredDuringSchedulingIgnoredDuringExecution";
        for (i, term) in items(affinity, key).iter().enumerate() {
            matches_none(warnings, term, &format!("{path}.{key}[{i}]"));
        }
        let key = "preferredDuringSchedulingIgnoredDuringExecution";
        for (i, preferred) in items(affinity, key).iter().enumerate() {
            matches_none(
                warnings,
                &preferred["podAffinityTerm"],
                &format!("{path}.{key}[{i}].podAffinityTerm"),
            );
        }
    }
}

/// What stands twice in a list where the first counts.
fn repeated(warnings: &mut Vec<String>, spec: &Value, path: &str) {
    for (list, key) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen = BTreeSet::new();
        for (i, item) in items(spec, list).iter().enumerate() {
            let value = text(item, key);
            if !seen.insert(value) {
                warnings.push(format!("{path}.{list}[{i}].{key}: duplicate {key} {value:?}"));
            }
        }
    }
    for (i, secret) in items(spec, "imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            warnings.push(format!("{path}.imagePullSecrets[{i}].name: invalid empty name \"\""));
        }
    }
}

/// Files of a volume that would lie over each other.
fn overlaps(warnings: &mut Vec<String>, spec: &Value) {
    for volume in items(spec, "volumes") {
        let name = text(volume, "name");
        for (kind, title) in
            [("configMap", "ConfigMap"), ("secret", "Secret"), ("downwardAPI", "DownwardAPI")]
        {
            let source = &volume[kind];
            let of = text(source, if kind == "secret" { "secretName" } else { "name" });
            let title = if kind == "downwardAPI" { title.to_owned() } else { format!("{title} {of:?}") };
            let paths: Vec<&str> =
                items(source, "items").iter().map(|i| text(i, "path").trim_end_matches('/')).collect();
            for (at, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                for other in paths[..at].iter().filter(|other| covers(path, other)) {
                    warnings.push(format!(
                        "volume {name:?} ({title}): overlapping paths: {path:?} with {other:?}"
                    ));
                }
            }
        }
        for source in items(&volume["projected"], "sources") {
            if source.as_object().is_none_or(serde_json::Map::is_empty) {
                warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
            }
        }
    }
}

/// Whether one of two paths is the other, or is above it.
fn covers(one: &str, other: &str) -> bool {
    let (one, other) = (format!("{one}/"), format!("{other}/"));
    one.starts_with(&other) || other.starts_with(&one)
}

/// There is no half byte.
fn fractions(warnings: &mut Vec<String>, container: &Value, path: &str) {
    for name in ["memory", "ephemeral-storage"] {
        for list in ["limits", "requests"] {
            let value = &container["resources"][list][name];
            if let Ok(quantity) = Quantity::of(value)
                && !quantity.is_whole()
            {
                let shown = quantity.to_string();
                warnings.push(format!(
                    "{path}.resources.{list}[{name}]: fractional byte value {shown:?} is invalid, must be an integer"
                ));
            }
        }
    }
}

/// A variable set again hides the first, unless it is built from it.
fn hidden_variables(warnings: &mut Vec<String>, container: &Value, path: &str) {
    let mut seen = BTreeSet::new();
    for (i, variable) in items(container, "env").iter().enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        if seen.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        if is_set(variable, "valueFrom") || value == reference || !value.contains(&reference) {
            warnings.push(format!(
                "{path}.env[{i}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

/// Ports that another container of the pod has too, and names that two of them share.
fn ports(warnings: &mut Vec<String>, spec: &Value, path: &str) {
    let all: Vec<(&Value, String)> = containers(spec, path)
        .into_iter()
        .flat_map(|(container, path)| {
            let ports = items(container, "ports").iter().enumerate();
            ports.map(|(i, port)| (port, format!("{path}.ports[{i}]"))).collect::<Vec<_>>()
        })
        .collect();
    for (at, (port, path)) in all.iter().enumerate() {
        if !text(port, "hostIP").is_empty() && int(port, "hostPort").unwrap_or(0) == 0 {
            let (number, of) = (int(port, "containerPort").unwrap_or(0), |key| text(port, key));
            warnings.push(format!(
                "{path}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{number} Protocol:{} HostIP:{}}}",
                of("name"), of("protocol"), of("hostIP")
            ));
        }
        for (other, place) in &all[..at] {
            if port["containerPort"] == other["containerPort"] && port["protocol"] == other["protocol"] {
                warnings.extend(
                    clash(port, other).map(|how| format!("{path}: {how} port definition with {place}")),
                );
            }
        }
    }
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for (port, path) in all.iter().filter(|(port, _)| !text(port, "name").is_empty()) {
        let name = text(port, "name");
        if let Some(first) = named.get(name) {
            warnings.push(format!(
                "{path}: duplicate port name {name:?} with {first}, services and probes that select ports by name will use {first}"
            ));
        } else {
            named.insert(name, path);
        }
    }
}

/// How two ports of one number and protocol get in each other's way.
fn clash(port: &Value, other: &Value) -> Option<&'static str> {
    let host_port = |port: &Value| int(port, "hostPort").unwrap_or(0);
    let (address, others) = (text(port, "hostIP"), text(other, "hostIP"));
    match (host_port(port), host_port(other)) {
        (one, two) if one == two && address == others => Some("duplicate"),
        (0, _) | (_, 0) => Some("overlapping"),
        (one, two) if one == two && address.is_empty() != others.is_empty() => Some("dangerously ambiguous"),
        _ => None,
    }
}
