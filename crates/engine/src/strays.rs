//! Pods that have left the store, and what of them still runs: it is told to end, and killed a little later.
//!
//! Source: upstream's kubelet gives a pod that was deleted without grace one second, and no container fewer than two
//! (`calculateEffectiveGracePeriod` in pkg/kubelet/pod_workers.go, `killContainer` in pkg/kubelet/kuberuntime).

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use windlass_runner::runtime::Event;
use windlass_store::Key;

use crate::tick::Tick;

/// Between the word to end and the end by force.
const GRACE: SignedDuration = SignedDuration::from_secs(2);
/// The name under which the timers remember when the next are killed; no object has it.
const STRAYS: &str = "/strays";

/// When what still runs of pods that are gone is killed, by the pod's uid.
#[derive(Default)]
pub(crate) struct Strays {
    kill_at: HashMap<String, Option<Timestamp>>,
}

impl Tick {
    /// A pod left the store: whatever of it still runs is to end, and its logs and volumes go with the last of that.
    pub(crate) fn pod_left(&mut self, key: &Key) {
        let Some(uid) = self.cache.uid_of(key).map(str::to_owned) else { return };
        self.room.leave(key);
        self.room.free(&uid);
        self.room.keep();
        self.leaving.remove(&uid);
        self.neighbours.forget(key);
        let namespace = key.split('/').nth(2).unwrap_or_default();
        if let Some(blocked) = self.blocked.get_mut(namespace) {
            blocked.remove(key);
        }
        let alive = self.runs.alive(&uid);
        if alive.is_empty() {
            self.forget_pod(&uid);
            return;
        }
        for run in &alive {
            self.runtime.signal(run, libc::SIGTERM);
        }
        self.strays.kill_at.insert(uid, self.world.now().checked_add(GRACE).ok());
        self.time_strays();
    }

    /// Kills what had its time.
    pub(crate) fn end_strays(&mut self) {
        if self.strays.kill_at.is_empty() {
            return;
        }
        let now = self.world.now();
        for (uid, kill_at) in &mut self.strays.kill_at {
            if kill_at.is_some_and(|kill_at| kill_at <= now) {
                *kill_at = None;
                self.runs.alive(uid).iter().for_each(|run| self.runtime.signal(run, libc::SIGKILL));
            }
        }
        self.time_strays();
    }

    fn time_strays(&mut self) {
        let next = self.strays.kill_at.values().flatten().min().copied();
        self.timers.set(&Key::from(STRAYS), next);
    }

    /// An event of a run whose pod is gone or has ended: nothing of it may run, and nothing of it is remembered.
    pub(crate) fn stray(&mut self, event: Event) {
        let run = event.key().clone();
        if matches!(event, Event::Started { .. }) {
            self.runtime.signal(&run, libc::SIGKILL);
            return;
        }
        self.runs.absorb(event, String::new());
        if !self.runs.alive(&run.pod).is_empty() {
            return;
        }
        if self.strays.kill_at.remove(&run.pod).is_some() {
            self.time_strays();
            self.forget_pod(&run.pod);
        } else {
            self.runtime.forget(self.runs.settle(&run.pod));
        }
    }

    /// Nothing of a pod that is gone runs any more.
    fn forget_pod(&mut self, uid: &str) {
        let runs = self.runs.settle(uid);
        if !runs.is_empty() {
            self.runtime.forget(runs);
        }
        self.sweeper.remove(uid);
        self.unfurnish(uid);
    }
}
