//! Connections of which nobody knows yet whose they are: few, and the oldest makes way for the next.
//!
//! A real client shows its credentials as soon as it is let in; who holds many connections open without showing any
//! pushes out only their own. Each has a moment before it is pushed out, so that a crowd of real clients is served one
//! after the other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The newcomers, in the order in which they came.
pub(super) struct Lobby {
    limit: usize,
    /// How long each may stay at least.
    least: Duration,
    waiting: Mutex<VecDeque<Weak<State>>>,
    /// Told when one has gone or is known.
    room: Arc<Notify>,
}

/// A connection that may still have to show whose it is: a cheap handle.
#[derive(Clone)]
pub(super) struct Newcomer(Arc<State>);

struct State {
    since: Instant,
    is_known: AtomicBool,
    evicted: Notify,
    room: Arc<Notify>,
}

impl Lobby {
    /// An empty lobby for at most so many, at least one.
    pub(super) fn new(limit: usize, least: Duration) -> Lobby {
        Lobby { limit: limit.max(1), least, waiting: Mutex::default(), room: Arc::default() }
    }

    /// One more, as soon as there is room: when another has gone, is known, or has been there long enough to make way.
    pub(super) async fn enter(&self) -> Newcomer {
        loop {
            match self.try_enter(Instant::now()) {
                Ok(newcomer) => return newcomer,
                Err(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.room.notified() => {}
                },
            }
        }
    }

    /// One more, or when to try again.
    fn try_enter(&self, now: Instant) -> Result<Newcomer, Instant> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.limit {
            waiting.retain(|one| one.upgrade().is_some_and(|one| !one.has_shown()));
        }
        if waiting.len() >= self.limit
            && let Some(oldest) = waiting.front().and_then(Weak::upgrade)
        {
            if oldest.since + self.least > now {
                return Err(oldest.since + self.least);
            }
            oldest.evicted.notify_one();
            waiting.pop_front();
        }
        let state = State {
            since: now,
            is_known: AtomicBool::new(false),
            evicted: Notify::new(),
            room: Arc::clone(&self.room),
        };
        let newcomer = Newcomer(Arc::new(state));
        waiting.push_back(Arc::downgrade(&newcomer.0));
        Ok(newcomer)
    }

    /// All go.
    pub(super) fn clear(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let still = waiting.drain(..).filter_map(|one| one.upgrade()).filter(|one| !one.has_shown());
        still.for_each(|one| one.evicted.notify_one());
    }
}

impl State {
    fn has_shown(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.room.notify_one();
    }
}

impl Newcomer {
    /// Somebody known has spoken: the connection is theirs.
    pub(super) fn is_known(&self) {
        if !self.0.is_known.swap(true, Ordering::Relaxed) {
            self.0.room.notify_one();
        }
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
        if self.0.has_shown() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_evicted(newcomer: &Newcomer) -> bool {
        newcomer.evicted().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_newcomer_makes_way_and_no_known_one() {
        let lobby = Lobby::new(2, Duration::ZERO);
        let first = lobby.enter().await;
        first.is_known();
        let (second, third) = (lobby.enter().await, lobby.enter().await);
        // There was room: the first waits no more.
        assert!(!is_evicted(&second));
        let fourth = lobby.enter().await;
        assert!(is_evicted(&second) && !is_evicted(&third) && !is_evicted(&first));
        drop(third);
        let fifth = lobby.enter().await;
        assert!(!is_evicted(&fourth), "the third had gone by itself");
        lobby.clear();
        assert!(is_evicted(&fourth) && is_evicted(&fifth) && !is_evicted(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_let_in_one_after_the_other_and_each_has_a_moment() {
        let lobby = Lobby::new(2, SECOND);
        let (began, first, second) = (Instant::now(), lobby.enter().await, lobby.enter().await);
        assert!(lobby.enter().now_or_never().is_none(), "both have just come");
        second.is_known();
        let third = lobby.enter().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "it took the place of one that is known");
        let fourth = lobby.enter().await;
        assert!(is_evicted(&first) && began.elapsed() == SECOND, "the first had its moment");
        drop(third);
        let _fifth = lobby.enter().await;
        assert!(!is_evicted(&fourth) && began.elapsed() == SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out_for_newcomers_alone() {
        let lobby = Lobby::new(2, SECOND);
        let (known, unknown) = (lobby.enter().await, lobby.enter().await);
        let deadline = Instant::now() + 10 * SECOND;
        known.is_known();
        unknown.overstays(deadline).await;
        assert!(Instant::now() >= deadline);
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, known.overstays(deadline)).await.is_err());
    }
}
