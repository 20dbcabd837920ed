//! Events that the engine tells: written straight as the store keeps them, since nobody here reads them as a tree.
//!
//! What is written is what [`Registry::prepare`] would make of the same, to the byte. It decides nothing: what is told,
//! how often and under which name is the recorder's.

use jiff::Timestamp;
use windlass_store::{Key, Op, Tags, Template};

use super::encode::{FIELD, REST, UID, Writer};
use super::{Object, Registry, meta};
use crate::kind::Kind;
use crate::{schema, world};

/// An event that the engine tells of an object.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Whom it is about.
    pub about: &'a Object,
    /// Its own name.
    pub name: &'a str,
    /// Whether it is a Warning.
    pub warning: bool,
    /// Why, in one word.
    pub reason: &'a str,
    /// What happened.
    pub message: &'a str,
    /// Who tells it.
    pub component: &'a str,
    /// On which node; empty where that is not told.
    pub host: &'a str,
    /// Where in the object that is what it speaks of; empty: all of it.
    pub field: &'a str,
    /// When it happened first.
    pub first: Timestamp,
    /// When it happened last.
    pub last: Timestamp,
    /// How often it happened.
    pub count: u32,
}

/// A new object that is ready to be stored.
#[derive(Clone, Debug)]
pub struct Written {
    /// The key that it is to have.
    pub key: Key,
    /// Its kind.
    pub kind: &'static Kind,
    value: Template,
    tags: Tags,
}

impl Written {
    /// The same as an object: for whoever has to change it before it is stored.
    #[must_use]
    pub fn object(&self) -> Object {
        let object = schema::read_stored(&self.value.bytes).unwrap_or_else(|cause| {
            // What was written here reads.
            tracing::error!(%cause, key = %self.key, "an event cannot be read");
            serde_json::Value::default()
        });
        object.into()
    }
    /// The bytes of it.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.value.bytes.len()
    }
    pub(super) fn put(&self) -> Op {
        Op::Put { value: self.value.clone(), tags: self.tags.clone() }
    }
}

impl Registry {
    /// Makes an event, which has not been told before, ready to be stored; `kind` is that of events.
    #[must_use]
    pub fn write_event(&self, kind: &'static Kind, event: &Event<'_>) -> Written {
        let uid = world::uid(&*self.world);
        let namespace = Some(event.about.text("namespace")).filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or("default");
        let created = self.world.now();
        let revision = event.about.revision.map(|revision| revision.0.to_string());
        let about = about(event, revision.as_deref().unwrap_or_default());
        Written {
            key: kind.key(Some(namespace), event.name).into(),
            kind,
            value: value(kind, event, &about, (namespace, &uid, created)),
            tags: tags(event, &about, &uid, created.max(event.last)),
        }
    }
}

/// `involvedObject`: the fields that are not empty, in order of their names, each as a field and as its tag's name.
type About<'a> = Vec<(&'static str, &'static str, &'a str)>;

fn about<'a>(event: &Event<'a>, revision: &'a str) -> About<'a> {
    let object = event.about;
    let own = |field: &str| object[field].as_str().unwrap_or_default();
    let mut fields = vec![
        ("apiVersion", "involvedObject.apiVersion", own("apiVersion")),
        ("fieldPath", "involvedObject.fieldPath", event.field),
        ("kind", "involvedObject.kind", own("kind")),
        ("name", "involvedObject.name", object.text("name")),
        ("namespace", "involvedObject.namespace", object.text("namespace")),
        ("resourceVersion", "involvedObject.resourceVersion", revision),
        ("uid", "involvedObject.uid", object.text("uid")),
    ];
    fields.retain(|(_, _, value)| !value.is_empty());
    fields
}

