//! What an update of a pod may change. Source: upstream pkg/apis/core/validation/validation.go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{fate, gated, validate};
use crate::field::{Errors, FieldError};
use crate::kinds::json::{entries, int, is_set, items, items_mut, put, same, text};
use crate::kinds::rules::{difference, differing, entry, immutable, wrong};
use crate::names;

/// What may change, as upstream lists it.
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// The annotation of a pod that stands for one of a kubelet's own.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// What annotations about a container's profile of AppArmor begin with.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Every problem of a change of a pod, through its own door or through `/status`.
pub(crate) fn validate_update(new: &Value, old: &Value, of_status: bool) -> Errors {
    if of_status {
        let mut errors = status(new, old);
        fate::unchanged(&mut errors, new, old);
        return errors;
    }
    let mut errors = validate::of_any_pod(new);
    fate::unchanged(&mut errors, new, old);
    fixed_annotations(&mut errors, &new["metadata"], &old["metadata"]);
    let (new, old) = (&new["spec"], &old["spec"]);
    for list in ["containers", "initContainers"] {
        if items(new, list).len() != items(old, list).len() {
            let detail = "pod updates may not add or remove containers";
            errors.push(FieldError::forbidden(format!("spec.{list}"), detail));
            return errors;
        }
    }
    if !deadline(&mut errors, new, old) {
        return errors;
    }
    added_tolerations(&mut errors, new, old);
    deleted_gates(&mut errors, new, old);
    let mut munged = with_updatable_of(new, old);
    if !items(old, "schedulingGates").is_empty() {
        gated::narrowed(&mut errors, &mut munged, old);
    }
    let mut keys = differing(&munged, old);
    // Of the pod as a whole, resources that say nothing are not the same as none.
    if is_set(&munged, "resources") != is_set(old, "resources") && !keys.contains(&"resources") {
        keys.push("resources");
    }
    if !keys.is_empty() {
        let difference = difference(&munged, old, &keys);
        let detail = format!("pod updates may not change fields other than {UPDATABLE}\n{difference}");
        errors.push(FieldError::forbidden("spec", detail));
    }
    errors
}

/// Annotations of old that say what a pod's containers may do, and the mark of a pod that a kubelet has of itself.
/// Source: `ValidatePodSpecificAnnotationUpdates`.
fn fixed_annotations(errors: &mut Errors, new: &Value, old: &Value) {
    let all = [old, new].into_iter().flat_map(|metadata| entries(metadata, "annotations"));
    let keys: BTreeSet<&str> = all.map(|(key, _)| key.as_str()).collect();
    for key in keys {
        let (after, before) = (new["annotations"].get(key), old["annotations"].get(key));
        let what = match key {
            MIRROR => "mirror pod annotation",
            key if key.starts_with(APP_ARMOR) => "AppArmor annotations",
            _ => continue,
        };
        if after != before {
            let verb = if before.is_some() { "remove or update" } else { "add" };
            let path = entry("metadata.annotations", key);
            errors.push(FieldError::forbidden(path, format!("may not {verb} {what}")));
        }
    }
}

/// The new spec, but with the old one's values in all that may change.
fn with_updatable_of(new: &Value, old: &Value) -> Value {
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        for (container, before) in items_mut(&mut munged, list).zip(items(old, list)) {
            put(container, "image", before["image"].clone());
        }
    }
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put(&mut munged, key, old[key].clone());
    }
    let grace = |spec| int(spec, "terminationGracePeriodSeconds");
    if grace(old).is_some_and(|g| g < 0) && grace(new) == Some(1) {
        put(&mut munged, "terminationGracePeriodSeconds", old["terminationGracePeriodSeconds"].clone());
    }
    munged
}

/// It may come, and it may shrink. One that cannot be at all is all that is told.
fn deadline(errors: &mut Errors, new: &Value, old: &Value) -> bool {
    let (path, key) = ("spec.activeDeadlineSeconds", "activeDeadlineSeconds");
    match (int(new, key), int(old, key)) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            wrong(errors, path, seconds, names::in_range(seconds, 0, i64::from(i32::MAX)));
            return false;
        }
        (Some(new), Some(old)) if old < new => {
            let detail = "must be less than or equal to previous value";
            errors.push(FieldError::invalid(path, new, detail));
            return false;
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(path, Value::Null, detail));
        }
        _ => {}
    }
    true
}

/// Old tolerations stay, apart from their patience.
fn added_tolerations(errors: &mut Errors, new: &Value, old: &Value) {
    let kept = |old: &Value| {
        items(new, "tolerations").iter().any(|new| {
            let mut old = old.clone();
            put(&mut old, "tolerationSeconds", new["tolerationSeconds"].clone());
            same(&old, new)
        })
    };
    if !items(old, "tolerations").iter().all(kept) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden("spec.tolerations", detail));
    }
}

fn deleted_gates(errors: &mut Errors, new: &Value, old: &Value) {
    let before = items(old, "schedulingGates");
    for (i, gate) in items(new, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !before.iter().any(|g| text(g, "name") == name) {
            let path = format!("spec.schedulingGates[{i}].name");
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(FieldError::forbidden(path, detail));
        }
    }
}

fn status(new: &Value, old: &Value) -> Errors {
    let mut errors = Errors::new();
    let (status, before) = (&new["status"], &old["status"]);
    let nominated = text(status, "nominatedNodeName");
    if nominated != text(before, "nominatedNodeName") && !nominated.is_empty() {
        let path = "status.nominatedNodeName";
        wrong(&mut errors, path, nominated, names::dns_subdomain(nominated));
        if is_set(&old["spec"], "nodeName") {
            let detail = "may not be set on pods that are already bound to a node";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
    immutable(&mut errors, status, before, "status", "qosClass");
    for (i, condition) in items(status, "conditions").iter().enumerate() {
        let kind = text(condition, "type");
        let path = format!("status.conditions[{i}].Type");
        wrong(&mut errors, &path, kind, names::qualified_name(kind));
    }
    for list in ["containerStatuses", "initContainerStatuses"] {
        revived(&mut errors, new, old, list);
    }
    errors
}

/// A container that ended for good does not run again.
fn revived(errors: &mut Errors, new: &Value, old: &Value, list: &str) {
    let spec = &old["spec"];
    for (i, before) in items(&old["status"], list).iter().enumerate() {
        let ended = &before["state"]["terminated"];
        let now = items(&new["status"], list).iter().find(|s| s["name"] == before["name"]);
        let alive = now.is_some_and(|s| s["state"]["terminated"].is_null());
        if !ended.is_null() && alive && !may_restart(spec, list, before, ended) {
            let detail = "may not be transitioned to non-terminated state";
            errors.push(FieldError::forbidden(format!("status.{list}[{i}].state"), detail));
        }
    }
}

fn may_restart(spec: &Value, list: &str, status: &Value, ended: &Value) -> bool {
    let (of, init) =
        if list == "containerStatuses" { ("containers", false) } else { ("initContainers", true) };
    let container = items(spec, of).iter().find(|c| c["name"] == status["name"]);
    let failed = int(ended, "exitCode").unwrap_or(0) != 0;
    // Rules may say more than the policy: what they mean is the kubelet's part.
    if container.is_some_and(|c| !items(c, "restartPolicyRules").is_empty()) {
        return true;
    }
    let own = container.map_or("", |c| text(c, "restartPolicy"));
    let policy = if own.is_empty() { text(spec, "restartPolicy") } else { own };
    match policy {
        "Always" => true,
        "OnFailure" => failed || init,
        _ => false,
    }
}
