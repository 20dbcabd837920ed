//! An object in parts that its versions share: most writes change one of them, and only that one is copied.
//!
//! The engine keeps objects so; what comes over HTTP is a JSON value and becomes one when it is needed here.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use serde_json::{Map, Value};
use windlass_store::Revision;

use super::spec::Spec;
use crate::kind::Fields;

/// What a field that is not there reads as.
static NOTHING: Value = Value::Null;

/// An object. Cheap to clone. Its `metadata` has no `resourceVersion`: that is [`Object::revision`].
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// The revision that it was read or written at; none for one that is not stored yet.
    pub revision: Option<Revision>,
    metadata: Arc<Value>,
    spec: Arc<Spec>,
    status: Arc<Value>,
    /// All other fields.
    rest: Arc<Map<String, Value>>,
}

impl Object {
    /// The same object, as it was read or written at a revision.
    #[must_use]
    pub fn at(self, revision: Revision) -> Object {
        Object { revision: Some(revision), ..self }
    }
    /// The metadata.
    #[must_use]
    pub fn metadata(&self) -> &Value {
        &self.metadata
    }
    /// The spec; null if there is none.
    #[must_use]
    pub fn spec(&self) -> &Value {
        &self.spec
    }
    /// The spec, shared with whoever keeps it; null if there is none.
    #[must_use]
    pub fn shared_spec(&self) -> Arc<Spec> {
        Arc::clone(&self.spec)
    }
    /// The status; null if there is none.
    #[must_use]
    pub fn status(&self) -> &Value {
        &self.status
    }
    /// A text of the metadata; empty if absent.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.metadata[field].as_str().unwrap_or_default()
    }
    /// The same object with this spec.
    #[must_use]
    pub(super) fn with_spec(self, spec: Spec) -> Object {
        Object { spec: Arc::new(spec), ..self }
    }
    /// Replaces the status.
    pub fn set_status(&mut self, status: Value) {
        self.status = Arc::new(status);
    }
    /// Takes over another object's status.
    pub fn share_status(&mut self, other: &Object) {
        self.status = Arc::clone(&other.status);
    }
    /// Sets `spec.nodeName`. Objects that shared a spec before share it after.
    pub fn bind(&mut self, node: &str) {
        match self.spec.bound(node) {
            Some(bound) => self.spec = bound,
            None => self["spec"]["nodeName"] = node.into(),
        }
    }
    /// The same object with metadata of its own: another one of its kind.
    #[must_use]
    pub fn with_metadata(&self, metadata: Value) -> Object {
        Object { revision: None, metadata: Arc::new(metadata), ..self.clone() }
    }
    /// Whether the metadata is the very same that another version has; likewise spec and status.
    #[must_use]
    pub fn shares(&self, other: &Object) -> [bool; 3] {
        [
            Arc::ptr_eq(&self.metadata, &other.metadata),
            Arc::ptr_eq(&self.spec, &other.spec),
            Arc::ptr_eq(&self.status, &other.status),
        ]
    }
    /// The object as one JSON value.
    #[must_use]
    pub fn whole(&self) -> Value {
        let mut map = (*self.rest).clone();
        let mut metadata = (*self.metadata).clone();
        if let (Some(revision), Some(fields)) = (self.revision, metadata.as_object_mut()) {
            fields.insert("resourceVersion".to_owned(), revision.0.to_string().into());
        }
        for (name, value) in [("metadata", metadata), ("spec", self.spec().clone())] {
            if !value.is_null() {
                map.insert(name.to_owned(), value);
            }
        }
        if !self.status.is_null() {
            map.insert("status".to_owned(), (*self.status).clone());
        }
        Value::Object(map)
    }
    /// About as many bytes as it has as JSON.
    #[must_use]
    pub fn weight(&self) -> usize {
        let spec = self.spec.weight(weight);
        let rest = self.rest.iter().map(|(name, value)| name.len() + weight(value));
        spec + weight(&self.metadata) + weight(&self.status) + rest.sum::<usize>()
    }
    /// The fields but metadata, spec and status, in order of their names.
    pub(super) fn others(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.rest.iter()
    }
    /// The spec as compact JSON.
    pub(super) fn spec_json(&self) -> &[u8] {
        self.spec.json()
    }
    /// Whether it has a spec, and whether a status.
    pub(super) fn has(&self) -> [bool; 2] {
        [!self.spec.is_none(), !self.status.is_null()]
    }
}

