//! Starting and reaping: a few threads that start, one that reaps, and the list of news they leave for the
//! main loop. They know nothing of clients, ledgers and logs.
//!
//! A process is reaped only under the lock, after it was seen there: so a pid that is in the table while the
//! lock is held cannot have been given to another process.
//!
//! A start may hang in the kernel (a dead network file system), so nothing that ends ever waits for one, and other starts
//! wait no longer than a moment: then another thread takes the turn of the one that hangs.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::eventfd::EventFd;

use super::procfs::Birth;
use super::server::{BREATH, CROWD};
use super::spawn::{self, Ready, Spawner};
use super::stdio::Ends;
use crate::runtime::{Ended, Start, StartFailure};
use crate::world;

/// As measured: two leave a core idle while a child starts, more than four only take turns.
const SPAWNERS: usize = 3;
/// With those that hang: so many at most. When all hang, starts wait until one comes back.
const MOST_SPAWNERS: usize = 32;
/// A start that takes longer hangs.
const HANGS: Duration = Duration::from_secs(1);

/// Something to start.
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) start: Box<Start>,
}

/// What happened to a child.
pub(crate) enum News {
    /// It runs, with these streams.
    Started { id: u64, pid: i32, birth: Birth, at: Timestamp, ends: Box<Ends> },
    /// It could not be started.
    Failed { id: u64, failure: StartFailure, message: String, at: Timestamp },
    /// Its first process ended and was reaped, and its process group was killed.
    Reaped { id: u64, exit: Exit },
    /// A descendant that had been left to the shim was reaped.
    OrphanReaped { pid: i32 },
}

/// How a process ended and what it used.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Exit {
    pub(crate) ended: Ended,
    pub(crate) at: Timestamp,
    pub(crate) cpu_us: u64,
    pub(crate) peak_bytes: u64,
}

/// What the threads share.
pub(crate) struct Children {
    state: Mutex<State>,
    /// There may be something to start.
    work: Condvar,
    /// A start is over.
    settled: Condvar,
    /// By spawner: the child that it has made and not written down yet, or 0.
    made: [Arc<AtomicI32>; MOST_SPAWNERS],
    open_files: Option<u64>,
    wake: EventFd,
}

/// What a spawner does.
#[derive(Clone, Copy, Default)]
enum Seat {
    /// There is none.
    #[default]
    Free,
    /// It starts nothing.
    Waiting,
    /// It has been starting something since then.
    Starting(Instant),
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Processes that run, by pid.
    pids: BTreeMap<i32, u64>,
    /// Children that ended before they were written down; none but those in `made` is looked for here.
    early: BTreeMap<i32, Exit>,
    starts_ended: u64,
    news: Vec<News>,
    seats: [Seat; MOST_SPAWNERS],
    /// Spawners that there are.
    hired: usize,
    /// None is added before, because it could not be.
    hire_again: Option<Instant>,
    /// Spawners that wait for work, and whether the reaper waits for a start to be over: nobody else is woken.
    idle: usize,
    is_reaper_waiting: bool,
    /// Runs that hold descriptors, and how many may.
    open: usize,
    max_open: usize,
}

impl Children {
    /// Begins the threads. `wake` is written when there is news; at most `max_open` runs are open at once, each
    /// of which may have `open_files` files open.
    pub(crate) fn begin(
        wake: EventFd,
        max_open: usize,
        open_files: Option<u64>,
    ) -> io::Result<Arc<Children>> {
        let state = State { max_open, ..State::default() };
        let children = Arc::new(Children {
            state: Mutex::new(state),
            work: Condvar::new(),
            settled: Condvar::new(),
            made: Default::default(),
            open_files,
            wake,
        });
        for _ in 0..SPAWNERS {
            children.hire(|_| true)?;
        }
        let reaper = Arc::clone(&children);
        std::thread::Builder::new().stack_size(256 << 10).spawn(move || reaper.reap_forever())?;
        Ok(children)
    }

