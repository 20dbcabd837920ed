//! Objects as the store keeps them: compact JSON with a hole for the resource version, and tags for the indexes.

use jiff::Timestamp;
use serde_json::Value;
use windlass_store::{Tags, Template};

use super::object::Object;
use crate::kind::{Fields, Kind, Rest};

/// How the tag of a label begins.
pub(crate) const LABEL: &str = "l/";
/// Tags by which few of many objects are asked for: every client that follows a Job lists its pods by this label.
pub(crate) const INDEXED: [&str; 1] = ["l/batch.kubernetes.io/controller-uid"];

/// How the tag of a selectable field begins.
pub(super) const FIELD: &str = "f/";
/// The tag of each owner's uid.
const OWNER: &str = "o";
/// The tag of an object's uid.
pub(super) const UID: &str = "u";
/// The tag of an object that the engine may leave alone ([`Rest`]): until when, in seconds since the epoch, if not for
/// ever.
pub(super) const REST: &str = "z";
/// Bytes that most objects have at most.
const SIZE: usize = 3 << 10;

/// The tags that the store is to index (`Options::indexed`).
#[must_use]
pub fn indexed_tags() -> Vec<Box<str>> {
    INDEXED.into_iter().map(Box::from).collect()
}

/// An object as the store keeps it: compact JSON with a hole for `metadata.resourceVersion`.
/// `apiVersion` and `kind` come first, so that a list can leave them out without parsing.
#[must_use]
pub fn template(object: &Value) -> Template {
    let mut out = Writer { bytes: Vec::with_capacity(SIZE), hole: None };
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

/// The same of an object in parts: the bytes are equal.
#[must_use]
pub fn template_of(object: &Object) -> Template {
    let mut out = Writer { bytes: Vec::with_capacity(SIZE), hole: None };
    out.bytes.push(b'{');
    for key in ["apiVersion", "kind"] {
        if !object.field(key).is_null() {
            out.key(key);
            out.value(object.field(key));
        }
    }
    out.key("metadata");
    out.metadata(Some(object.metadata()));
    let others = object.others().filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind"));
    let mut fields: Vec<&str> = others.map(|(key, _)| key.as_str()).collect();
    let parts = ["spec", "status"].into_iter().zip(object.has());
    fields.extend(parts.filter_map(|(name, is_there)| is_there.then_some(name)));
    fields.sort_unstable();
    for name in fields {
        out.key(name);
        match name {
            "spec" => out.bytes.extend_from_slice(object.spec_json()),
            _ => out.value(object.field(name)),
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

/// An object's tags: `l/<label>`, `o` for each owner's uid, `f/<field>` for each selectable field that is not empty,
/// `u` for the uid, `z` for an object at rest ([`resting`] reads them back).
#[must_use]
pub fn tags(kind: &Kind, object: &dyn Fields) -> Tags {
    let metadata = &object["metadata"];
    let labels = metadata["labels"].as_object();
    let fields = (kind.fields)(object);
    let until;
    let mut pairs: Vec<([&str; 2], &str)> =
        Vec::with_capacity(labels.map_or(0, serde_json::Map::len) + fields.len() + 4);
    for (key, value) in labels.into_iter().flatten() {
        pairs.push(([LABEL, key], value.as_str().unwrap_or_default()));
    }
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        if let Some(uid) = owner["uid"].as_str() {
            pairs.push((["", OWNER], uid));
        }
    }
    for (field, value) in &fields {
        if !value.is_empty() {
            pairs.push(([FIELD, field], value));
        }
    }
    if let Some(uid) = metadata["uid"].as_str() {
        pairs.push((["", UID], uid));
    }
    match (kind.rest)(object) {
        Rest::None => {}
        Rest::Settled => pairs.push((["", REST], "")),
        Rest::Until(at) => {
            until = at.as_second().to_string();
            pairs.push((["", REST], &until));
        }
    }
    Tags::of(&mut pairs)
}

/// What the engine needs to know of an object that it leaves alone.
#[derive(Clone, PartialEq, Debug)]
pub struct Resting<'a> {
    /// Its uid.
    pub uid: &'a str,
    /// Its owners' uids.
    pub owners: Vec<&'a str>,
    /// Until when, if not for ever; of an event, when it was last seen.
    pub until: Option<Timestamp>,
}

/// Reads off an object's tags that it is at rest; nothing if it has to be looked at.
#[must_use]
pub fn resting(tags: &Tags) -> Option<Resting<'_>> {
    let (rest, uid) = (tags.get(REST)?, tags.get(UID)?);
    let until = match rest {
        "" => None,
        seconds => Some(Timestamp::from_second(seconds.parse().ok()?).ok()?),
    };
    Some(Resting { uid, owners: tags.all(OWNER).collect(), until })
}

/// An object as it is being written.
pub(super) struct Writer {
    bytes: Vec<u8>,
    hole: Option<u32>,
}

impl Writer {
    /// Writes an object: what `fields` writes, in braces.
    pub(super) fn object(fields: impl FnOnce(&mut Writer)) -> Template {
        let mut out = Writer { bytes: Vec::with_capacity(SIZE), hole: None };
        out.braces(fields);
        Template { bytes: out.bytes, revision_at: out.hole }
    }
    /// A field that is an object.
    pub(super) fn map(&mut self, key: &str, fields: impl FnOnce(&mut Writer)) {
        self.key(key);
        self.braces(fields);
    }
    /// A field that is a text, a number or nothing.
    pub(super) fn field(&mut self, key: &str, value: impl serde::Serialize) {
        self.key(key);
        // As in `value`.
        let _ = serde_json::to_writer(&mut self.bytes, &value);
    }
    fn braces(&mut self, fields: impl FnOnce(&mut Writer)) {
        self.bytes.push(b'{');
        fields(self);
        self.bytes.push(b'}');
    }
    fn key(&mut self, key: &str) {
        if !matches!(self.bytes.last(), Some(b'{') | None) {
            self.bytes.push(b',');
        }
        // As in `value`.
        let _ = serde_json::to_writer(&mut self.bytes, key);
        self.bytes.push(b':');
    }
    fn value(&mut self, value: &Value) {
        // Writing a JSON value into memory cannot fail: its keys are text and a Vec takes all bytes.
        let _ = serde_json::to_writer(&mut self.bytes, value);
    }
    /// `metadata` but for its key, which has been written.
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
    /// `resourceVersion`, with the hole.
    pub(super) fn revision(&mut self) {
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
    fn an_object_in_parts_is_written_as_the_whole_is() {
        for object in [
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"a": [1]}, "status": {"b": 2}}),
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {}, "message": "m", "type": "t", "series": 1}),
            json!({"kind": "X", "metadata": {"zzz": 1}, "status": {}, "spare": 1, "stash": 2, "data": 3, "spec": {}}),
        ] {
            assert_eq!(template_of(&Object::from(object.clone())), template(&object));
        }
    }

    #[test]
    fn what_rests_is_read_off_its_tags() {
        let job = crate::kinds::by_kind("batch/v1", "Job").unwrap();
        let running =
            json!({"metadata": {"uid": "u", "ownerReferences": [{"uid": "o"}]}, "status": {"active": 1}});
        assert_eq!(resting(&tags(job, &running)), None);
        let mut finished = running.clone();
        finished["status"]["conditions"] =
            json!([{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-21T06:00:00Z"}]);
        let rest = |until| Some(Resting { uid: "u", owners: vec!["o"], until });
        assert_eq!(resting(&tags(job, &finished)), rest(None));
        finished["spec"] = json!({"ttlSecondsAfterFinished": 60});
        assert_eq!(resting(&tags(job, &finished)), rest(Some("2026-11-21T06:01:00Z".parse().unwrap())));
        finished["metadata"]["deletionTimestamp"] = json!("2026-11-21T06:00:30Z");
        assert_eq!(resting(&tags(job, &finished)), None);
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
