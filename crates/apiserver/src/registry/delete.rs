//! Deleting: preconditions, grace, finalizers, and what is to happen to dependents.
//!
//! Order and rules follow upstream's generic registry store and `BeforeDelete`; who empties namespaces and deletes
//! dependents is a controller.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use windlass_store::{CommitError, Expect, Op, Write};

use super::update::{ends, write};
use super::{ATTEMPTS, DeleteOptions, Deleted, Registry, at_revision, commit_error, meta, object_of};
use crate::error::{ApiError, Subject};
use crate::kind::{Kind, Propagation};

/// Namespaces that upstream's admission never lets go.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

impl Registry {
    /// Deletes with grace, propagation, finalizers and preconditions.
    pub async fn delete(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        if kind.kind == "Namespace" && IMMORTAL.contains(&name) {
            let detail = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
            return Err(ApiError::forbidden(&kind.subject(name), detail));
        }
        for _ in 0..ATTEMPTS {
            let entry = self.entry(kind, namespace, name)?;
            let old = kind.show(object_of(&entry)?);
            check_preconditions(kind, name, options, &old)?;
            let marked = remains(kind, &old, options, self.world.now());
            let gone = match &marked {
                None => true,
                Some(new) => ends(new),
            };
            let new = marked.unwrap_or_else(|| old.clone());
            if options.dry_run || (new == old && !gone) {
                return Ok(if gone { Deleted::Gone(new) } else { Deleted::Waiting(new) });
            }
            let change = if gone {
                Write { key: entry.key.clone(), expect: Expect::At(entry.modified), op: Op::Delete }
            } else {
                write(kind, &entry, &new)
            };
            match self.store.commit(vec![change]).await {
                Ok(_) if gone => return Ok(Deleted::Gone(new)),
                Ok(done) => {
                    let entry = done.entries.first().and_then(Option::as_ref);
                    return Ok(Deleted::Waiting(at_revision(new, entry)));
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(commit_error(&error)),
            }
        }
        Err(ApiError::stale(&kind.subject(name)))
    }
}

/// 409 unless the object is the one, and the version, that a delete is meant for.
pub(crate) fn check_preconditions(
    kind: &Kind,
    name: &str,
    options: &DeleteOptions,
    old: &Value,
) -> Result<(), ApiError> {
    // Upstream names the kind here, not the resource.
    let subject = Subject { resource: kind.kind, ..kind.subject(name) };
    let refuse = |title: &str, wanted: &str, present: &str, perhaps: &str| {
        let detail = format!(
            "the {title} in the precondition ({wanted}) does not match the {title} in record ({present}). The object might have been {perhaps}"
        );
        Err(ApiError::conflict(&subject, detail))
    };
    let present = meta::text(old, "uid");
    if let Some(wanted) = options.uid.as_deref().filter(|w| *w != present) {
        return refuse("UID", wanted, present, "deleted and then recreated");
    }
    let present = meta::text(old, "resourceVersion");
    if let Some(wanted) = options.resource_version.as_deref().filter(|w| *w != present) {
        return refuse("ResourceVersion", wanted, present, "modified");
    }
    Ok(())
}

/// What a delete does to an object.
#[derive(Clone, PartialEq, Debug)]
pub enum Mark {
    /// It goes at once.
    Gone,
    /// It stays behind like this, for its grace or its finalizers.
    Stays(Box<Value>),
}

/// Decides what a delete does to an object; writes nothing.
#[must_use]
pub fn mark(kind: &Kind, old: &Value, options: &DeleteOptions, now: Timestamp) -> Mark {
    match remains(kind, old, options, now) {
        Some(new) if !ends(&new) => Mark::Stays(Box::new(new)),
        _ => Mark::Gone,
    }
}

/// The object as it stays behind; `None` if it goes at once.
fn remains(kind: &Kind, old: &Value, options: &DeleteOptions, now: Timestamp) -> Option<Value> {
    let mut new = old.clone();
    if kind.kind == "Pod" && kind.group.is_empty() {
        let Some(grace) = pod_grace(old, options) else { return Some(new) };
        let at = match deletion_start(old) {
            Some(start) => start.saturating_add(SignedDuration::from_secs(grace)),
            None => {
                next_generation(&mut new, old);
                now.saturating_add(SignedDuration::from_secs(grace))
            }
        };
        meta::set(&mut new, "deletionTimestamp", meta::time(at.unwrap_or(now)).into());
        meta::set(&mut new, "deletionGracePeriodSeconds", grace.into());
        set_propagation(kind, &mut new, options);
        return Some(new);
    }
    set_propagation(kind, &mut new, options);
    let held = !meta::finalizers(&new).is_empty();
    if kind.kind == "Namespace" {
        let held = held || new["spec"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
        return held.then(|| terminating_namespace(new, now));
    }
    if !held {
        return None;
    }
    if !meta::deleting(old) {
        next_generation(&mut new, old);
        meta::set(&mut new, "deletionTimestamp", meta::time(now).into());
    }
    meta::set(&mut new, "deletionGracePeriodSeconds", 0.into());
    Some(new)
}

fn terminating_namespace(mut namespace: Value, now: Timestamp) -> Value {
    if !meta::deleting(&namespace) {
        meta::set(&mut namespace, "deletionTimestamp", meta::time(now).into());
    }
    namespace["status"]["phase"] = json!("Terminating");
    namespace
}

/// Seconds of grace that a delete gives a pod; `None` if it changes nothing: a deletion may only be shortened.
fn pod_grace(pod: &Value, options: &DeleteOptions) -> Option<i64> {
    let asked = options.grace_period_seconds;
    if let Some(present) =
        pod["metadata"]["deletionGracePeriodSeconds"].as_i64().filter(|_| meta::deleting(pod))
    {
        return asked.map(|a| if a < 0 { 1 } else { a }).filter(|a| *a < present);
    }
    let scheduled = pod["spec"]["nodeName"].as_str().is_some_and(|n| !n.is_empty());
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !scheduled || ended {
        return Some(0);
    }
    let grace = asked.or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(0);
    Some(if grace < 0 { 1 } else { grace })
}

/// When the deletion that is under way began.
fn deletion_start(object: &Value) -> Option<Timestamp> {
    let end: Timestamp = meta::text(object, "deletionTimestamp").parse().ok()?;
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64()?;
    end.checked_sub(SignedDuration::from_secs(grace)).ok()
}

fn next_generation(new: &mut Value, old: &Value) {
    if let Some(generation) = old["metadata"]["generation"].as_i64().filter(|g| *g > 0) {
        meta::set(new, "generation", (generation + 1).into());
    }
}

/// Sets the finalizers that make a controller orphan or delete the dependents first.
fn set_propagation(kind: &Kind, object: &mut Value, options: &DeleteOptions) {
    let present = meta::finalizers(object);
    let wanted = match options.propagation {
        Some(asked) => asked,
        None if present.contains(&meta::ORPHAN) => Propagation::Orphan,
        None if present.contains(&meta::FOREGROUND) => Propagation::Foreground,
        None => kind.default_propagation,
    };
    let mut finalizers: Vec<Value> = present
        .into_iter()
        .filter(|f| *f != meta::ORPHAN && *f != meta::FOREGROUND)
        .map(Value::from)
        .collect();
    match wanted {
        Propagation::Orphan => finalizers.push(meta::ORPHAN.into()),
        Propagation::Foreground => finalizers.push(meta::FOREGROUND.into()),
        Propagation::Background => {}
    }
    let value = if finalizers.is_empty() { Value::Null } else { Value::Array(finalizers) };
    meta::set(object, "finalizers", value);
}
