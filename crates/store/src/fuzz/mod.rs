//! What must hold of every byte that a store finds on its disk: the bodies of the fuzz targets in `fuzz/`.
//!
//! Built for tests and with the feature `fuzzing`; no part of the store.

mod journals;
mod records;
#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;

pub use journals::journals;
pub use records::records;

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: &[(&str, Target)] = &[("journals", journals), ("records", records)];
