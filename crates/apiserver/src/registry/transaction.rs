//! Many objects, one commit: what the engine's tick writes.

use windlass_store::{CommitError, Committed, Expect, Key, Op, Write};

use super::update::ends;
use super::{Object, Registry, Written, encode, meta, object_of};
use crate::apply;
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
    pub fn insert(&mut self, kind: &'static Kind, key: &Key, object: &Object) {
        self.writes.push(Write { key: key.clone(), expect: Expect::Absent, op: put(kind, object) });
    }
    /// Adds a new object that is written already; it must not be there yet.
    pub fn insert_written(&mut self, object: &Written) {
        self.writes.push(Write { key: object.key.clone(), expect: Expect::Absent, op: object.put() });
    }
    /// Adds a replacement of an object, expected at the revision that it carries (any, if it carries none).
    /// A deleting object that has no finalizer and no grace left is removed instead, as any update does.
    pub fn replace(&mut self, kind: &'static Kind, key: &Key, object: &Object) {
        let op = match self.tracked(kind, key, object) {
            _ if ends(object) => Op::Delete,
            Some(tracked) => put(kind, &tracked),
            None => put(kind, object),
        };
        let expect = object.revision.map_or(Expect::Present, Expect::At);
        self.writes.push(Write { key: key.clone(), expect, op });
    }
    /// The replacement with whose its fields are then, of an object whose fields somebody has claimed. Who that was
    /// before is asked of the store: the writer need not know.
    fn tracked(&self, kind: &Kind, key: &Key, object: &Object) -> Option<Object> {
        object.metadata().get("managedFields")?;
        let old = object_of(&self.registry.store.get(key).ok()??).ok()?;
        let mut new = object.whole();
        apply::track_server(kind, &old, &mut new, &meta::time(self.registry.world.now()));
        Some(Object::from(new))
    }
    /// Adds a removal from the store, expected at the object's revision; finalizers are not asked.
    pub fn remove(&mut self, key: &Key, object: &Object) {
        let expect = object.revision.map_or(Expect::Any, Expect::At);
        self.writes.push(Write { key: key.clone(), expect, op: Op::Delete });
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

fn put(kind: &Kind, object: &Object) -> Op {
    Op::Put { value: encode::template_of(object), tags: encode::tags(kind, object) }
}
