//! What a pod's spec may say, on its own and as a template. Source: upstream pkg/apis/core/validation/validation.go.
//!
//! Not checked here: affinity between pods, the inside of topology spread and DNS settings, and of volumes of clouds and
//! storage systems: nothing that runs on one machine reads them.

mod affinity;
mod containers;
mod env;
mod handlers;
mod mounts;
pub(crate) mod resources;
mod security;
mod volumes;

pub(crate) use mounts::no_backsteps;
pub(crate) use resources::check as resources;
pub(crate) use volumes::HOST_PATHS;

use std::collections::BTreeSet;

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
    pub(super) volumes: BTreeSet<&'a str>,
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
    spec(&mut errors, &pod["spec"], "spec", true);
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
    spec(errors, &template["spec"], &at(path, "spec"), false);
    if !items(&template["spec"], "ephemeralContainers").is_empty() {
        let path = at(path, "spec.ephemeralContainers");
        errors.push(FieldError::forbidden(path, "ephemeral containers not allowed in pod template"));
    }
}

fn spec(errors: &mut Errors, spec: &Value, path: &str, of_pod: bool) {
    // A negative one is only warned of: pods made from it get one second.
    if !is_set(spec, "terminationGracePeriodSeconds") {
        errors.push(FieldError::required(at(path, "terminationGracePeriodSeconds"), ""));
    }
    let volumes = volumes::check(errors, items(spec, "volumes"), &at(path, "volumes"));
    let context = Context { spec, volumes };
    containers::check(errors, &context, path);
    if is_set(spec, "resources") {
        resources::check(errors, &spec["resources"], &at(path, "resources"));
    }
    host_ports(errors, spec, path, of_pod);
    choice(errors, spec, path, "restartPolicy", &["Always", "OnFailure", "Never"]);
    choice(errors, spec, path, "dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    errors.extend(names::labels(&spec["nodeSelector"], &at(path, "nodeSelector")));
    security::pod(errors, spec, path);
    affinity::check(errors, spec, path);
    surroundings(errors, spec, path);
    gates(errors, spec, path);
    identity(errors, spec, path);
    system(errors, spec, path);
    deadline(errors, spec, path);
    tolerations(errors, spec, path);
    optional_choice(errors, spec, path, "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    if is_set(spec, "overhead") {
        let overhead = serde_json::json!({"limits": spec["overhead"]});
        resources::check(errors, &overhead, &at(path, "overhead"));
    }
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

/// Names that the pod has or uses.
fn identity(errors: &mut Errors, spec: &Value, path: &str) {
    let labels = ["hostname", "subdomain"];
    let subdomains = ["serviceAccountName", "nodeName", "priorityClassName"];
    for key in labels.iter().chain(&subdomains) {
        let name = text(spec, key);
        let rule = if labels.contains(key) { names::dns_label } else { names::dns_subdomain };
        if !name.is_empty() {
            wrong(errors, &at(path, key), name, rule(name));
        }
    }
    if let Some(name) = spec["runtimeClassName"].as_str() {
        wrong(errors, &at(path, "runtimeClassName"), name, names::dns_subdomain(name));
    }
    for (i, alias) in items(spec, "hostAliases").iter().enumerate() {
        address(errors, text(alias, "ip"), &format!("{path}.hostAliases[{i}].ip"));
        for (j, name) in items(alias, "hostnames").iter().filter_map(Value::as_str).enumerate() {
            let path = format!("{path}.hostAliases[{i}].hostnames[{j}]");
            wrong(errors, &path, name, names::dns_subdomain(name));
        }
    }
}

/// How the pod finds names.
fn surroundings(errors: &mut Errors, spec: &Value, path: &str) {
    let (dns, dns_path) = (&spec["dnsConfig"], at(path, "dnsConfig"));
    if text(spec, "dnsPolicy") == "None" {
        if !is_set(spec, "dnsConfig") {
            let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
            errors.push(FieldError::required(dns_path, detail));
            return;
        }
        if items(dns, "nameservers").is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.push(FieldError::required(at(&dns_path, "nameservers"), detail));
            return;
        }
    }
    for (list, most, what) in [("nameservers", 3, "nameservers"), ("searches", 32, "search paths")] {
        if items(dns, list).len() > most {
            let detail = format!("must not have more than {most} {what}");
            errors.push(FieldError::invalid(at(&dns_path, list), dns[list].clone(), detail));
        }
    }
    for (i, server) in items(dns, "nameservers").iter().filter_map(Value::as_str).enumerate() {
        address(errors, server, &item(&at(&dns_path, "nameservers"), i));
    }
    for (i, search) in items(dns, "searches").iter().filter_map(Value::as_str).enumerate() {
        let name = search.strip_suffix('.').unwrap_or(search);
        if search != "." {
            wrong(errors, &item(&at(&dns_path, "searches"), i), name, names::search_domain(name));
        }
    }
    for (i, option) in items(dns, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.push(FieldError::required(item(&at(&dns_path, "options"), i), "must not be empty"));
        }
    }
}

fn system(errors: &mut Errors, spec: &Value, path: &str) {
    let (system, systems) = (text(&spec["os"], "name"), ["linux", "windows"]);
    if is_set(spec, "os") && system.is_empty() {
        errors.push(FieldError::required(at(path, "os.name"), ""));
    } else if is_set(spec, "os") && !systems.contains(&system) {
        errors.push(FieldError::not_supported(at(path, "os"), system, &systems));
    }
}

fn address(errors: &mut Errors, given: &str, path: &str) {
    if given.parse::<std::net::IpAddr>().is_err() {
        let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(FieldError::invalid(path, given, detail));
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
