//! Deleting one object or a collection, with options from the body or the query.

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::dispatch::Call;
use super::pages::Pages;
use super::request::Query;
use super::respond::{self, Answer};
use super::{body, options};
use crate::error::ApiError;
use crate::field::{Errors, FieldError};
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
    let options = asked(&call.headers, &bytes, &call.query)?;
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
    let options = asked(&call.headers, &bytes, &call.query)?;
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
fn asked(headers: &HeaderMap, bytes: &Bytes, query: &Query) -> Result<DeleteOptions, ApiError> {
    if !bytes.is_empty() {
        return read_options(&body::delete_options(headers, bytes)?);
    }
    let precondition = |name: &str| query.get(name).map(ToOwned::to_owned);
    let grace_period_seconds = query.number("gracePeriodSeconds")?;
    let (policy, orphan) = (query.first("propagationPolicy"), query.flag("orphanDependents")?);
    let (propagation, dry_run) = how(policy, orphan, query.all("dryRun"))?;
    Ok(DeleteOptions {
        grace_period_seconds,
        propagation,
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        dry_run,
    })
}

/// Reads `DeleteOptions` from a value that has been fitted to their schema (an Eviction carries one).
pub(super) fn read_options(sent: &Value) -> Result<DeleteOptions, ApiError> {
    let precondition = |field: &str| sent["preconditions"][field].as_str().map(ToOwned::to_owned);
    let tried = sent["dryRun"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (propagation, dry_run) = how(
        sent["propagationPolicy"].as_str(),
        sent["orphanDependents"].as_bool(),
        tried.iter().map(|value| value.as_str().unwrap_or_default()),
    )?;
    Ok(DeleteOptions {
        grace_period_seconds: sent["gracePeriodSeconds"].as_i64(),
        propagation,
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        dry_run,
    })
}

/// What becomes of dependents, and whether it is only tried; or all that is wrong with what was said of it.
///
/// Source: upstream apimachinery, `meta/v1/validation` (`ValidateDeleteOptions`).
fn how<'a>(
    policy: Option<&str>,
    orphan: Option<bool>,
    tried: impl Iterator<Item = &'a str> + Clone,
) -> Result<(Option<Propagation>, bool), ApiError> {
    let path = "propagationPolicy";
    let mut errors = Errors::new();
    if let (Some(policy), Some(_)) = (policy, orphan) {
        let detail = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(FieldError::invalid(path, policy, detail));
    }
    let propagation = match (policy, orphan) {
        (None, None) => None,
        (None, Some(true)) | (Some("Orphan"), _) => Some(Propagation::Orphan),
        (None, Some(false)) | (Some("Background"), _) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some(other), _) => {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(FieldError::not_supported(path, other, &supported));
            None
        }
    };
    let dry_run = options::dry_run(tried, &mut errors);
    options::checked("DeleteOptions", &errors)?;
    Ok((propagation, dry_run))
}
