//! Between our nouns and Kubernetes' objects.
//!
//! Every way of writing a job becomes a [`Base`] and a list of [`Edit`]s; [`make()`] makes the Job of them.
//! [`observe()`] is the only place where Kubernetes' status becomes ours. Our labels and annotations are the
//! table in [`marks`]. Pure: it knows no cluster, no client, no clock.

mod again;
mod apply;
pub mod array;
mod cancel;
mod cause;
pub mod cron;
pub mod edit;
mod ended;
pub mod env_file;
mod facts;
mod fields;
pub mod files;
pub mod formats;
pub mod forms;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod generate;
mod lint;
pub mod make;
pub mod marks;
mod mend;
mod mount;
mod news;
pub mod observe;
mod obstacle;
pub mod plain;
pub mod plan;
pub mod read;
pub mod retention;
mod sidecar;
pub mod status;
pub mod tasks;
mod tree;
mod usage;
mod verdict;
mod words;

pub use again::again;
pub use array::{Array, Numbers, Task, TaskMap};
pub use cancel::{CancelPlan, cancel};
pub use cause::deciding_pod;
pub use edit::{Base, ContainerEdit, Edit, EnvSource, JobEdit, Mount, PodEdit, PullPolicy, VolumeSource};
pub use formats::{Format, Inputs, Payload, Reading, Written};
pub use generate::CONTAINER;
pub use make::{Manifest, Naming, make};
pub use news::lost_pod;
pub use observe::{Evidence, Seen, observe, observe_all, observe_gone};
pub use obstacle::waiting_claims;
pub use read::{Document, ReadError, read_documents};
pub use status::{Cause, Counts, JobStatus, Outlook, PayloadEnd, Phase, Right, Times, Usage, Verdict};
