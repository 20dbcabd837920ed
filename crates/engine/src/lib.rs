//! A small Kubernetes for batch jobs on one machine: store, API server, controllers and the runner of
//! host processes, wired into one.
//!
//! [`Engine::start`] gives a running Kubernetes with a [`kube::Client`]; any other client finds it through the
//! kubeconfig in its [`Home`]. This crate knows nothing of the product that uses it.

mod alike;
mod attach;
mod bootstrap;
mod cache;
mod checks;
mod claims;
mod clock;
mod config;
mod crons;
mod descriptors;
mod draft;
mod events;
mod exec;
mod facts;
mod fates;
mod garbage;
mod gpus;
mod home;
mod identity;
mod idle;
mod intake;
mod jobs;
mod leap;
mod living;
mod logs;
mod messages;
mod namespaces;
mod neighbours;
mod notes;
mod pace;
mod pods;
mod quotas;
mod reclaim;
mod refusals;
mod remove;
mod roles;
mod room;
mod shifted;
mod sizes;
mod start;
mod strays;
mod sweeper;
mod taints;
mod tick;
mod timers;
mod tokens;
mod usage;
mod views;
mod volumes;
mod world;

pub use config::{Config, Images, LogLimits, StoreKind};
pub use home::{Home, HomeError, Running};
pub use roles::Role;
pub use start::{Engine, StartError, StopPods};
pub use windlass_apiserver::world::World;
pub use world::System;

use std::ffi::OsString;
use std::process::ExitCode;

/// The GPUs that a machine's directories below `root` tell of (`/` is this machine), by the resource that they are: what
/// an engine that starts here offers to pods, if its starter was told this of its devices ([`allotting`]).
#[must_use]
pub fn gpus(
    root: &std::path::Path,
    allotted: &std::collections::BTreeMap<String, String>,
) -> std::collections::BTreeMap<String, Vec<String>> {
    let ids = |gpus: Vec<gpus::Gpu>| gpus.into_iter().map(|gpu| gpu.id).collect();
    let (own, _) = gpus::allotted(gpus::find(root), allotted);
    own.into_iter().map(|(resource, found)| (resource.to_owned(), ids(found))).collect()
}

/// The variables by which a batch system tells a process which devices of the machine are its own.
pub fn allotting() -> impl Iterator<Item = &'static str> {
    gpus::ALLOTTING.into_iter().map(|(_, variable)| variable)
}

/// The shim's main function: the process that owns the containers' processes and outlives the engine.
/// `args` are those after the program's (and a hidden command's) name.
pub fn shim_main(args: impl Iterator<Item = OsString>) -> ExitCode {
    windlass_runner::shim::main(args)
}

/// Which limits of host processes an engine that is started by this process could not enforce, why, and the way out.
#[must_use]
pub fn limits_not_enforced() -> Option<String> {
    windlass_runner::cgroup::look().map(|unlimited| unlimited.message)
}
