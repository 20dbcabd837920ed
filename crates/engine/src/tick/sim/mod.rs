//! The whole engine as a game against fate: the memory store, a clock that only the seed moves, a runtime that runs
//! nothing. Between any two of the tick's actions the engine may be killed, another writer may be faster, the watch
//! may have lost something; clients, processes and time do what the seed says. After each action everything that is
//! stored and that runs is looked at from outside (`check.rs`), and in the end, when fate has ceased, all must come to
//! rest. One seed is one history, told line by line when it fails.
//!
//! It drives the tick's own steps and not its loop: a virtual clock of the runtime would run ahead whenever the
//! store's thread is at work.

mod check;
mod fate;
mod jobs;
mod rng;

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use windlass_apiserver::kinds;
use windlass_apiserver::registry::Registry;
use windlass_apiserver::rights::Accounts;
use windlass_apiserver::world::World;
use windlass_runner::runtime::Start;
use windlass_runner::scripted::{Outcome, Scripted};
use windlass_store::{CommitError, Watch};

use self::check::Seen;
use self::rng::Rng;
use super::ready::{CHANGES, Ready};
use super::{Draft, Stop, Tick};
use crate::bootstrap::{self, Machine};
use crate::config::{Config, Images, StoreKind};
use crate::home::Home;
use crate::logs::Hub;
use crate::start;
use crate::start::StopPods;

/// How many seeds the tests try, if `WINDLASS_SIM_SEEDS` does not say.
const SEEDS: u64 = 100;
/// Within how many seeds a planted mistake must show.
const TO_FIND: u64 = 60;
/// Each such seed's history has a quota of a few pods.
const QUOTA_EVERY: u64 = 3;
/// How many things happen in a history before fate ceases.
const HAPPENINGS: usize = 120;
/// Rounds in which everything must have come to rest.
const ROUNDS: usize = 4000;

/// Time and randomness of a history.
struct Clock {
    now: Mutex<Timestamp>,
    rng: Mutex<Rng>,
}

impl Clock {
    fn shift(&self, by: SignedDuration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(*now);
    }
}

impl World for Clock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self, buffer: &mut [u8]) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.iter_mut().for_each(|byte| *byte = rng.next().to_le_bytes()[0]);
    }
}

/// A history.
struct Sim {
    rng: Rng,
    clock: Arc<Clock>,
    config: Config,
    machine: Machine,
    registry: Registry,
    runtime: Arc<Scripted>,
    tick: Tick,
    changes: Watch,
    stopping: Stop,
    seen: Seen,
    /// Names given so far.
    named: usize,
    /// What happened, for whoever has to understand it.
    told: Vec<String>,
    _stop: watch::Sender<Option<StopPods>>,
    _home: TempDir,
}

/// Where the engine is killed within a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kill {
    Never,
    BeforeCommit,
    AfterCommit,
}

impl Sim {
    async fn new(seed: u64) -> Sim {
        let mut rng = Rng::new(seed);
        let start = Timestamp::from_second(1_800_000_000).expect("a time");
        let clock = Arc::new(Clock { now: Mutex::new(start), rng: Mutex::new(Rng::new(rng.next())) });
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config::new(Home::at(home.path().join("home")), Vec::new());
        config.world = clock.clone();
        config.store = StoreKind::Memory;
        config.images = Images::Host;
        config.home.make().expect("a home");
        let registry = Registry::new(start::try_open(&config).expect("a store"), config.world.clone());
        let machine = Machine {
            cpus: 8,
            memory_bytes: 8 << 30,
            storage_bytes: 8 << 30,
            hostname: "here".to_owned(),
            kernel: String::new(),
            os: String::new(),
            boot_id: String::new(),
            gpus: Default::default(),
            confined: Default::default(),
        };
        bootstrap::ensure(&registry, &config.node, &machine).await.expect("the engine's own objects");
        let (clock_of, outcomes) = (clock.clone(), Mutex::new(Rng::new(rng.next())));
        let script =
            move |start: &Start| outcome(start, &mut outcomes.lock().expect("nobody panics with it"));
        let runtime = Arc::new(Scripted::new(move || clock_of.now(), script));
        let (stop, stopping) = watch::channel(None);
        if seed.is_multiple_of(QUOTA_EVERY) {
            let kind = kinds::by_kind("v1", "ResourceQuota").expect("a kind that is served");
            let pods = (1 + seed / QUOTA_EVERY % 4).to_string();
            let hard = json!({"pods": pods, "count/pods": "1000"});
            let quota = json!({"metadata": {"name": "quota"}, "spec": {"hard": hard}});
            registry.create(kind, Some("default"), quota, false).await.expect("a quota");
        }
        let mut tick = controllers(&config, &registry, &runtime, &machine);
        let changes = tick.resync().expect("a readable store");
        Sim {
            rng,
            clock,
            config,
            machine,
            registry,
            runtime,
            tick,
            changes,
            stopping,
            seen: Seen::default(),
            named: 0,
            told: Vec::new(),
            _stop: stop,
            _home: home,
        }
    }

    fn tell(&mut self, what: impl Into<String>) {
        let at = self.clock.now();
        self.told.push(format!("{at} {}", what.into()));
    }

    /// The engine is killed, and the next one begins with what is stored and what the runtime knows.
    fn restart(&mut self) {
        self.tell("the engine is killed");
        self.tick = controllers(&self.config, &self.registry, &self.runtime, &self.machine);
        self.changes = self.tick.resync().expect("a readable store");
        // What the runtime had told the engine that is gone is told again, and what it had not told yet with it.
        self.runtime.repeat();
        let known = self.runtime_events();
        self.tick.adopt(known);
    }

