//! Processes of the host know nothing of a clock that was set forward: what is told of them is told in the engine's time,
//! so that what is reckoned from it (back-off, probes' delays, durations) is reckoned right. It decides nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use windlass_runner::runtime::{
    Event, Exec, ExecError, Input, InputError, Key, Runtime, RuntimeGone, Session, Start,
};

use crate::clock::Movable;

/// A runtime whose times are the machine's, told in those of a clock that is ahead of it.
pub(crate) struct Shifted {
    inner: Arc<dyn Runtime>,
    clock: Arc<Movable>,
    /// How far the clock was ahead when these runs were said to run: their starts stay where they were told to be.
    starts: Mutex<HashMap<Key, SignedDuration>>,
}

impl Shifted {
    pub(crate) fn new(inner: Arc<dyn Runtime>, clock: Arc<Movable>) -> Shifted {
        Shifted { inner, clock, starts: Mutex::default() }
    }

    /// Events in the engine's time.
    pub(crate) fn shifted(&self, mut events: Vec<Event>) -> Vec<Event> {
        let ahead = self.clock.ahead();
        if !ahead.is_zero() {
            let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            for event in &mut events {
                shift(event, ahead, &mut starts);
            }
        }
        events
    }
}

fn shift(event: &mut Event, ahead: SignedDuration, starts: &mut HashMap<Key, SignedDuration>) {
    match event {
        Event::Started { key, at, .. } => *at = later(*at, *starts.entry(key.clone()).or_insert(ahead)),
        Event::Exited { key, started_at, finished_at, .. } => {
            *started_at = later(*started_at, starts.remove(key).unwrap_or(ahead));
            *finished_at = later(*finished_at, ahead);
        }
        Event::Failed { key, at, .. } | Event::Lost { key, at, .. } => {
            starts.remove(key);
            *at = later(*at, ahead);
        }
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    // Saturates at the end of time.
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

impl Runtime for Shifted {
    fn start(&self, starts: Vec<Start>) {
        self.inner.start(starts);
    }

    fn signal(&self, key: &Key, signal: i32) {
        self.inner.signal(key, signal);
    }

    fn forget(&self, keys: Vec<Key>) {
        self.inner.forget(keys);
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Event>, RuntimeGone>> {
        Box::pin(async { Ok(self.shifted(self.inner.events().await?)) })
    }

    fn input<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Input, InputError>> {
        self.inner.input(key)
    }

    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Session, ExecError>> {
        self.inner.exec(exec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn run_that_began_before_a_leap_keeps_its_start_and_ends_after_it() {
        let key = Key { pod: "4e5d".to_owned(), container: "main".to_owned(), attempt: 0 };
        let mut starts = HashMap::new();
        let ended = windlass_runner::runtime::Ended::Code(0);
        let mut began = Event::Started { key: key.clone(), pid: 1, at: at(10), unlimited: None };
        shift(&mut began, SignedDuration::from_secs(100), &mut starts);
        let Event::Started { at: told, .. } = began else { panic!("{began:?}") };
        assert_eq!(told, at(110));
        let (started_at, finished_at) = (at(10), at(15));
        let mut over = Event::Exited {
            key: key.clone(),
            ended,
            started_at,
            finished_at,
            cpu_us: 0,
            peak_bytes: 0,
            log_bytes: 0,
            out_of_memory: false,
            unlimited: None,
        };
        shift(&mut over, SignedDuration::from_secs(3600), &mut starts);
        let Event::Exited { started_at, finished_at, .. } = over else { panic!("{over:?}") };
        assert_eq!((started_at, finished_at), (at(110), at(3615)));
        assert!(starts.is_empty());
    }
}
