//! What an array's tasks are told, as both sides read it: who submits the array, and the helper in its pods.
//!
//! [`words`] is what stands in braces in a command, [`items`] the file with a line a task. Both need neither the
//! standard library nor memory of their own, because the helper has neither. It knows no Kubernetes and no job.
#![no_std]

pub mod items;
pub mod words;

/// The helper, a static program for Linux on [`ARCH`]; empty where there is none for the machines that this crate was
/// built for.
pub const HELPER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/windlass-task"));

/// The architecture of [`HELPER`], as Kubernetes' node label `kubernetes.io/arch` names it.
pub const ARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// The helper's name, in its ConfigMap and beside the file of items.
pub const HELPER_FILE: &str = "task";
