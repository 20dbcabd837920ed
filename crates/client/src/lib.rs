//! The public library: jobs on any Kubernetes, through one [`JobManager`].
//!
//! Submit, list, watch, wait, read logs, cancel, delete. It speaks to the cluster through [`kube::Client`] and to
//! nothing else; it knows no command line, no server and no engine. The types of `windlass_model` and
//! `windlass_manifest` that its signatures use are re-exported as [`model`] and [`manifest`].

mod attach;
mod attention;
mod batch;
mod bulk;
mod cancel;
mod clock;
mod companion;
pub mod connect;
mod cron;
mod crowd;
pub mod definitions;
mod delete;
mod door;
mod error;
mod evidence;
mod feed;
mod find;
mod follow;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod list;
mod logs;
mod manager;
mod pages;
mod patience;
mod plan;
mod pods;
pub mod retention;
mod sidecars;
mod slim;
mod submit;
mod tasks;
mod transport;
mod view;
mod wait;
mod watch;
mod window;
pub mod world;

pub use windlass_manifest as manifest;
pub use windlass_model as model;

pub use attach::{AttachEvent, AttachInput, AttachOutput, AttachTo, Attachment, StdinEnd};
pub use batch::{BatchEvent, BatchOptions, BatchRun, BatchTask, FoundTask};
pub use bulk::{BulkJob, BulkRun};
pub use cancel::CancelEffect;
pub use clock::{ClockMove, ClusterClock};
pub use connect::{ConnectError, Connection, Source, connect, needs_plugin};
pub use cron::CronCreated;
pub use delete::DeleteOptions;
pub use error::{Error, Result};
pub use follow::FollowEvent;
pub use list::{JobPage, ListFilter, StatusPage};
pub use logs::{LogChunk, LogEvent, LogOptions, LogStream};
pub use manager::{JobManager, Known};
pub use plan::{Check, ClusterFacts, Standing};
pub use sidecars::SidecarStop;
pub use submit::{SubmitOptions, Submitted};
pub use tasks::Tasks;
pub use view::JobView;
pub use wait::Outcome;
