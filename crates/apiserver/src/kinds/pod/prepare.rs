//! What the server makes of a new pod and of an update.
//!
//! Sources: upstream pkg/registry/core/pod/strategy.go, and what a cluster's default admission adds
//! (ServiceAccount, DefaultTolerationSeconds; Priority is the registry's, which knows the classes).

use serde_json::{Value, json};

use super::{disabled, label_keys, qos, token};
use crate::kind::{Fields, Rest};
use crate::kinds::common;
use crate::kinds::json::{fill, fill_text, items, object, put, set, text};

/// The annotation that says which devices a bound pod has: whoever binds it writes it, and nobody else.
const DEVICES: &str = "devices.windlass.dev/assigned";

/// A new pod: Pending, with its quality of service; admission's defaults are in its spec.
pub(crate) fn prepare_create(pod: &mut Value) {
    let uid = text(&pod["metadata"], "uid").to_owned();
    if let Some(spec) = object(pod, "spec") {
        disabled::forget(spec, &Value::Null);
        admit(spec);
        token::mount(spec, &uid);
    }
    label_keys::merge(pod);
    let qos = qos::class(&pod["spec"]);
    common::start(pod, json!({"phase": "Pending", "qosClass": qos}));
    if items(&pod["spec"], "schedulingGates").is_empty() {
        return;
    }
    let now = pod["metadata"]["creationTimestamp"].clone();
    set(
        &mut pod["status"],
        "conditions",
        json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "lastProbeTime": null, "lastTransitionTime": now,
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]),
    );
}

/// What a cluster's admission fills in.
fn admit(spec: &mut Value) {
    fill_text(spec, "serviceAccountName", "default");
    let account = spec["serviceAccountName"].clone();
    set(spec, "serviceAccount", account);
    tolerate(spec, "node.kubernetes.io/not-ready");
    tolerate(spec, "node.kubernetes.io/unreachable");
}

/// Adds five minutes of patience with a taint, unless the pod has its own (plugin DefaultTolerationSeconds).
fn tolerate(spec: &mut Value, taint: &str) {
    let own = items(spec, "tolerations").iter().any(|t| {
        matches!(text(t, "key"), "" | "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable")
            && (text(t, "key").is_empty() || text(t, "key") == taint)
            && matches!(text(t, "effect"), "" | "NoExecute")
    });
    if own {
        return;
    }
    fill(spec, "tolerations", json!([]));
    if let Some(list) = spec["tolerations"].as_array_mut() {
        list.push(
            json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}),
        );
    }
}

/// An update of the pod itself: the status stays; a changed spec counts the generation up.
pub(crate) fn prepare_update(new: &mut Value, old: &Value) {
    common::keep_status(new, old);
    keep_devices(new, old);
    if let Some(spec) = object(new, "spec") {
        disabled::forget(spec, &old["spec"]);
        // Admission again: what it gave on creation comes back where a writer left it out.
        for key in ["priority", "preemptionPolicy"] {
            if !old["spec"][key].is_null() {
                fill(spec, key, old["spec"][key].clone());
            }
        }
        tolerate(spec, "node.kubernetes.io/not-ready");
        tolerate(spec, "node.kubernetes.io/unreachable");
    }
    common::count_generation(new, old);
}

/// An update of the status: the spec stays, and the owner too.
pub(crate) fn prepare_status(new: &mut Value, old: &Value) {
    common::keep_all_but_status(new, old);
    keep_devices(new, old);
    if let Some(metadata) = object(new, "metadata") {
        put(metadata, "ownerReferences", old["metadata"]["ownerReferences"].clone());
    }
    if let Some(status) = object(new, "status") {
        fill_text(status, "qosClass", text(&old["status"], "qosClass"));
    }
}

/// What a pod has been given stays with it, also where a writer leaves it out: nobody else may be given the same.
fn keep_devices(new: &mut Value, old: &Value) {
    let given = &old["metadata"]["annotations"][DEVICES];
    if new["metadata"]["annotations"][DEVICES] == *given {
        return;
    }
    if let Some(annotations) = object(new, "metadata").and_then(|metadata| object(metadata, "annotations")) {
        put(annotations, DEVICES, given.clone());
    }
}

/// The field selectors of pods.
pub(crate) fn fields(pod: &dyn Fields) -> Vec<(&'static str, String)> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let ips: Vec<&str> = items(status, "podIPs").iter().map(|ip| text(ip, "ip")).collect();
    vec![
        ("spec.nodeName", text(spec, "nodeName").to_owned()),
        ("spec.restartPolicy", text(spec, "restartPolicy").to_owned()),
        ("spec.schedulerName", text(spec, "schedulerName").to_owned()),
        ("spec.serviceAccountName", text(spec, "serviceAccountName").to_owned()),
        ("spec.hostNetwork", crate::kinds::json::flag(spec, "hostNetwork").to_string()),
        ("status.phase", text(status, "phase").to_owned()),
        ("status.podIP", ips.first().copied().unwrap_or(text(status, "podIP")).to_owned()),
        ("status.podIPs", ips.join(",")),
        ("status.nominatedNodeName", text(status, "nominatedNodeName").to_owned()),
    ]
}

/// A pod that has ended waits for nothing but its finalizers and its deletion.
pub(crate) fn rest(pod: &dyn Fields) -> Rest {
    let metadata = &pod["metadata"];
    let ended = matches!(text(&pod["status"], "phase"), "Succeeded" | "Failed");
    let waits = !items(metadata, "finalizers").is_empty() || !metadata["deletionTimestamp"].is_null();
    if ended && !waits { Rest::Settled } else { Rest::None }
}

/// Their names.
pub(crate) const FIELD_NAMES: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];
