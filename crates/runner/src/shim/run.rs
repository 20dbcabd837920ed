//! One run as the shim's main loop sees it, from queued to over. It knows no client and no ledger.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::children::Exit;
use super::output::Output;
use super::procfs::Birth;
use super::spawn::Surroundings;
use super::stdio::InputEnd;
use crate::cgroup::RunGroup;
use crate::runtime::{Event, Key};
use crate::world;

/// A run that is not forgotten.
pub(crate) struct Run {
    pub(crate) key: Key,
    pub(crate) state: State,
    /// The signals that were sent, one bit each: a signal is sent once.
    pub(crate) signalled: u64,
}

/// How far it is.
pub(crate) enum State {
    /// To be started; its log will be there.
    Queued { log: PathBuf, log_limit: u64 },
    /// Started and not over.
    Live(Box<Live>),
    /// Over: how.
    Over(Event),
}

/// A run with a process, or with pipes that are still being read.
pub(crate) struct Live {
    pub(crate) pid: i32,
    pub(crate) birth: Birth,
    pub(crate) at: Timestamp,
    /// The read ends of its output, stdout and stderr; of a terminal the first is all.
    pub(crate) pipes: [Option<OwnedFd>; 2],
    /// Whether the loop waits for them.
    pub(crate) is_watched: bool,
    /// Up to when what it wrote past its log's limit lasts, at the pace that is allowed.
    pub(crate) paced_until: Option<Instant>,
    /// Where it is written to; taken away when its stdin has ended.
    pub(crate) input: Option<InputEnd>,
    /// Whether it ever had such a place.
    pub(crate) had_input: bool,
    /// Where it was started.
    pub(crate) surroundings: Arc<Surroundings>,
    /// The programs beside it.
    pub(crate) beside: BTreeSet<u64>,
    /// Its side of its terminal, until it has ended.
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) output: Output,
    /// Set when its first process was reaped: from there on it is being finished.
    pub(crate) ending: Option<Ending>,
}

/// A run whose first process has ended.
pub(crate) struct Ending {
    pub(crate) exit: Exit,
    /// Descendants that were killed and not reaped yet.
    pub(crate) leftovers: BTreeSet<i32>,
    /// When waiting for the pipes' end is given up: something holds them that is no descendant.
    pub(crate) pipes_until: Instant,
    /// When waiting for the leftovers is given up: they hang in the kernel.
    pub(crate) until: Instant,
}

impl Run {
    /// What is to be said of it to somebody who knows nothing.
    pub(crate) fn told(&self) -> Option<Event> {
        match &self.state {
            State::Queued { .. } => None,
            State::Live(live) => {
                let unlimited = live.surroundings.unlimited.clone();
                Some(Event::Started { key: self.key.clone(), pid: live.pid, at: live.at, unlimited })
            }
            State::Over(event) => Some(event.clone()),
        }
    }

    /// Whether it needs the shim to live.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Over(_))
    }
}

impl Live {
    /// Whether nothing more can come of it.
    pub(crate) fn is_done(&self, now: Instant) -> bool {
        let silent = self.pipes.iter().all(Option::is_none);
        let alone = self.beside.is_empty();
        // Of a run with limits the group knows exactly what is left.
        let is_swept = || self.surroundings.group.as_ref().is_none_or(RunGroup::is_empty);
        self.ending.as_ref().is_some_and(|ending| {
            silent && (alone && ending.leftovers.is_empty() && is_swept() || now >= ending.until)
        })
    }

    /// The end, once it is done.
    pub(crate) fn exited(&mut self, key: &Key) -> Option<Event> {
        let log_bytes = self.output.close(world::now());
        let Exit { ended, at, cpu_us, peak_bytes } = self.ending.as_ref()?.exit;
        let (key, started_at) = (key.clone(), self.at);
        let counted = self.surroundings.group.as_ref().map(RunGroup::counted).unwrap_or_default();
        let (cpu_us, out_of_memory) = (counted.cpu_us.unwrap_or(cpu_us), counted.out_of_memory);
        let finished_at = at;
        Some(Event::Exited {
            key,
            ended,
            started_at,
            finished_at,
            cpu_us,
            peak_bytes,
            log_bytes,
            out_of_memory,
        })
    }
}
