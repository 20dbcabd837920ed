//! The Job controller: what a Job and its pods ask for now.

use jiff::Timestamp;
use serde_json::Value;

use crate::view::{Job, JobStatus, Pod};

/// What to do for a Job now. The executor commits pods, finalizers and status in one transaction, then asks again.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// Changes to other objects, in order.
    pub actions: Vec<Action>,
    /// The Job's new status, if it differs from the one it has.
    pub status: Option<JobStatus>,
    /// Events to record about the Job.
    pub events: Vec<Event>,
    /// Look again at this time even if nothing happens.
    pub wake_at: Option<Timestamp>,
}

/// A change to a pod of the Job.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Create a pod. The manifest is whole but for the name: the executor appends five random characters to `metadata.generateName`.
    CreatePod {
        /// The manifest.
        pod: Value,
    },
    /// Delete a pod, by the API's rules (grace, then removal).
    DeletePod {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// Take the tracking finalizer off in the same write (suspension, surplus: not counted).
        release: bool,
    },
    /// Take the tracking finalizer off: the pod is counted.
    Release {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// Make the Job the pod's controller, and add the finalizer.
    Adopt {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// Drop the Job from the pod's owners, and the finalizer with it: its labels no longer match.
    Disown {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
}

/// An event about the Job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whether it is a Warning.
    pub warning: bool,
    /// Its reason, e.g. `SuccessfulCreate`. For created pods the message is written by the executor, who knows the name.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
}

/// Decides. `pods` are all pods that the Job controls and those without a controller that match its selector.
#[must_use]
pub fn plan(job: &Job, pods: &[Pod], now: Timestamp) -> Plan {
    let _ = (job, pods, now);
    todo!()
}
