//! Deleting one object or a collection, with options from the body or the query.

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::body;
use super::dispatch::Call;
use super::pages::Pages;
use super::request::{Query, invalid_options};
use super::respond::{self, Answer};
use crate::error::ApiError;
use crate::field::FieldError;
use crate::kind::{Kind, Propagation};
use crate::kinds::priority_class;
use crate::registry::{DeleteOptions, Deleted, meta, object_of};

/// Deletes of a collection that are under way at once; the store commits them in groups.
const AT_ONCE: usize = 32;
/// Objects of a collection looked at in one go.
const PAGE: usize = 500;

/// Kinds whose objects are shown once more when they go at once (`ReturnDeletedObject` of their storage upstream).
const SHOWN: [&str; 6] =
    ["Pod", "ServiceAccount", "PersistentVolume", "PersistentVolumeClaim", "ResourceQuota", "StorageClass"];

/// Upstream's warning for `DELETE` of a batch/v1 Job that says nothing of its pods (pkg/registry/batch/job/storage).
const CHILDREN_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
                             remove them or set propagationPolicy=Orphan to suppress this warning";

/// `DELETE` of an object.
pub(super) async fn delete(mut call: Call) -> Answer {
    let bytes = call.body().await?;
    let options = options(&call.headers, &bytes, &call.query)?;
    keep_systems_class(call.kind, &call.name)?;
    let deleted = call.app.registry.delete(call.kind, call.namespace(), &call.name, &options).await;
    let mut response = match deleted {
        Ok(Deleted::Gone(object)) if !SHOWN.contains(&call.kind.kind) => {
            respond::success(StatusCode::OK, Some(details(call.kind, &object)))
        }
        Ok(deleted) => call.answer(StatusCode::OK, deleted.into_object())?,
        Err(error) => respond::error(&error),
    };
    respond::warn(response.headers_mut(), &warnings(call.kind, &options));
    Ok(response)
}

/// 403 for the classes that every cluster has. In a collection they go, as upstream: only this verb is overridden there.
///
/// Source: upstream `pkg/registry/scheduling/priorityclass/storage/storage.go` (`Delete`).
fn keep_systems_class(kind: &Kind, name: &str) -> Result<(), ApiError> {
    if kind.kind != "PriorityClass" || priority_class::system_names().all(|class| class != name) {
        return Ok(());
    }
    let subject = kind.subject(name);
    let detail = format!(
        "{} {name:?} is forbidden: this is a system priority class and cannot be deleted",
        subject.qualified()
    );
    Err(ApiError::forbidden(&subject, detail))
}

/// `DELETE` of a collection: each object by itself, as upstream does; the answer lists them. The query says both which
/// objects, as of a list, and how they go. With a limit it is one page, and the answer says where the next begins.
///
/// Source: upstream apiserver, `endpoints/handlers/delete.go` (`DeleteCollection`), `registry/generic/registry/store.go`.
pub(super) async fn delete_collection(mut call: Call) -> Answer {
    let mut pages = Pages::read(&call)?;
    let bytes = call.body().await?;
    let options = options(&call.headers, &bytes, &call.query)?;
    let is_whole = pages.unlimited();
    if is_whole {
        pages.limit(PAGE);
    }
    let mut items = Vec::new();
    let metadata = loop {
        let found = pages.next()?;
        let shown = |entry| object_of(entry).map(|object| call.kind.show(object));
        let objects = found.entries.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        for object in delete_each(&call, &options, objects).await? {
            items.push(object);
        }
        if !is_whole {
            break found.metadata(&call)?;
        }
        if found.last.is_none() {
            break json!({"resourceVersion": found.revision.0.to_string()});
        }
    };
    let items: Vec<Value> = items.into_iter().map(without_type).collect();
    let list = json!({
        "kind": format!("{}List", call.kind.kind),
        "apiVersion": call.kind.api_version(),
        "metadata": metadata,
        "items": items,
    });
    let mut response = respond::json(StatusCode::OK, &list);
    respond::warn(response.headers_mut(), &warnings(call.kind, &options));
    Ok(response)
}

