//! The main loop: one client, the pipes, the news of the children's threads, the ledger.
//! It decides nothing about containers; it does what it is told, and tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::MAX_RUNS;
use super::children::{Children, Exit, Job, News};
use super::connection::Connection;
use super::descend;
use super::ledger::{Ledger, Record};
use super::output::{Channel, Output};
use super::run::{Ending, Live, Run, State};
use super::wire::{Reply, Request};
use crate::runtime::{Event, Key, Start, StartFailure};
use crate::world;

const LISTENER: u64 = u64::MAX;
const NEWS: u64 = u64::MAX - 1;
const CLIENT: u64 = u64::MAX - 2;
const CHANNELS: [Channel; 2] = [Channel::Stdout, Channel::Stderr];
/// How long the first client may take to come.
const FIRST_CLIENT: Duration = Duration::from_secs(10);
/// How often a shim without a client looks whether its directory is still there.
const LOOK_AROUND: Duration = Duration::from_secs(30);
/// How long the pipes of an ended process may stay open when no descendant is left.
const PIPES: Duration = Duration::from_secs(2);
/// How long killed descendants may take to be gone.
const LEFTOVERS: Duration = Duration::from_secs(10);
/// How much is read from a pipe at a time: its capacity.
const CHUNK: usize = 64 << 10;

/// The shim's state.
pub(crate) struct Server {
    epoll: Epoll,
    listener: UnixListener,
    client: Option<Connection>,
    children: Arc<Children>,
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
    /// To be queued and told once the ledger has it.
    jobs: Vec<Job>,
    events: Vec<Event>,
    chunk: Vec<u8>,
    begun: Instant,
    had_client: bool,
    is_leaving: bool,
}

impl Server {
    /// Begins the threads and registers what the loop waits for.
    pub(crate) fn new(
        listener: UnixListener,
        ledger: Ledger,
        notes: File,
        lock: Flock<File>,
        max_open: usize,
    ) -> io::Result<Server> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let children = Children::begin(EventFd::from_value_and_flags(0, flags)?, max_open)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        listener.set_nonblocking(true)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(children.wake(), EpollEvent::new(EpollFlags::EPOLLIN, NEWS))?;
        Ok(Server {
            epoll,
            listener,
            client: None,
            children,
            ledger,
            notes,
            _lock: lock,
            runs: BTreeMap::new(),
            ids: BTreeMap::new(),
            next_id: 0,
            open: 0,
            ending: BTreeSet::new(),
            jobs: Vec::new(),
            events: Vec::new(),
            chunk: vec![0; CHUNK],
            begun: world::monotonic(),
            had_client: false,
            is_leaving: false,
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
            let count = match self.epoll.wait(&mut ready, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return self.note(&format!("waiting failed: {error}")),
            };
            for event in &ready[..count] {
                self.on_ready(event.data());
            }
            self.on_news();
            self.on_time();
            self.commit();
            if self.shall_leave() {
                return;
            }
        }
    }

    fn on_ready(&mut self, token: u64) {
        match token {
            LISTENER => self.on_connect(),
            CLIENT => self.on_client(),
            NEWS => {}
            pipe => self.on_pipe(pipe / 2, (pipe % 2) as usize),
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let left = if self.ending.is_empty() {
            match self.client {
                Some(_) => return EpollTimeout::NONE,
                None if self.had_client => LOOK_AROUND,
                None => FIRST_CLIENT.saturating_sub(world::monotonic() - self.begun),
            }
        } else {
            let now = world::monotonic();
            let times = self.ending.iter().filter_map(|id| self.next_look(*id));
            times.map(|at| at.saturating_duration_since(now)).min().unwrap_or(LOOK_AROUND)
        };
        // Rounded up, so that the time has come when the wait is over.
        EpollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX)
    }

    fn next_look(&self, id: u64) -> Option<Instant> {
        let State::Live(live) = &self.runs.get(&id)?.state else { return None };
        let ending = live.ending.as_ref()?;
        Some(if live.pipes.iter().any(Option::is_some) { ending.pipes_until } else { ending.until })
    }

    fn shall_leave(&mut self) -> bool {
        if self.open > 0 {
            if self.client.is_none() && self.ledger.is_unlinked() {
                self.end_all();
            }
            return false;
        }
        let came = self.had_client || world::monotonic() - self.begun >= FIRST_CLIENT;
        self.is_leaving || (self.client.is_none() && came)
    }
}

// The client.
impl Server {
    fn on_connect(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        let connection = match Connection::greet(stream) {
            Ok(connection) => connection,
            Err(error) => return self.note(&format!("a connection was refused: {error}")),
        };
        self.drop_client("another one came");
        let interest = EpollEvent::new(EpollFlags::EPOLLIN, CLIENT);
        if let Err(error) = self.epoll.add(&connection, interest) {
            return self.note(&format!("a connection cannot be waited for: {error}"));
        }
        self.had_client = true;
        self.client = Some(connection);
    }

