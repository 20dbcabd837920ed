//! What one run does, from its start to its end: plain times, nothing left to decide.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// What one run does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Course {
    /// From the wish to start it to its start.
    pub delay: Duration,
    /// From its start to its end, if nobody ends it; none: it never ends by itself.
    pub lasts: Option<Duration>,
    /// How it ends then.
    pub exit: Exit,
    /// From its start until it is ready.
    pub ready: Duration,
    /// What becomes of it when it is asked to end.
    pub term: Term,
    /// Its termination message; empty: none. Of an eviction: the node's words.
    pub message: String,
    /// What it writes, in the order of its times.
    pub lines: Vec<Line>,
}

/// What one run does, if the runs of its work end one after the other in different ways.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// All but its end, which is the first one's.
    pub course: Course,
    /// How the runs of the work end, in the order in which they are started: the last counts for all that follow. Empty:
    /// as the course says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exits: Vec<Exit>,
    /// Whose runs are counted: the uid of the Job, or of a pod that has none.
    pub owner: String,
    /// Which of them: the index, if it has one, and the container.
    pub work: String,
}

/// A line that a run writes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// From the run's start.
    pub after: Duration,
    /// To which of its streams.
    pub is_stderr: bool,
    /// Without its end.
    pub text: String,
}

/// What a signal that can be caught does to a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Term {
    /// Nothing.
    Ignored,
    /// It ends.
    Ends {
        /// So long after the signal.
        after: Duration,
        /// With this code; none: by the signal.
        code: Option<u8>,
    },
}

impl Default for Term {
    /// As a program that knows of no signals: it ends at once.
    fn default() -> Term {
        Term::Ends { after: Duration::ZERO, code: None }
    }
}
