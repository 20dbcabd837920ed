//! The Kubernetes HTTP API over a store: one row per kind, one generic path for every verb.
//!
//! Knows no controller and no process: what it cannot do itself (logs, attach, exec) it asks of a trait that it owns.

pub mod admission;
mod apply;
pub mod attach;
pub mod clock;
pub mod error;
pub mod field;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod http;
pub mod kind;
pub mod kinds;
pub mod logs;
pub mod names;
pub mod quantity;
pub mod registry;
pub mod rights;
pub mod schema;
pub mod selectors;
pub mod world;
pub mod zones;
