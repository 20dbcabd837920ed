//! What in a pod needs the administrator: the host class, paths and namespaces of the host, privileges.
//!
//! Pure: an object in, the places at fault out. The list is that of upstream's "baseline" (pod-security-admission) as
//! far as it touches the host, and the host class. A template is looked at as the pod that it becomes: controllers
//! create pods with the engine's own rights.

use serde_json::Value;

use crate::kind::Kind;

/// The runtime class whose pods are processes of the host.
pub const HOST_CLASS: &str = "windlass-host";

/// Capabilities that a container may have anyway (upstream's check_capabilities_baseline.go).
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Where each kind keeps the pod that it is or makes: the path to its spec.
const SPECS: [(&str, &str, &str); 5] = [
    ("", "Pod", "spec"),
    ("", "PodTemplate", "template.spec"),
    ("batch", "Job", "spec.template.spec"),
    ("batch", "CronJob", "spec.jobTemplate.spec.template.spec"),
    ("apps", "ReplicaSet", "spec.template.spec"),
];

/// The path and the spec of the pod that an object is or makes, if it is of such a kind.
#[must_use]
pub fn pod_spec<'a>(kind: &Kind, object: &'a Value) -> Option<(&'static str, &'a Value)> {
    let (.., path) = SPECS.iter().find(|(group, name, _)| (*group, *name) == (kind.group, kind.kind))?;
    Some((path, path.split('.').fold(object, |value, key| &value[key])))
}

/// The service account that a pod's spec names.
#[must_use]
pub fn account(spec: &Value) -> &str {
    // The second name is the older one; one that is not given is the default account.
    let named = ["serviceAccountName", "serviceAccount"].map(|key| spec[key].as_str().unwrap_or_default());
    named.into_iter().find(|name| !name.is_empty()).unwrap_or("default")
}

/// Every place in an object that needs the administrator, e.g. `hostPath volumes (spec.volumes[0].hostPath)`.
#[must_use]
pub fn needs_administrator(kind: &Kind, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let Some((path, spec)) = pod_spec(kind, object) else { return found };
    if spec["runtimeClassName"] == HOST_CLASS {
        found.push(format!("processes of the host ({path}.runtimeClassName: {HOST_CLASS})"));
    }
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if is_true(&spec[key]) {
            found.push(format!("host namespaces ({path}.{key})"));
        }
    }
    for (at, volume) in list(&spec["volumes"]) {
        if !volume["hostPath"].is_null() {
            found.push(format!("hostPath volumes ({path}.volumes[{at}].hostPath)"));
        }
    }
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        for (at, container) in list(&spec[key]) {
            privileges(&mut found, &format!("{path}.{key}[{at}]"), container);
        }
    }
    found
}

fn privileges(found: &mut Vec<String>, path: &str, container: &Value) {
    let context = &container["securityContext"];
    if is_true(&context["privileged"]) {
        found.push(format!("privileged ({path}.securityContext.privileged)"));
    }
    for (at, capability) in list(&context["capabilities"]["add"]) {
        if capability.as_str().is_none_or(|name| !CAPABILITIES.contains(&name)) {
            found.push(format!("privileged ({path}.securityContext.capabilities.add[{at}]: {capability})"));
        }
    }
    if context["procMount"].as_str().is_some_and(|mount| mount == "Unmasked") {
        found.push(format!("privileged ({path}.securityContext.procMount: Unmasked)"));
    }
    for (at, port) in list(&container["ports"]) {
        if port["hostPort"].as_i64().is_some_and(|port| port != 0) {
            found.push(format!("host namespaces ({path}.ports[{at}].hostPort)"));
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = (usize, &Value)> {
    value.as_array().into_iter().flatten().enumerate()
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
}