impl From<Value> for Object {
    /// What is no object becomes an empty one.
    fn from(value: Value) -> Object {
        let Value::Object(mut rest) = value else { return Object::default() };
        let mut take = |name: &str| rest.remove(name).unwrap_or_default();
        let (mut metadata, spec, status) = (take("metadata"), take("spec"), take("status"));
        let revision = metadata.as_object_mut().and_then(|fields| fields.remove("resourceVersion"));
        // A text that is no number is a revision that no write has.
        let revision = revision.as_ref().and_then(Value::as_str).filter(|text| !text.is_empty());
        Object {
            revision: revision.map(|text| Revision(text.parse().unwrap_or(0))),
            metadata: Arc::new(metadata),
            spec: Arc::new(spec.into()),
            status: Arc::new(status),
            rest: Arc::new(rest),
        }
    }
}

impl PartialEq for Object {
    /// Whether both say the same, whatever their revisions.
    fn eq(&self, other: &Object) -> bool {
        let [metadata, spec, status] = self.shares(other);
        (metadata || self.metadata == other.metadata)
            && (spec || self.spec() == other.spec())
            && (status || self.status == other.status)
            && (Arc::ptr_eq(&self.rest, &other.rest) || self.rest == other.rest)
    }
}

impl Fields for Object {
    fn field(&self, name: &str) -> &Value {
        match name {
            "metadata" => &self.metadata,
            "spec" => &self.spec,
            "status" => &self.status,
            other => self.rest.get(other).unwrap_or(&NOTHING),
        }
    }
}

impl Index<&str> for Object {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.field(name)
    }
}

impl IndexMut<&str> for Object {
    fn index_mut(&mut self, name: &str) -> &mut Value {
        match name {
            "metadata" => Arc::make_mut(&mut self.metadata),
            "spec" => {
                if Arc::get_mut(&mut self.spec).is_none_or(|spec| spec.is_used()) {
                    self.spec = Arc::new(Spec::clone(&self.spec));
                }
                Arc::make_mut(&mut self.spec).value_mut()
            }
            "status" => Arc::make_mut(&mut self.status),
            other => Arc::make_mut(&mut self.rest).entry(other).or_insert(Value::Null),
        }
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Array(list) => list.iter().map(weight).sum::<usize>() + 3,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + 4 + weight(value)).sum::<usize>() + 3,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "resourceVersion": "7"},
            "spec": {"containers": []}, "status": {"phase": "Pending"}, "unknown": [1]})
    }

    #[test]
    fn an_object_comes_back_whole() {
        let object = Object::from(pod());
        assert_eq!((object.revision, object.whole()), (Some(Revision(7)), pod()));
        assert_eq!(Object::from(json!({"kind": "Event"})).whole(), json!({"kind": "Event"}));
        assert_eq!(Object::from(json!(3)).whole(), json!({}));
    }

    #[test]
    fn a_change_copies_the_part_that_it_changes_and_leaves_the_other_version_alone() {
        let before = Object::from(pod());
        let mut after = before.clone();
        after["status"]["phase"] = json!("Running");
        assert_eq!(after.shares(&before), [true, true, false]);
        assert_eq!(
            (&before["status"]["phase"], &after["status"]["phase"]),
            (&json!("Pending"), &json!("Running"))
        );
        assert_ne!(before, after);
    }

    #[test]
    fn a_spec_is_rendered_anew_once_it_has_changed() {
        let mut object = Object::from(pod());
        assert_eq!(object.spec_json(), br#"{"containers":[]}"#);
        object["spec"]["hostname"] = json!("h");
        assert_eq!(object.spec_json(), br#"{"containers":[],"hostname":"h"}"#);
    }

    #[test]
    fn an_object_weighs_about_what_its_json_does() {
        let mut object = Object::from(pod());
        assert!(object.weight().abs_diff(pod().to_string().len()) < 60, "{}", object.weight());
        let before = object.weight();
        object["spec"]["hostname"] = json!("h".repeat(1000));
        assert!((1000..1020).contains(&(object.weight() - before)));
    }

    #[test]
    fn a_spec_that_changes_forgets_what_it_was_bound_as() {
        let one = Object::from(pod());
        let mut other = one.clone();
        let mut first = one;
        first.bind("here");
        other["spec"]["hostname"] = json!("h");
        other.bind("here");
        assert_eq!(other.spec(), &json!({"containers": [], "hostname": "h", "nodeName": "here"}));
    }

    #[test]
    fn objects_that_share_a_spec_share_it_once_they_are_bound() {
        let one = Object::from(pod());
        let (mut a, mut b) =
            (one.with_metadata(json!({"name": "a"})), one.with_metadata(json!({"name": "b"})));
        a.bind("here");
        b.bind("here");
        assert_eq!((a.shares(&b)[1], &a["spec"]["nodeName"]), (true, &json!("here")));
        b = one.with_metadata(json!({"name": "b"}));
        b.bind("there");
        assert_eq!((&one["spec"]["nodeName"], &b["spec"]["nodeName"]), (&Value::Null, &json!("there")));
    }
}
