//! Many objects, one commit: what the engine's tick writes.

use serde_json::Value;
use windlass_store::{CommitError, Committed, Expect, Op, Revision, Write};

use super::update::ends;
use super::{Registry, encode, meta};
use crate::kind::Kind;

/// Writes that are committed together.
pub struct Transaction {
    registry: Registry,
    writes: Vec<Write>,
}

impl Registry {
    /// An empty transaction.
    #[must_use]
    pub fn transaction(&self) -> Transaction {
        Transaction { registry: self.clone(), writes: Vec::new() }
    }
}

impl Transaction {
    /// Adds a new object that [`Registry::prepare`] made; it must not be there yet.
    pub fn insert(&mut self, kind: &'static Kind, object: &Value) {
        self.writes.push(Write { key: key(kind, object), expect: Expect::Absent, op: put(kind, object) });
    }
    /// Adds a replacement of an object, expected at the resource version that it carries (any, if it carries none).
    /// A deleting object that has no finalizer and no grace left is removed instead, as any update does.
    pub fn replace(&mut self, kind: &'static Kind, object: &Value) {
        let op = if ends(object) { Op::Delete } else { put(kind, object) };
        let expect = revision(object).map_or(Expect::Present, Expect::At);
        self.writes.push(Write { key: key(kind, object), expect, op });
    }
    /// Adds a removal from the store, expected at the object's resource version; finalizers are not asked.
    pub fn remove(&mut self, kind: &'static Kind, object: &Value) {
        let expect = revision(object).map_or(Expect::Any, Expect::At);
        self.writes.push(Write { key: key(kind, object), expect, op: Op::Delete });
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
    pub async fn commit(self) -> Result<Committed, CommitError> {
        self.registry.store.commit(self.writes).await
    }
}

fn put(kind: &Kind, object: &Value) -> Op {
    Op::Put { value: encode::template(object), tags: encode::tags(kind, object) }
}

fn key(kind: &Kind, object: &Value) -> windlass_store::Key {
    let namespace = Some(meta::text(object, "namespace")).filter(|_| kind.namespaced);
    kind.key(namespace, meta::text(object, "name")).into()
}

/// The revision an object carries; none if it carries none, and one that no write has if it is no number.
fn revision(object: &Value) -> Option<Revision> {
    let text = meta::text(object, "resourceVersion");
    if text.is_empty() { None } else { Some(Revision(text.parse().unwrap_or(0))) }
}
