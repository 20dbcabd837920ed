//! A runtime that plays runs and runs nothing: each goes the course it was given, by the clock that the runtime was
//! given. What it says of a run, and the log that it writes for one, is what the shim would say and write.
//!
//! It decides nothing: courses come from `windlass-fate`. A ledger keeps what was asked for, so that a new engine finds
//! each run where the clock has taken it meanwhile. It never wakes by itself: [`Fates::next`] says when something
//! happens, and who waits for [`Runtime::events`] is to look again then.

mod both;
mod ledger;
mod play;
mod record;

#[cfg(test)]
mod tests;

/// What the fuzz targets ask of the ledger: what is left of its bytes as the next engine writes it.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) fn kept(ledger: &[u8]) -> (Vec<crate::runtime::Key>, Vec<u8>) {
        let (counts, plays) = super::ledger::understand(ledger);
        let keys = plays.iter().map(|play| play.key().clone()).collect();
        let plays: Vec<_> = plays.iter().flat_map(super::Play::entries).collect();
        (keys, super::ledger::text(&counts, &plays).expect("what was read can be written"))
    }
}

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Notify;
use windlass_fate::Part;

pub use self::both::WithFates;
use self::ledger::{Entry, Ledger};
use self::play::Play;
pub use self::play::Struck;
use crate::runtime::{Event, Exec, ExecError, Input, InputError, Key, Runtime, RuntimeGone, Session, Start};

type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// The runs that are played.
pub struct Fates {
    clock: Clock,
    state: Mutex<State>,
    told: Notify,
}

struct State {
    ledger: Ledger,
    plays: HashMap<Key, Play>,
    /// When each of them is to be looked at.
    order: BTreeSet<(Timestamp, Key)>,
    events: Vec<Event>,
}

impl Fates {
    /// Those that the ledger at `path` knows, where the clock has taken them. The file is made by the first start.
    pub fn open(path: PathBuf, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Fates {
        let (ledger, plays) = Ledger::open(path);
        let state = State { ledger, plays: HashMap::new(), order: BTreeSet::new(), events: Vec::new() };
        let fates = Fates { clock: Box::new(clock), state: Mutex::new(state), told: Notify::new() };
        let mut state = fates.lock();
        for play in plays {
            // Its lines are the same again, to the byte: they come from the ledger's times.
            record::remove(play.log());
            let key = play.key().clone();
            state.plays.insert(key.clone(), play);
            state.go_on(&key, (fates.clock)());
        }
        drop(state);
        fates
    }

    /// What is known from before, and what happened meanwhile: to be asked once, after [`Fates::open`].
    #[must_use]
    pub fn known(&self) -> Vec<Event> {
        std::mem::take(&mut self.lock().events)
    }

    /// When something happens next: now, if something has happened that nobody has been told yet.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        let state = self.lock();
        if !state.events.is_empty() {
            return Some((self.clock)());
        }
        state.order.first().map(|(at, _)| *at)
    }

    /// Whether a run is played here.
    #[must_use]
    pub fn knows(&self, key: &Key) -> bool {
        self.lock().plays.contains_key(key)
    }

    /// The termination message of a run that is played here.
    #[must_use]
    pub fn message(&self, key: &Key) -> Option<String> {
        self.lock().plays.get(key).map(|play| play.message().to_owned())
    }

    /// Containers of a pod, out of these runs, that run and are not ready yet.
    #[must_use]
    pub fn unready(&self, keys: impl Iterator<Item = Key>) -> Vec<String> {
        let (state, now) = (self.lock(), (self.clock)());
        let unready = |key: &Key| state.plays.get(key).is_some_and(|play| play.is_unready(now));
        keys.filter(|key| unready(key)).map(|key| key.container).collect()
    }

    /// What has befallen the pod of these runs, and when.
    #[must_use]
    pub fn struck(&self, mut keys: impl Iterator<Item = Key>) -> Option<Struck> {
        let (state, now) = (self.lock(), (self.clock)());
        keys.find_map(|key| state.plays.get(&key)?.struck(now))
    }

    /// The owner of runs, a Job or a pod, is no more: its runs need not be counted on.
    pub fn disown(&self, owner: &str) {
        self.lock().ledger.disown(owner);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every statement leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, state: &mut State, start: Start) {
        let now = (self.clock)();
        if let Some(play) = state.plays.get(&start.key) {
            let again = play.last_word();
            state.events.extend(again);
            return;
        }
        let Start { key, log, fate: Some(part), .. } = start else { return };
        let Part { mut course, exits, owner, work } = *part;
        let mut counted = None;
        if let Some(last) = exits.last() {
            let run = state.ledger.count(&owner, &work);
            course.exit = *exits.get(run).unwrap_or(last);
            counted = Some((owner, work));
        }
        let entry = Entry::Asked { key: key.clone(), course: Box::new(course), log, at: now, counted };
        state.ledger.add(&entry);
        if let Some(play) = Play::of(entry) {
            state.plays.insert(key.clone(), play);
            state.go_on(&key, now);
        }
    }
}

impl State {
    /// Takes a run as far as the clock is, and notes when it is to be looked at again.
    fn go_on(&mut self, key: &Key, now: Timestamp) {
        let Some(play) = self.plays.get_mut(key) else { return };
        if let Some(at) = play.noted.take() {
            self.order.remove(&(at, key.clone()));
        }
        self.events.extend(play.go_on(now));
        play.noted = play.next();
        self.order.extend(play.noted.map(|at| (at, key.clone())));
    }

    /// Takes all that is due as far as the clock is, in the order of its times.
    fn catch_up(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.order.first().filter(|(at, _)| *at <= now).cloned() {
            self.go_on(&key, at);
        }
    }
}

impl Runtime for Fates {
    fn start(&self, starts: Vec<Start>) {
        let mut state = self.lock();
        for start in starts {
            self.begin(&mut state, start);
        }
        self.told.notify_one();
    }

    fn signal(&self, key: &Key, signal: i32) {
        let now = (self.clock)();
        let mut state = self.lock();
        state.catch_up(now);
        let State { plays, ledger, .. } = &mut *state;
        if plays.get_mut(key).is_some_and(|play| play.signal(signal, now)) {
            ledger.add(&Entry::Signalled { key: key.clone(), signal, at: now });
            state.go_on(key, now);
        }
        self.told.notify_one();
    }

    fn forget(&self, keys: Vec<Key>) {
        let mut state = self.lock();
        let over = |key: &Key| state.plays.get(key).is_some_and(Play::is_over);
        let gone: Vec<Key> = keys.into_iter().filter(over).collect();
        for key in &gone {
            state.plays.remove(key);
        }
        if !gone.is_empty() {
            let State { ledger, plays, .. } = &mut *state;
            ledger.add(&Entry::Forgotten(gone));
            ledger.tidy(|| plays.values().flat_map(Play::entries).collect());
        }
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Event>, RuntimeGone>> {
        Box::pin(async {
            loop {
                {
                    let mut state = self.lock();
                    state.catch_up((self.clock)());
                    if !state.events.is_empty() {
                        return Ok(std::mem::take(&mut state.events));
                    }
                }
                self.told.notified().await;
            }
        })
    }

    fn input<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Input, InputError>> {
        Box::pin(async { Err(InputError::NoStdin) })
    }

    fn exec(&self, _: Exec) -> BoxFuture<'_, Result<Session, ExecError>> {
        Box::pin(async { Err(ExecError::Unsupported) })
    }
}
