//! Objects in the store: what every writer shares, whether it came over HTTP or is the engine itself.
//!
//! HTTP handlers use the single-object verbs; the engine's tick composes transactions over many objects.
//! Knows no HTTP and no selectors; objects are JSON values.

mod admit;
mod create;
mod delete;
mod disk;
mod encode;
mod event;
mod fresh;
mod guards;
mod known;
pub mod meta;
mod object;
mod priority;
mod spec;
mod transaction;
mod turns;
mod update;

/// What the fuzz targets ask of specs that are taken again.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::known::fuzz::{made, taken_again};
}

use std::sync::Arc;

use serde_json::Value;
use windlass_store::{CommitError, Entry, ReadError, Store};

use self::fresh::Fresh;
use self::guards::Guards;
use self::known::Specs;
use crate::error::ApiError;
use crate::kind::{Kind, Propagation};
use crate::world::SharedWorld;

pub(crate) use create::Created;
pub(crate) use delete::check_preconditions;
pub use delete::{Mark, mark};
pub use disk::Disk;
pub(crate) use disk::show_pressure;
pub(crate) use encode::{INDEXED, LABEL};
pub use encode::{Resting, head, indexed_tags, resting, tags, template, template_of, without_type};
pub use event::{Event, Written};
pub use guards::Count;
pub(crate) use known::Known;
pub use object::Object;
pub use spec::Spec;
pub use transaction::Transaction;
pub use turns::Turn;
pub use update::ends;

/// How often a write is tried again when another writer was faster, before it is given up as a conflict.
const ATTEMPTS: usize = 32;

/// The registry: a cheap handle.
#[derive(Clone)]
pub struct Registry {
    /// The store below.
    pub store: Store,
    /// Time and randomness.
    pub world: SharedWorld,
    /// Whether there is room to write.
    pub disk: Disk,
    /// What requests have just made.
    fresh: Arc<Fresh>,
    /// Specs that requests have sent before.
    specs: Arc<Specs>,
    /// Quotas and limit ranges.
    guards: Arc<Guards>,
}

/// What an update does to the newest version of an object.
pub type ChangeFn = Arc<dyn Fn(&Value) -> Result<Value, ApiError> + Send + Sync>;

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

impl Deleted {
    /// The object, gone or not.
    #[must_use]
    pub fn into_object(self) -> Value {
        match self {
            Deleted::Gone(object) | Deleted::Waiting(object) => object,
        }
    }
    /// The object, gone or not.
    #[must_use]
    pub fn object(&self) -> &Value {
        match self {
            Deleted::Gone(object) | Deleted::Waiting(object) => object,
        }
    }
}

impl Registry {
    /// A registry over a store.
    #[must_use]
    pub fn new(store: Store, world: SharedWorld) -> Registry {
        let guards = Arc::new(Guards::of(&store));
        Registry { store, world, disk: Disk::default(), fresh: Arc::default(), specs: Arc::default(), guards }
    }

    /// The object of an entry that a request has just made, as it was made. It is handed over once, and only for a
    /// while: otherwise the entry's bytes tell it.
    #[must_use]
    pub fn just_made(&self, entry: &Entry) -> Option<Object> {
        self.fresh.take(entry)
    }

    /// The object, or 404.
    pub fn get(&self, kind: &'static Kind, namespace: Option<&str>, name: &str) -> Result<Value, ApiError> {
        object_of(&self.entry(kind, namespace, name)?).map(|object| kind.show(object))
    }

    /// The object as it is stored, or 404.
    pub fn entry(&self, kind: &'static Kind, namespace: Option<&str>, name: &str) -> Result<Entry, ApiError> {
        let found = self.store.get(&kind.key(namespace, name)).map_err(|e| read_error(&e))?;
        found.ok_or_else(|| ApiError::not_found(&kind.subject(name)))
    }
}

/// A stored entry as an object.
pub fn object_of(entry: &Entry) -> Result<Value, ApiError> {
    crate::schema::read_stored(entry.value.bytes())
        .map_err(|e| ApiError::internal(format_args!("{}: not a readable object: {e}", entry.key)))
}

/// What a failed read answers.
#[must_use]
pub fn read_error(error: &ReadError) -> ApiError {
    match error {
        ReadError::Compacted { asked, oldest } => {
            ApiError::expired(format!("too old resource version: {} ({})", asked.0, oldest.0))
        }
        ReadError::Ahead { asked, newest } => too_large_revision(asked.0, newest.0),
        other => ApiError::internal(other),
    }
}

/// 504: a resource version that has not come yet.
#[must_use]
pub fn too_large_revision(asked: u64, newest: u64) -> ApiError {
    let mut error = ApiError::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {asked}, current: {newest}"),
    );
    error.details = Some(serde_json::json!({
        "retryAfterSeconds": 1,
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
    }));
    error
}

/// What a failed commit answers, conflicts apart: those mean something else to each verb.
#[must_use]
pub fn commit_error(error: &CommitError) -> ApiError {
    match error {
        CommitError::Conflict { .. } => ApiError::new(
            409,
            "Conflict",
            "Operation cannot be fulfilled: other writers were faster each time; try again",
        ),
        CommitError::TooLarge { bytes, limit, .. } => ApiError::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}, the object has {bytes} bytes"),
        ),
        CommitError::Busy(_) => {
            let mut error =
                ApiError::new(429, "TooManyRequests", "too much is waiting to be written, try again later");
            error.details = Some(serde_json::json!({"retryAfterSeconds": 1}));
            error
        }
        // Clients ask a busy server again; here somebody has to make room first.
        CommitError::Full(cause) => ApiError::new(
            507,
            "InsufficientStorage",
            format!(
                "the disk that the engine keeps its state on is full: nothing can be written until there is room ({cause})"
            ),
        ),
        CommitError::Closed => ApiError::new(503, "ServiceUnavailable", "the server is shutting down"),
        other => ApiError::internal(other),
    }
}

/// Puts a committed write's resource version into the object that was written.
fn at_revision(mut object: Value, entry: Option<&Entry>) -> Value {
    if let Some(entry) = entry {
        meta::set(&mut object, "resourceVersion", Value::String(entry.modified.0.to_string()));
    }
    object
}
