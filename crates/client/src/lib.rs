//! The public library: jobs on any Kubernetes, through one [`JobManager`].
//!
//! Submit, list, watch, wait, read logs, cancel, delete. It speaks to the cluster through [`kube::Client`] and to
//! nothing else; it knows no command line, no server and no engine. The types of `windlass_model` and
//! `windlass_manifest` that its signatures use are re-exported as [`model`] and [`manifest`].

mod attach;
mod cancel;
pub mod connect;
mod delete;
mod error;
mod feed;
mod find;
mod follow;
mod limits;
mod logs;
mod manager;
mod pods;
mod submit;
mod transport;
mod view;
mod wait;
pub mod world;

pub use windlass_manifest as manifest;
pub use windlass_model as model;

pub use attach::{AttachEvent, AttachInput, AttachOutput, AttachTo, Attachment, StdinEnd};
pub use cancel::CancelEffect;
pub use connect::{ConnectError, Connection, Source, connect};
pub use delete::DeleteOptions;
pub use error::{Error, Result};
pub use follow::FollowEvent;
pub use logs::{LogChunk, LogEvent, LogOptions, LogStream};
pub use manager::JobManager;
pub use submit::{SubmitOptions, Submitted};
pub use view::{JobPage, JobView, ListFilter};
pub use wait::Outcome;
