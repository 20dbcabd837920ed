//! The doors that only pods have and that change them: eviction, binding.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::dispatch::Call;
use super::options::{self, WriteOptions};
use super::respond::{self, Answer};
use super::{body, delete};
use crate::error::{ApiError, Subject};
use crate::field::{Errors, FieldError};
use crate::kind::Kind;
use crate::kinds;
use crate::registry::{ChangeFn, Door, check_preconditions, meta};

/// `POST` of an Eviction: marks the pod as disrupted and deletes it. There are no disruption budgets here.
///
/// The delete's preconditions are asked before the mark, which moves the version that they may name.
/// Source: upstream `registry/core/pod/storage/eviction.go` (`addConditionAndDeletePod`).
pub(super) async fn evict(mut call: Call, warnings: &mut Vec<String>) -> Answer {
    let (eviction, is_tried) = about_the_pod(&mut call, &kinds::EVICTION, warnings).await?;
    let mut options = delete::read_options(&eviction["deleteOptions"])?;
    options.dry_run |= is_tried;
    let registry = &call.app.registry;
    if !options.dry_run {
        let now = meta::time(registry.world.now());
        let (kind, name, wanted) = (call.kind, call.name.clone(), options.clone());
        let mark: ChangeFn = Arc::new(move |old| {
            check_preconditions(kind, &name, &wanted, old)?;
            Ok(with_condition(
                old,
                json!({
                    "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                    "message": "Eviction API: evicting", "lastTransitionTime": now,
                }),
            ))
        });
        let marked =
            registry.update(call.kind, call.namespace(), &call.name, Door::Engine, false, mark).await?;
        if options.resource_version.is_some() {
            options.resource_version = Some(meta::text(&marked, "resourceVersion").to_owned());
        }
    }
    registry.delete(call.kind, call.namespace(), &call.name, &options).await?;
    Ok(respond::success(StatusCode::CREATED, None))
}

/// `POST` of a Binding: puts the pod on a node, once; its annotations and labels become the pod's.
///
/// Source: upstream `registry/core/pod/storage/storage.go` (`setPodNodeAndMetadata`).
pub(super) async fn bind(mut call: Call, warnings: &mut Vec<String>) -> Answer {
    let (binding, dry_run) = about_the_pod(&mut call, &kinds::BINDING, warnings).await?;
    let node = target(&binding)?;
    let subject = Subject { resource: "pods/binding", ..call.kind.subject(&call.name) };
    let (kind, now) = (call.kind, meta::time(call.app.registry.world.now()));
    let change: ChangeFn = Arc::new(move |old| {
        meant(kind, old, &binding)?;
        if meta::deleting(old) {
            let detail = "pod is being deleted, cannot be assigned to a host";
            return Err(ApiError::conflict(&subject, detail));
        }
        if let Some(present) = old["spec"]["nodeName"].as_str().filter(|n| !n.is_empty()) {
            let name = &subject.name;
            let detail = format!("pod {name} is already assigned to node {present:?}");
            return Err(ApiError::conflict(&subject, detail));
        }
        if old["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            let detail = format!("pod {} has non-empty .spec.schedulingGates", subject.name);
            return Err(ApiError::conflict(&subject, detail));
        }
        let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now});
        let mut new = with_condition(old, scheduled);
        new["spec"]["nodeName"] = node.as_str().into();
        if let Some(status) = new["status"].as_object_mut() {
            status.remove("nominatedNodeName");
        }
        for field in ["annotations", "labels"] {
            for (key, value) in binding["metadata"][field].as_object().into_iter().flatten() {
                new["metadata"][field][key] = value.clone();
            }
        }
        Ok(new)
    });
    let registry = &call.app.registry;
    registry.update(call.kind, call.namespace(), &call.name, Door::Engine, dry_run, change).await?;
    Ok(respond::success(StatusCode::CREATED, None))
}

/// A body of the kind that the door takes, which names the pod of the path, and whether all of it is only tried.
///
/// Source: upstream apiserver, `endpoints/handlers/create.go`; `registry/core/pod/storage` (`BindingREST.Create` and
/// `EvictionREST.Create`, which want the name).
async fn about_the_pod(
    call: &mut Call,
    kind: &'static Kind,
    warnings: &mut Vec<String>,
) -> Result<(Value, bool), ApiError> {
    let WriteOptions { dry_run, validation } = options::of_write("CreateOptions", &call.query)?;
    let bytes = call.body().await?;
    let object = body::object(kind, &call.headers, &bytes, validation, warnings)?;
    let namespace = meta::text(&object, "namespace");
    if !namespace.is_empty() && Some(namespace) != call.namespace() {
        return Err(ApiError::other_namespace());
    }
    if meta::text(&object, "name") != call.name {
        let text = format!("name in URL does not match name in {} object", kind.kind);
        return Err(ApiError::bad_request(text));
    }
    Ok((object, dry_run))
}

/// The node that a Binding names (`ValidatePodBinding` of core/validation).
fn target(binding: &Value) -> Result<String, ApiError> {
    let text = |field: &str| binding["target"][field].as_str().unwrap_or_default();
    let mut errors = Errors::new();
    if !matches!(text("kind"), "" | "Node") {
        errors.push(FieldError::not_supported("target.kind", text("kind"), &["Node", "<empty>"]));
    }
    if text("name").is_empty() {
        errors.push(FieldError::required("target.name", ""));
    }
    if errors.is_empty() {
        return Ok(text("name").to_owned());
    }
    Err(ApiError::invalid(&kinds::BINDING.subject(meta::text(binding, "name")), &errors))
}

/// 409 if a Binding names another pod of the name, or another version of it.
fn meant(kind: &Kind, pod: &Value, binding: &Value) -> Result<(), ApiError> {
    let subject = kind.subject(meta::text(pod, "name"));
    for (field, title) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (given, present) = (meta::text(binding, field), meta::text(pod, field));
        if !given.is_empty() && given != present {
            let namespace = Some(meta::text(pod, "namespace"));
            return Err(ApiError::unmet(&subject, namespace, title, given, present));
        }
    }
    Ok(())
}

/// The object with a status condition set, in place of one of its type.
fn with_condition(object: &Value, condition: Value) -> Value {
    let mut new = object.clone();
    if !new["status"]["conditions"].is_array() {
        new["status"]["conditions"] = json!([]);
    }
    if let Some(conditions) = new["status"]["conditions"].as_array_mut() {
        match conditions.iter_mut().find(|c| c["type"] == condition["type"]) {
            Some(present) => *present = condition,
            None => conditions.push(condition),
        }
    }
    new
}
