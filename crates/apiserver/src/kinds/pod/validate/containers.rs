//! The containers of a pod: each on its own, and together.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Context, claims, devices, env, handlers, mounts, resources, security};
use crate::field::{Errors, FieldError};
use crate::kinds::json::{int, is_set, items, text};
use crate::kinds::rules::{at, choice, item, optional_choice, required, wrong};
use crate::names;

const MAX_RESTART_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;

/// Every problem of a pod's containers and init containers.
pub(super) fn check(errors: &mut Errors, context: &Context, path: &str) {
    let (main, init) = (items(context.spec, "containers"), items(context.spec, "initContainers"));
    let mut seen = BTreeSet::new();
    let main_path = at(path, "containers");
    if main.is_empty() {
        errors.push(FieldError::required(&main_path, ""));
    }
    for (i, container) in main.iter().enumerate() {
        let path = item(&main_path, i);
        common(errors, context, container, &path);
        unique(errors, &mut seen, container, &path);
        handlers::of_container(errors, context.spec, container, &path);
        restart_policy(errors, container, &path);
    }
    let all: Vec<(usize, &Value)> = main.iter().enumerate().collect();
    host_ports(errors, &all, &main_path);
    let init_path = at(path, "initContainers");
    for (i, container) in init.iter().enumerate() {
        let path = item(&init_path, i);
        common(errors, context, container, &path);
        if is_set(container, "restartPolicy") || items(container, "restartPolicyRules").is_empty() {
            restart_policy(errors, container, &path);
        } else {
            errors.push(without_policy(&path));
        }
        unique(errors, &mut seen, container, &path);
        // Init containers run one after the other: only their own ports can collide.
        host_ports(errors, &[(i, container)], &init_path);
        if text(container, "restartPolicy") == "Always" {
            handlers::of_container(errors, context.spec, container, &path);
        } else {
            no_handlers(errors, container, &path);
            resized_in_place(errors, container, &path);
        }
    }
}

fn unique<'a>(errors: &mut Errors, seen: &mut BTreeSet<&'a str>, container: &'a Value, path: &str) {
    let name = text(container, "name");
    if !seen.insert(name) && !name.is_empty() {
        errors.push(FieldError::duplicate(at(path, "name"), name));
    }
}

/// An init container that ends has nobody to ask how it is.
fn no_handlers(errors: &mut Errors, container: &Value, path: &str) {
    for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if is_set(container, key) {
            let detail = "may not be set for init containers without restartPolicy=Always";
            errors.push(FieldError::forbidden(at(path, key), detail));
        }
    }
}

fn common(errors: &mut Errors, context: &Context, container: &Value, path: &str) {
    let name = text(container, "name");
    required(errors, container, path, "name");
    if !name.is_empty() {
        wrong(errors, &at(path, "name"), name, names::dns_label(name));
    }
    required(errors, container, path, "image");
    let policies = ["File", "FallbackToLogsOnError"];
    choice(errors, container, path, "terminationMessagePolicy", &policies);
    ports(errors, container, &at(path, "ports"));
    env::variables(errors, container, &at(path, "env"));
    env::sources(errors, container, &at(path, "envFrom"));
    mounts::check(errors, context, container, &at(path, "volumeMounts"));
    devices::check(errors, context, container, &at(path, "volumeDevices"));
    choice(errors, container, path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]);
    resources::check(errors, &container["resources"], &at(path, "resources"));
    claims::of_container(errors, &container["resources"], &context.claims, &at(path, "resources.claims"));
    resize_policy(errors, context, container, &at(path, "resizePolicy"));
    security::container(errors, context.spec, container, &at(path, "securityContext"));
}

/// What becomes of a container whose resources change. Upstream names the list, not the rule, in most of these paths.
/// Source: `validateResizePolicy`.
fn resize_policy(errors: &mut Errors, context: &Context, container: &Value, path: &str) {
    let mut seen = BTreeSet::new();
    for (i, rule) in items(container, "resizePolicy").iter().enumerate() {
        let (resource, policy) = (text(rule, "resourceName"), text(rule, "restartPolicy"));
        if !seen.insert(resource) {
            errors.push(FieldError::duplicate(item(path, i), resource));
        }
        for (given, supported) in
            [(resource, ["cpu", "memory"]), (policy, ["NotRequired", "RestartContainer"])]
        {
            match given {
                "" => errors.push(FieldError::required(path, "")),
                given if supported.contains(&given) => {}
                given => errors.push(FieldError::not_supported(path, given, &supported)),
            }
        }
        if text(context.spec, "restartPolicy") == "Never" && policy != "NotRequired" {
            let detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid(path, policy, detail));
        }
    }
}

