//! From client-side to server-side apply: what `kubectl` applied itself, and wrote down in its annotation, is no
//! conflict for `kubectl`. Source: managedfields/internal/lastappliedmanager.go and lastappliedupdater.go.

use serde_json::Value;

use super::compare::compare;
use super::fields::fields_of;
use super::update::{Conflict, Scope};
use crate::schema;

/// The manager of whom this is true.
pub(super) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// All annotations together, in bytes: one that makes them more is not written.
const ANNOTATIONS: usize = 256 * 1024;

impl Scope {
    /// Which conflicts are left when what `kubectl` applied last, and nobody has changed since, counts as its own.
    pub(super) fn still_to_settle(
        &self,
        live: &Value,
        conflicts: Vec<Conflict>,
    ) -> Result<(), Vec<Conflict>> {
        let Some(last) = self.last_applied(live) else { return Err(conflicts) };
        let changed = compare(self.node, &last, live);
        let own = fields_of(self.node, &last)
            .difference(&changed.modified)
            .difference(&changed.added)
            .difference(&changed.removed);
        let left: Vec<Conflict> = conflicts.into_iter().filter(|conflict| !own.has(&conflict.path)).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// What `kubectl` applied last, if it can be read and is of this version.
    fn last_applied(&self, live: &Value) -> Option<Value> {
        let text = live["metadata"]["annotations"][ANNOTATION].as_str().filter(|text| !text.is_empty())?;
        let last = schema::parse(text.as_bytes(), false).ok()?.object;
        (last["apiVersion"] == self.api_version.as_str() && super::check::check(self.node, &last).is_none())
            .then_some(last)
    }
}

/// Keeps the annotation true, if there is one: clients that apply themselves read it.
pub(super) fn refresh(object: &mut Value, applied: &Value) {
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations else { return };
    if annotations.get(ANNOTATION).and_then(Value::as_str).is_none_or(str::is_empty) {
        return;
    }
    let mut applied = applied.clone();
    if let Some(own) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        own.remove(ANNOTATION);
    }
    annotations.insert(ANNOTATION.to_owned(), format!("{applied}\n").into());
    let size = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    if annotations.iter().map(size).sum::<usize>() > ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}
