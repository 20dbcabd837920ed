//! The tick: takes in what is ready, decides, commits, does.
//!
//! One task owns everything the controllers know. Each round takes in changes of the store, events of the runtime
//! and times that have come (`intake.rs`), asks the pure plans about every object that may be affected, commits all
//! they want in one transaction, and only then starts or ends processes. While it decides it changes nothing but the
//! draft; a conflict loses nothing: the draft is thrown away and the plans are asked again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use windlass_apiserver::registry::{Registry, Turn};
use windlass_apiserver::world::World;
use windlass_control::job::Past;
use windlass_runner::fate::Fates;
use windlass_runner::process::Host;
use windlass_runner::runtime::{Key as RunKey, Runtime, RuntimeGone};
use windlass_store::{CommitError, Committed, Key, ReadError, Watch, WatchError};

use crate::alike::Alike;
use crate::cache::Cache;
use crate::checks::Checks;
use crate::claims::Claims;
use crate::clock::Turning;
use crate::crons::CRONS;
use crate::draft::{Draft, Outcome};
use crate::events::{Note, Recorder};
use crate::facts::Runs;
use crate::gpus::Gpus;
use crate::home::Home;
use crate::intake::JOBS;
use crate::jobs::Pattern;
use crate::living::Living;
use crate::logs::Hub;
use crate::neighbours::Neighbours;
use crate::pace::Pace;
use crate::quotas::{QUOTAS, Quotas};
use crate::refusals::Refusals;
use crate::sizes::Sizes;
use crate::start::StopPods;
use crate::strays::Strays;
use crate::sweeper::Sweeper;
use crate::timers::Timers;
use crate::tokens::Tokens;
use crate::volumes::Volumes;
use crate::world;

mod drain;
mod ready;
#[cfg(test)]
mod sim;

/// Objects that one transaction touches, unless one plan alone touches more.
const BATCH: usize = 256;
/// About the bytes of objects that one transaction writes, unless one plan alone writes more.
const BATCH_BYTES: usize = 16 << 20;
/// The present attempt of a container and the one before it, as a kubelet keeps them.
const KEPT_ATTEMPTS: u32 = 2;
/// How long the engine waits before it writes again when too much waits to be written.
const RETRY: Duration = Duration::from_millis(100);
/// How long it waits before it writes again when the disk is full.
const RETRY_FULL: Duration = Duration::from_secs(1);
/// The kinds that have a plan, in the order they are asked: quotas are counted before anything else changes, the ends of pods are what Jobs count, and those of Jobs
/// what CronJobs list.
const PLANNED: [(&str, Look); 7] = [
    (QUOTAS, Tick::quota),
    ("/persistentvolumes/", Tick::volume),
    ("/persistentvolumeclaims/", Tick::claim),
    ("/pods/", Tick::pod),
    (JOBS, Tick::job),
    (CRONS, Tick::cron),
    ("/namespaces/", Tick::namespace),
];

/// Tells that the engine is to stop, and what its pods are to expect.
type Stop = watch::Receiver<Option<StopPods>>;
type Look = fn(&mut Tick, &mut Draft, &Key);