/// An init container that ends is not started again for its resources.
fn resized_in_place(errors: &mut Errors, container: &Value, path: &str) {
    for (i, rule) in items(container, "resizePolicy").iter().enumerate() {
        if text(rule, "restartPolicy") == "RestartContainer" {
            let path = at(&item(&at(path, "resizePolicy"), i), "restartPolicy");
            let detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
            errors.push(FieldError::invalid(path, "RestartContainer", detail));
        }
    }
}

fn ports(errors: &mut Errors, container: &Value, path: &str) {
    let mut seen = BTreeSet::new();
    for (i, port) in items(container, "ports").iter().enumerate() {
        let path = item(path, i);
        let name = text(port, "name");
        if !name.is_empty() {
            let bad = names::port_name(name);
            if bad.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(at(&path, "name"), name));
            }
            wrong(errors, &at(&path, "name"), name, bad);
        }
        match int(port, "containerPort").unwrap_or(0) {
            0 => errors.push(FieldError::required(at(&path, "containerPort"), "")),
            number => wrong(errors, &at(&path, "containerPort"), number, names::port_number(number)),
        }
        if let Some(number) = int(port, "hostPort").filter(|n| *n != 0) {
            wrong(errors, &at(&path, "hostPort"), number, names::port_number(number));
        }
        choice(errors, port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

/// No two containers that run together may have the same port of the host.
fn host_ports(errors: &mut Errors, containers: &[(usize, &Value)], path: &str) {
    let mut seen = BTreeSet::new();
    for (i, container) in containers {
        for (j, port) in items(container, "ports").iter().enumerate() {
            let Some(number) = int(port, "hostPort").filter(|n| *n != 0) else { continue };
            let full = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
            if !seen.insert(full.clone()) {
                let path = format!("{}.ports[{j}].hostPort", item(path, *i));
                errors.push(FieldError::duplicate(path, full));
            }
        }
    }
}

/// Rules of an init container that has no policy are looked at no further (`validateInitContainerRestartPolicy`).
fn without_policy(path: &str) -> FieldError {
    let detail = "must specify restartPolicy when restart rules are used";
    FieldError::required(at(path, "restartPolicy"), detail)
}

/// When the container alone starts again (KEP-5307).
fn restart_policy(errors: &mut Errors, container: &Value, path: &str) {
    let rules = items(container, "restartPolicyRules");
    if is_set(container, "restartPolicy") {
        optional_choice(errors, container, path, "restartPolicy", &["Always", "Never", "OnFailure"]);
    } else if !rules.is_empty() {
        errors.push(without_policy(path));
    }
    let path = at(path, "restartPolicyRules");
    if rules.len() > MAX_RESTART_RULES {
        errors.push(FieldError::too_many(&path, rules.len(), MAX_RESTART_RULES));
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = item(&path, i);
        let action = text(rule, "action");
        if !matches!(action, "Restart" | "RestartAllContainers") {
            let supported = ["Restart", "RestartAllContainers"];
            errors.push(FieldError::not_supported(at(&path, "action"), action, &supported));
        }
        let (path, codes) = (at(&path, "exitCodes"), &rule["exitCodes"]);
        if codes.is_null() {
            errors.push(FieldError::required(path, "must be specified"));
            continue;
        }
        if !matches!(text(codes, "operator"), "In" | "NotIn") {
            let supported = ["In", "NotIn"];
            let path = at(&path, "operator");
            errors.push(FieldError::not_supported(path, text(codes, "operator"), &supported));
        }
        let values = items(codes, "values").len();
        if values > MAX_EXIT_CODES {
            errors.push(FieldError::too_many(at(&path, "values"), values, MAX_EXIT_CODES));
        }
    }
}
