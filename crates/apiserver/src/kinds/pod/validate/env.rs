//! A container's environment, and references to fields of the pod.

use serde_json::Value;

use crate::field::{Cause, Errors, FieldError};
use crate::kinds::json::{is_set, items, text};
use crate::kinds::rules::{at, item, required, wrong};
use crate::names;
use crate::quantity::Quantity;

/// Fields that a variable may take its value from.
const VARIABLE_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields that a file may take its content from.
pub(super) const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// Fields that are known to pods, but not for every use.
const KNOWN_FIELDS: &[&str] = &["spec.restartPolicy", "spec.schedulerName", "status.phase"];
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const SIZES: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// Every problem of `env`.
pub(super) fn variables(errors: &mut Errors, container: &Value, path: &str) {
    for (i, variable) in items(container, "env").iter().enumerate() {
        let path = item(path, i);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.push(FieldError::required(at(&path, "name"), ""));
        } else {
            wrong(errors, &at(&path, "name"), name, names::env_name(name));
        }
        if is_set(variable, "valueFrom") {
            value_from(errors, variable, &at(&path, "valueFrom"));
        }
    }
}

fn value_from(errors: &mut Errors, variable: &Value, path: &str) {
    let from = &variable["valueFrom"];
    let mut sources = 0;
    let mut source = |key: &str| {
        let found = is_set(from, key);
        sources += usize::from(found);
        found.then(|| (&from[key], at(path, key)))
    };
    if let Some((field, path)) = source("fieldRef") {
        field_ref(errors, field, &path, VARIABLE_FIELDS);
    }
    if let Some((resource, path)) = source("resourceFieldRef") {
        resource_ref(errors, resource, &path, false);
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if let Some((of, path)) = source(key) {
            key_ref(errors, of, &path);
        }
    }
    if let Some((file, path)) = source("fileKeyRef") {
        file_ref(errors, file, &path);
    }
    let detail = if sources == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
    } else if !text(variable, "value").is_empty() {
        "may not be specified when `value` is not empty"
    } else if sources > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    errors.push(FieldError::invalid(path, "", detail));
}

/// A reference to a field of the pod.
pub(super) fn field_ref(errors: &mut Errors, field: &Value, path: &str, supported: &[&str]) {
    let (version, name) = (text(field, "apiVersion"), text(field, "fieldPath"));
    for key in ["apiVersion", "fieldPath"] {
        if text(field, key).is_empty() {
            errors.push(FieldError::required(at(path, key), ""));
            return;
        }
    }
    let mut refuse = |path: String, detail: String| errors.push(FieldError::invalid(path, name, detail));
    if version != "v1" {
        let detail = format!("error converting fieldPath: unsupported pod version: {version}");
        refuse(at(path, "fieldPath"), detail);
        return;
    }
    if let Some((of, key)) = name.strip_suffix("']").and_then(|n| n.split_once("['")) {
        match of {
            "metadata.labels" => wrong(errors, path, key, names::qualified_name(key)),
            "metadata.annotations" => {
                let key = key.to_lowercase();
                wrong(errors, path, key.as_str(), names::qualified_name(&key));
            }
            _ => refuse(
                at(path, "fieldPath"),
                format!("error converting fieldPath: field label does not support subscript: {name}"),
            ),
        }
        return;
    }
    let known = [VARIABLE_FIELDS, FILE_FIELDS, KNOWN_FIELDS].iter().any(|list| list.contains(&name));
    if !known {
        let detail = format!("error converting fieldPath: field label not supported: {name}");
        refuse(at(path, "fieldPath"), detail);
    } else if !supported.contains(&name) {
        errors.push(FieldError::not_supported(at(path, "fieldPath"), name, supported));
    }
}

