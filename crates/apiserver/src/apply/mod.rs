//! Server-side apply: who owns which fields of an object, and what applying one does to it. Pure.
//!
//! Ownership is kept from an object's first apply on. An object that was never applied carries no `managedFields` and
//! costs nothing; its first apply gives all that it has to `before-first-apply`, as upstream does with objects that
//! have none. From then on every write is told to [`track`]. Knows no HTTP and no store.
//!
//! Source: apimachinery, pkg/util/managedfields; structured-merge-diff v6.

mod check;
mod compare;
mod fields;
mod items;
mod last_applied;
mod managers;
mod merge;
mod path;
mod remove;
mod set;
#[cfg(test)]
mod tests;
mod update;

/// What the fuzz targets ask of owners.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::managers::{Managed, UPDATERS};
}

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::kind::{Kind, Subresource};
use crate::registry::meta;
use crate::schema;

use managers::{Managed, Manager, Operation};
use path::Path;
use set::Set;
use update::{Conflict, Scope};

/// The owner of what an object had before its first apply.
const BEFORE: &str = "before-first-apply";

/// Who writes, through which door, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    /// The manager's name.
    pub(crate) manager: &'a str,
    /// The subresource; empty for the object itself.
    pub(crate) subresource: &'a str,
    /// RFC 3339, whole seconds.
    pub(crate) now: &'a str,
}

/// Whether anything is known of who owns an object's fields, or said about it.
pub(crate) fn is_tracked(object: &Value) -> bool {
    !object["metadata"]["managedFields"].is_null()
}

/// Tells whose the fields of `new` are after a write that is no apply, in its `managedFields`. Of an object whose
/// fields nobody has claimed, nothing is told. `old` is null for a create.
///
/// A writer may hand in `managedFields` of its own: they count if they can be read and are of a bounded size, else those of `old`; an empty list,
/// or one empty entry, forgets all. A subresource has no say in it.
pub(crate) fn track(kind: &Kind, old: &Value, new: &mut Value, writer: Writer<'_>) {
    if !is_tracked(old) && !is_tracked(new) {
        return;
    }
    let given = new["metadata"]["managedFields"].clone();
    meta::set(new, "managedFields", Value::Null);
    let Some(mut managed) = base(&old["metadata"]["managedFields"], &given, writer.subresource) else {
        return;
    };
    let Some(scope) = Scope::of(kind, writer.subresource) else { return };
    let empty;
    let old = if old.is_null() {
        empty = nothing(kind);
        &empty
    } else {
        old
    };
    // As the object will be: what is left out takes its default.
    let mut whole = new.clone();
    (kind.default)(&mut whole);
    schema::dress(kind.schema, &mut whole);
    let manager = updater(kind, writer.manager, writer.subresource);
    scope.update(&mut managed, old, &whole, &manager, writer.now);
    managed.cap();
    meta::set(new, "managedFields", managed.write());
}

/// Tells whose the fields of `new` are after a write of the server's own: its status is that of the controller that
/// upstream has for it, and so is all else, each through its door. What `new` says of managers does not count.
pub(crate) fn track_server(kind: &Kind, old: &Value, new: &mut Value, now: &str) {
    let manager = if kind.kind == "Pod" { "kubelet" } else { "kube-controller-manager" };
    let mut main = new.clone();
    if let Some(fields) = main.as_object_mut() {
        fields.remove("status");
        fields.extend(old.get("status").map(|status| ("status".to_owned(), status.clone())));
    }
    meta::set(&mut main, "managedFields", Value::Null);
    track(kind, old, &mut main, Writer { manager, subresource: "", now });
    meta::set(new, "managedFields", Value::Null);
    track(kind, &main, new, Writer { manager, subresource: "status", now });
}

/// The managers that a write starts from; none if it leaves none.
fn base(old: &Value, given: &Value, subresource: &str) -> Option<Managed> {
    let before = || Managed::read(old).unwrap_or_default();
    let managed = match given.as_array().map(Vec::as_slice) {
        _ if !subresource.is_empty() => before(),
        Some([]) => return None,
        Some([Value::Object(one)]) if one.is_empty() => return None,
        _ => {
            let read = Managed::read(given).ok();
            read.filter(|read| !read.owned.is_empty() && read.is_bounded()).unwrap_or_else(before)
        }
    };
    (!managed.owned.is_empty()).then_some(managed)
}

/// Whether two versions are the same but for the times in `managedFields`: then nothing is written, lest whoever applies
/// over and over made a new version each time. Source: apiserver, fieldmanager/equality.go.
pub(crate) fn differs_in_times(old: &Value, new: &Value) -> bool {
    if !is_tracked(old) || !is_tracked(new) {
        return false;
    }
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        object
    };
    timeless(old) == timeless(new)
}