/// All that the controllers know and use.
pub(crate) struct Tick {
    pub(crate) registry: Registry,
    pub(crate) runtime: Arc<dyn Runtime>,
    /// What of it is played.
    pub(crate) fates: Arc<Fates>,
    pub(crate) world: Arc<dyn World>,
    /// What sets it forward, where that can be.
    pub(crate) turning: Option<Turning>,
    pub(crate) home: Home,
    /// What is kept of the log of one attempt, bytes.
    pub(crate) log_limit: u64,
    pub(crate) hub: Hub,
    pub(crate) sweeper: Sweeper,
    pub(crate) node: windlass_control::schedule::Node,
    /// Who holds the node's room, and who waits for some.
    pub(crate) room: windlass_control::schedule::Room,
    /// When pods (by uid) have to leave for the node's taints' sake. The next engine begins anew.
    pub(crate) leaving: HashMap<String, Timestamp>,
    /// The GPUs that the machine had when the engine started.
    pub(crate) gpus: Gpus,
    /// The kinds of them of which the engine was told which are its own.
    pub(crate) confined: BTreeSet<&'static str>,
    /// Pods that have a device which the node has not, and what they are to be told.
    pub(crate) bereft: BTreeMap<Key, String>,
    /// Who is on the node, and who waits for others to come or go.
    pub(crate) neighbours: Neighbours,
    /// Pods that came to wait for room in this draft.
    pub(crate) newcomers: Vec<Key>,
    /// The authority's certificate, which every namespace is given.
    pub(crate) authority: String,
    pub(crate) host: Host,
    pub(crate) volumes: Volumes,
    pub(crate) tokens: Tokens,
    pub(crate) living: Living,
    pub(crate) sizes: Sizes,
    pub(crate) claims: Claims,
    /// Probes and hooks that go on.
    pub(crate) checks: Checks,
    pub(crate) cache: Cache,
    pub(crate) runs: Runs,
    /// Pods that are gone, and what still runs of them.
    pub(crate) strays: Strays,
    pub(crate) recorder: Recorder,
    pub(crate) timers: Timers,
    /// Changes of others that were taken in since the pace was last told.
    pub(crate) foreign: usize,
    /// How much happens.
    pub(crate) pace: Pace,
    /// What was decided last for pods that have not begun.
    pub(crate) alike: Alike,
    /// What Jobs' pods have in common, by the Job's uid.
    pub(crate) patterns: HashMap<String, Pattern>,
    /// What Jobs that run remember of their pods, by the Job's uid. The next engine begins anew, with the pods that are there.
    pub(crate) pasts: HashMap<String, Past>,
    /// The quotas, the turns to use some of them while a round lasts, and who was refused.
    pub(crate) quotas: Quotas,
    pub(crate) turns: Vec<Turn>,
    pub(crate) refusals: Refusals,
    /// Objects to look at.
    pub(crate) dirty: BTreeSet<Key>,
    /// The same, but not before the next round.
    pub(crate) woken: Vec<Key>,
    /// Objects to ask garbage collection about.
    pub(crate) garbage: BTreeSet<Key>,
    /// Pods whose containers wait for a ConfigMap or Secret, by namespace.
    pub(crate) blocked: HashMap<String, BTreeSet<Key>>,
    /// Rounds in which one object is asked at a time: the store refused an object in a larger draft.
    pub(crate) careful: usize,
    /// The disk was full when something was last to be written.
    pub(crate) full: bool,
    /// How many jobs, pods and CronJobs are not over, for whoever wants to know whether the engine is idle.
    pub(crate) busy: Arc<AtomicUsize>,
    /// Set while the engine ends pods before it stops: since when.
    pub(crate) drain_since: Option<Timestamp>,
    /// And when those that still run are killed.
    pub(crate) drain_until: Option<Timestamp>,
}

