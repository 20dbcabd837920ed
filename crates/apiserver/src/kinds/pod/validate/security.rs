//! As whom, and with which rights, a pod and its containers run.

use serde_json::Value;

use crate::field::{Errors, FieldError};
use crate::kinds::json::{flag, is_set, items, text};
use crate::kinds::rules::{at, item, optional_choice, wrong};
use crate::names;

/// The longest name of a profile of AppArmor, in bytes.
const APP_ARMOR_MAX: usize = 4095;
/// Settings of the kernel that each IPC namespace has of its own.
const OF_IPC: [&str; 10] = [
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.shm",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.msg",
];

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
    sysctls(errors, spec, &path);
    optional_choice(errors, context, &path, "fsGroupChangePolicy", &["Always", "OnRootMismatch"]);
    seccomp(errors, context, &path);
    app_armor(errors, context, &path);
    optional_choice(errors, context, &path, "supplementalGroupsPolicy", &["Merge", "Strict"]);
    // `SELinuxMount` is off: nothing but relabelling file by file is left to choose.
    optional_choice(errors, context, &path, "seLinuxChangePolicy", &["Recursive"]);
}

fn sysctls(errors: &mut Errors, spec: &Value, path: &str) {
    let sysctls = items(&spec["securityContext"], "sysctls");
    for (i, sysctl) in sysctls.iter().enumerate() {
        let (name, path) = (text(sysctl, "name"), at(&item(&at(path, "sysctls"), i), "name"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if !is_sysctl(name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(FieldError::invalid(&path, name, detail));
        } else if sysctls[..i].iter().any(|before| text(before, "name") == name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        if let Some(shared) = namespace_of(name).filter(|shared| flag(spec, shared)) {
            let detail = format!("may not be specified when '{shared}' is true");
            errors.push(FieldError::invalid(path, name, detail));
        }
    }
}

/// The flag of a pod that shares with the host what a kernel's setting is about, if settings of that sort are a
/// namespace's. Source: component-helpers, node/util/sysctl/namespace.go.
fn namespace_of(name: &str) -> Option<&'static str> {
    let name = name.split('*').next().unwrap_or_default();
    // A name may be written with dots or slashes; the first says which are meant.
    let name = match name.find(['.', '/']).map(|at| &name[at..=at]) {
        Some("/") => name
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    };
    if name.starts_with("net.") {
        Some("hostNetwork")
    } else if OF_IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.") {
        Some("hostIPC")
    } else {
        None
    }
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
    if context["allowPrivilegeEscalation"] == Value::Bool(false) {
        escalation(errors, context, path);
    }
    app_armor(errors, context, path);
}

/// What gives back what `allowPrivilegeEscalation: false` takes.
fn escalation(errors: &mut Errors, context: &Value, path: &str) {
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

/// Source: `ValidateAppArmorProfileField`.
fn app_armor(errors: &mut Errors, context: &Value, path: &str) {
    let (profile, path) = (&context["appArmorProfile"], at(path, "appArmorProfile"));
    if profile.is_null() {
        return;
    }
    let at_local = at(&path, "localhostProfile");
    let must = || FieldError::required(&at_local, "must be set when AppArmor type is Localhost");
    match (text(profile, "type"), profile["localhostProfile"].as_str()) {
        ("Localhost", None) => errors.push(must()),
        ("Localhost", Some(local)) => {
            if local.trim() != local {
                errors.push(FieldError::invalid(&at_local, local, "must not be padded with whitespace"));
            } else if local.is_empty() {
                errors.push(must());
            }
            if local.len() > APP_ARMOR_MAX {
                errors.push(FieldError::too_long(&at_local, APP_ARMOR_MAX));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(local)) => {
            let detail = "can only be set when AppArmor type is Localhost";
            errors.push(FieldError::invalid(&at_local, local, detail));
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            let detail = "type is required when appArmorProfile is set";
            errors.push(FieldError::required(at(&path, "type"), detail));
        }
        (other, _) => {
            let supported = ["Localhost", "RuntimeDefault", "Unconfined"];
            errors.push(FieldError::not_supported(at(&path, "type"), other, &supported));
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
