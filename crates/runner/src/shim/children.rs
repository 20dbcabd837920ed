//! Starting and reaping: a few threads that start, one that reaps, and the list of news they leave for the
//! main loop. They know nothing of clients, ledgers and logs.
//!
//! A process is reaped only under the lock, after it was seen there: so a pid that is in the table while the
//! lock is held cannot have been given to another process.
//!
//! A start may hang in the kernel (a dead network file system) or be slow because its control group has hardly any CPU time
//! left. So nothing that ends ever waits for one, and other starts wait no longer than a moment: then another thread takes
//! the turn of the one that hangs. Of the programs beside one run one is being made at a time: it is that run's own others
//! that wait for it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::eventfd::EventFd;

use super::procfs::Birth;
use super::server::{BREATH, CROWD};
use super::spawn::{self, Beside, Means, Ready, Spawner, Surroundings};
use super::stdio::Ends;
use crate::runtime::{Ended, Start, StartFailure};
use crate::world;

/// As measured: two leave a core idle while a child starts, more than four only take turns.
const SPAWNERS: usize = 3;
/// With those that hang: so many at most. When all hang, starts wait until one comes back.
const MOST_SPAWNERS: usize = 32;
/// As many of them make programs beside runs, not counting those that hang: one is left to the runs.
const MAKE_BESIDE: usize = SPAWNERS - 1;
/// With those that hang: the rest is left to the runs.
const MOST_MAKE_BESIDE: usize = MOST_SPAWNERS * 3 / 4;
/// A start that takes longer hangs.
const HANGS: Duration = Duration::from_secs(1);

/// A run to start.
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) start: Box<Start>,
}

/// Something to start.
enum Task {
    Run(Job),
    Beside(u64, Box<Beside>),
}