/// Why the tick ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TickError {
    #[error("following the store: {0}")]
    Watch(#[from] WatchError),
    #[error("reading the store: {0}")]
    Read(#[from] ReadError),
    #[error("writing the store: {0}")]
    Commit(CommitError),
    #[error(transparent)]
    Runtime(#[from] RuntimeGone),
}

/// What was asked for one draft, to be asked again if the draft is thrown away.
#[derive(Default)]
struct Asked {
    objects: Vec<Key>,
    garbage: Vec<Key>,
}

impl Tick {
    /// Runs until it is told to stop, or cannot go on.
    pub(crate) async fn run(mut self, mut changes: Watch, mut stop: Stop) -> Result<(), TickError> {
        loop {
            let mut ready = self.ready(&mut changes, &mut stop).await?;
            self.gather(&mut ready, &mut changes).await?;
            match ready.stop {
                Some(StopPods::Leave) => return Ok(()),
                Some(StopPods::End) => self.drain(),
                None => {}
            }
            self.absorb_events(ready.events);
            self.absorb_checks();
            self.absorb_changes(ready.changes);
            if ready.compacted {
                changes = self.resync()?;
            }
            let due = self.timers.due(self.world.now());
            self.look_at(due);
            self.renew_tokens();
            self.refresh_volumes();
            self.see_sizes();
            self.step(&stop).await?;
            self.busy.store(self.cache.busy(), Ordering::Release);
            if self.drained() {
                return Ok(());
            }
        }
    }

    /// One transaction: decided, committed, done.
    async fn step(&mut self, stop: &Stop) -> Result<(), TickError> {
        let mut draft = Draft::default();
        let asked = self.begin(&mut draft).await?;
        self.turning.iter_mut().for_each(|turning| turning.round(asked.objects.iter().chain(&asked.garbage)));
        if draft.is_empty() {
            self.nothing_to_write(draft);
            return Ok(());
        }
        self.announce(&draft.unmade);
        let outcome = self.commit(&draft, stop).await;
        self.settle(draft, asked, outcome).await
    }

    /// What a round is to write.
    async fn begin(&mut self, draft: &mut Draft) -> Result<Asked, ReadError> {
        self.end_strays();
        self.ask_those_apart();
        self.take_quota_turns().await?;
        Ok(self.decide(draft))
    }

    fn nothing_to_write(&mut self, draft: Draft) {
        self.turns.clear();
        self.neighbours.settle();
        self.room.keep();
        self.garbage.extend(draft.again);
        self.pasts.extend(draft.pasts);
    }

    /// What becomes of a draft once the store has answered: its effects, or another look.
    async fn settle(
        &mut self,
        mut draft: Draft,
        asked: Asked,
        outcome: Result<Committed, CommitError>,
    ) -> Result<(), TickError> {
        self.neighbours.settle();
        match &outcome {
            Ok(_) => self.room.keep(),
            Err(_) => {
                self.room.take_back();
                self.withdraw(&draft.unmade);
                self.quotas.take_back(std::mem::take(&mut draft.books));
            }
        }
        match outcome {
            Ok(committed) => {
                self.pace.committed(world::instant());
                self.done(draft, &committed);
                return Ok(());
            }
            Err(CommitError::Conflict { key, .. }) => {
                tracing::debug!(%key, "another writer was faster; asking again");
                self.reload(&key)?;
            }
            Err(CommitError::Busy(bytes)) => {
                tracing::warn!(bytes, "the store has much to write; waiting");
                world::pause(RETRY).await;
            }
            Err(CommitError::Full(_)) => world::pause(RETRY).await,
            Err(cause @ (CommitError::Io(_) | CommitError::Closed)) => return Err(TickError::Commit(cause)),
            Err(cause) if asked.len() <= 1 => {
                self.give_up(&asked, &cause);
                return Ok(());
            }
            Err(cause) => {
                tracing::warn!(%cause, "the store refuses an object; asking one at a time");
                self.careful = asked.len();
            }
        }
        self.dirty.extend(asked.objects);
        self.garbage.extend(asked.garbage);
        self.garbage.extend(draft.again);
        Ok(())
    }

    /// Writes a draft. While the disk is full it is kept and tried again, so that nothing is decided (and no event
    /// counted) twice; if the engine is told to stop meanwhile, it is given up.
    async fn commit(&mut self, draft: &Draft, stop: &Stop) -> Result<Committed, CommitError> {
        loop {
            let outcome = draft.transaction(&self.registry).commit().await;
            // Requests do not wait for room on the disk with it.
            self.turns.clear();
            let was_full = std::mem::replace(&mut self.full, matches!(outcome, Err(CommitError::Full(_))));
            // The node tells it before the log does: who has read the log finds it there.
            match &outcome {
                Err(CommitError::Full(cause)) => {
                    let now = world::rfc3339(self.world.now());
                    self.registry.disk.set_full(&cause.to_string(), &now);
                    if !was_full {
                        tracing::error!(%cause, "the disk is full; what is to be written waits until there is room");
                    }
                }
                _ if was_full => {
                    self.registry.disk.set_free();
                    if outcome.is_ok() {
                        tracing::info!("there is room on the disk again");
                    }
                }
                _ => {}
            }
            let mut stop = stop.clone();
            if !self.full || self.draining() || stop.has_changed().unwrap_or(true) {
                return outcome;
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = world::pause(RETRY_FULL) => {}
            }
        }
    }

    /// One transaction's worth of decisions.
    fn decide(&mut self, draft: &mut Draft) -> Asked {
        let limit = if self.careful > 0 { 1 } else { BATCH };
        self.careful = self.careful.saturating_sub(1);
        let mut asked = Asked::default();
        let has_room = |draft: &Draft| draft.len() < limit && draft.bytes() < BATCH_BYTES;
        for (prefix, look) in PLANNED {
            if prefix == JOBS {
                // What pods have left is there for others.
                self.account(draft, "/");
            }
            while asked.len() < limit
                && has_room(draft)
                && let Some(key) = first_with(&self.dirty, prefix)
            {
                self.dirty.remove(&key);
                look(self, draft, &key);
                asked.objects.push(key);
            }
            let most = if has_room(draft) { limit.saturating_sub(asked.len()) } else { 0 };
            asked.objects.extend(self.fill(draft, most));
        }
        while asked.len() < limit
            && has_room(draft)
            && let Some(key) = self.garbage.pop_first()
        {
            self.collect(draft, &key);
            asked.garbage.push(key);
        }
        self.account(draft, "/");
        self.sweep_events(draft);
        let woken = std::mem::take(&mut self.woken);
        self.look_at(woken);
        asked
    }

    /// What the next round may look at, and more.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = &Key> {
        let planned = PLANNED.iter().flat_map(|(prefix, _)| keys_with(&self.dirty, prefix).take(BATCH));
        planned.chain(self.garbage.iter().take(BATCH))
    }

    /// Notes objects to be looked at; of kinds that have no plan nothing is noted.
    pub(crate) fn look_at(&mut self, keys: impl IntoIterator<Item = Key>) {
        let planned = |key: &Key| PLANNED.iter().any(|(prefix, _)| key.starts_with(prefix));
        self.dirty.extend(keys.into_iter().filter(planned));
    }

    /// The store refuses what one object's plan wants: said, and not tried again until the object changes.
    fn give_up(&mut self, asked: &Asked, cause: &CommitError) {
        for key in asked.objects.iter().chain(&asked.garbage) {
            tracing::error!(%key, %cause, "what this object asks for cannot be stored");
            self.room.leave(key);
            let mut draft = Draft::default();
            let about = self.about(&draft, key);
            let note = Note {
                warning: true,
                reason: "FailedCreate".to_owned(),
                message: format!("what this object asks for cannot be stored: {cause}"),
                field: None,
                component: "windlass",
            };
            if about.metadata().is_object() {
                self.note(&mut draft, &about, &note);
            }
            let transaction = draft.transaction(&self.registry);
            // Nobody waits for it: if it fails too, the log has it.
            tokio::spawn(async move { transaction.commit().await });
        }
        self.room.keep();
    }

    fn done(&mut self, mut draft: Draft, committed: &Committed) {
        let (written, edited) = draft.outcome(committed);
        written.into_iter().for_each(|entry| self.cache.put_written(entry));
        for Outcome { key, revision, object, view, quiet } in edited {
            let mut ripple = match object {
                Some(object) => self.arrive(&key, revision, object, view),
                None => self.depart(&key, revision),
            };
            if quiet {
                ripple.dirty.retain(|other| *other != key);
            }
            self.take(ripple);
        }
        self.garbage.extend(std::mem::take(&mut draft.again));
        self.pasts.extend(std::mem::take(&mut draft.pasts));
        let unfurnished = if draft.furniture.is_empty() { Vec::new() } else { self.make_volumes(&mut draft) };
        for place in std::mem::take(&mut draft.unmade) {
            self.give_up_directory(&place);
        }
        let mut outdated = Vec::new();
        for start in &draft.starts {
            self.runs.starting(&start.key);
            if let Some(old) = start.key.attempt.checked_sub(KEPT_ATTEMPTS) {
                // Of an attempt that is neither the present nor the previous one nothing is asked any more.
                let old = RunKey { attempt: old, ..start.key.clone() };
                self.runs.drop_run(&old);
                self.sweeper.remove_attempt(old.clone());
                outdated.push(old);
            }
            self.hub.started(&start.key);
        }
        for start in &draft.starts {
            self.sizes_begin(&start.key.pod);
        }
        if !draft.starts.is_empty() {
            self.runtime.start(draft.starts);
        }
        if !draft.checks.is_empty() {
            self.begin_checks(draft.checks);
        }
        for (pod, count) in draft.news {
            self.runs.recorded(&pod, count);
        }
        for (pod, runs) in draft.announced {
            self.runs.edit(&pod).announced.extend(runs);
        }
        for (run, signal) in draft.signals {
            if self.runs.first_signal(&run, signal) {
                self.runtime.signal(&run, signal);
            }
        }
        if !outdated.is_empty() {
            self.runtime.forget(outdated);
        }
        let settled: Vec<_> = draft.settled.iter().flat_map(|pod| self.runs.settle(pod)).collect();
        if !settled.is_empty() {
            self.runtime.forget(settled);
        }
        for uid in &draft.settled {
            self.unfurnish(uid);
        }
        self.absorb_events(unfurnished);
    }
}

impl Asked {
    fn len(&self) -> usize {
        self.objects.len() + self.garbage.len()
    }
}

/// The first key below a prefix.
fn first_with(keys: &BTreeSet<Key>, prefix: &str) -> Option<Key> {
    keys_with(keys, prefix).next().cloned()
}

/// The keys below a prefix.
fn keys_with<'a>(keys: &'a BTreeSet<Key>, prefix: &'a str) -> impl Iterator<Item = &'a Key> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    keys.range::<str, _>(from).take_while(move |key| key.starts_with(prefix))
}
