//! Updating: who may change what, optimistic concurrency, and the end of objects that were only waiting for it.

use serde_json::Value;
use windlass_store::{CommitError, Entry, Expect, Op, Write};

use super::create::{agree_on_namespace, counts_generations};
use super::{ATTEMPTS, ChangeFn, Door, Registry, at_revision, commit_error, encode, meta, object_of};
use crate::error::ApiError;
use crate::kind::{Fields, Kind};
use crate::{apply, names, schema};

/// Metadata that a writer may leave out and that then stays.
const KEPT: [&str; 2] = ["uid", "namespace"];
/// Metadata of a deletion.
const DELETION: [&str; 2] = ["deletionTimestamp", "deletionGracePeriodSeconds"];

impl Registry {
    /// Applies `change` to the newest version and stores the result; repeated on conflict when `change` says nothing of the resource version.
    ///
    /// A result equal to what is stored writes nothing. A deleting object that has lost its last finalizer is removed.
    pub async fn update(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        name: &str,
        door: Door,
        dry_run: bool,
        change: ChangeFn,
    ) -> Result<Value, ApiError> {
        for _ in 0..ATTEMPTS {
            let entry = self.entry(kind, namespace, name)?;
            let old = kind.show(object_of(&entry)?);
            let new = revise(kind, namespace, name, door, &old, change(&old)?)?;
            self.one_default(kind, &new)?;
            let claims_more = kind.kind == "PersistentVolumeClaim" && door == Door::Main && new != old;
            let charged = if claims_more {
                self.may_grow(kind, &old, &new)?;
                self.charge_change(kind, namespace, &old, &new)?
            } else {
                Vec::new()
            };
            if dry_run || new == old || (door != Door::Engine && new == dressed(kind, &old)) {
                return Ok(new);
            }
            let mut writes = vec![write(kind, &entry, &new)];
            writes.extend(charged);
            match self.store.commit(writes).await {
                Ok(done) => return Ok(at_revision(new, done.entries.first().and_then(Option::as_ref))),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(commit_error(&error)),
            }
        }
        Err(ApiError::stale(&kind.subject(name)))
    }
}

/// The write that stores a new version, or removes the object if that was all it waited for.
pub(super) fn write(kind: &'static Kind, entry: &Entry, new: &Value) -> Write {
    let op = match kind.stored {
        _ if ends(new) => Op::Delete,
        Some(stored) => {
            let new = (stored.write)(new.clone());
            Op::Put { value: encode::template(&new), tags: encode::tags(kind.home(), &new) }
        }
        None => Op::Put { value: encode::template(new), tags: encode::tags(kind, new) },
    };
    Write { key: entry.key.clone(), expect: Expect::At(entry.modified), op }
}

/// Whether a deleting object has nothing left to wait for: no grace, no finalizer. Written so, it is removed.
#[must_use]
pub fn ends(object: &dyn Fields) -> bool {
    let metadata = &object["metadata"];
    metadata["deletionTimestamp"].as_str().is_some_and(|at| !at.is_empty())
        && metadata["finalizers"].as_array().is_none_or(|list| !list.iter().any(Value::is_string))
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && (object["kind"] != "Namespace"
            || object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty))
}

/// The new version as it may be stored: identity kept, server's fields restored, prepared and checked.
fn revise(
    kind: &'static Kind,
    namespace: Option<&str>,
    name: &str,
    door: Door,
    old: &Value,
    mut new: Value,
) -> Result<Value, ApiError> {
    agree_on_namespace(kind, namespace, &mut new)?;
    identify(kind, namespace, (name, door), old, &mut new)?;
    keep_servers(kind, door, old, &mut new);
    if let Some(map) = new.as_object_mut() {
        map.insert("apiVersion".to_owned(), kind.api_version().into());
        map.insert("kind".to_owned(), kind.kind.into());
    }
    if door == Door::Engine {
        // Whose the fields are is not asked of what the server does by itself.
        meta::set(&mut new, "managedFields", old["metadata"]["managedFields"].clone());
        if counts_generations(kind) && new["spec"] != old["spec"] {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            meta::set(&mut new, "generation", generation.into());
        }
        return Ok(new);
    }
    // What says nothing is taken off the old version as it was off the new one, so that they compare.
    let mut plain = old.clone();
    schema::fit(kind.schema, &mut plain).map_err(ApiError::internal)?;
    (kind.default)(&mut plain);
    (kind.default)(&mut new);
    let prepare = if door == Door::Main { kind.prepare_update } else { kind.prepare_status };
    prepare(&mut new, &plain);
    if door == Door::Status {
        // What has come back may have a say in what is absent, as when upstream reads what it has stored.
        (kind.default)(&mut new);
    }
    let mut errors = names::metadata_update(&new, &plain, kind, door == Door::Status);
    errors.extend((kind.validate_update)(&new, &plain, door == Door::Status));
    if !errors.is_empty() {
        return Err(ApiError::invalid(&kind.home().subject(name), &errors));
    }
    let new = dressed(kind, &new);
    Ok(if apply::differs_in_times(old, &new) { old.clone() } else { new })
}

fn dressed(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    schema::dress(kind.schema, &mut object);
    object
}

/// What only the server sets stays as it is. A deletion that is not there is left in, to be refused, and so is another
/// grace of one that is.
///
/// Source: upstream apiserver, `pkg/registry/rest/update.go` (`BeforeUpdate`); `pkg/registry/core/pod/strategy.go`: the
/// status of a pod may come with any time of deletion.
fn keep_servers(kind: &Kind, door: Door, old: &Value, new: &mut Value) {
    let before = &old["metadata"];
    meta::set(new, "selfLink", Value::Null);
    meta::set(new, "generation", before["generation"].clone());
    if !before["creationTimestamp"].is_null() {
        meta::set(new, "creationTimestamp", before["creationTimestamp"].clone());
    }
    let is_pods_status = door == Door::Status && kind.kind == "Pod";
    for field in DELETION {
        let stays = match field {
            _ if door == Door::Engine || new["metadata"][field].is_null() => true,
            "deletionTimestamp" => is_pods_status || !before[field].is_null(),
            _ => false,
        };
        if stays {
            meta::set(new, field, before[field].clone());
        }
    }
}

/// Name and resource version are the old ones, or the update is refused; a version may be left out, a name may not
/// (upstream apiserver, `endpoints/handlers/rest.go`, `checkName`). Another uid is left in, to be refused with all
/// else that is wrong; what the engine does is not looked at again, so it is refused here.
fn identify(
    kind: &Kind,
    namespace: Option<&str>,
    (name, door): (&str, Door),
    old: &Value,
    new: &mut Value,
) -> Result<(), ApiError> {
    let given = meta::text(new, "name");
    if given != name {
        return Err(ApiError::other_name(given, name));
    }
    for field in KEPT {
        if meta::text(new, field).is_empty() {
            meta::set(new, field, old["metadata"][field].clone());
        }
    }
    let subject = kind.subject(name);
    let (given, present) = (meta::text(new, "uid"), meta::text(old, "uid"));
    if given != present && door == Door::Engine {
        return Err(ApiError::other_uid(&subject, namespace, given, present));
    }
    let given = meta::text(new, "resourceVersion");
    if given.is_empty() || given == "0" {
        meta::set(new, "resourceVersion", old["metadata"]["resourceVersion"].clone());
    } else if given != meta::text(old, "resourceVersion") {
        return Err(ApiError::stale(&subject));
    }
    Ok(())
}
