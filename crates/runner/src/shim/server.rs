//! The main loop: one client, the pipes, the news of the children's threads, the ledger.
//! It decides nothing about containers; it does what it is told, and tells.

mod beside;
mod flood;
mod guests;
mod progress;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use self::beside::Beside;
use super::children::{Children, Job};
use super::connection::Connection;
use super::door::Door;
use super::ledger::{Ledger, Record};
use super::packer::Packer;
use super::run::{Run, State};
use super::spawn::Means;
use super::wire::Reply;
use crate::cgroup::Groups;
use crate::runtime::{Event, Key};
use crate::world;

const LISTENER: u64 = u64::MAX;
const NEWS: u64 = u64::MAX - 1;
const CLIENT: u64 = u64::MAX - 2;
const DOOR: u64 = u64::MAX - 3;
/// With this bit a guest at the door, else a run's pipe.
const GUEST: u64 = 1 << 63;
/// How long the first client may take to come.
const FIRST_CLIENT: Duration = Duration::from_secs(10);
/// How often a ledger that could not be written is tried again. What ends meanwhile waits as long at most.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a shim without a client looks whether its directory is still there.
const LOOK_AROUND: Duration = Duration::from_secs(30);
/// From so many open runs on what happens is taken together: the loop rests a moment between its rounds, which saves
/// it a round, two writes and a look at `/proc` for nearly every run. With fewer it answers at once.
pub(crate) const CROWD: usize = 16;
/// That moment.
pub(crate) const BREATH: Duration = Duration::from_millis(1);
/// How long a round may read output before what else has happened is looked at.
const TALK: Duration = Duration::from_millis(2);
/// How much is read from a pipe at a time: its capacity.
const CHUNK: usize = 64 << 10;

/// The shim's state.
pub(crate) struct Server {
    epoll: Epoll,
    listener: UnixListener,
    client: Option<Connection>,
    door: Door,
    children: Arc<Children>,
    groups: Arc<Groups>,
    ledger: Ledger,
    notes: File,
    /// Held as long as the shim lives.
    _lock: Flock<File>,
    runs: BTreeMap<u64, Run>,
    ids: BTreeMap<Key, u64>,
    next_id: u64,
    /// Runs that are not over.
    open: usize,
    /// Runs whose first process has ended and that are not over.
    ending: BTreeSet<u64>,
    /// Programs that run beside runs.
    beside: BTreeMap<u64, Beside>,
    packer: Arc<Packer>,
    /// To be queued and told once the ledger has it.
    jobs: Vec<Job>,
    events: Vec<Event>,
    chunk: Vec<u8>,
    begun: Instant,
    had_client: bool,
    is_leaving: bool,
    /// Runs that are not read for a while, by when they are again.
    paced: BTreeSet<(Instant, u64)>,
    /// Nobody is let in until then.
    deaf_until: Option<Instant>,
    /// A pipe was found full, or was not read in its turn: its writer waits, so there is no rest.
    is_flooded: bool,
    /// The pipe that was read last.
    last_read: u64,
    /// When starts need another thread, should those that there are hang.
    relief: Option<Instant>,
}