    fn runtime_events(&self) -> Vec<windlass_runner::runtime::Event> {
        use windlass_runner::runtime::Runtime;
        self.runtime.events().now_or_never().map_or_else(Vec::new, |events| events.expect("it is there"))
    }

    /// The tick takes in what there is.
    fn take_in(&mut self) {
        let mut ready = Ready { events: self.runtime_events(), ..Ready::default() };
        while let Some(list) = self.changes.next(CHANGES).now_or_never() {
            ready.take_changes(list).expect("a store that can be followed");
            if ready.compacted {
                break;
            }
        }
        let lost = self.rng.chance(2);
        if lost && !ready.changes.is_empty() {
            self.tell("the watch lost something: all is read anew");
        }
        if self.rng.chance(10) {
            // Told twice.
            self.tick.absorb_events(ready.events.clone());
            self.tick.absorb_changes(ready.changes.clone());
        }
        self.tick.absorb_events(ready.events);
        if !lost {
            self.tick.absorb_changes(ready.changes);
        }
        if ready.compacted || lost {
            self.changes = self.tick.resync().expect("a readable store");
        }
        let due = self.tick.timers.due(self.clock.now());
        self.tick.look_at(due);
        self.tick.renew_tokens();
    }

    /// One round of the tick; false if it had nothing to write.
    async fn round(&mut self, kill: Kill, conflict: bool) -> bool {
        self.take_in();
        let mut draft = Draft::default();
        let asked = self.tick.begin(&mut draft).await.expect("a readable store");
        if draft.is_empty() {
            self.tick.nothing_to_write(draft);
            return !self.tick.dirty.is_empty() || !self.tick.garbage.is_empty();
        }
        if kill == Kill::BeforeCommit {
            self.restart();
            return true;
        }
        if conflict {
            self.disturb(&draft).await;
        }
        self.tick.announce(&draft.unmade);
        let stopping = self.stopping.clone();
        let outcome = self.tick.commit(&draft, &stopping).await;
        match &outcome {
            Ok(_) => self.tell(format!("the engine writes {} objects", draft.len())),
            Err(CommitError::Conflict { key, .. }) => {
                self.tell(format!("another writer of {key} was faster"));
            }
            Err(cause) => panic!("the store in memory refuses: {cause}"),
        }
        if kill == Kill::AfterCommit && outcome.is_ok() {
            self.restart();
            return true;
        }
        self.tick.settle(draft, asked, outcome).await.expect("it goes on");
        true
    }

    /// What is stored below a prefix.
    fn stored(&self, prefix: &str) -> Vec<Value> {
        let mut keys = Vec::new();
        self.registry.store.scan(prefix, &mut |key, _, _, _| keys.push(key.clone()));
        let entries = keys.iter().filter_map(|key| self.registry.store.get(key).expect("readable"));
        entries.map(|entry| serde_json::from_slice(entry.value.bytes()).expect("an object")).collect()
    }
}

fn controllers(config: &Config, registry: &Registry, runtime: &Arc<Scripted>, machine: &Machine) -> Tick {
    let accounts = Accounts::new(registry.clone(), &[7; 32]);
    let runtime = start::with_fates(runtime.clone(), config);
    start::tick(config, registry, runtime, &Hub::default(), machine, String::new(), accounts)
}

/// What becomes of a process, if nobody says otherwise later.
fn outcome(start: &Start, rng: &mut Rng) -> Outcome {
    match start.argv.first().map(String::as_str) {
        Some("/good") => return Outcome::Exits(0),
        Some("/bad") => return Outcome::Exits(1),
        _ => {}
    }
    match rng.below(20) {
        0 => Outcome::Hangs,
        1 => Outcome::RunsUntilKilled,
        2 => Outcome::Fails(windlass_runner::runtime::StartFailure::Other, "no room".to_owned()),
        3..=6 => Outcome::Exits(0),
        7 => Outcome::Exits(1),
        8 => Outcome::Exits(jobs::IGNORED),
        _ => Outcome::Runs,
    }
}

/// One history, or what was wrong with it.
fn history(seed: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let mut sim = Sim::new(seed).await;
        let end = sim.play().await;
        end.map_err(|cause| {
            let told = sim.told.join("\n  ");
            format!("seed {seed}: {cause}\n  {told}\n\nagain: cargo xtask sim --seed {seed}")
        })
    })
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "how a failing history is asked for again")]
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_fate_does_every_job_comes_to_its_end_once() {
    let (from, count) = match number("WINDLASS_SIM_SEED") {
        Some(seed) => (seed, number("WINDLASS_SIM_SEEDS").unwrap_or(1)),
        None => (1, number("WINDLASS_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    for seed in from..from + count {
        if let Err(cause) = history(seed) {
            panic!("{cause}");
        }
    }
}

#[test]
#[cfg(debug_assertions)]
fn every_planted_mistake_is_found() {
    use windlass_control::planted::{Bug, plant};
    for bug in Bug::ALL {
        plant(Some(bug));
        // A mistake may also lead to a panic; that is found, too.
        let is_wrong = |seed: &u64| !matches!(std::panic::catch_unwind(|| history(*seed)), Ok(Ok(())));
        let found = (1..=TO_FIND).find(is_wrong);
        plant(None);
        assert!(found.is_some(), "{bug:?} was not found by {TO_FIND} seeds");
    }
}
