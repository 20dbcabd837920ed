//! Objects as the store keeps them: compact JSON with a hole for the resource version, and tags for the indexes.

use serde_json::Value;
use windlass_store::{Tags, Template};

use crate::kind::Kind;

/// How the tag of a label begins.
pub(crate) const LABEL: &str = "l/";
/// Tags by which few of many objects are asked for: every client that follows a Job lists its pods by this label.
pub(crate) const INDEXED: [&str; 1] = ["l/batch.kubernetes.io/controller-uid"];

/// The tags that the store is to index (`Options::indexed`).
#[must_use]
pub fn indexed_tags() -> Vec<Box<str>> {
    INDEXED.into_iter().map(Box::from).collect()
}

/// An object as the store keeps it: compact JSON with a hole for `metadata.resourceVersion`.
/// `apiVersion` and `kind` come first, so that a list can leave them out without parsing.
#[must_use]
pub fn template(object: &Value) -> Template {
    let mut out = Writer { bytes: Vec::with_capacity(1024), hole: None };
    let Value::Object(map) = object else {
        out.value(object);
        return Template { bytes: out.bytes, revision_at: None };
    };
    out.bytes.push(b'{');
    for key in ["apiVersion", "kind"] {
        if let Some(value) = map.get(key) {
            out.key(key);
            out.value(value);
        }
    }
    out.key("metadata");
    out.metadata(map.get("metadata"));
    for (key, value) in map {
        if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            out.key(key);
            out.value(value);
        }
    }
    out.bytes.push(b'}');
    Template { bytes: out.bytes, revision_at: out.hole }
}

/// The stored bytes of an object without `apiVersion` and `kind`, as a list's items have it: what comes
/// before and after the cut. An object that does not begin with them is left whole.
#[must_use]
pub fn without_type<'a>(bytes: &'a [u8], head: &str) -> (&'static [u8], &'a [u8]) {
    match bytes.strip_prefix(head.as_bytes()) {
        Some(rest) => (b"{", rest),
        None => (b"", bytes),
    }
}

/// How every stored object of a kind begins.
#[must_use]
pub fn head(kind: &Kind) -> String {
    format!("{{\"apiVersion\":\"{}\",\"kind\":\"{}\",", kind.api_version(), kind.kind)
}

/// An object's tags: `l/<label>`, `o` for each owner's uid, `f/<field>` for each selectable field that is not empty.
#[must_use]
pub fn tags(kind: &Kind, object: &Value) -> Tags {
    let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
    let metadata = &object["metadata"];
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        pairs.push((format!("{LABEL}{key}").into(), value.as_str().unwrap_or_default().into()));
    }
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        if let Some(uid) = owner["uid"].as_str() {
            pairs.push(("o".into(), uid.into()));
        }
    }
    for (field, value) in (kind.fields)(object) {
        if !value.is_empty() {
            pairs.push((format!("f/{field}").into(), value.into()));
        }
    }
    Tags::new(pairs)
}

struct Writer {
    bytes: Vec<u8>,
    hole: Option<u32>,
}

impl Writer {
    fn key(&mut self, key: &str) {
        if !matches!(self.bytes.last(), Some(b'{') | None) {
            self.bytes.push(b',');
        }
        self.value(&Value::String(key.to_owned()));
        self.bytes.push(b':');
    }
    fn value(&mut self, value: &Value) {
        // Writing a JSON value into memory cannot fail: its keys are text and a Vec takes all bytes.
        let _ = serde_json::to_writer(&mut self.bytes, value);
    }
    fn metadata(&mut self, metadata: Option<&Value>) {
        self.bytes.push(b'{');
        let mut pending = true;
        for (key, value) in metadata.and_then(Value::as_object).into_iter().flatten() {
            if pending && key.as_str() >= "resourceVersion" {
                self.revision();
                pending = false;
            }
            if key != "resourceVersion" {
                self.key(key);
                self.value(value);
            }
        }
        if pending {
            self.revision();
        }
        self.bytes.push(b'}');
    }
    fn revision(&mut self) {
        self.key("resourceVersion");
        self.bytes.push(b'"');
        self.hole = u32::try_from(self.bytes.len()).ok();
        self.bytes.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use windlass_store::{Revision, Value as Stored};

    use super::*;

    #[test]
    fn the_revision_is_written_into_the_hole_wherever_metadata_stands() {
        let object = json!({"apiVersion": "v1", "data": {"a": "b"}, "kind": "ConfigMap",
            "metadata": {"name": "x", "resourceVersion": "7", "uid": "u"}});
        let stored = Stored::fill(&template(&object), Revision(4711));
        let back: Value = serde_json::from_slice(stored.bytes()).unwrap();
        let mut expected = object;
        expected["metadata"]["resourceVersion"] = json!("4711");
        assert_eq!(back, expected);
        assert!(stored.bytes().starts_with(b"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","));
    }

    #[test]
    fn a_list_item_loses_its_type_and_nothing_else() {
        let (open, rest) = without_type(
            b"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"x\":1}",
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",",
        );
        assert_eq!([open, rest].concat(), b"{\"x\":1}");
        let (open, rest) = without_type(b"{\"kind\":\"Pod\"}", "{\"apiVersion\":\"v1\",");
        assert_eq!([open, rest].concat(), b"{\"kind\":\"Pod\"}");
    }

    proptest! {
        #[test]
        fn any_labels_come_back_as_they_were(labels in prop::collection::btree_map(".{0,8}", ".{0,8}", 0..5), revision in 0u64..u64::MAX) {
            let object = json!({"kind": "Pod", "metadata": {"labels": labels, "zzz": 1}, "spec": {}});
            let stored = Stored::fill(&template(&object), Revision(revision));
            let mut back: Value = serde_json::from_slice(stored.bytes()).unwrap();
            prop_assert_eq!(back["metadata"]["resourceVersion"].take(), json!(revision.to_string()));
            set_absent(&mut back);
            prop_assert_eq!(back, object);
        }
    }

    fn set_absent(object: &mut Value) {
        super::super::meta::set(object, "resourceVersion", Value::Null);
    }
}
