//! Whose turn it is to use something of a namespace's quotas. It keeps order and nothing else: whoever writes without a
//! turn may have to try again.
//!
//! Requests stand in a row, and only the first of it waits for the turn: the engine, which waits for the turn itself,
//! comes after one request at most, however many there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Row, OwnedMutexGuard};

/// Namespaces that are remembered before those that nobody waits in are forgotten.
const REMEMBERED: usize = 256;

/// The turns, by namespace.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<Place>>>);

#[derive(Default)]
struct Place {
    row: Arc<Row<()>>,
    turn: Arc<Row<()>>,
}

/// The right to use something of a namespace's quotas, given back when it is dropped: the turn first, so that the engine
/// is before the next of the row.
pub struct Turn {
    _turn: OwnedMutexGuard<()>,
    _first: Option<OwnedMutexGuard<()>>,
    /// Keeps the place known while somebody is there.
    _place: Arc<Place>,
}

impl Turns {
    /// A request's: after those that came before it.
    pub(super) async fn in_row(&self, namespace: &str) -> Turn {
        let place = self.place(namespace);
        let first = Arc::clone(&place.row).lock_owned().await;
        let turn = Arc::clone(&place.turn).lock_owned().await;
        Turn { _turn: turn, _first: Some(first), _place: place }
    }

    /// The engine's: after who has it now.
    pub(super) async fn next(&self, namespace: &str) -> Turn {
        let place = self.place(namespace);
        let turn = Arc::clone(&place.turn).lock_owned().await;
        Turn { _turn: turn, _first: None, _place: place }
    }

    fn place(&self, namespace: &str) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= REMEMBERED && !places.contains_key(namespace) {
            places.retain(|_, place| Arc::strong_count(place) > 1);
        }
        Arc::clone(places.entry(namespace.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn engine_comes_after_one_request_however_many_wait_and_other_namespaces_have_their_own() {
        let turns = Turns::default();
        let first = turns.in_row("a").await;
        let mut second = Box::pin(turns.in_row("a"));
        let mut third = Box::pin(turns.in_row("a"));
        let mut engine = Box::pin(turns.next("a"));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        assert!((&mut engine).now_or_never().is_none());
        assert!(turns.in_row("b").now_or_never().is_some(), "another namespace");
        drop(first);
        assert!((&mut second).now_or_never().is_none());
        let engines = engine.now_or_never().expect("it is the engine's turn");
        drop(engines);
        assert!((&mut third).now_or_never().is_none(), "they keep their order");
        drop(second.now_or_never().expect("the next one's"));
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn namespaces_that_nobody_waits_in_are_forgotten() {
        let turns = Turns::default();
        let kept = turns.in_row("kept").await;
        for number in 0..10 * REMEMBERED {
            drop(turns.next(&number.to_string()).await);
        }
        assert!(turns.0.lock().expect("unpoisoned").len() <= REMEMBERED);
        assert!(turns.next("kept").now_or_never().is_none(), "its turn is still taken");
        drop(kept);
    }
}
