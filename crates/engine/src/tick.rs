//! The tick: what wakes the engine, what it then decides, how it commits that and does it.
//!
//! One task owns everything the controllers know. It takes in changes of the store and events of the
//! runtime, asks the pure plans about every object that may be affected, commits all they want in one
//! transaction, and only then starts or ends processes. A conflict loses nothing: the plans are asked again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use windlass_apiserver::registry::Registry;
use windlass_apiserver::world::World;
use windlass_runner::process::Host;
use windlass_runner::runtime::{Event, Runtime};
use windlass_store::{Change, CommitError, Key, Revision, Watch, WatchError};

use crate::cache::{Cache, Ripple};
use crate::draft::Draft;
use crate::events::Recorder;
use crate::facts::Runs;
use crate::home::Home;
use crate::logs::Hub;
use crate::start::StopPods;
use crate::sweeper::Sweeper;
use crate::timers::Timers;

/// Objects looked at in one transaction at most.
const BATCH: usize = 256;
/// Changes taken from the store at once.
const CHANGES: usize = 1024;
/// How long the engine waits before it writes again after the disk refused.
const RETRY: Duration = Duration::from_millis(500);

/// All that the controllers know and use.
pub(crate) struct Tick {
    pub(crate) registry: Registry,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) world: Arc<dyn World>,
    pub(crate) home: Home,
    pub(crate) hub: Hub,
    pub(crate) sweeper: Sweeper,
    pub(crate) node: windlass_control::schedule::Node,
    /// The authority's certificate, which every namespace is given.
    pub(crate) authority: String,
    pub(crate) host: Host,
    pub(crate) cache: Cache,
    pub(crate) runs: Runs,
    pub(crate) recorder: Recorder,
    pub(crate) timers: Timers,
    /// Objects to look at.
    pub(crate) dirty: BTreeSet<Key>,
    /// Objects to ask garbage collection about.
    pub(crate) garbage: BTreeSet<Key>,
    /// Pods whose containers wait for a ConfigMap or Secret, by namespace.
    pub(crate) blocked: HashMap<String, BTreeSet<Key>>,
    /// Set while the engine ends pods before it stops.
    pub(crate) draining: Option<StopPods>,
    /// When a draining engine stops waiting for containers to end by themselves.
    pub(crate) drain_until: Option<jiff::Timestamp>,
}

