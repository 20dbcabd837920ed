//! Creating and replacing objects, and finalizing namespaces.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::author::Author;
use super::authorize::Guard;
use super::dispatch::Call;
use super::options::{FieldValidation, WriteOptions};
use super::request::Shape;
use super::respond::{self, Answer};
use super::{body, options};
use crate::apply;
use crate::error::{ApiError, Subject};
use crate::field::FieldError;
use crate::kind::Kind;
use crate::registry::{ChangeFn, Created, Door, meta};

/// Kinds that a `PUT` replaces only in a version that it names (`AllowUnconditionalUpdate` upstream).
const CONDITIONAL: [&str; 2] = ["Lease", "RuntimeClass"];

/// Kinds that a `PUT` creates where they are not there (`AllowCreateOnUpdate` upstream).
const CREATED_BY_PUT: [&str; 4] = ["Event", "Lease", "LimitRange", "RuntimeClass"];

/// `POST` of a new object.
pub(super) async fn create(mut call: Call, warnings: &mut Vec<String>) -> Answer {
    let WriteOptions { dry_run, validation } = options::of_write("CreateOptions", &call.query)?;
    let bytes = call.body().await?;
    let registry = &call.app.registry;
    let (text, known) = body::known(&call, &bytes);
    if let Some((mut object, spec)) = known
        && single_owners(&mut object).is_none()
        && !apply::is_tracked(&object)
        && let Some(born) = registry.born_known(call.kind, call.namespace(), object, &spec)
    {
        let created = registry.store_known(call.kind, call.namespace(), born, dry_run).await?;
        return created_answer(&call, &created);
    }
    let mut object = body::object(call.kind, &call.headers, &bytes, validation, warnings)?;
    warnings.extend(single_owners(&mut object));
    Guard::of(&call).check(&object)?;
    if apply::is_tracked(&object) {
        Author::of(&call, Door::Main).track(&Value::Null, &mut object);
    }
    let created = registry.create_entry(call.kind, call.namespace(), object, dry_run, warnings).await?;
    // Where complaints are ignored it is not known that there were none.
    let is_plain = warnings.is_empty() && validation != FieldValidation::Ignore;
    if let Some(text) = text.filter(|_| is_plain) {
        registry.remember_spec(call.kind, text, &created.object);
    }
    created_answer(&call, &created)
}

/// The answer to a create.
fn created_answer(call: &Call, created: &Created) -> Answer {
    // The stored bytes, where they are what is wanted.
    match (&created.entry, call.shape()?) {
        (Some(entry), Shape::Object) if call.kind.stored.is_none() => {
            let bytes = entry.value.bytes().clone();
            Ok(respond::bytes(StatusCode::CREATED, "application/json", bytes))
        }
        _ => call.answer(StatusCode::CREATED, created.whole()),
    }
}

/// `PUT` of an object or of its status.
pub(super) async fn replace(mut call: Call, door: Door, warnings: &mut Vec<String>) -> Answer {
    let WriteOptions { dry_run, validation } = options::of_write("UpdateOptions", &call.query)?;
    let bytes = call.body().await?;
    let mut object = body::object(call.kind, &call.headers, &bytes, validation, warnings)?;
    warnings.extend(single_owners(&mut object));
    named_as_called(&call, &object)?;
    let registry = &call.app.registry;
    if door == Door::Main && CREATED_BY_PUT.contains(&call.kind.kind) {
        let present = match registry.get(call.kind, call.namespace(), &call.name) {
            Err(error) if error.code == 404 => None,
            found => Some(found?),
        };
        same_uid(call.kind, call.namespace(), &call.name, &object, present.as_ref())?;
        if present.is_none() {
            let begun = warnings.len();
            match create_by_put(&call, object.clone(), dry_run, warnings).await {
                // Somebody else was faster: there is something to replace.
                Err(error) if error.reason == "AlreadyExists" => warnings.truncate(begun),
                answer => return answer,
            }
        }
    }
    if CONDITIONAL.contains(&call.kind.kind) && meta::text(&object, "resourceVersion").is_empty() {
        let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
        let subject = Subject { kind: call.kind.plural, ..call.kind.subject(&call.name) };
        return Err(ApiError::invalid(&subject, &vec![error]));
    }
    let (guard, author) = (Guard::of(&call), Author::of(&call, door));
    let (kind, namespace, name) = (call.kind, call.namespace().map(str::to_owned), call.name.clone());
    let change: ChangeFn = Arc::new(move |old| {
        same_uid(kind, namespace.as_deref(), &name, &object, Some(old))?;
        guard.check_change(old, &object)?;
        let mut new = object.clone();
        author.track(old, &mut new);
        Ok(new)
    });
    let stored = registry.update(call.kind, call.namespace(), &call.name, door, dry_run, change).await?;
    if door == Door::Main {
        warnings.extend((call.kind.warnings)(&stored));
    }
    call.answer(StatusCode::OK, stored)
}

