//! Creating: naming, what the server sets, defaults, checks, and the namespace that must be open for it.

use serde_json::{Value, json};
use windlass_store::{CommitError, Entry, Expect, Op, Revision, Write};

use super::{ATTEMPTS, Object, Registry, commit_error, encode, guards, meta, object_of, read_error};
use crate::error::ApiError;
use crate::kind::Kind;
use crate::{names, schema, world};

/// What a create made.
pub(crate) struct Created {
    /// The object, as it was written; it does not know its resource version.
    pub(crate) object: Object,
    /// What is stored; nothing if it was only tried.
    pub(crate) entry: Option<Entry>,
}

impl Created {
    /// The object with its resource version, if it has one.
    pub(crate) fn whole(&self) -> Value {
        match &self.entry {
            Some(entry) => self.object.clone().at(entry.modified).whole(),
            None => self.object.whole(),
        }
    }
}

/// A generated name is cut so that it stays a label with its suffix.
const GENERATED_PREFIX: usize = 63 - 5;
/// How many suffixes are tried before a collision is told.
const NAMES_TRIED: usize = 8;

impl Registry {
    /// Creates an object: names it, defaults, prepares, validates, stores. `namespace` is the one in the path.
    pub async fn create(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        object: Value,
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        let created = self.create_entry(kind, namespace, object, dry_run, &mut Vec::new()).await?;
        Ok(created.whole())
    }

