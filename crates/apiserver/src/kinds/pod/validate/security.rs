//! As whom, and with which rights, a pod and its containers run.

use serde_json::Value;

use crate::field::{Errors, FieldError};
use crate::kinds::json::{flag, is_set, items, text};
use crate::kinds::rules::{at, item, optional_choice, wrong};
use crate::names;

/// Words of lower-case letters, digits, dashes and underscores, joined by dots or slashes.
fn is_sysctl(name: &str) -> bool {
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let word = |word: &str| {
        word.starts_with(end) && word.ends_with(end) && word.chars().all(|c| end(c) || matches!(c, '-' | '_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(word)
}

/// Every problem of the pod's security context.
pub(super) fn pod(errors: &mut Errors, spec: &Value, path: &str) {
    let (context, path) = (&spec["securityContext"], at(path, "securityContext"));
    ids(errors, context, &path, &["fsGroup", "runAsUser", "runAsGroup"]);
    for (i, id) in items(context, "supplementalGroups").iter().filter_map(Value::as_i64).enumerate() {
        let path = item(&at(&path, "supplementalGroups"), i);
        wrong(errors, &path, id, names::in_range(id, 0, i64::from(i32::MAX)));
    }
    if flag(spec, "shareProcessNamespace") && flag(spec, "hostPID") {
        errors.push(FieldError::invalid(
            at(&path, "shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        ));
    }
    let sysctls = items(context, "sysctls");
    for (i, sysctl) in sysctls.iter().enumerate() {
        let (name, path) = (text(sysctl, "name"), at(&item(&at(&path, "sysctls"), i), "name"));
        if name.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if !is_sysctl(name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(FieldError::invalid(path, name, detail));
        } else if sysctls[..i].iter().any(|before| text(before, "name") == name) {
            errors.push(FieldError::duplicate(path, name));
        }
    }
    optional_choice(errors, context, &path, "fsGroupChangePolicy", &["Always", "OnRootMismatch"]);
    seccomp(errors, context, &path);
    optional_choice(errors, context, &path, "supplementalGroupsPolicy", &["Merge", "Strict"]);
}

/// Every problem of a container's security context.
pub(super) fn container(errors: &mut Errors, spec: &Value, container: &Value, path: &str) {
    let context = &container["securityContext"];
    ids(errors, context, path, &["runAsUser", "runAsGroup"]);
    optional_choice(errors, context, path, "procMount", &["Default", "Unmasked"]);
    if text(context, "procMount") == "Unmasked" && spec["hostUsers"] != Value::Bool(false) {
        let detail = "`hostUsers` must be false to use `Unmasked`";
        errors.push(FieldError::invalid(at(path, "procMount"), "Unmasked", detail));
    }
    seccomp(errors, context, path);
    if context["allowPrivilegeEscalation"] != Value::Bool(false) {
        return;
    }
    if flag(context, "privileged") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.push(FieldError::invalid(path, context.clone(), detail));
    }
    if items(&context["capabilities"], "add").iter().any(|c| c == "CAP_SYS_ADMIN") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        errors.push(FieldError::invalid(path, context.clone(), detail));
    }
}

fn ids(errors: &mut Errors, context: &Value, path: &str, keys: &[&str]) {
    for key in keys {
        if let Some(id) = context[*key].as_i64() {
            wrong(errors, &at(path, key), id, names::in_range(id, 0, i64::from(i32::MAX)));
        }
    }
}

fn seccomp(errors: &mut Errors, context: &Value, path: &str) {
    let (profile, path) = (&context["seccompProfile"], at(path, "seccompProfile"));
    if profile.is_null() {
        return;
    }
    let local = is_set(profile, "localhostProfile");
    match text(profile, "type") {
        "" => errors
            .push(FieldError::required(at(&path, "type"), "type is required when seccompProfile is set")),
        "Localhost" | "RuntimeDefault" | "Unconfined" => {}
        other => {
            let supported = ["Localhost", "RuntimeDefault", "Unconfined"];
            errors.push(FieldError::not_supported(at(&path, "type"), other, &supported));
        }
    }
    let path = at(&path, "localhostProfile");
    match (text(profile, "type") == "Localhost", local) {
        (true, false) => {
            errors.push(FieldError::required(path, "must be set when seccomp type is Localhost"));
        }
        (true, true) => super::mounts::descending(errors, text(profile, "localhostProfile"), &path),
        (false, true) => {
            let detail = "can only be set when seccomp type is Localhost";
            errors.push(FieldError::invalid(path, profile.clone(), detail));
        }
        (false, false) => {}
    }
}
