//! What the API knows of a kind: one row of names and pure functions. A new kind is a row and its functions.

use std::ops::Index;

use jiff::Timestamp;
use serde_json::Value;

use crate::error::Subject;
use crate::field::Errors;

/// One kind of object.
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version, e.g. `v1`.
    pub version: &'static str,
    /// e.g. `Job`.
    pub kind: &'static str,
    /// e.g. `jobs`.
    pub plural: &'static str,
    /// e.g. `job`.
    pub singular: &'static str,
    /// e.g. `po`.
    pub short_names: &'static [&'static str],
    /// `all` where `kubectl get all` should show it.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether it can be used, or is listed only so that clients work.
    pub served: Served,
    /// Which subresources it has.
    pub subresources: &'static [Subresource],
    /// The schema's name, e.g. `io.k8s.api.batch.v1.Job`.
    pub schema: &'static str,
    /// Where and how its objects are stored, if not as they are.
    pub stored: Option<&'static Stored>,
    /// What `DELETE` does to dependents when the request does not say.
    pub default_propagation: Propagation,
    /// Fills absent fields as upstream does on every write.
    pub default: fn(&mut Value),
    /// After defaulting and after metadata (name, uid, timestamps, generation 1) is set: what the server makes of a new object.
    pub prepare_create: fn(&mut Value),
    /// Before an update of the main resource: `new` keeps what only the status door may change, counts the generation up when the spec changed.
    pub prepare_update: fn(new: &mut Value, old: &Value),
    /// Before an update through `/status`: `new` keeps everything of `old` but status (and metadata's labels and annotations).
    pub prepare_status: fn(new: &mut Value, old: &Value),
    /// Every problem of a new object (metadata is checked generically).
    pub validate: fn(&Value) -> Errors,
    /// Every problem of a change; called for the main resource and, with `status` true, for `/status`.
    pub validate_update: fn(new: &Value, old: &Value, status: bool) -> Errors,
    /// How its names must look.
    pub name_rule: NameRule,
    /// Whether an update is held to that rule too, beyond what a path can hold.
    pub names_again: bool,
    /// Whether a finalizer may have a name without a domain that is none of Kubernetes' own.
    pub bare_finalizers: bool,
    /// Warnings for the writer (sent as `Warning: 299` headers).
    pub warnings: fn(&Value) -> Vec<String>,
    /// Field selectors beyond `metadata.name` and `metadata.namespace`, with this object's values.
    pub fields: fn(&dyn Fields) -> Vec<(&'static str, String)>,
    /// The names that `fields` may return, for refusing others.
    pub field_names: &'static [&'static str],
    /// Whether the engine has nothing to do with the object until somebody changes it, or until a time.
    pub rest: fn(&dyn Fields) -> Rest,
    /// The columns of its Table.
    pub columns: &'static [Column],
    /// One row of its Table: a cell per column, in order.
    pub cells: fn(&Value, now: Timestamp) -> Vec<Value>,
}

/// Another kind under whose keys and in whose form a kind's objects are stored: the same objects have two names.
pub struct Stored {
    /// The apiVersion of the other kind, which has the same name.
    pub api_version: &'static str,
    /// An object in the other kind's form.
    pub write: fn(Value) -> Value,
    /// An object in the other kind's form, in this one's.
    pub read: fn(Value) -> Value,
    /// The other kind's name of a field that can be selected.
    pub field: fn(&str) -> String,
}

/// An object's top-level fields, however the object is kept. `object["spec"]` is null where there is none.
pub trait Fields {
    /// A top-level field; null if there is none.
    fn field(&self, name: &str) -> &Value;
}

impl Fields for Value {
    fn field(&self, name: &str) -> &Value {
        &self[name]
    }
}

impl Index<&str> for dyn Fields + '_ {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.field(name)
    }
}

/// Whether the engine may leave an object alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// It has to be looked at.
    None,
    /// Nothing is to be done with it until it changes.
    Settled,
    /// Nothing is to be done with it until it changes or this time comes; of an event, when it was last seen.
    Until(Timestamp),
}

/// How far a kind can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// All verbs.
    Full,
    /// Reads as an empty list, or as what the server itself has put there; writes are answered 405 with this sentence.
    Empty(&'static str),
    /// Only `POST`: it is answered and never stored.
    Review,
}

/// A part of a resource with its own door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subresource {
    /// `/status`.
    Status,
    /// `/log` of a pod.
    Log,
    /// `/finalize` of a namespace.
    Finalize,
    /// `/eviction` of a pod.
    Eviction,
    /// `/binding` of a pod.
    Binding,
    /// `/attach` of a pod.
    Attach,
    /// `/exec` of a pod.
    Exec,
    /// `/token` of a service account.
    Token,
}

/// What happens to dependents of a deleted object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Propagation {
    /// They stay and lose their owner.
    Orphan,
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
}

/// The form of a kind's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameRule {
    /// Dot-separated labels, at most 253 characters.
    Subdomain,
    /// One DNS label, at most 63 characters.
    Label,
    /// Anything that is safe in a path.
    PathSegment,
}

/// A column of a Table.
pub struct Column {
    /// Its title, e.g. `Completions`.
    pub name: &'static str,
    /// `string`, `integer`, `date`.
    pub kind: &'static str,
    /// `name` for the column of names, else empty.
    pub format: &'static str,
    /// 0 always shown, 1 with `-o wide`.
    pub priority: u8,
    /// What it shows.
    pub description: &'static str,
}

impl Kind {
    /// `v1` or `batch/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
    /// The kind as which its objects are stored: itself, nearly always.
    #[must_use]
    pub fn home(&'static self) -> &'static Kind {
        let other = self.stored.and_then(|stored| crate::kinds::by_kind(stored.api_version, self.kind));
        other.unwrap_or(self)
    }
    /// An object as this kind shows it.
    #[must_use]
    pub fn show(&self, object: Value) -> Value {
        match self.stored {
            Some(stored) => (stored.read)(object),
            None => object,
        }
    }
    /// What an error about an object of this kind names.
    #[must_use]
    pub fn subject(&self, name: &str) -> Subject {
        Subject { group: self.group, resource: self.plural, kind: self.kind, name: name.to_owned() }
    }
    /// The store's key of an object.
    #[must_use]
    pub fn key(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}{name}", self.prefix(namespace))
    }
    /// The prefix of the store's keys of all objects, or of those in a namespace. `/jobs.batch/default/`.
    #[must_use]
    pub fn prefix(&self, namespace: Option<&str>) -> String {
        let stored_in_core = self.stored.is_some_and(|stored| !stored.api_version.contains('/'));
        let in_core = self.group.is_empty() || stored_in_core;
        let group = if in_core { String::new() } else { format!(".{}", self.group) };
        match namespace {
            Some(namespace) if self.namespaced => format!("/{}{group}/{namespace}/", self.plural),
            _ => format!("/{}{group}/", self.plural),
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kind({}, {})", self.api_version(), self.kind)
    }
}