    /// The same; the answer has what was stored beside the object. What its writer is warned of is added to `warnings`,
    /// also where it is refused after that.
    pub(crate) async fn create_entry(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        mut object: Value,
        dry_run: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Created, ApiError> {
        agree_on_namespace(kind, namespace, &mut object)?;
        // What is no number names no version, as upstream (`pkg/storage/etcd3/store.go`, `Create`).
        if meta::text(&object, "resourceVersion").parse().is_ok_and(|version: u64| version != 0) {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let named = !meta::text(&object, "name").is_empty() || meta::text(&object, "generateName").is_empty();
        let (mut collisions, begun) = (0, warnings.len());
        loop {
            // Only a name of the server's own choosing may be taken and drawn again.
            let mut born = self.born(kind, if named { std::mem::take(&mut object) } else { object.clone() });
            self.check(kind, &mut born)?;
            warnings.truncate(begun);
            warnings.extend((kind.warnings)(&born));
            match self.store_new(kind, namespace, born.into(), dry_run).await {
                Err(e) if !named && e.reason == "AlreadyExists" && collisions + 1 < NAMES_TRIED => {
                    collisions += 1;
                }
                result => return result.map(|(object, entry)| Created { object, entry }),
            }
        }
    }

    /// What the server makes of an object that the engine wants: named, with identity, defaulted, prepared, not yet
    /// validated. To be changed further and then given to [`Transaction::insert`](super::Transaction::insert).
    pub fn prepare(&self, kind: &'static Kind, object: Value) -> Result<Value, ApiError> {
        if !object.is_object() {
            return Err(ApiError::bad_request("only an object can be created"));
        }
        let mut object = self.born(kind, object);
        // Whose the fields are is not asked of what the server makes by itself.
        meta::set(&mut object, "managedFields", Value::Null);
        if meta::text(&object, "name").is_empty() {
            return Err(ApiError::bad_request(
                "metadata.name: Required value: name or generateName is required",
            ));
        }
        Ok(object)
    }

    /// The same, checked and dressed as one that a request creates.
    pub fn prepare_checked(&self, kind: &'static Kind, object: Value) -> Result<Value, ApiError> {
        let mut born = self.prepare(kind, object)?;
        self.check(kind, &mut born)?;
        Ok(born)
    }

    /// Refuses a new object that may not be; one that may gets what the server shows of its kind.
    fn check(&self, kind: &'static Kind, born: &mut Value) -> Result<(), ApiError> {
        self.admit(kind, born)?;
        let ranges = self.limit_ranges(kind, meta::text(born, "namespace"))?;
        guards::fill(&ranges, kind, born);
        let mut errors = names::metadata(born, kind);
        errors.extend((kind.validate)(born));
        if !errors.is_empty() {
            return Err(ApiError::invalid(&kind.home().subject(meta::text(born, "name")), &errors));
        }
        guards::within(&ranges, kind, born)?;
        self.one_default(kind, born)?;
        schema::dress(kind.schema, born);
        Ok(())
    }

    /// Makes of the metadata of an object that [`Registry::prepare`] made, and that has a `generateName`, those of
    /// another one of its kind.
    #[must_use]
    pub fn another(&self, metadata: &Value) -> Value {
        let world = &*self.world;
        let mut another = metadata.clone();
        if let Some(fields) = another.as_object_mut() {
            let base = metadata["generateName"].as_str().unwrap_or_default();
            fields.insert("name".to_owned(), generated(base, world).into());
            fields.insert("uid".to_owned(), world::uid(world).into());
            fields.insert("creationTimestamp".to_owned(), meta::time(world.now()).into());
        }
        another
    }

    /// What the server makes of an object that a writer wants: named, with identity, defaulted, prepared.
    pub(super) fn born(&self, kind: &'static Kind, mut object: Value) -> Value {
        if self.identify(kind, &mut object) {
            (kind.default)(&mut object);
            (kind.prepare_create)(&mut object);
        }
        object
    }

    /// Names an object and gives it an identity, unless it is none.
    pub(super) fn identify(&self, kind: &'static Kind, object: &mut Value) -> bool {
        let world = &*self.world;
        if let Some(map) = object.as_object_mut() {
            map.insert("apiVersion".to_owned(), kind.api_version().into());
            map.insert("kind".to_owned(), kind.kind.into());
        }
        let Some(metadata) = meta::fields(object) else { return false };
        for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"] {
            metadata.remove(field);
        }
        metadata.retain(|_, value| !value.is_null());
        let base = metadata.get("generateName").and_then(Value::as_str).unwrap_or_default();
        if metadata.get("name").and_then(Value::as_str).unwrap_or_default().is_empty() {
            let name = match kind.kind {
                _ if !base.is_empty() => Some(generated(base, world)),
                // Source: upstream pkg/registry/core/limitrange/strategy.go.
                "LimitRange" => Some(world::uid(world)),
                _ => None,
            };
            metadata.extend(name.map(|name| ("name".to_owned(), name.into())));
        }
        metadata.insert("uid".to_owned(), world::uid(world).into());
        metadata.insert("creationTimestamp".to_owned(), meta::time(world.now()).into());
        if counts_generations(kind) {
            metadata.insert("generation".to_owned(), 1.into());
        } else if metadata.get("generation").is_some_and(|given| *given == 0) {
            metadata.remove("generation");
        }
        true
    }

    pub(super) async fn store_new(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        object: Object,
        dry_run: bool,
    ) -> Result<(Object, Option<Entry>), ApiError> {
        let name = object.text("name").to_owned();
        let key = kind.key(namespace, &name);
        self.guards.expect(kind);
        let turn = self.turn_in(kind, namespace).await;
        let stored = kind.stored.map(|stored| Object::from((stored.write)(object.whole())));
        for _ in 0..ATTEMPTS {
            let mut writes = Vec::with_capacity(2);
            let charged = match namespace.filter(|_| turn.is_some()) {
                Some(namespace) => self.charge(kind, namespace, None, &object)?,
                None => Vec::new(),
            };
            let op = if dry_run {
                Op::Check
            } else {
                let (home, kept) = (kind.home(), stored.as_ref().unwrap_or(&object));
                let value = encode::template_of(kept);
                self.fresh.keep(kept, value.bytes.len());
                Op::Put { value, tags: encode::tags(home, kept) }
            };
            writes.push(Write { key: key.as_str().into(), expect: Expect::Absent, op });
            if let Some(namespace) = namespace.filter(|_| kind.namespaced) {
                let (key, revision) = self.open_namespace(kind, namespace, &name)?;
                writes.push(Write { key: key.into(), expect: Expect::At(revision), op: Op::Check });
            }
            if !dry_run {
                writes.extend(charged);
            }
            let outcome = self.store.commit(writes).await;
            if outcome.is_err() {
                self.fresh.forget(object.text("uid"));
            }
            match outcome {
                Ok(done) => return Ok((object, done.entries.into_iter().next().flatten())),
                Err(CommitError::Conflict { index: 0, .. }) => {
                    return Err(self.in_the_way(kind, namespace, &name));
                }
                // The namespace or a quota changed under us: look again whether there is still a place.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(commit_error(&error)),
            }
        }
        Err(ApiError::conflict(&kind.subject(&name), "its namespace keeps changing; try again"))
    }

    /// A create met an object of that name; one that is going is told as such.
    fn in_the_way(&self, kind: &'static Kind, namespace: Option<&str>, name: &str) -> ApiError {
        let mut error = ApiError::already_exists(&kind.subject(name));
        if self.get(kind, namespace, name).is_ok_and(|object| meta::deleting(&object)) {
            error.message = format!("object is being deleted: {}", error.message);
        }
        error
    }

    /// The key and revision of a namespace that takes new objects.
    fn open_namespace(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<(String, Revision), ApiError> {
        let key = format!("/namespaces/{namespace}");
        // Its tags tell that of nearly every namespace, without its value.
        if let Some((revision, true)) = self.store.tagged(&key, ("f/status.phase", "Active")) {
            return Ok((key, revision));
        }
        let Some(entry) = self.store.get(&key).map_err(|e| read_error(&e))? else {
            let mut error = ApiError::new(404, "NotFound", format!("namespaces {namespace:?} not found"));
            error.details = Some(json!({"name": namespace, "kind": "namespaces"}));
            return Err(error);
        };
        if meta::deleting(&object_of(&entry)?) {
            return Err(terminating(kind, namespace, name));
        }
        Ok((key, entry.modified))
    }
}

/// Upstream's answer of the NamespaceLifecycle admission.
fn terminating(kind: &Kind, namespace: &str, name: &str) -> ApiError {
    let subject = kind.subject(name);
    let mut error = ApiError::new(
        403,
        "Forbidden",
        format!(
            "{} {name:?} is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            subject.qualified()
        ),
    );
    let cause = json!({
        "reason": "NamespaceTerminating",
        "message": format!("namespace {namespace} is being terminated"),
        "field": "metadata.namespace",
    });
    error.details = Some(json!({"name": name, "kind": kind.plural, "causes": [cause]}));
    if let Some(details) = error.details.as_mut().filter(|_| !kind.group.is_empty()) {
        details["group"] = kind.group.into();
    }
    error
}

/// The object's namespace is the path's; what has none loses the one that it was given.
///
/// Source: `EnsureObjectNamespaceMatchesRequestNamespace` of apiserver, pkg/registry/rest/meta.go.
pub(super) fn agree_on_namespace(
    kind: &Kind,
    namespace: Option<&str>,
    object: &mut Value,
) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("the body is not an object"));
    }
    let Some(namespace) = namespace.filter(|_| kind.namespaced) else {
        if !kind.namespaced && !meta::text(object, "namespace").is_empty() {
            meta::set(object, "namespace", Value::Null);
        }
        return Ok(());
    };
    let given = meta::text(object, "namespace");
    if !given.is_empty() && given != namespace {
        return Err(ApiError::other_namespace());
    }
    meta::set(object, "namespace", namespace.into());
    Ok(())
}

/// Whether upstream counts this kind's spec changes in `metadata.generation`.
pub(super) fn counts_generations(kind: &Kind) -> bool {
    matches!(kind.group, "batch" | "apps") || (kind.group.is_empty() && kind.kind == "Pod")
}

/// A name of its own for an object with this `generateName`.
fn generated(base: &str, world: &dyn world::World) -> String {
    format!("{}{}", cut(base, GENERATED_PREFIX), world::suffix(world))
}

/// The start of a text, at most so many bytes, never inside a character.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
