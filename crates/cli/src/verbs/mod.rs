//! One file for each thing that `windlass` can do.

pub(crate) mod cancel;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod cron;
pub(crate) mod definitions;
pub(crate) mod delete;
pub(crate) mod down;
pub(crate) mod env_file;
pub(crate) mod kubeconfig;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod show;
mod sidecars;
pub(crate) mod status;
mod stdin;
pub(crate) mod submit;
mod terminal;
pub(crate) mod up;
pub(crate) mod r#use;
pub(crate) mod wait;
pub(crate) mod why;

mod claims;
mod ephemeral;
mod follower;
mod forward;
mod install;
mod interrupt;
mod object;
mod pump;
mod result_file;
mod which;
mod work;