/// What happened to a child.
pub(crate) enum News {
    /// It runs, with these streams.
    Started {
        id: u64,
        pid: i32,
        birth: Birth,
        at: Timestamp,
        ends: Box<Ends>,
        surroundings: Arc<Surroundings>,
    },
    /// It could not be started.
    Failed { id: u64, failure: StartFailure, message: String, at: Timestamp },
    /// It runs beside a run, with these streams.
    StartedBeside { id: u64, pid: i32, ends: Box<Ends> },
    /// A run's first process ended and was reaped, and its process group was killed; or a program beside a run did.
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
    /// What children are started with.
    means: Means,
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
    /// It has been starting something since then: beside which run, if beside one.
    Starting { since: Instant, beside: Option<u64> },
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Programs beside runs: these come first, and wait for no run's end.
    beside: VecDeque<(u64, Box<Beside>)>,
    /// Processes that run, by pid.
    pids: BTreeMap<i32, Child>,
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

/// A process that runs.
struct Child {
    id: u64,
    is_beside: bool,
}

impl Children {
    /// Begins the threads. `wake` is written when there is news; at most `max_open` runs are open at once.
    pub(crate) fn begin(wake: EventFd, max_open: usize, means: &Means) -> io::Result<Arc<Children>> {
        let state = State { max_open, ..State::default() };
        let children = Arc::new(Children {
            state: Mutex::new(state),
            work: Condvar::new(),
            settled: Condvar::new(),
            made: Default::default(),
            means: means.clone(),
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
            match Spawner::new(Arc::clone(&children.made[seat]), children.means.clone()) {
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
    /// [`Children::take_news`] told; answers when it is due again.
    pub(crate) fn relieve(self: &Arc<Self>) -> (io::Result<()>, Option<Instant>) {
        let now = world::monotonic();
        let hired = self.hire(|state| state.is_short(now));
        let mut state = self.lock();
        if hired.is_err() {
            state.hire_again = Some(now + HANGS);
        }
        let is_wanted = state.idle > 0 && state.next_beside(now).is_some();
        let due = state.relief(now);
        drop(state);
        if is_wanted {
            self.work.notify_one();
        }
        (hired, due)
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

    /// Queues a program beside a run. How many there may be is the caller's to say. Answers as [`Children::start`].
    pub(crate) fn start_beside(&self, id: u64, beside: Box<Beside>) -> Option<Instant> {
        let mut state = self.lock();
        state.beside.push_back((id, beside));
        let relief = state.relief(world::monotonic());
        drop(state);
        self.work.notify_one();
        relief
    }

    /// Takes a program beside a run back, if it is queued and not begun.
    pub(crate) fn cancel_beside(&self, id: u64) -> bool {
        let mut state = self.lock();
        let at = state.beside.iter().position(|(other, _)| *other == id);
        // What it holds is closed after the lock is given back.
        let taken = at.and_then(|at| state.beside.remove(at));
        drop(state);
        taken.is_some()
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
        while let Some(task) = self.next_task(seat) {
            let is_beside = matches!(task, Task::Beside(..));
            let news = spawn_one(&mut spawner, task);
            let mut state = self.lock();
            state.seats[seat] = Seat::Waiting;
            state.starts_ended += 1;
            if is_beside && state.next_beside(world::monotonic()).is_some() {
                self.work.notify_one();
            }
            let over = match &news {
                News::Started { id, pid, .. } | News::StartedBeside { id, pid, .. } => {
                    let (id, pid) = (*id, *pid);
                    let exit = state.early.remove(&pid);
                    if exit.is_none() {
                        state.pids.insert(pid, Child { id, is_beside });
                    }
                    exit.map(|exit| News::Reaped { id, exit })
                }
                _ => {
                    state.open -= usize::from(!is_beside);
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
        self.maker(pid).is_some()
    }

    fn maker(&self, pid: i32) -> Option<usize> {
        self.made.iter().position(|made| made.load(Ordering::Acquire) == pid)
    }

    /// The next thing to start; none if others came while this spawner hung, and are enough.
    fn next_task(&self, seat: usize) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.hired > SPAWNERS && state.at_hand(world::monotonic()) > SPAWNERS {
                state.leave(seat);
                // It may have been woken for what another one does now.
                if state.idle > 0 && !(state.queue.is_empty() && state.beside.is_empty()) {
                    self.work.notify_one();
                }
                return None;
            }
            let now = world::monotonic();
            if let Some((id, beside)) = state.next_beside(now).and_then(|at| state.beside.remove(at)) {
                state.seats[seat] = Seat::Starting { since: now, beside: Some(beside.run) };
                return Some(Task::Beside(id, beside));
            }
            if state.open < state.max_open
                && let Some(job) = state.queue.pop_front()
            {
                state.open += 1;
                state.seats[seat] = Seat::Starting { since: now, beside: None };
                return Some(Task::Run(job));
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
        let child = state.pids.remove(&pid);
        let maker = if child.is_none() { self.maker(pid) } else { None };
        let is_beside = match (&child, maker) {
            (Some(child), _) => child.is_beside,
            // It is written down under the lock, so it is being made as long as its maker is known.
            (None, Some(maker)) => matches!(state.seats[maker], Seat::Starting { beside: Some(_), .. }),
            (None, None) => true,
        };
        if !is_beside {
            // What a program beside a run leaves behind belongs to the run, and ends with it.
            spawn::kill_group(pid, libc::SIGKILL);
        }
        let exit = spawn::reap(pid, world::now());
        match child {
            Some(Child { id, .. }) => self.tell(&mut state, News::Reaped { id, exit }),
            None if maker.is_some() => _ = state.early.insert(pid, exit),
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
            Seat::Starting { since, .. } => now < *since + HANGS,
        };
        self.seats.iter().filter(is_at_hand).count()
    }

    /// Which of the programs that wait to be made beside a run is next: the first whose run has none in the making, if
    /// there is room for one more.
    fn next_beside(&self, now: Instant) -> Option<usize> {
        if self.beside.is_empty() {
            return None;
        }
        let making = self.seats.iter().filter_map(|seat| match seat {
            Seat::Starting { since, beside: Some(run) } => Some((*since, *run)),
            _ => None,
        });
        let making: Vec<(Instant, u64)> = making.collect();
        let at_hand = making.iter().filter(|(since, _)| now < *since + HANGS).count();
        if at_hand >= MAKE_BESIDE || making.len() >= MOST_MAKE_BESIDE {
            return None;
        }
        self.beside.iter().position(|(_, beside)| making.iter().all(|(_, run)| *run != beside.run))
    }

    /// Whether so many hang that too few are left for what waits.
    fn is_short(&self, now: Instant) -> bool {
        let run_waits = !self.queue.is_empty() && self.open < self.max_open;
        let waits = self.idle == 0 && (run_waits || self.next_beside(now).is_some());
        waits && self.at_hand(now) < SPAWNERS && self.hire_again.is_none_or(|at| at <= now)
    }

    /// When it is to be looked whether that is so; none while nothing waits, or nobody can be added.
    fn relief(&self, now: Instant) -> Option<Instant> {
        let waits = !self.queue.is_empty() || !self.beside.is_empty();
        if !waits || (self.hired >= MOST_SPAWNERS && self.idle == 0) {
            return None;
        }
        let since = |seat: &Seat| match seat {
            Seat::Starting { since, .. } => Some(*since + HANGS),
            Seat::Free | Seat::Waiting => None,
        };
        let first = self.seats.iter().filter_map(since).filter(|at| *at > now).min();
        Some(if self.is_short(now) { now } else { first.unwrap_or(now + HANGS) })
    }

    fn leave(&mut self, seat: usize) {
        self.seats[seat] = Seat::Free;
        self.hired -= 1;
    }
}

fn spawn_one(spawner: &mut Spawner, task: Task) -> News {
    let (id, spawned) = match task {
        Task::Run(Job { id, start }) => match spawner.spawn(&start) {
            Ok(spawned) => {
                let surroundings = Surroundings::of(*start, spawned.group, spawned.unlimited);
                return News::Started {
                    id,
                    pid: spawned.pid,
                    birth: spawned.birth,
                    at: world::now(),
                    ends: Box::new(spawned.ends),
                    surroundings: Arc::new(surroundings),
                };
            }
            failed => (id, failed),
        },
        Task::Beside(id, beside) => (id, spawner.spawn_beside(&beside)),
    };
    match spawned {
        Ok(spawned) => News::StartedBeside { id, pid: spawned.pid, ends: Box::new(spawned.ends) },
        Err((failure, message)) => News::Failed { id, failure, message, at: world::now() },
    }
}