/// Why the tick ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TickError {
    #[error("the store: {0}")]
    Watch(#[from] WatchError),
    #[error("{0}")]
    Runtime(#[from] windlass_runner::runtime::RuntimeGone),
}

enum Wake {
    Changes(Vec<Change>),
    Runtime(Vec<Event>),
    Timer,
    Stop(StopPods),
}

impl Tick {
    /// Runs until it is told to stop, or cannot go on.
    pub(crate) async fn run(
        mut self,
        mut changes: Watch,
        mut stop: watch::Receiver<Option<StopPods>>,
    ) -> Result<(), TickError> {
        loop {
            self.settle().await;
            if self.drained() {
                return Ok(());
            }
            match self.wake(&mut changes, &mut stop).await? {
                Wake::Changes(list) => self.absorb_changes(list),
                Wake::Runtime(events) => self.absorb_events(events),
                Wake::Timer => {
                    let due = self.timers.due(self.world.now());
                    self.dirty.extend(due);
                }
                Wake::Stop(StopPods::Leave) => return Ok(()),
                Wake::Stop(StopPods::End) => self.drain(),
            }
        }
    }

    async fn wake(
        &self,
        changes: &mut Watch,
        stop: &mut watch::Receiver<Option<StopPods>>,
    ) -> Result<Wake, TickError> {
        let draining = self.draining.is_some();
        tokio::select! {
            biased;
            Ok(()) = stop.changed(), if !draining => {
                let how = *stop.borrow();
                Ok(how.map_or(Wake::Timer, Wake::Stop))
            }
            events = self.runtime.events() => Ok(Wake::Runtime(events?)),
            list = changes.next(CHANGES) => Ok(Wake::Changes(list?)),
            () = crate::world::sleep_until(&*self.world, self.timers.next()) => Ok(Wake::Timer),
        }
    }

    /// Takes in objects that were there before the engine started.
    pub(crate) fn load(&mut self, entries: Vec<windlass_store::Entry>) {
        self.absorb_changes(
            entries
                .into_iter()
                .map(|entry| Change {
                    revision: entry.modified,
                    key: entry.key.clone(),
                    after: Some(entry),
                    before: None,
                })
                .collect(),
        );
    }

    /// Takes in what the runtime knows from before, and settles what it does not know: a container that was running
    /// when the last engine wrote its status, and that the runtime never heard of, is lost; it is not started again.
    pub(crate) fn adopt(&mut self, known: Vec<Event>) {
        for event in &known {
            if matches!(event, Event::Started { .. }) {
                self.hub.started(event.key());
            }
        }
        self.absorb_events(known);
        let now = self.world.now();
        let pods: Vec<Arc<Value>> = self.cache.held_of("Pod").map(|(_, held)| held.value.clone()).collect();
        let lost = pods.iter().flat_map(|pod| crate::pods::begun(pod)).filter(|run| !self.runs.knows(run));
        let lost: Vec<Event> = lost
            .map(|key| Event::Lost {
                key,
                message: "the engine restarted without a record of it".to_owned(),
                at: now,
            })
            .collect();
        self.absorb_events(lost);
        self.sweeper.sweep(|uid| self.cache.has_uid(uid));
    }

    fn absorb_changes(&mut self, changes: Vec<Change>) {
        for change in changes {
            let ripple = match &change.after {
                Some(entry) => match serde_json::from_slice::<Value>(entry.value.bytes()) {
                    Ok(value) => self.arrive(&change.key, entry.modified, Arc::new(value)),
                    Err(cause) => {
                        tracing::error!(key = %change.key, %cause, "an object in the store cannot be read");
                        continue;
                    }
                },
                None => self.depart(&change.key, change.revision),
            };
            self.take(ripple);
        }
    }

    fn arrive(&mut self, key: &Key, revision: Revision, value: Arc<Value>) -> Ripple {
        if key.starts_with("/configmaps/") || key.starts_with("/secrets/") {
            self.unblock(key);
        }
        self.cache.put(key, revision, value)
    }

    fn depart(&mut self, key: &Key, revision: Revision) -> Ripple {
        if let Some(name) = key.strip_prefix("/events/").and_then(|rest| rest.split_once('/')) {
            self.recorder.forget(name.1);
        }
        if key.starts_with("/pods/") {
            self.pod_left(key);
        }
        self.timers.set(key, None);
        self.cache.remove(key, revision)
    }

    fn take(&mut self, ripple: Ripple) {
        self.dirty.extend(ripple.dirty);
        self.garbage.extend(ripple.garbage);
    }

    fn absorb_events(&mut self, events: Vec<Event>) {
        for event in events {
            let run = event.key().clone();
            tracing::debug!(?event, "runtime");
            if !matches!(event, Event::Started { .. }) {
                self.hub.ended(&run);
            }
            match self.cache.key_of(&run.pod).cloned() {
                Some(key) if self.cache.held(&key).is_some() => {
                    self.runs.absorb(event);
                    self.dirty.insert(key);
                }
                _ => self.stray(&event),
            }
        }
    }

    /// Asks the plans until nothing more is to be done now.
    pub(crate) async fn settle(&mut self) {
        while !self.dirty.is_empty() || !self.garbage.is_empty() {
            let mut draft = Draft::default();
            let asked = self.decide(&mut draft);
            if draft.is_empty() {
                continue;
            }
            let transaction = draft.transaction(&self.registry);
            match transaction.commit().await {
                Ok(committed) => self.done(draft, &committed),
                Err(CommitError::Conflict { key, .. }) => {
                    tracing::debug!(%key, "another writer was faster; asking again");
                    self.reload(&key);
                    self.dirty.extend(asked);
                }
                Err(cause) => {
                    tracing::error!(%cause, "the store refused; trying again");
                    self.dirty.extend(asked);
                    crate::world::pause(RETRY).await;
                }
            }
        }
    }

    /// One transaction's worth of decisions; returns what was asked about.
    fn decide(&mut self, draft: &mut Draft) -> Vec<Key> {
        let mut asked = Vec::new();
        // Pods first: their ends are what Jobs count.
        self.ask(draft, &mut asked, |key| key.starts_with("/pods/"), Tick::pod);
        self.ask(draft, &mut asked, |key| key.starts_with("/jobs.batch/"), Tick::job);
        self.ask(draft, &mut asked, |key| key.starts_with("/namespaces/"), Tick::namespace);
        self.sweep_events(draft);
        self.dirty.retain(|key| {
            ["/pods/", "/jobs.batch/", "/namespaces/"].iter().any(|prefix| key.starts_with(prefix))
        });
        if draft.len() < BATCH {
            self.collect_garbage(draft, &mut asked, BATCH);
        }
        asked
    }

    fn ask(
        &mut self,
        draft: &mut Draft,
        asked: &mut Vec<Key>,
        of_kind: impl Fn(&Key) -> bool,
        look: impl Fn(&mut Tick, &mut Draft, &Key),
    ) {
        let keys: Vec<Key> = self.dirty.iter().filter(|key| of_kind(key)).take(BATCH).cloned().collect();
        for key in keys {
            self.dirty.remove(&key);
            look(self, draft, &key);
            asked.push(key);
        }
    }

    fn done(&mut self, mut draft: Draft, committed: &windlass_store::Committed) {
        for (key, revision, value) in draft.outcome(committed) {
            let ripple = match value {
                Some(value) => self.arrive(&key, revision, value),
                None => self.depart(&key, revision),
            };
            self.take(ripple);
        }
        for start in &draft.starts {
            self.runs.starting(&start.key);
            self.hub.started(&start.key);
        }
        if !draft.starts.is_empty() {
            self.runtime.start(std::mem::take(&mut draft.starts));
        }
        for (run, signal) in &draft.signals {
            self.runtime.signal(run, *signal);
        }
        for pod in &std::mem::take(&mut draft.settled) {
            draft.forgets.extend(self.runs.settle(pod));
        }
        if !draft.forgets.is_empty() {
            self.runtime.forget(std::mem::take(&mut draft.forgets));
        }
    }

    /// Takes in the newest state of an object at once instead of waiting for its change to arrive.
    fn reload(&mut self, key: &Key) {
        let ripple = match self.registry.store.get(key) {
            Ok(Some(entry)) => match serde_json::from_slice::<Value>(entry.value.bytes()) {
                Ok(value) => self.arrive(key, entry.modified, Arc::new(value)),
                Err(_) => Ripple::default(),
            },
            Ok(None) => self.depart(key, self.registry.store.revision()),
            Err(cause) => {
                tracing::error!(%key, %cause, "an object cannot be read");
                Ripple::default()
            }
        };
        self.take(ripple);
    }

    /// From now on pods are ended and none is started.
    fn drain(&mut self) {
        self.draining = Some(StopPods::End);
        for run in self.runs.all_alive() {
            self.runtime.signal(&run, libc::SIGTERM);
        }
        let deadline = crate::pods::drain_deadline(self.world.now());
        self.drain_until = Some(deadline);
        let pods: Vec<Key> = self.cache.held_of("Pod").map(|(key, _)| key.clone()).collect();
        if let Some(first) = pods.first() {
            self.timers.set(first, Some(deadline));
        }
        self.dirty.extend(pods);
    }

    fn drained(&self) -> bool {
        self.draining.is_some() && !self.runs.any_alive()
    }
}