impl Server {
    /// Begins the threads and registers what the loop waits for.
    pub(crate) fn new(
        listener: UnixListener,
        door: Door,
        ledger: Ledger,
        notes: File,
        lock: Flock<File>,
        max_open: usize,
        means: Means,
    ) -> io::Result<Server> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let children = Children::begin(EventFd::from_value_and_flags(0, flags)?, max_open, &means)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        listener.set_nonblocking(true)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(&door, EpollEvent::new(EpollFlags::EPOLLIN, DOOR))?;
        epoll.add(children.wake(), EpollEvent::new(EpollFlags::EPOLLIN, NEWS))?;
        Ok(Server {
            epoll,
            listener,
            client: None,
            door,
            children,
            groups: means.groups,
            ledger,
            notes,
            _lock: lock,
            runs: BTreeMap::new(),
            ids: BTreeMap::new(),
            next_id: 0,
            open: 0,
            ending: BTreeSet::new(),
            beside: BTreeMap::new(),
            packer: Arc::default(),
            jobs: Vec::new(),
            events: Vec::new(),
            chunk: vec![0; CHUNK],
            begun: world::monotonic(),
            had_client: false,
            is_leaving: false,
            paced: BTreeSet::new(),
            deaf_until: None,
            is_flooded: false,
            last_read: 0,
            relief: None,
        })
    }

    /// Takes over what an earlier shim's ledger says.
    pub(crate) fn adopt(&mut self, known: Vec<Event>) {
        for event in known {
            self.insert(event.key().clone(), State::Over(event));
        }
    }

    /// Writes a line to `shim.log`. That it cannot be written has nobody to be told to.
    pub(crate) fn note(&mut self, words: &str) {
        let _ = writeln!(self.notes, "{} {words}", world::now());
    }

    /// Serves until nobody is connected and nothing runs.
    pub(crate) fn run(mut self) {
        let mut ready = [EpollEvent::empty(); 256];
        loop {
            if self.open >= CROWD && !self.is_flooded {
                world::pause(BREATH);
            }
            self.is_flooded = false;
            let count = match self.epoll.wait(&mut ready, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return self.note(&format!("waiting failed: {error}")),
            };
            self.on_all(ready[..count].iter().map(EpollEvent::data));
            self.on_news();
            self.on_time();
            self.commit();
            if self.shall_leave() {
                self.groups.close();
                return;
            }
        }
    }

    /// Requests first, then output for a while: starts and ends shall not wait for those who talk.
    fn on_all(&mut self, ready: impl Iterator<Item = u64>) {
        let (others, mut pipes): (Vec<u64>, Vec<u64>) = ready.partition(|token| token & GUEST != 0);
        others.into_iter().for_each(|token| self.on_ready(token));
        // Each in its turn: the kernel names those that were left out in the same order again.
        pipes.sort_unstable();
        let first = pipes.partition_point(|pipe| *pipe <= self.last_read);
        pipes.rotate_left(first);
        let begun = world::monotonic();
        for (done, pipe) in pipes.iter().enumerate() {
            if done > 0 && world::monotonic() - begun >= TALK {
                self.is_flooded = true;
                break;
            }
            self.on_ready(*pipe);
            self.last_read = *pipe;
        }
    }

    fn on_ready(&mut self, token: u64) {
        match token {
            LISTENER => self.on_connect(),
            CLIENT => self.on_client(),
            NEWS => {}
            DOOR => self.on_door(),
            guest if guest & GUEST != 0 => self.on_guest(guest & !GUEST),
            pipe => {
                self.on_pipe(pipe / 2, (pipe % 2) as usize);
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let left = if self.ledger.is_behind() {
            AGAIN
        } else if self.is_timeless() {
            match self.client {
                Some(_) => return EpollTimeout::NONE,
                None if self.had_client => LOOK_AROUND,
                None => FIRST_CLIENT.saturating_sub(world::monotonic() - self.begun),
            }
        } else {
            let now = world::monotonic();
            let times = self.ending.iter().filter_map(|id| self.next_look(*id));
            let times = times.chain(self.paced.first().map(|(until, _)| *until)).chain(self.deaf_until);
            let times = times.chain(self.relief);
            times.map(|at| at.saturating_duration_since(now)).min().unwrap_or(LOOK_AROUND)
        };
        // Rounded up, so that the time has come when the wait is over.
        EpollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
    }

    /// Whether nothing has to be done at a certain time.
    fn is_timeless(&self) -> bool {
        self.ending.is_empty() && self.paced.is_empty() && self.deaf_until.is_none() && self.relief.is_none()
    }

    fn next_look(&self, id: u64) -> Option<Instant> {
        let State::Live(live) = &self.runs.get(&id)?.state else { return None };
        live.next_look()
    }

    fn shall_leave(&mut self) -> bool {
        if self.open > 0 {
            if self.client.is_none() && self.ledger.is_unlinked() {
                self.end_all();
            }
            return false;
        }
        if self.ledger.is_behind() && !self.is_leaving && !self.ledger.is_unlinked() {
            return false;
        }
        let came = self.had_client || world::monotonic() - self.begun >= FIRST_CLIENT;
        self.is_leaving || (self.client.is_none() && came)
    }
}

impl Server {
    /// Writes the ledger, then acts on it and tells of it.
    ///
    /// While it cannot be written nothing is started: a process that no record speaks of could be started twice. What
    /// has happened is told all the same, because whoever hears it may make room.
    fn commit(&mut self) {
        let was_behind = self.ledger.is_behind();
        if let Err(error) = self.ledger.flush() {
            if !was_behind {
                self.note(&format!("the ledger cannot be written: {error}"));
            }
            self.fail_held();
        } else {
            if self.ledger.is_mostly_dead(self.runs.len()) {
                self.compact();
            }
            let jobs = std::mem::take(&mut self.jobs);
            if !jobs.is_empty() {
                self.relief = self.children.start(jobs);
            }
        }
        let events = std::mem::take(&mut self.events);
        let Some(client) = &mut self.client else { return };
        if client.is_greeted() {
            for event in events {
                client.say(&Reply::Event(event));
            }
        }
        let sent = client.send().and_then(|waits| {
            let interest =
                if waits { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
            if client.changes_interest(waits) {
                self.epoll.modify(&*client, &mut EpollEvent::new(interest, CLIENT))?;
            }
            Ok(())
        });
        if let Err(error) = sent {
            self.drop_client(&error.to_string());
        }
    }

    fn compact(&mut self) {
        let mut records = Vec::new();
        for run in self.runs.values() {
            match &run.state {
                State::Queued { .. } => records.push(Record::Asked(run.key.clone())),
                State::Live(live) => {
                    let key = run.key.clone();
                    records.push(Record::started(key, live.pid, live.birth, live.at));
                }
                State::Over(event) => records.push(Record::Over(event.clone())),
            }
        }
        if let Err(error) = self.ledger.compact(records) {
            self.note(&format!("the ledger cannot be rewritten: {error}"));
        }
    }
}
