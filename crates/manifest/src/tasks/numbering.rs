//! What a job's tasks are called: an index is Kubernetes' word for one, a number its submitter's.

use k8s_openapi::api::batch::v1::Job;

/// From the indexes of a Job to the numbers of its tasks, and back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbering;

impl Numbering {
    /// That of a Job.
    pub fn of(_job: &Job) -> Numbering {
        Numbering
    }

    /// Whether a task can run again under its number in another job: its number is more than its place in this one.
    pub fn keeps_numbers(&self) -> bool {
        false
    }

    /// What the values of the tasks are called.
    pub fn names(&self) -> &[String] {
        &[]
    }

    /// The number of an index.
    pub fn number(&self, index: u32) -> u32 {
        index
    }

    /// The index of a number, if it is one.
    pub fn index(&self, number: u32) -> Option<u32> {
        Some(number)
    }
}
