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
    /// What it writes to stdout, line by line.
    pub stdout: String,
    /// What it writes to stderr.
    pub stderr: String,
    /// From one line of a stream to its next.
    pub every: Duration,
}

impl Course {
    /// The so-many-th line that it writes, counted from 0, if it comes to write it. Lines of one time are in the order of
    /// their streams.
    #[must_use]
    pub fn line(&self, place: usize) -> Option<Line<'_>> {
        let (out, err) = (self.stdout.lines().count(), self.stderr.lines().count());
        let (row, is_stderr) = match (self.every.is_zero(), out.min(err)) {
            (true, _) if place < out => (place, false),
            (true, _) => (place - out, true),
            (false, both) if place < 2 * both => (place / 2, place % 2 == 1),
            (false, both) => (place - both, err > out),
        };
        let text = if is_stderr { &self.stderr } else { &self.stdout }.lines().nth(row)?;
        let after = self.every.saturating_mul(u32::try_from(row).unwrap_or(u32::MAX));
        // What it would say after its end it never says.
        self.lasts.is_none_or(|lasts| after <= lasts).then_some(Line { after, is_stderr, text })
    }
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// From the run's start.
    pub after: Duration,
    /// To which of its streams.
    pub is_stderr: bool,
    /// Without its end.
    pub text: &'a str,
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