    fn drop_client(&mut self, why: &str) {
        if let Some(client) = self.client.take() {
            self.note(&format!("the connection ended: {why}"));
            let _ = self.epoll.delete(&client);
        }
    }

    fn on_client(&mut self) {
        let Some(client) = &mut self.client else { return };
        let (requests, end) = client.receive();
        for request in requests {
            self.on_request(request);
        }
        if let Some(why) = end {
            self.drop_client(&why);
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Hello { .. } => self.tell_all(),
            Request::Start(start) => self.on_start(start),
            Request::Signal { key, signal } => self.on_signal(&key, signal),
            Request::Forget(keys) => self.on_forget(keys),
            Request::Shutdown { end_runs } => {
                self.is_leaving = true;
                if end_runs {
                    self.end_all();
                }
            }
        }
    }

    fn tell_all(&mut self) {
        let Some(client) = &mut self.client else { return };
        for run in self.runs.values() {
            if let Some(event) = run.told() {
                client.say(&Reply::Event(event));
            }
        }
        client.say(&Reply::Synced);
        // What is said now is not news any more.
        self.events.clear();
    }

    fn on_start(&mut self, start: Box<Start>) {
        if let Some(run) = self.ids.get(&start.key).and_then(|id| self.runs.get(id)) {
            self.events.extend(run.told());
            return;
        }
        let refused = if self.is_leaving {
            Some("the engine is being shut down".to_owned())
        } else {
            (self.runs.len() >= MAX_RUNS).then(|| format!("there are {MAX_RUNS} runs already"))
        };
        if let Some(message) = refused {
            let (key, at) = (start.key, world::now());
            self.events.push(Event::Failed { key, failure: StartFailure::Other, message, at });
            return;
        }
        self.ledger.put(&Record::Asked(start.key.clone()));
        let id = self.insert(start.key.clone(), State::Queued(start.log.clone()));
        self.jobs.push(Job { id, start });
    }

    fn insert(&mut self, key: Key, state: State) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.ids.insert(key.clone(), id);
        let run = Run { key, state, signalled: 0 };
        self.open += usize::from(run.is_open());
        self.runs.insert(id, run);
        id
    }

    fn on_signal(&mut self, key: &Key, signal: i32) {
        let Some(run) = self.ids.get(key).and_then(|id| self.runs.get_mut(id)) else { return };
        if !(1..=64).contains(&signal) {
            return;
        }
        let bit = 1 << (signal - 1);
        let is_repeated = run.signalled & bit != 0 && signal != libc::SIGKILL;
        run.signalled |= bit;
        if let State::Live(live) = &run.state
            && !is_repeated
        {
            descend::signal_all(&self.children, live.pid, key, signal);
        }
    }

    fn on_forget(&mut self, keys: Vec<Key>) {
        let mut dropped = Vec::new();
        for key in keys {
            let Some(id) = self.ids.get(&key) else { continue };
            if self.runs.get(id).is_some_and(Run::is_open) {
                continue;
            }
            self.runs.remove(id);
            self.ids.remove(&key);
            dropped.push(key);
        }
        if !dropped.is_empty() {
            self.ledger.put(&Record::Forgotten(dropped));
        }
    }

    fn end_all(&mut self) {
        for job in self.children.take_queue().into_iter().chain(std::mem::take(&mut self.jobs)) {
            let message = "the engine was shut down before it started".to_owned();
            self.on_failed(job.id, StartFailure::Other, message, world::now());
        }
        let keys: Vec<Key> =
            self.runs.values().filter(|run| run.is_open()).map(|run| run.key.clone()).collect();
        for key in keys {
            self.on_signal(&key, libc::SIGKILL);
        }
    }
}

// The children.
impl Server {
    fn on_news(&mut self) {
        let mut has_orphans = false;
        for news in self.children.take_news() {
            match news {
                News::Started { id, pid, ticks, at, stdout, stderr } => {
                    self.on_started(id, pid, ticks, at, [stdout, stderr]);
                }
                News::Failed { id, failure, message, at } => self.on_failed(id, failure, message, at),
                News::Reaped { id, exit } => {
                    self.on_reaped(id, exit);
                    has_orphans = true;
                }
                News::OrphanReaped { pid } => {
                    self.on_orphan_reaped(pid);
                    has_orphans = true;
                }
            }
        }
        if has_orphans {
            self.sweep();
            for id in self.ending.clone() {
                self.finish(id);
            }
        }
    }

