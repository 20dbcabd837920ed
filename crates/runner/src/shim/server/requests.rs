//! What the client asks for.

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::{CLIENT, Server};
use crate::runtime::{Event, Key, Start, StartFailure};
use crate::shim::MAX_RUNS;
use crate::shim::children::Job;
use crate::shim::connection::Connection;
use crate::shim::descend;
use crate::shim::ledger::Record;
use crate::shim::run::{Run, State};
use crate::shim::wire::{Reply, Request};
use crate::world;

impl Server {
    pub(super) fn on_connect(&mut self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => return self.rest_from_accepting(&error),
        };
        let connection = match Connection::greet(stream) {
            Ok(connection) => connection,
            Err(error) => return self.note(&format!("a connection was refused: {error}")),
        };
        self.drop_client("another one came");
        let interest = EpollEvent::new(EpollFlags::EPOLLIN, CLIENT);
        if let Err(error) = self.epoll.add(&connection, interest) {
            return self.note(&format!("a connection cannot be waited for: {error}"));
        }
        self.groups.engine_is(connection.peer());
        self.had_client = true;
        self.client = Some(connection);
    }

    pub(super) fn drop_client(&mut self, why: &str) {
        if let Some(client) = self.client.take() {
            self.note(&format!("the connection ended: {why}"));
            let _ = self.epoll.delete(&client);
        }
    }

    pub(super) fn on_client(&mut self) {
        let Some(client) = &mut self.client else { return };
        let (requests, end) = client.receive();
        for request in requests {
            self.on_request(request);
        }
        if let Some(why) = end {
            self.drop_client(&why);
        }
    }

    pub(super) fn on_request(&mut self, request: Request) {
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

    pub(super) fn tell_all(&mut self) {
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

    pub(super) fn on_start(&mut self, start: Box<Start>) {
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
        let id = self
            .insert(start.key.clone(), State::Queued { log: start.log.clone(), log_limit: start.log_limit });
        self.jobs.push(Job { id, start });
    }

    pub(super) fn insert(&mut self, key: Key, state: State) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.ids.insert(key.clone(), id);
        let run = Run { key, state, signalled: 0 };
        self.open += usize::from(run.is_open());
        self.runs.insert(id, run);
        id
    }

    pub(super) fn on_signal(&mut self, key: &Key, signal: i32) {
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
            if let Some(group) = live.surroundings.group.as_ref().filter(|_| signal == libc::SIGKILL) {
                group.kill();
            }
        }
    }

    /// What was not begun, because no record of it could be written, and is not to be begun any more.
    pub(super) fn fail_held(&mut self) {
        let is_killed = |job: &Job| {
            self.runs.get(&job.id).is_some_and(|run| run.signalled & (1 << (libc::SIGKILL - 1)) != 0)
        };
        for job in self.jobs.extract_if(.., |job| is_killed(job)).collect::<Vec<_>>() {
            let message = "it was ended before it started: no record of it could be written".to_owned();
            self.on_failed(job.id, StartFailure::Other, message, world::now());
        }
    }

    pub(super) fn on_forget(&mut self, keys: Vec<Key>) {
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

    pub(super) fn end_all(&mut self) {
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