/// Applies an object to what is there (`live`, none if it is to be made): the new object with its `managedFields`, not
/// yet defaulted and checked.
pub(crate) fn apply(
    kind: &Kind,
    live: Option<&Value>,
    applied: &Value,
    force: bool,
    writer: Writer<'_>,
) -> Result<Value, ApiError> {
    check_type(kind, applied)?;
    let made = nothing(kind);
    let live = live.unwrap_or(&made);
    let managed = Managed::read(&live["metadata"]["managedFields"])
        .map_err(|e| ApiError::internal(format_args!("failed to decode managed fields: {e}")))?;
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let scope = Scope::of(kind, writer.subresource)
        .ok_or_else(|| ApiError::internal(format_args!("{} has no schema", kind.kind)))?;
    if let Some(problem) = check::check(scope.node, applied) {
        return Err(ApiError::bad_request(format!(
            "failed to create typed patch object ({}): {problem}",
            who(kind, applied)
        )));
    }
    let attempt = Attempt { kind, scope, live, applied, managed, writer };
    let mut new = match attempt.run(force) {
        Err(conflicts) if writer.manager == last_applied::KUBECTL => {
            match attempt.scope.still_to_settle(live, conflicts) {
                Ok(()) => attempt.run(true).map_err(|conflicts| refusal(&conflicts))?,
                Err(conflicts) => return Err(refusal(&conflicts)),
            }
        }
        other => other.map_err(|conflicts| refusal(&conflicts))?,
    };
    if writer.manager == last_applied::KUBECTL {
        last_applied::refresh(&mut new, applied);
    }
    Ok(new)
}

/// One apply, to be tried once or twice.
struct Attempt<'a> {
    kind: &'a Kind,
    scope: Scope,
    live: &'a Value,
    applied: &'a Value,
    managed: Managed,
    writer: Writer<'a>,
}

impl Attempt<'_> {
    fn run(&self, force: bool) -> Result<Value, Vec<Conflict>> {
        let (kind, writer) = (self.kind, self.writer);
        let mut managed = self.managed.clone();
        if managed.owned.is_empty() {
            let before = updater(kind, BEFORE, writer.subresource);
            self.scope.update(&mut managed, &nothing(kind), self.live, &before, writer.now);
            managed.cap();
        }
        let manager = Manager::new(writer.manager, Operation::Apply, "", writer.subresource);
        let new = self.scope.apply(&mut managed, self.live, self.applied, &manager, force, writer.now)?;
        let mut new = new.unwrap_or_else(|| self.live.clone());
        meta::set(&mut new, "managedFields", managed.write());
        Ok(new)
    }
}

impl Scope {
    fn of(kind: &Kind, subresource: &str) -> Option<Scope> {
        let node = schema::Node::of_schema(kind.schema)?;
        // Of every kind there is one version, so its own name is that of all.
        Some(Scope { node, api_version: kind.api_version(), ignored: resets(kind, subresource) })
    }
}

/// What a door leaves as it is (GetResetFields of upstream's strategies): the status is the status door's, the spec is
/// not; and a pod's status has no say in its owners and its end.
fn resets(kind: &Kind, subresource: &str) -> Set {
    let has_status = kind.subresources.contains(&Subresource::Status);
    match subresource {
        "status" if kind.kind == "Pod" => {
            Set::of_fields(&[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]])
        }
        "status" => Set::of_fields(&[&["spec"]]),
        _ if has_status => Set::of_fields(&[&["status"]]),
        _ => Set::default(),
    }
}

fn updater(kind: &Kind, manager: &str, subresource: &str) -> Manager {
    let manager = if manager.is_empty() { "unknown" } else { manager };
    Manager::new(manager, Operation::Update, &kind.api_version(), subresource)
}

/// An object of the kind before anything is set.
fn nothing(kind: &Kind) -> Value {
    schema::empty(kind.schema, &kind.api_version(), kind.kind)
}

fn check_type(kind: &Kind, applied: &Value) -> Result<(), ApiError> {
    let text = |name: &str| applied[name].as_str().unwrap_or_default();
    let (api_version, found) = (text("apiVersion"), text("kind"));
    if api_version == kind.api_version() && found == kind.kind {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("invalid object type: {}", go_kind(api_version, found))))
}

/// `batch/v1, Kind=Job`, as Go writes a group, version and kind.
fn go_kind(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

/// The applied object, as upstream names it in errors.
fn who(kind: &Kind, applied: &Value) -> String {
    let (namespace, name) = (meta::text(applied, "namespace"), meta::text(applied, "name"));
    format!("{namespace}/{name}; {}", go_kind(&kind.api_version(), kind.kind))
}

/// 409: fields are another's. Source: managedfields/internal/conflict.go.
fn refusal(conflicts: &[Conflict]) -> ApiError {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|conflict| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {}", conflict.manager),
                "field": Path(&conflict.path).to_string(),
            })
        })
        .collect();
    let text = match conflicts {
        [one] => format!("1 conflict: conflict with {}: {}", one.manager, Path(&one.path)),
        many => {
            let mut lines: Vec<String> = Vec::new();
            let mut last = None;
            for conflict in many {
                if last != Some(&conflict.manager) {
                    lines.push(format!("conflicts with {}:", conflict.manager));
                    last = Some(&conflict.manager);
                }
                lines.push(format!("- {}", Path(&conflict.path)));
            }
            format!("{} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let mut error = ApiError::new(409, "Conflict", format!("Apply failed with {text}"));
    error.details = Some(json!({"causes": causes}));
    error
}
