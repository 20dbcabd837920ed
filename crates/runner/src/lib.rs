//! Runs a pod's containers: the kubelet's decisions as a pure plan, the environment of a process,
//! the shim that owns the processes and their logs, and a scripted runtime for tests.

pub mod cgroup;
mod exec;
pub mod fate;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod input;
pub mod kubelet;
pub mod log;
pub mod mounts;
pub mod process;
pub mod rights;
pub mod runtime;
pub mod scripted;
pub mod shim;
pub mod testing;
pub mod text;
pub mod volumes;
mod world;