fn value(
    kind: &Kind,
    event: &Event<'_>,
    about: &About<'_>,
    (namespace, uid, created): (&str, &str, Timestamp),
) -> Template {
    Writer::object(|out| {
        out.field("apiVersion", kind.api_version());
        out.field("kind", kind.kind);
        out.map("metadata", |out| {
            out.field("creationTimestamp", meta::time(created));
            out.field("name", event.name);
            out.field("namespace", namespace);
            out.revision();
            out.field("uid", uid);
        });
        out.field("count", event.count);
        out.field("eventTime", ());
        out.field("firstTimestamp", meta::time(event.first));
        out.map("involvedObject", |out| about.iter().for_each(|(name, _, value)| out.field(name, value)));
        out.field("lastTimestamp", meta::time(event.last));
        out.field("message", event.message);
        out.field("reason", event.reason);
        out.field("reportingComponent", event.component);
        out.field("reportingInstance", event.host);
        out.map("source", |out| {
            out.field("component", event.component);
            if !event.host.is_empty() {
                out.field("host", event.host);
            }
        });
        out.field("type", kind_of(event));
    })
}

fn tags(event: &Event<'_>, about: &About<'_>, uid: &str, seen: Timestamp) -> Tags {
    let seen = seen.as_second().to_string();
    let mut tags: Vec<([&str; 2], &str)> =
        about.iter().map(|(_, name, value)| ([FIELD, *name], *value)).collect();
    let own =
        [("reason", event.reason), ("reportingComponent", event.component), ("source", event.component)];
    tags.extend(own.map(|(name, value)| ([FIELD, name], value)));
    tags.extend([([FIELD, "type"], kind_of(event)), (["", UID], uid), (["", REST], &seen)]);
    tags.retain(|(name, value)| !value.is_empty() || name[0] != FIELD);
    Tags::of(&mut tags)
}

fn kind_of(event: &Event<'_>) -> &'static str {
    if event.warning { "Warning" } else { "Normal" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_store::Revision;

    use super::*;
    use crate::kinds;
    use crate::registry::encode;

    #[test]
    fn an_event_is_written_as_one_that_was_a_tree_would_be() {
        let kind = kinds::by_kind("v1", "Event").unwrap();
        let job = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "n", "uid": "u-j", "resourceVersion": "7"}});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "here"}});
        let [first, last]: [Timestamp; 2] =
            ["2026-11-21T06:00:00Z".parse().unwrap(), "2026-11-21T06:01:00.5Z".parse().unwrap()];
        for (about, namespace, message) in [(job, "n", "Job \"j\"\nheld \u{1}"), (node, "default", "")] {
            let object = Object::from(about.clone());
            let event = Event {
                about: &object,
                name: "j.1",
                warning: namespace == "n",
                reason: "Suspended",
                message,
                component: "job-controller",
                host: if namespace == "n" { "here" } else { "" },
                field: if namespace == "n" { "spec.containers{c}" } else { "" },
                first,
                last,
                count: 3,
            };
            let revision = object.revision.map(|revision| revision.0.to_string());
            let told = super::about(&event, revision.as_deref().unwrap_or_default());
            let value = value(kind, &event, &told, (namespace, "u-e", first));
            let mut involved = about["metadata"].clone();
            for field in ["apiVersion", "kind"] {
                involved[field] = about[field].clone();
            }
            let mut source = json!({"component": "job-controller"});
            if namespace == "n" {
                involved["fieldPath"] = event.field.into();
                source["host"] = event.host.into();
            }
            let mut tree = json!({
                "apiVersion": "v1", "kind": "Event", "count": 3, "eventTime": null, "involvedObject": involved,
                "metadata": {"creationTimestamp": "2026-11-21T06:00:00Z", "name": "j.1", "namespace": namespace,
                    "uid": "u-e"},
                "firstTimestamp": "2026-11-21T06:00:00Z", "lastTimestamp": "2026-11-21T06:01:00Z",
                "message": message, "reason": "Suspended", "source": source,
                "reportingComponent": "job-controller", "reportingInstance": event.host,
                "type": if namespace == "n" { "Warning" } else { "Normal" },
            });
            (kind.default)(&mut tree);
            (kind.prepare_create)(&mut tree);
            let tree = Object::from(tree);
            assert_eq!(value, encode::template_of(&tree));
            assert_eq!(tags(&event, &told, "u-e", last), encode::tags(kind, &tree));
            let key = kind.key(Some(namespace), event.name).into();
            let written = Written { key, kind, value, tags: Tags::default() };
            // The hole reads as a revision that was never given.
            assert_eq!(written.object(), tree);
            assert_eq!((object.revision, written.object().revision), (revision.map(|_| Revision(7)), None));
        }
    }
}
