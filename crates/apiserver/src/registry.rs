//! Objects in the store: what every writer shares, whether it came over HTTP or is the engine itself.
//!
//! HTTP handlers use the single-object verbs; the engine's tick composes transactions over many objects.

use std::sync::Arc;

use serde_json::Value;
use windlass_store::{Store, Tags, Template, Write};

use crate::error::ApiError;
use crate::kind::{Kind, Propagation};
use crate::world::SharedWorld;

/// The registry: a cheap handle.
#[derive(Clone)]
pub struct Registry {
    /// The store below.
    pub store: Store,
    /// Time and randomness.
    pub world: SharedWorld,
}

/// Which door an update comes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// The object itself.
    Main,
    /// `/status`.
    Status,
    /// The engine: spec, status, finalizers and owners alike; no validation, generation only if the spec changed.
    Engine,
}

/// What a delete asks for (`DeleteOptions`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds of grace; the pod's own if none.
    pub grace_period_seconds: Option<i64>,
    /// What happens to dependents; the kind's default if none.
    pub propagation: Option<Propagation>,
    /// The uid the object must have.
    pub uid: Option<String>,
    /// The resource version it must have.
    pub resource_version: Option<String>,
    /// Say what would happen, do nothing.
    pub dry_run: bool,
}

/// What became of a delete.
#[derive(Clone, PartialEq, Debug)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Value),
    /// It waits for grace or finalizers; this is its present state.
    Waiting(Value),
}

/// Writes that are committed together.
pub struct Transaction {
    registry: Registry,
    writes: Vec<Write>,
}

impl Registry {
    /// Creates an object: names it, defaults, prepares, validates, stores. `namespace` is the one in the path.
    pub async fn create(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        object: Value,
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        let _ = (kind, namespace, object, dry_run);
        todo!()
    }
    /// The object, or 404.
    pub fn get(&self, kind: &'static Kind, namespace: Option<&str>, name: &str) -> Result<Value, ApiError> {
        let _ = (kind, namespace, name);
        todo!()
    }
    /// Applies `change` to the newest version and stores the result; repeated on conflict when `change` says nothing of the resource version.
    pub async fn update(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        name: &str,
        door: Door,
        dry_run: bool,
        change: Arc<dyn Fn(&Value) -> Result<Value, ApiError> + Send + Sync>,
    ) -> Result<Value, ApiError> {
        let _ = (kind, namespace, name, door, dry_run, change);
        todo!()
    }
    /// Deletes with grace, propagation, finalizers and preconditions.
    pub async fn delete(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        let _ = (kind, namespace, name, options);
        todo!()
    }
    /// An empty transaction.
    #[must_use]
    pub fn transaction(&self) -> Transaction {
        Transaction { registry: self.clone(), writes: Vec::new() }
    }
}

impl Transaction {
    /// Adds a create: name generated, defaulted and prepared like any create, but not validated. Returns the object as it will be stored, without its resource version.
    pub fn create(&mut self, kind: &'static Kind, object: Value) -> Result<Value, ApiError> {
        let _ = (kind, object, &self.registry);
        todo!()
    }
    /// Adds a replacement of an object, expected at the resource version that it carries (any, if it carries none).
    pub fn replace(&mut self, kind: &'static Kind, object: &Value) {
        let _ = (kind, object);
        todo!()
    }
    /// Adds a removal from the store, expected at the object's resource version; finalizers are not asked.
    pub fn remove(&mut self, kind: &'static Kind, object: &Value) {
        let _ = (kind, object);
        todo!()
    }
    /// How many writes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }
    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
    /// Commits all or none. The stored objects come back in the order of the writes.
    pub async fn commit(self) -> Result<windlass_store::Committed, windlass_store::CommitError> {
        todo!()
    }
}

/// An object as the store keeps it: compact JSON with a hole for `metadata.resourceVersion`.
#[must_use]
pub fn template(object: &Value) -> Template {
    let _ = object;
    todo!()
}

/// An object's tags: `l/<label>`, `o` for each owner's uid, `f/<field>` for each selectable field.
#[must_use]
pub fn tags(kind: &Kind, object: &Value) -> Tags {
    let _ = (kind, object);
    todo!()
}
