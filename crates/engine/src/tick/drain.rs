//! Ending the pods before the engine stops: politely, then not.

use jiff::SignedDuration;

use windlass_runner::kubelet::MOST_ENDING_S;

use super::Tick;

/// When a draining engine kills what the pods' plans have not ended, which is later than they do, and how often then.
const DRAIN_GRACE: SignedDuration = SignedDuration::from_secs(MOST_ENDING_S + 5);
const DRAIN_AGAIN: SignedDuration = SignedDuration::from_secs(1);

impl Tick {
    /// From now on pods are ended, each as if it were deleted, and none is started. On a full disk, which takes no plan, all
    /// are told at once, without hooks and without regard to how much time they have. What still runs when the time is over
    /// is killed, until it is gone.
    pub(super) fn drain(&mut self) {
        let now = self.world.now();
        self.drain_since = Some(now);
        self.drain_until = now.saturating_add(DRAIN_GRACE).ok();
        self.dirty.extend(self.cache.held_of("Pod").map(|(key, _)| key.clone()));
    }

    /// Whether nothing of it is left to do.
    pub(super) fn drained(&mut self) -> bool {
        let Some(until) = self.drain_until else { return false };
        let now = self.world.now();
        if self.full {
            // No plan is carried out that cannot be written: they are told all the same.
            for run in self.runs.all_alive() {
                if self.runs.first_signal(&run, libc::SIGTERM) {
                    self.runtime.signal(&run, libc::SIGTERM);
                }
            }
        }
        if until <= now {
            for run in self.runs.all_alive() {
                self.runtime.signal(&run, libc::SIGKILL);
            }
            self.drain_until = now.saturating_add(DRAIN_AGAIN).ok();
        }
        // What a full disk does not take the next engine reads in the shim's ledger.
        !self.runs.any_alive() && (self.full || (self.dirty.is_empty() && self.garbage.is_empty()))
    }

    /// Whether it ends pods before it stops.
    pub(crate) fn draining(&self) -> bool {
        self.drain_until.is_some()
    }
}
