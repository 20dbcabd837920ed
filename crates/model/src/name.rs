//! Names of jobs: what Kubernetes accepts, and how one is made from a command's first word.

use std::fmt;

use crate::{Problem, SubmissionId};

/// The longest name of a Job whose pods get usable host names (RFC 1123 label; upstream `job/validation.go`).
pub const MAX_LEN: usize = 63;

/// A valid name for a job: a DNS label of at most 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// Takes a name that somebody wrote.
    ///
    /// # Errors
    /// A [`Problem`] at `metadata.name` that says which character or length is wrong.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        todo!("{text}")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The readable part of a generated name: `train` of `train-x7k2p`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stem(String);

impl Stem {
    /// Makes a valid stem of any text: a command's first word (its last path component), a definition's name.
    pub fn of(text: &str) -> Self {
        Stem(text.to_owned())
    }

    /// `stem-xxxxx`: the name of this submission's job. `attempt` counts from 0 and gives other characters
    /// each time, for the case that the name is taken by a stranger.
    pub fn name(&self, id: &SubmissionId, attempt: u32) -> JobName {
        todo!("{id:?} {attempt}")
    }

    /// The stem as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
