//! Probes and hooks of containers.

use serde_json::Value;

use crate::field::{Errors, FieldError};
use crate::kinds::json::{int, is_set, items, text};
use crate::kinds::rules::{at, not_negative, required, wrong};
use crate::names;

/// The ways of asking, in the order in which upstream counts them.
const HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// Every problem of a container's probes and hooks.
pub(super) fn of_container(errors: &mut Errors, pod_spec: &Value, container: &Value, path: &str) {
    let grace = int(pod_spec, "terminationGracePeriodSeconds");
    for hook in ["postStart", "preStop"] {
        let given = &container["lifecycle"][hook];
        if !given.is_null() {
            handler(errors, given, &format!("{path}.lifecycle.{hook}"), grace);
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if is_set(container, kind) {
            probe(errors, kind, &container[kind], &at(path, kind), grace);
        }
    }
}

fn probe(errors: &mut Errors, kind: &str, probe: &Value, path: &str, grace: Option<i64>) {
    handler(errors, probe, path, grace);
    let numbers =
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    not_negative(errors, probe, path, &numbers);
    let own_grace = int(probe, "terminationGracePeriodSeconds");
    let at_grace = at(path, "terminationGracePeriodSeconds");
    if let Some(seconds) = own_grace.filter(|s| *s <= 0) {
        errors.push(FieldError::invalid(&at_grace, seconds, "must be greater than 0"));
    }
    if kind == "readinessProbe" {
        if let Some(seconds) = own_grace {
            errors.push(FieldError::invalid(at_grace, seconds, "must not be set for readinessProbes"));
        }
    } else if let Some(threshold) = int(probe, "successThreshold").filter(|t| *t != 1) {
        errors.push(FieldError::invalid(at(path, "successThreshold"), threshold, "must be 1"));
    }
}

fn handler(errors: &mut Errors, of: &Value, path: &str, grace: Option<i64>) {
    let mut given = HANDLERS.iter().filter(|handler| is_set(of, handler));
    let Some(first) = given.next() else {
        errors.push(FieldError::required(path, "must specify a handler type"));
        return;
    };
    let (action, at_action) = (&of[*first], at(path, first));
    match *first {
        "exec" if items(action, "command").is_empty() => {
            errors.push(FieldError::required(at(&at_action, "command"), ""));
        }
        "httpGet" => http_get(errors, action, &at_action),
        "tcpSocket" | "grpc" => port(errors, action, &at_action),
        "sleep" => sleep(errors, action, &at_action, grace),
        _ => {}
    }
    for other in given {
        errors.push(FieldError::forbidden(at(path, other), "may not specify more than 1 handler type"));
    }
}

fn http_get(errors: &mut Errors, get: &Value, path: &str) {
    required(errors, get, path, "path");
    port(errors, get, path);
    if !matches!(text(get, "scheme"), "HTTP" | "HTTPS") {
        let given = text(get, "scheme");
        errors.push(FieldError::not_supported(at(path, "scheme"), given, &["HTTP", "HTTPS"]));
    }
    for header in items(get, "httpHeaders") {
        let name = text(header, "name");
        wrong(errors, &at(path, "httpHeaders"), name, names::http_header(name));
    }
}

fn port(errors: &mut Errors, of: &Value, path: &str) {
    let path = at(path, "port");
    match of["port"].as_str() {
        Some(name) => wrong(errors, &path, name, names::port_name(name)),
        None => {
            let number = int(of, "port").unwrap_or(0);
            wrong(errors, &path, number, names::port_number(number));
        }
    }
}

fn sleep(errors: &mut Errors, of: &Value, path: &str, grace: Option<i64>) {
    let seconds = int(of, "seconds").unwrap_or(0);
    if let Some(grace) = grace.filter(|g| seconds < 0 || seconds > *g) {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.push(FieldError::invalid(path, seconds, detail));
    }
}
