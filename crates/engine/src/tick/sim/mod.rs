//! The whole engine as a game against fate: the memory store, a clock that only the seed moves, a runtime that runs
//! nothing. Between any two of the tick's actions the engine may be killed, another writer may be faster, the watch
//! may have lost something; clients, processes and time do what the seed says. After each action everything that is
//! stored and that runs is looked at from outside (`check.rs`, `transaction.rs`, `pause.rs`, `idle.rs`), and in the end, when fate
//! has ceased, all must come to rest. One seed is one history, told line by line when it fails.
//!
//! It drives the tick's own steps and not its loop: a virtual clock of the runtime would run ahead whenever the
//! store's thread is at work.

mod check;
mod clients;
mod fate;
mod found;
mod idle;
mod jobs;
mod meddling;
mod mirror;
mod pause;
mod read;
mod rest;
mod rng;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::sync::watch;
use windlass_apiserver::registry::Registry;
use windlass_apiserver::rights::Accounts;
use windlass_apiserver::world::World;
use windlass_runner::runtime::{Event, Key as RunKey, Start, StartFailure};
use windlass_runner::scripted::{Outcome, Scripted};
use windlass_store::{CommitError, Watch};

use self::check::{Author, Seen};
use self::fate::Act;
use self::mirror::Mirror;
use self::rng::Rng;
use super::ready::{CHANGES, Ready};
use super::{Draft, Stop, Tick};
use crate::bootstrap::{self, Machine};
use crate::config::{Config, Images, StoreKind};
use crate::home::Home;
use crate::logs::Hub;
use crate::start;
use crate::start::StopPods;

/// How many seeds the tests play, if `WINDLASS_SIM_SEEDS` does not say.
const SEEDS: u64 = 2000;
/// Tests that share them.
const BATCHES: u64 = 4;
/// Histories that are told of those that fail in a test.
const FAILURES: usize = 5;
/// Within how many seeds a planted mistake must show.
const TO_FIND: u64 = 1000;
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

