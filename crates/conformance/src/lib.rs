//! One script of requests, answered by this project's engine and by upstream Kubernetes, and every difference listed.
//!
//! The script is data (`cases/*.yaml`), upstream's answers are recorded (`recorded/*.json`), what may differ is a table
//! of reasons (`reasons.yaml`). The suite knows a Kubernetes client and nothing of the engine but how to start one:
//! any cluster that a kubeconfig names can be asked.
//!
//! Beside the script there is a [`suite`] of behaviours in code: what upstream's end-to-end tests check.

pub mod script;

pub mod cluster;
pub mod run;

pub mod suite;

pub mod goldens;

pub mod compare;
pub mod normal;
pub mod recording;

pub mod coverage;
pub mod report;

mod address;
mod kubectl;
mod variables;
mod wire;