/// A reference to a resource of a container; a file must name the container.
pub(super) fn resource_ref(errors: &mut Errors, of: &Value, path: &str, file: bool) {
    let resource = text(of, "resource");
    let huge = ["limits.hugepages-", "requests.hugepages-"].iter().any(|p| resource.starts_with(p));
    if file && text(of, "containerName").is_empty() {
        errors.push(FieldError::required(at(path, "containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(at(path, "resource"), ""));
        return;
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.push(FieldError::not_supported(at(path, "resource"), resource, RESOURCES));
        return;
    }
    let divisor = match Quantity::of(&of["divisor"]) {
        Ok(divisor) if divisor.nanos() != 0 => divisor.to_string(),
        _ => return,
    };
    let cpu = resource.ends_with(".cpu");
    let supported: &[&str] = if cpu { &["1m", "1"] } else { SIZES };
    if !supported.contains(&divisor.as_str()) {
        let what = resource.split_once('.').map_or(resource, |(_, name)| name);
        let what = if huge {
            "hugepages"
        } else if what == "ephemeral-storage" {
            "local ephemeral storage"
        } else {
            what
        };
        let list = if cpu { "1m and 1".to_owned() } else { SIZES.join(", ") };
        let detail = format!("only divisor's values {list} are supported with the {what} resource");
        errors.push(FieldError::invalid(at(path, "divisor"), resource, detail));
    }
}

fn key_ref(errors: &mut Errors, of: &Value, path: &str) {
    let (name, key) = (text(of, "name"), text(of, "key"));
    wrong(errors, &at(path, "name"), name, names::dns_subdomain(name));
    if key.is_empty() {
        errors.push(FieldError::required(at(path, "key"), ""));
    } else {
        wrong(errors, &at(path, "key"), key, names::data_key(key));
    }
}

fn file_ref(errors: &mut Errors, of: &Value, path: &str) {
    for key in ["key", "volumeName", "path"] {
        required(errors, of, path, key);
    }
    let (key, volume) = (text(of, "key"), text(of, "volumeName"));
    if !key.is_empty() {
        wrong(errors, &at(path, "key"), key, names::env_name(key));
    }
    if !volume.is_empty() {
        wrong(errors, &at(path, "volumeName"), volume, names::dns_label(volume));
    }
    super::mounts::descending(errors, text(of, "path"), &at(path, "path"));
}

/// Variables out of files: those lie in an emptyDir of the pod. Source: `validateFileKeyRefVolumes`.
pub(super) fn files(errors: &mut Errors, spec: &Value, path: &str) {
    for (container, path) in super::containers_of(spec, path) {
        for (i, variable) in items(container, "env").iter().enumerate() {
            let file = &variable["valueFrom"]["fileKeyRef"];
            if file.is_null() {
                continue;
            }
            let path = format!("{path}.env[{i}].valueFrom.fileKeyRef.volumeName");
            let name = text(file, "volumeName");
            match items(spec, "volumes").iter().rfind(|volume| text(volume, "name") == name) {
                Some(volume) if is_set(volume, "emptyDir") => {}
                Some(_) => {
                    let detail = "referenced volume must be of type emptyDir";
                    errors.push(FieldError::invalid(path, name, detail));
                }
                None => errors.push(FieldError {
                    path,
                    cause: Cause::NotFound,
                    value: name.into(),
                    detail: String::new(),
                }),
            }
        }
    }
}

/// Every problem of `envFrom`.
pub(super) fn sources(errors: &mut Errors, container: &Value, path: &str) {
    for (i, from) in items(container, "envFrom").iter().enumerate() {
        let of = item(path, i);
        let prefix = text(from, "prefix");
        if !prefix.is_empty() {
            wrong(errors, &at(&of, "prefix"), prefix, names::env_name(prefix));
        }
        let mut count = 0;
        for key in ["configMapRef", "secretRef"] {
            if !is_set(from, key) {
                continue;
            }
            count += 1;
            let (path, name) = (at(&of, key), text(&from[key], "name"));
            required(errors, &from[key], &path, "name");
            if !name.is_empty() {
                let bad = names::by_rule(crate::kind::NameRule::Subdomain, name, true);
                wrong(errors, &at(&path, "name"), name, bad);
            }
        }
        match count {
            0 => errors.push(FieldError::invalid(
                path,
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            )),
            1 => {}
            _ => {
                let detail = "may not have more than one field specified at a time";
                errors.push(FieldError::invalid(path, "", detail));
            }
        }
    }
}
