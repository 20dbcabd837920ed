//! The embedded engine as a process: finding it, starting it detached, being it.

mod boot;
mod detach;
pub(crate) mod ephemeral;
mod find;
mod keep;
pub(crate) mod limits;
mod serve;
pub(crate) mod service;
mod version;

pub(crate) use boot::Boot;
pub(crate) use find::{ensure, find, gone, start, starting};
pub(crate) use keep::keep;
pub(crate) use serve::{foreground, main};

/// The hidden command that is the engine's process.
pub(crate) const ENGINE: &str = "__engine";
/// The hidden command that is the engine's shim.
pub(crate) const SHIM: &str = "__shim";