/// 400 for a body of another namespace or name than the path's, or of none.
///
/// Source: upstream apiserver, `endpoints/handlers/rest.go` (`checkName`).
fn named_as_called(call: &Call, object: &Value) -> Result<(), ApiError> {
    let (namespace, name) = (meta::text(object, "namespace"), meta::text(object, "name"));
    if call.kind.namespaced && !namespace.is_empty() && Some(namespace) != call.namespace() {
        return Err(ApiError::other_namespace());
    }
    if name != call.name {
        return Err(ApiError::other_name(name, &call.name));
    }
    Ok(())
}

/// Who replaces an object by its uid means that object: where it is gone none is made, and nothing is said of another one
/// of its name but that. A patch's uid is no such condition: it is a field that may not change.
///
/// Source: upstream apiserver, `pkg/registry/generic/registry/store.go` (`Update`), `pkg/storage/etcd3/store.go`
/// (`GuaranteedUpdate`), `pkg/registry/rest/update.go` (`Preconditions`, which a patch has none of).
fn same_uid(
    kind: &Kind,
    namespace: Option<&str>,
    name: &str,
    given: &Value,
    present: Option<&Value>,
) -> Result<(), ApiError> {
    let (given, present) = (meta::text(given, "uid"), present.map_or("", |object| meta::text(object, "uid")));
    if given.is_empty() || given == present {
        return Ok(());
    }
    Err(ApiError::other_uid(&kind.subject(name), namespace, given, present))
}

/// `PUT` of an object that is not there.
async fn create_by_put(call: &Call, mut object: Value, dry_run: bool, warnings: &mut Vec<String>) -> Answer {
    Guard::of(call).check(&object)?;
    if apply::is_tracked(&object) {
        Author::of(call, Door::Main).track(&Value::Null, &mut object);
    }
    let given = object["metadata"]["resourceVersion"].take();
    let registry = &call.app.registry;
    let created = registry.create_entry(call.kind, call.namespace(), object, dry_run, warnings).await?;
    if dry_run && given != "" {
        // It has got no version: upstream gives back what it was given.
        let mut whole = created.whole();
        meta::set(&mut whole, "resourceVersion", given);
        return call.answer(StatusCode::CREATED, whole);
    }
    created_answer(call, &created)
}

/// Takes owners that stand twice out of the metadata, and says so (upstream's dedupOwnerReferencesAndAddWarning).
fn single_owners(object: &mut Value) -> Option<String> {
    let owners = object.get_mut("metadata")?.get_mut("ownerReferences")?.as_array_mut()?;
    let mut single: Vec<Value> = Vec::with_capacity(owners.len());
    let mut twice: Vec<String> = Vec::new();
    for owner in owners.drain(..) {
        if single.contains(&owner) {
            twice.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            single.push(owner);
        }
    }
    *owners = single;
    twice.dedup();
    (!twice.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        )
    })
}

/// `PUT` of a namespace's `/finalize`: `spec.finalizers` and nothing else is taken from the body.
pub(super) async fn finalize(mut call: Call, warnings: &mut Vec<String>) -> Answer {
    let WriteOptions { dry_run, validation } = options::of_write("UpdateOptions", &call.query)?;
    let bytes = call.body().await?;
    let object = body::object(call.kind, &call.headers, &bytes, validation, warnings)?;
    named_as_called(&call, &object)?;
    let change: ChangeFn = Arc::new(move |old| {
        let mut new = old.clone();
        for field in ["uid", "resourceVersion"] {
            let given = &object["metadata"][field];
            if given.as_str().is_some_and(|text| !text.is_empty()) {
                new["metadata"][field] = given.clone();
            }
        }
        let finalizers = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
        if let Some(spec) = new["spec"].as_object_mut() {
            spec.insert("finalizers".to_owned(), Value::Array(finalizers));
        }
        Ok(new)
    });
    let registry = &call.app.registry;
    let stored =
        registry.update(call.kind, call.namespace(), &call.name, Door::Engine, dry_run, change).await?;
    call.answer(StatusCode::OK, stored)
}