    fn on_started(&mut self, id: u64, pid: i32, ticks: u64, at: jiff::Timestamp, pipes: [OwnedFd; 2]) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let State::Queued(log) = &mut run.state else { return };
        let output = Output::new(std::mem::take(log));
        let key = run.key.clone();
        for (channel, pipe) in pipes.iter().enumerate() {
            let interest = EpollEvent::new(EpollFlags::EPOLLIN, id * 2 + channel as u64);
            // Fails only without memory; the pipe then closes with the run.
            let _ = self.epoll.add(pipe, interest);
        }
        run.state = State::Live(Box::new(Live { pid, at, pipes: pipes.map(Some), output, ending: None }));
        self.ledger.put(&Record::Started { key: key.clone(), pid, ticks, at });
        self.events.push(Event::Started { key: key.clone(), pid, at });
        let signalled = run.signalled;
        for signal in (1..=64).filter(|signal| signalled & (1 << (signal - 1)) != 0) {
            descend::signal_all(&self.children, pid, &key, signal);
        }
    }

    fn on_failed(&mut self, id: u64, failure: StartFailure, message: String, at: jiff::Timestamp) {
        let Some(run) = self.runs.get(&id) else { return };
        let event = Event::Failed { key: run.key.clone(), failure, message, at };
        self.over(id, event);
    }

    fn over(&mut self, id: u64, event: Event) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        self.ledger.put(&Record::Over(event.clone()));
        run.state = State::Over(event.clone());
        self.open -= 1;
        self.ending.remove(&id);
        self.events.push(event);
    }

    fn on_reaped(&mut self, id: u64, exit: Exit) {
        let now = world::monotonic();
        if let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) {
            let leftovers = BTreeSet::new();
            let ending = Ending { exit, leftovers, pipes_until: now + PIPES, until: now + LEFTOVERS };
            live.ending = Some(ending);
            self.ending.insert(id);
        }
    }

    fn on_orphan_reaped(&mut self, pid: i32) {
        for id in &self.ending {
            if let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(id)
                && let Some(ending) = &mut live.ending
            {
                ending.leftovers.remove(&pid);
            }
        }
    }

    /// Ends the descendants that ended runs left behind.
    fn sweep(&mut self) {
        if self.ending.is_empty() {
            return;
        }
        let ending: Vec<(u64, &Run)> =
            self.ending.iter().filter_map(|id| Some((*id, self.runs.get(id)?))).collect();
        let killed = descend::end_orphans(&self.children, &ending);
        for (id, pid) in killed {
            if let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id)
                && let Some(ending) = &mut live.ending
            {
                ending.leftovers.insert(pid);
            }
        }
    }

    fn on_pipe(&mut self, id: u64, channel: usize) {
        let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) else { return };
        let Some(pipe) = &live.pipes[channel] else { return };
        let written = match nix::unistd::read(pipe, &mut self.chunk) {
            Ok(0) => return self.close_pipe(id, channel),
            Ok(count) => live.output.push(CHANNELS[channel], &self.chunk[..count], world::now()),
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Err(error) => {
                self.note(&format!("a pipe cannot be read: {error}"));
                return self.close_pipe(id, channel);
            }
        };
        self.note_log_fault(id, written);
    }

    fn close_pipe(&mut self, id: u64, channel: usize) {
        let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) else { return };
        let Some(pipe) = live.pipes[channel].take() else { return };
        // Taken out before it is closed: a child that is just being started may hold a copy.
        let _ = self.epoll.delete(pipe.as_fd());
        drop(pipe);
        let written = live.output.finish(CHANNELS[channel], world::now());
        self.note_log_fault(id, written);
        self.finish(id);
    }

    /// A log that cannot be written never changes the result.
    fn note_log_fault(&mut self, id: u64, written: io::Result<()>) {
        if let (Err(error), Some(run)) = (written, self.runs.get(&id)) {
            let words = format!("the log of {:?} lacks something: {error}", run.key);
            self.note(&words);
        }
    }

    fn finish(&mut self, id: u64) {
        let Some(Run { state: State::Live(live), key, .. }) = self.runs.get(&id) else { return };
        if !live.is_done(world::monotonic()) {
            return;
        }
        if let Some(event) = live.exited(key) {
            self.over(id, event);
            self.children.closed();
        }
    }

    fn on_time(&mut self) {
        if self.ending.is_empty() {
            return;
        }
        let now = world::monotonic();
        let due: Vec<u64> = self
            .ending
            .iter()
            .copied()
            .filter(|id| self.next_look(*id).is_some_and(|at| at <= now))
            .collect();
        for id in due {
            self.note("a pipe or a descendant outlived its container");
            self.close_pipe(id, 0);
            self.close_pipe(id, 1);
            self.finish(id);
        }
    }

    /// Writes the ledger, then acts on it and tells of it.
    fn commit(&mut self) {
        if let Err(error) = self.ledger.flush() {
            self.note(&format!("the ledger cannot be written: {error}"));
        }
        if self.ledger.is_mostly_dead(self.runs.len()) {
            self.compact();
        }
        self.children.start(std::mem::take(&mut self.jobs));
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
                State::Queued(_) => records.push(Record::Asked(run.key.clone())),
                State::Live(live) => {
                    let ticks = super::procfs::stat(live.pid).map_or(0, |stat| stat.ticks);
                    let key = run.key.clone();
                    records.push(Record::Started { key, pid: live.pid, ticks, at: live.at });
                }
                State::Over(event) => records.push(Record::Over(event.clone())),
            }
        }
        if let Err(error) = self.ledger.compact(records) {
            self.note(&format!("the ledger cannot be rewritten: {error}"));
        }
    }
}
