//! How a watcher sees objects: which, and in what shape. Pure but for the clock of Tables' ages.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use windlass_store::{Change, Entry, Revision};

use crate::error::ApiError;
use crate::http::dispatch::Call;
use crate::http::pages::Pages;
use crate::http::request::Shape;
use crate::http::table::{self, Settings};
use crate::kind::Kind;
use crate::selectors::Selector;
use crate::world::SharedWorld;

/// How a watcher sees objects.
pub(super) struct View {
    pub(super) kind: &'static Kind,
    pub(super) prefix: String,
    pub(super) selector: Arc<Selector>,
    /// Whether the prefix is the key of one object.
    one: bool,
    shape: Shape,
    settings: Settings,
    world: SharedWorld,
}

impl View {
    /// What a request wants to see of the objects that `pages` selects.
    pub(super) fn read(call: &Call, pages: &Pages) -> Result<View, ApiError> {
        Ok(View {
            kind: call.kind,
            prefix: pages.prefix.clone(),
            selector: Arc::clone(&pages.selector),
            one: pages.one,
            shape: call.shape()?,
            settings: call.table()?,
            world: Arc::clone(&call.app.registry.world),
        })
    }

    /// Whether an object is selected as far as its key tells.
    pub(super) fn wants_key(&self, key: &str) -> bool {
        (!self.one || key == self.prefix) && self.selector.passes_key(self.kind.namespaced, key)
    }

    fn wants(&self, entry: Option<&Entry>) -> bool {
        entry.is_some_and(|entry| self.selector.passes_tags(&entry.tags))
    }

    /// A change as this watcher sees it: what starts to pass is added, what stops to pass is deleted.
    pub(super) fn change(&self, change: &Change) -> Option<Bytes> {
        if !self.wants_key(&change.key) {
            return None;
        }
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        match (before.filter(|b| self.wants(Some(b))), after.filter(|a| self.wants(Some(a)))) {
            (None, None) => None,
            (None, Some(after)) => Some(self.line("ADDED", after.value.bytes())),
            (Some(_), Some(after)) => Some(self.line("MODIFIED", after.value.bytes())),
            (Some(before), None) => Some(self.line("DELETED", &before.value.at_revision(change.revision))),
        }
    }

    /// An object's event.
    pub(super) fn line(&self, kind: &str, object: &[u8]) -> Bytes {
        if self.shape == Shape::Object && self.kind.stored.is_none() {
            return event(kind, object);
        }
        let object: Value = match serde_json::from_slice(object) {
            Ok(object) => self.kind.show(object),
            Err(cause) => return event("ERROR", ApiError::internal(cause).status().to_string().as_bytes()),
        };
        event(kind, self.shaped(object).to_string().as_bytes())
    }

    fn shaped(&self, object: Value) -> Value {
        match self.shape {
            Shape::Object => object,
            Shape::Metadata(version) => table::partial(&object, version),
            Shape::Table(version) => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let settings = Settings { now: self.world.now(), ..self.settings };
                table::table(self.kind, version, &metadata, vec![object], &settings)
            }
        }
    }

    /// How far has been seen; with the mark that the initial state is complete.
    pub(super) fn bookmark(&self, revision: Revision, initial_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.0.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.shape {
            Shape::Object => {
                json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata})
            }
            Shape::Metadata(version) => table::partial(&json!({"metadata": metadata}), version),
            Shape::Table(version) => table::table(self.kind, version, &metadata, Vec::new(), &self.settings),
        };
        event("BOOKMARK", object.to_string().as_bytes())
    }
}

/// One event, one line.
pub(super) fn event(kind: &str, object: &[u8]) -> Bytes {
    [b"{\"type\":\"", kind.as_bytes(), b"\",\"object\":", object, b"}\n"].concat().into()
}
