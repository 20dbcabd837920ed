//! One run as the shim's main loop sees it, from queued to over. It knows no client and no ledger.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// When its group is looked at again, which tells nobody that it has become empty.
    pub(crate) looks: Looks,
}

/// Looking again and again, more and more seldom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Looks {
    next: Option<Instant>,
    pause: Duration,
}

/// Between the first two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Between any two at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Looks {
    /// It was looked, in vain.
    pub(crate) fn again(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.next = Some(now + self.pause);
    }

    /// There is nothing to look for.
    pub(crate) fn rest(&mut self) {
        self.next = None;
    }

    /// When to look next, if at all.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }
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
    /// Whether nothing more can come of it. What is still in its group is killed once more, and looked for again.
    pub(crate) fn is_done(&mut self, now: Instant) -> bool {
        let silent = self.pipes.iter().all(Option::is_none);
        let Some(ending) = self.ending.as_mut().filter(|_| silent) else { return false };
        if now >= ending.until {
            return true;
        }
        if !self.beside.is_empty() || !ending.leftovers.is_empty() {
            ending.looks.rest();
            return false;
        }
        // Of a run with limits the group knows exactly what is left.
        let Some(group) = self.surroundings.group.as_ref().filter(|group| !group.is_empty()) else {
            return true;
        };
        group.kill();
        ending.looks.again(now);
        false
    }

    /// When it is to be looked whether it is done, though nothing happens; none while it goes on.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let ending = self.ending.as_ref()?;
        let given_up = self.given_up()?;
        Some(ending.looks.next().map_or(given_up, |look| look.min(given_up)))
    }

    /// When what is still open of it is not waited for any more.
    pub(crate) fn given_up(&self) -> Option<Instant> {
        let ending = self.ending.as_ref()?;
        Some(if self.pipes.iter().any(Option::is_some) { ending.pipes_until } else { ending.until })
    }

    /// The end, once it is done.
    pub(crate) fn exited(&mut self, key: &Key) -> Option<Event> {
        let log_bytes = self.output.close(world::now());
        let Exit { ended, at, cpu_us, peak_bytes } = self.ending.as_ref()?.exit;
        let (key, started_at) = (key.clone(), self.at);
        let counted = self.surroundings.group.as_ref().map(RunGroup::counted).unwrap_or_default();
        // What came before it was in the group, or never went there, only the system counted.
        let (cpu_us, out_of_memory) = (counted.cpu_us.unwrap_or(0).max(cpu_us), counted.out_of_memory);
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
            unlimited: self.surroundings.unlimited.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_soon_at_first_and_never_far_apart() {
        let (begun, mut looks) = (world::monotonic(), Looks::default());
        assert_eq!(looks.next(), None);
        let mut now = begun;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            looks.again(now);
            let next = looks.next().unwrap();
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 100, 100]);
        looks.rest();
        assert_eq!(looks.next(), None);
    }
}
