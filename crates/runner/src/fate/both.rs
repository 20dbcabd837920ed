//! Two runtimes as one: what has a fate is played, everything else is run. It decides nothing else.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::Fates;
use crate::runtime::{Event, Exec, ExecError, Input, InputError, Key, Runtime, RuntimeGone, Session, Start};

/// A runtime that plays what has a fate, beside another one.
pub struct WithFates {
    inner: Arc<dyn Runtime>,
    fates: Arc<Fates>,
}

impl WithFates {
    /// `inner` runs what `fates` does not play.
    #[must_use]
    pub fn new(inner: Arc<dyn Runtime>, fates: Arc<Fates>) -> WithFates {
        WithFates { inner, fates }
    }

    fn of(&self, key: &Key) -> &dyn Runtime {
        if self.fates.knows(key) { &*self.fates } else { &*self.inner }
    }
}

impl Runtime for WithFates {
    fn start(&self, starts: Vec<Start>) {
        let (played, run): (Vec<_>, Vec<_>) = starts.into_iter().partition(|start| start.fate.is_some());
        if !played.is_empty() {
            self.fates.start(played);
        }
        if !run.is_empty() {
            self.inner.start(run);
        }
    }

    fn signal(&self, key: &Key, signal: i32) {
        self.of(key).signal(key, signal);
    }

    fn forget(&self, keys: Vec<Key>) {
        let (played, run): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| self.fates.knows(key));
        if !played.is_empty() {
            self.fates.forget(played);
        }
        if !run.is_empty() {
            self.inner.forget(run);
        }
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Event>, RuntimeGone>> {
        Box::pin(async {
            let mut events = tokio::select! {
                biased;
                events = self.fates.events() => events?,
                events = self.inner.events() => return events,
            };
            // However much is played: who runs is heard, too.
            tokio::select! {
                biased;
                others = self.inner.events() => events.extend(others?),
                () = std::future::ready(()) => {}
            }
            Ok(events)
        })
    }

    fn input<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Input, InputError>> {
        self.of(key).input(key)
    }

    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Session, ExecError>> {
        if self.fates.knows(&exec.key) { self.fates.exec(exec) } else { self.inner.exec(exec) }
    }
}
