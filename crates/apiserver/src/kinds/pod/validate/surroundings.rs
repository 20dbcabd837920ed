//! What is around a pod: its names and those that it finds, its users, its operating system.

use serde_json::Value;

use super::containers_of;
use crate::field::{Errors, FieldError};
use crate::kinds::json::{flag, is_set, items, text};
use crate::kinds::rules::{at, item, wrong};
use crate::names;

/// The longest name that a kernel takes for its host.
const HOST_NAME_MAX: usize = 64;

/// Names that the pod has or uses.
pub(super) fn names_of(errors: &mut Errors, spec: &Value, path: &str) {
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
pub(super) fn dns(errors: &mut Errors, spec: &Value, path: &str) {
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

/// What it runs on.
pub(super) fn system(errors: &mut Errors, spec: &Value, path: &str) {
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

/// Users of its own go with none of the host's namespaces. Source: `validateHostUsers`.
pub(super) fn users(errors: &mut Errors, spec: &Value, path: &str) {
    if spec["hostUsers"] != Value::Bool(false) {
        return;
    }
    let detail = "when `hostUsers` is false";
    for (key, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if flag(spec, key) {
            errors.push(FieldError::forbidden(at(path, shown), detail));
        }
    }
    for (container, path) in containers_of(spec, path) {
        if !items(container, "volumeDevices").is_empty() {
            errors.push(FieldError::forbidden(at(&path, "volumeDevices"), detail));
        }
    }
}

/// A host name in place of the one that it would have. Source: `validatePodHostName`.
pub(super) fn host_name(errors: &mut Errors, spec: &Value, path: &str) {
    let Some(name) = spec["hostnameOverride"].as_str() else { return };
    let path = at(path, "hostnameOverride");
    for other in ["setHostnameAsFQDN", "hostNetwork"].into_iter().filter(|key| flag(spec, key)) {
        let detail = format!("may not be specified when {other} is true");
        errors.push(FieldError::forbidden(&path, detail));
    }
    if name.len() > HOST_NAME_MAX {
        errors.push(FieldError::too_long(&path, HOST_NAME_MAX));
    }
    wrong(errors, &path, name, names::dns_subdomain(name));
}
