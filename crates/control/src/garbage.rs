//! Garbage collection: which objects lost their owners, and which owners wait for their dependents.

use serde_json::Value;

use crate::view::Meta;

/// An object as garbage collection sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// e.g. `batch/v1`.
    pub api_version: String,
    /// e.g. `Job`.
    pub kind: String,
    /// Its metadata.
    pub meta: Meta,
}

/// What to do with one object.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Delete it (with the propagation given): all its owners are gone, or its only living owner waits for it.
    Delete {
        /// Delete its own dependents first.
        foreground: bool,
    },
    /// Write these owner references and finalizers instead of what it has.
    Edit {
        /// The owners that stay.
        owner_references: Vec<Value>,
        /// The finalizers that stay.
        finalizers: Vec<String>,
    },
}