    /// Adds a spawner if that is `wanted` and there may be another one.
    fn hire(self: &Arc<Self>, wanted: impl FnOnce(&State) -> bool) -> io::Result<()> {
        let mut state = self.lock();
        let seat = state.seats.iter().position(|seat| matches!(seat, Seat::Free));
        let Some(seat) = seat.filter(|_| wanted(&state)) else { return Ok(()) };
        state.seats[seat] = Seat::Waiting;
        state.hired += 1;
        drop(state);
        let begun = self.begin_spawner(seat);
        if begun.is_err() {
            self.lock().leave(seat);
        }
        begun
    }

    fn begin_spawner(self: &Arc<Self>, seat: usize) -> io::Result<()> {
        let children = Arc::clone(self);
        let (tell, told) = mpsc::channel();
        std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
            match Spawner::new(Arc::clone(&children.made[seat]), children.open_files) {
                Ok(spawner) => {
                    drop(tell);
                    children.spawn_while_needed(spawner, seat);
                }
                // The receiver waits for it.
                Err(error) => drop(tell.send(error)),
            }
        })?;
        told.recv().map_or(Ok(()), Err)
    }

    /// Adds a spawner in place of one that hangs, if starts wait for it. To be called at the time that
    /// [`Children::take_news`] told.
    pub(crate) fn relieve(self: &Arc<Self>) -> io::Result<()> {
        let now = world::monotonic();
        let hired = self.hire(|state| state.is_short(now));
        if hired.is_err() {
            self.lock().hire_again = Some(now + HANGS);
        }
        hired
    }

    /// The descriptor that becomes readable when there is news.
    pub(crate) fn wake(&self) -> &EventFd {
        &self.wake
    }

    /// Queues starts, at least one. Answers when [`Children::relieve`] is due, as [`Children::take_news`] does.
    pub(crate) fn start(&self, jobs: Vec<Job>) -> Option<Instant> {
        let mut state = self.lock();
        let wanted = jobs.len().min(state.idle);
        state.queue.extend(jobs);
        let relief = state.relief(world::monotonic());
        drop(state);
        (0..wanted).for_each(|_| self.work.notify_one());
        relief
    }

    /// Takes what is queued and not begun back: everything shall end.
    pub(crate) fn take_queue(&self) -> Vec<Job> {
        self.lock().queue.drain(..).collect()
    }

    /// Takes the news. Answers also when [`Children::relieve`] is due, should nothing happen until then.
    pub(crate) fn take_news(&self) -> (Vec<News>, Option<Instant>) {
        // A read resets the counter; that there was nothing to read is no error here.
        let _ = self.wake.read();
        let mut state = self.lock();
        (std::mem::take(&mut state.news), state.relief(world::monotonic()))
    }

    /// A run's descriptors were closed.
    pub(crate) fn closed(&self) {
        let mut state = self.lock();
        state.open -= 1;
        let is_wanted = state.idle > 0 && !state.queue.is_empty();
        drop(state);
        if is_wanted {
            self.work.notify_one();
        }
    }

    /// Calls `act` while nothing is reaped, if `pid` is a child that was not reaped yet.
    pub(crate) fn while_unreaped(&self, pid: i32, act: impl FnOnce()) {
        let state = self.lock();
        if state.pids.contains_key(&pid) {
            act();
        }
    }

    /// Calls `act` while nothing is reaped.
    pub(crate) fn holding_reaper<R>(&self, act: impl FnOnce() -> R) -> R {
        let _state = self.lock();
        act()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the table is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &mut State, news: News) {
        if state.news.is_empty() {
            // Fails only if the counter is full, and then the loop wakes anyway.
            let _ = self.wake.write(1);
        }
        state.news.push(news);
    }

    fn spawn_while_needed(&self, mut spawner: Spawner, seat: usize) {
        while let Some(job) = self.next_job(seat) {
            let news = spawn_one(&mut spawner, job);
            let mut state = self.lock();
            state.seats[seat] = Seat::Waiting;
            state.starts_ended += 1;
            let over = match &news {
                News::Started { id, pid, .. } => {
                    let (id, pid) = (*id, *pid);
                    let exit = state.early.remove(&pid);
                    if exit.is_none() {
                        state.pids.insert(pid, id);
                    }
                    exit.map(|exit| News::Reaped { id, exit })
                }
                _ => {
                    state.open -= 1;
                    None
                }
            };
            self.made[seat].store(0, Ordering::Release);
            // What could not execute its program is nobody's.
            state.early.retain(|pid, _| self.is_being_made(*pid));
            self.tell(&mut state, news);
            if let Some(over) = over {
                self.tell(&mut state, over);
            }
            let is_wanted = std::mem::take(&mut state.is_reaper_waiting);
            drop(state);
            if is_wanted {
                self.settled.notify_one();
            }
        }
    }

    /// Whether a spawner has made this child and has not written it down yet. The kernel says so before the child runs.
    fn is_being_made(&self, pid: i32) -> bool {
        self.made.iter().any(|made| made.load(Ordering::Acquire) == pid)
    }

    /// The next thing to start; none if others came while this spawner hung, and are enough.
    fn next_job(&self, seat: usize) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.hired > SPAWNERS && state.at_hand(world::monotonic()) > SPAWNERS {
                state.leave(seat);
                // It may have been woken for what another one does now.
                if state.idle > 0 && !state.queue.is_empty() {
                    self.work.notify_one();
                }
                return None;
            }
            if state.open < state.max_open
                && let Some(job) = state.queue.pop_front()
            {
                state.open += 1;
                state.seats[seat] = Seat::Starting(world::monotonic());
                return Some(job);
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn reap_forever(&self) {
        let mut waits = true;
        loop {
            let (started, is_crowded) = {
                let state = self.lock();
                (state.starts_ended, state.open >= CROWD)
            };
            if waits && is_crowded {
                // To be woken by every end costs more than to find several.
                world::pause(BREATH / 2);
            }
            match spawn::ended_child(waits) {
                Ready::Child(pid) => {
                    self.reap(pid);
                    waits = false;
                }
                Ready::Nothing => waits = true,
                Ready::NoChildren => {
                    let mut state = self.lock();
                    while state.starts_ended == started {
                        state.is_reaper_waiting = true;
                        state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            }
        }
    }

    fn reap(&self, pid: i32) {
        let mut state = self.lock();
        let id = state.pids.remove(&pid);
        let is_early = id.is_none() && self.is_being_made(pid);
        if id.is_some() || is_early {
            spawn::kill_group(pid, libc::SIGKILL);
        }
        let exit = spawn::reap(pid, world::now());
        match id {
            Some(id) => self.tell(&mut state, News::Reaped { id, exit }),
            None if is_early => _ = state.early.insert(pid, exit),
            None => self.tell(&mut state, News::OrphanReaped { pid }),
        }
    }
}

impl State {
    /// How many spawners do not hang.
    fn at_hand(&self, now: Instant) -> usize {
        let is_at_hand = |seat: &&Seat| match seat {
            Seat::Free => false,
            Seat::Waiting => true,
            Seat::Starting(since) => now < *since + HANGS,
        };
        self.seats.iter().filter(is_at_hand).count()
    }

    /// Whether so many hang that too few are left for what waits.
    fn is_short(&self, now: Instant) -> bool {
        let waits = !self.queue.is_empty() && self.idle == 0 && self.open < self.max_open;
        waits && self.at_hand(now) < SPAWNERS && self.hire_again.is_none_or(|at| at <= now)
    }

    /// When it is to be looked whether that is so; none while nothing waits, or nobody can be added.
    fn relief(&self, now: Instant) -> Option<Instant> {
        if self.queue.is_empty() || self.hired >= MOST_SPAWNERS {
            return None;
        }
        let since = |seat: &Seat| if let Seat::Starting(since) = seat { Some(*since + HANGS) } else { None };
        let first = self.seats.iter().filter_map(since).filter(|at| *at > now).min();
        Some(if self.is_short(now) { now } else { first.unwrap_or(now + HANGS) })
    }

    fn leave(&mut self, seat: usize) {
        self.seats[seat] = Seat::Free;
        self.hired -= 1;
    }
}

fn spawn_one(spawner: &mut Spawner, job: Job) -> News {
    let Job { id, start } = job;
    match spawner.spawn(&start) {
        Ok(spawned) => News::Started {
            id,
            pid: spawned.pid,
            birth: spawned.birth,
            at: world::now(),
            ends: Box::new(spawned.ends),
        },
        Err((failure, message)) => News::Failed { id, failure, message, at: world::now() },
    }
}
