//! Connections of which nobody knows yet whose they are: few, and the oldest makes way for the next.
//!
//! A real client shows its credentials within milliseconds; who holds many connections open without showing any
//! pushes out only their own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The newcomers, in the order in which they came.
pub(super) struct Lobby {
    limit: usize,
    waiting: Mutex<VecDeque<Newcomer>>,
}

/// A connection that may still have to show whose it is: a cheap handle.
#[derive(Clone, Default)]
pub(super) struct Newcomer(Arc<State>);

#[derive(Default)]
struct State {
    is_known: AtomicBool,
    evicted: Notify,
}

impl Lobby {
    /// An empty lobby for at most so many, at least one.
    pub(super) fn new(limit: usize) -> Lobby {
        Lobby { limit: limit.max(1), waiting: Mutex::default() }
    }

    /// One more; the oldest go as far as there is no room.
    pub(super) fn enter(&self) -> Newcomer {
        let newcomer = Newcomer::default();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.limit {
            // Whoever is known, or has gone (only this list still has it), waits no more.
            waiting.retain(|one| !one.has_shown() && Arc::strong_count(&one.0) > 1);
        }
        while waiting.len() >= self.limit
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.0.evicted.notify_one();
        }
        waiting.push_back(newcomer.clone());
        newcomer
    }

    /// All go.
    pub(super) fn clear(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain(..).filter(|one| !one.has_shown()).for_each(|one| one.0.evicted.notify_one());
    }
}

impl Newcomer {
    /// Somebody known has spoken: the connection is theirs.
    pub(super) fn is_known(&self) {
        self.0.is_known.store(true, Ordering::Relaxed);
    }

    fn has_shown(&self) -> bool {
        self.0.is_known.load(Ordering::Relaxed)
    }

    /// Resolves when it has to make way.
    pub(super) async fn evicted(&self) {
        self.0.evicted.notified().await;
    }

    /// Resolves when it has to make way or its time is up, and never once it is known.
    pub(super) async fn overstays(&self, deadline: Instant) {
        tokio::select! {
            () = self.evicted() => {}
            () = sleep_until(deadline) => {}
        }
        if self.has_shown() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn the_oldest_newcomer_makes_way_and_no_known_one() {
        let lobby = Lobby::new(2);
        let first = lobby.enter();
        first.is_known();
        let (second, third) = (lobby.enter(), lobby.enter());
        // There was room: the first waits no more.
        assert!(second.evicted().now_or_never().is_none());
        let fourth = lobby.enter();
        assert!(second.evicted().now_or_never().is_some());
        assert!(third.evicted().now_or_never().is_none());
        assert!(first.evicted().now_or_never().is_none());
        drop(third);
        let fifth = lobby.enter();
        assert!(fourth.evicted().now_or_never().is_none(), "the third had gone by itself");
        lobby.clear();
        assert!(fourth.evicted().now_or_never().is_some() && fifth.evicted().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out_for_newcomers_alone() {
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        let (known, unknown) = (Newcomer::default(), Newcomer::default());
        known.is_known();
        unknown.overstays(deadline).await;
        assert!(Instant::now() >= deadline);
        let day = std::time::Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, known.overstays(deadline)).await.is_err());
    }
}
