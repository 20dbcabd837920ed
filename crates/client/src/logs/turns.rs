//! When the reading of a container begins: the pods of one index one after the other, and a bounded number of
//! containers at a time.
//!
//! A turn lasts as long as its container. Nobody waits for ever for a log that cannot end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{self, Either};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use windlass_manifest::tasks::failures_before;

use super::state::ContainerState;
use crate::limits;
use crate::world::World;

/// In which order pods are read that are seen together: those of an index as they were made. A listing has them by
/// their names, which are random.
pub(super) fn order(pod: &Pod) -> (Option<u32>, Option<u32>, Option<Timestamp>, Option<String>) {
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (crate::view::index(pod), failures_before(pod), created, pod.metadata.name.clone())
}

/// Gives turns.
pub(super) struct Turns {
    readers: Arc<Semaphore>,
    /// The newest reading of each index and container, and how many came before it.
    newest: BTreeMap<(u32, String), (u32, Before)>,
    /// Nobody waits for the pod before any more.
    released: watch::Sender<bool>,
    is_crowd_said: Arc<AtomicBool>,
}

/// The reading that another comes after.
struct Before {
    done: oneshot::Receiver<()>,
    state: watch::Receiver<ContainerState>,
}

/// What a reading waits for.
pub(super) struct Turn {
    before: Option<(Before, watch::Receiver<bool>)>,
    readers: Arc<Semaphore>,
    is_crowd_said: Arc<AtomicBool>,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns {
            readers: Arc::new(Semaphore::new(limits::LOG_READERS)),
            newest: BTreeMap::new(),
            released: watch::Sender::new(false),
            is_crowd_said: Arc::default(),
        }
    }

    /// The turn of a container, how many pods of its index come before it, and what is to be dropped when its reading
    /// has ended.
    pub(super) fn next(
        &mut self,
        index: Option<u32>,
        container: &str,
        state: watch::Receiver<ContainerState>,
    ) -> (Turn, u32, oneshot::Sender<()>) {
        let (reading, done) = oneshot::channel();
        let (readers, is_crowd_said) = (self.readers.clone(), self.is_crowd_said.clone());
        let mut turn = Turn { before: None, readers, is_crowd_said };
        let Some(index) = index else { return (turn, 0, reading) };
        let key = (index, container.to_owned());
        let (count, before) =
            self.newest.remove(&key).map_or((0, None), |(count, before)| (count + 1, Some(before)));
        turn.before = before.map(|before| (before, self.released.subscribe()));
        self.newest.insert(key, (count, Before { done, state }));
        (turn, count, reading)
    }

    /// Whoever waits for the pod before waits no more; true if there was somebody.
    pub(super) fn release(&mut self) -> bool {
        !self.released.send_replace(true) && self.released.receiver_count() > 0
    }
}

impl Turn {
    /// Until the pod before has been read.
    pub(super) async fn after_the_one_before(&mut self, world: &dyn World) {
        let Some((Before { done, state }, mut released)) = self.before.take() else { return };
        let patience = world.sleep(limits::LOG_BEFORE);
        let given_up = async {
            patience.await;
            let has_ended = state.borrow().ended;
            // The log of what has ended ends. What has not is out of reach: its index is only given to another when it
            // should have ended.
            if has_ended {
                future::pending::<()>().await;
            }
        };
        let released = async {
            // The channel is closed with the pump, and this reading with it.
            if released.wait_for(|released| *released).await.is_err() {
                future::pending::<()>().await;
            }
        };
        let (given_up, released) = (std::pin::pin!(given_up), std::pin::pin!(released));
        future::select(done, future::select(given_up, released)).await;
    }

    /// Until there is room for one more reader. `crowded` is done once, for the first of those that wait long.
    pub(super) async fn room(
        self,
        world: &dyn World,
        crowded: impl AsyncFnOnce(),
    ) -> Option<OwnedSemaphorePermit> {
        let room = std::pin::pin!(self.readers.acquire_owned());
        match future::select(room, world.sleep(limits::LOG_CROWD)).await {
            Either::Left((room, _)) => room.ok(),
            Either::Right((_, room)) => {
                if !self.is_crowd_said.swap(true, Ordering::Relaxed) {
                    crowded().await;
                }
                room.await.ok()
            }
        }
    }
}