async fn delete_each(
    call: &Call,
    options: &DeleteOptions,
    objects: Vec<Value>,
) -> Result<Vec<Value>, ApiError> {
    let deletes = objects.into_iter().map(|object| async move {
        let (namespace, name) = (meta::text(&object, "namespace"), meta::text(&object, "name"));
        let namespace = Some(namespace).filter(|n| !n.is_empty());
        match call.app.registry.delete(call.kind, namespace, name, options).await {
            // Gone already: what was wanted.
            Err(error) if error.code != 404 => Err(error),
            _ => Ok(object),
        }
    });
    let done: Vec<Result<Value, ApiError>> = stream::iter(deletes).buffered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

fn without_type(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    object
}

fn details(kind: &Kind, object: &Value) -> Value {
    let mut details = json!({
        "name": meta::text(object, "name"),
        "kind": kind.plural,
        "uid": meta::text(object, "uid"),
    });
    if !kind.group.is_empty() {
        details["group"] = kind.group.into();
    }
    details
}

fn warnings(kind: &Kind, options: &DeleteOptions) -> Vec<String> {
    let silent = options.propagation.is_none() && kind.group == "batch" && kind.kind == "Job";
    if silent { vec![CHILDREN_STAY.to_owned()] } else { Vec::new() }
}

/// Reads `DeleteOptions` from the body; if there is none, from the query.
///
/// Source: upstream apiserver, `endpoints/handlers/delete.go`, and apimachinery, `meta/v1/conversion.go`
/// (`Convert_url_Values_To_v1_DeleteOptions`): of a request with a body the query says nothing of the options.
fn options(headers: &HeaderMap, bytes: &Bytes, query: &Query) -> Result<DeleteOptions, ApiError> {
    if !bytes.is_empty() {
        let (sent, _) = body::decode(headers, bytes)?;
        return read_options(&sent);
    }
    let precondition = |name: &str| query.get(name).map(ToOwned::to_owned);
    Ok(DeleteOptions {
        grace_period_seconds: query.number("gracePeriodSeconds")?,
        propagation: propagation(query.get("propagationPolicy"), query.flag("orphanDependents")?)?,
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        dry_run: query.dry_run("DeleteOptions")?,
    })
}

/// Reads `DeleteOptions` from a value (an Eviction carries one).
pub(super) fn read_options(sent: &Value) -> Result<DeleteOptions, ApiError> {
    let kind = sent["kind"].as_str().unwrap_or("DeleteOptions");
    if !sent.is_object() || kind != "DeleteOptions" {
        return Err(ApiError::bad_request(format!("the body is not a DeleteOptions but a {kind}")));
    }
    let policy = sent["propagationPolicy"].as_str();
    let grace = match &sent["gracePeriodSeconds"] {
        Value::Null => None,
        number => Some(number.as_i64().ok_or_else(|| {
            let kind = if number.is_string() { "string" } else { "value" };
            ApiError::bad_request(format!(
                "json: cannot unmarshal {kind} into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
            ))
        })?),
    };
    let precondition = |field: &str| sent["preconditions"][field].as_str().map(ToOwned::to_owned);
    Ok(DeleteOptions {
        grace_period_seconds: grace,
        propagation: propagation(policy, sent["orphanDependents"].as_bool())?,
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        dry_run: dry_run(sent)?,
    })
}

fn dry_run(sent: &Value) -> Result<bool, ApiError> {
    for value in sent["dryRun"].as_array().into_iter().flatten() {
        if value != "All" {
            let error = FieldError::not_supported("dryRun", vec![value.clone()], &["All"]);
            return Err(invalid_options("DeleteOptions", error));
        }
    }
    Ok(sent["dryRun"].as_array().is_some_and(|list| !list.is_empty()))
}

fn propagation(policy: Option<&str>, orphan: Option<bool>) -> Result<Option<Propagation>, ApiError> {
    let path = "propagationPolicy";
    match (policy, orphan) {
        (Some(policy), Some(_)) => {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            Err(invalid_options("DeleteOptions", FieldError::invalid(path, policy, detail)))
        }
        (None, None) => Ok(None),
        (None, Some(true)) | (Some("Orphan"), None) => Ok(Some(Propagation::Orphan)),
        (None, Some(false)) | (Some("Background"), None) => Ok(Some(Propagation::Background)),
        (Some("Foreground"), None) => Ok(Some(Propagation::Foreground)),
        (Some(other), None) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            Err(invalid_options("DeleteOptions", FieldError::not_supported(path, other, &supported)))
        }
    }
}