/// What is told of a history, also when it ends in a panic.
type Told = Arc<Mutex<Vec<String>>>;

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
    /// What is stored, and what was seen of it; what was wrong with it first.
    mirror: Mirror,
    seen: Seen,
    wrong: Option<String>,
    /// Every run that was ever asked for, and how many of the runtime's list are in it.
    begun: BTreeSet<RunKey>,
    listed: usize,
    /// What happens, each thing as often as it is to; whether it has ceased, so that every process ends well.
    acts: Vec<Act>,
    ceased: Arc<AtomicBool>,
    /// Labels that were taken off pods.
    labels: BTreeMap<String, String>,
    /// Names given so far.
    named: usize,
    told: Told,
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
    async fn new(seed: u64, told: Told) -> Sim {
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
            cpus: transaction::CPUS,
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
        let ceased = Arc::new(AtomicBool::new(false));
        let ends_well = ceased.clone();
        let script = move |start: &Start| match ends_well.load(Ordering::Relaxed) {
            true => Outcome::Exits(0),
            false => outcome(start, &mut outcomes.lock().expect("nobody panics with it")),
        };
        let runtime = Arc::new(Scripted::new(move || clock_of.now(), script));
        let (stop, stopping) = watch::channel(None);
        let mut tick = controllers(&config, &registry, &runtime, &machine);
        let changes = tick.resync().expect("a readable store");
        Sim {
            acts: fate::acts(&mut rng, &setting("WINDLASS_SIM_WITHOUT").unwrap_or_default()),
            ceased,
            rng,
            clock,
            config,
            machine,
            mirror: Mirror::of(&registry.store),
            registry,
            runtime,
            tick,
            changes,
            stopping,
            seen: Seen::default(),
            wrong: None,
            begun: BTreeSet::new(),
            listed: 0,
            labels: BTreeMap::new(),
            named: 0,
            told,
            _stop: stop,
            _home: home,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn tell(&self, what: impl Into<String>) {
        let line = format!("{} {}", self.now(), what.into());
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The engine is killed, and the next one begins with what is stored and what the runtime knows.
    fn restart(&mut self) {
        self.tell("the engine is killed");
        self.seen.forget_ends();
        self.tick = controllers(&self.config, &self.registry, &self.runtime, &self.machine);
        self.changes = self.tick.resync().expect("a readable store");
        // What the runtime had told the engine that is gone is told again, and what it had not told yet with it.
        self.runtime.repeat();
        let known = self.runtime_events();
        self.tick.adopt(known);
    }

    fn runtime_events(&self) -> Vec<Event> {
        self.tick.runtime.events().now_or_never().map_or_else(Vec::new, |events| events.expect("it is there"))
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
        let due = self.tick.timers.due(self.now());
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
            let touched: Vec<_> = draft.touched("/").cloned().collect();
            self.disturb(&touched).await;
        }
        self.tick.announce(&draft.unmade);
        self.observe(Author::Client);
        let outcome = self.tick.commit(&draft, &self.stopping.clone()).await;
        self.observe(Author::Engine);
        match &outcome {
            Ok(_) => self.tell(format!("the engine writes {:?}", draft.touched("/").collect::<Vec<_>>())),
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

    /// Looks at what was written since the last look; what is wrong is told by the next check.
    fn observe(&mut self, author: Author) {
        let versions = self.mirror.take();
        let now = self.now();
        for version in &versions {
            let looked = self.seen.version(&self.mirror, version, author, now);
            self.wrong = self.wrong.take().or(looked.err());
        }
        self.wrong = self.wrong.take().or(self.seen.counters(&versions).err());
        if author == Author::Engine && !versions.is_empty() {
            let is_tainted = self.mirror.all("/nodes/").any(|node| node["spec"]["taints"].is_array());
            let looked = self.seen.transaction(&self.mirror, &versions, is_tainted);
            self.wrong = self.wrong.take().or(looked.err());
            let looked = self.seen.pauses(&self.mirror, &versions, now);
            self.wrong = self.wrong.take().or(looked.err());
        }
    }

    /// After every step.
    fn check(&mut self) -> Result<(), String> {
        self.observe(Author::Client);
        for key in self.runtime.started_since(self.listed) {
            self.listed += 1;
            if !self.begun.insert(key.clone()) {
                return Err(format!("{key:?} is started twice"));
            }
        }
        let mut running = BTreeSet::new();
        for run in self.runtime.running() {
            if !running.insert((run.pod.clone(), run.container.clone())) {
                return Err(format!("{} of pod {} runs twice at once", run.container, run.pod));
            }
        }
        self.wrong.take().map_or(Ok(()), Err)
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
        2 => Outcome::Fails(StartFailure::Other, "no room".to_owned()),
        3..=6 => Outcome::Exits(0),
        7 => Outcome::Exits(1),
        8 => Outcome::Exits(jobs::IGNORED),
        _ => Outcome::Runs,
    }
}

/// One history, or what was wrong with it.
fn history(seed: u64) -> Result<(), String> {
    let told = Told::default();
    let play = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async { Sim::new(seed, told.clone()).await.play().await })
    };
    let end = catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or(panic.downcast_ref::<&str>().copied());
        Err(format!("panics: {}", said.unwrap_or("without a word")))
    });
    end.map_err(|cause| {
        let told = told.lock().unwrap_or_else(PoisonError::into_inner).join("\n  ");
        format!(
            "seed {seed}: {cause}\n  {told}\n\nseed {seed}: {cause}\nagain: cargo xtask sim --seed {seed}"
        )
    })
}

fn setting(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "how a failing history is asked for again")]
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    setting(name)?.parse().ok()
}

/// One test's share of the seeds.
fn share(batch: u64) {
    let (from, count) = match number("WINDLASS_SIM_SEED") {
        Some(seed) => (seed, number("WINDLASS_SIM_SEEDS").unwrap_or(1)),
        None => (1, number("WINDLASS_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let mine = (0..count).filter(|number| number % BATCHES == batch);
    let failures = mine.filter_map(|number| history(from.wrapping_add(number)).err());
    let failures: Vec<String> = failures.take(FAILURES).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Several, so that they are played side by side.
mod whatever_fate_does_every_job_comes_to_its_end_once {
    #[test]
    fn in_the_first_share_of_histories() {
        super::share(0);
    }

    #[test]
    fn in_the_second_share_of_histories() {
        super::share(1);
    }

    #[test]
    fn in_the_third_share_of_histories() {
        super::share(2);
    }

    #[test]
    fn in_the_fourth_share_of_histories() {
        super::share(3);
    }
}

#[test]
#[cfg(debug_assertions)]
fn every_planted_mistake_is_found() {
    use windlass_control::planted::{Bug, plant};
    let seeds = number("WINDLASS_SIM_SEEDS").unwrap_or(TO_FIND);
    let is_missed = |bug: &Bug| {
        plant(Some(*bug));
        // A mistake may also lead to a panic; that is found, too.
        let found = (1..=seeds).any(|seed| history(seed).is_err());
        plant(None);
        !found
    };
    let missed: Vec<Bug> = Bug::ALL.into_iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "{seeds} seeds have not found {missed:?}");
}
