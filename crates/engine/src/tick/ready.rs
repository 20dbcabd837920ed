//! What a round takes in: waits for it, or takes what is there; and when nothing is left to do at the present time, has a
//! clock that can be moved set forward.

use futures::FutureExt;
use jiff::Timestamp;
use windlass_runner::runtime::Event;
use windlass_store::{Change, Watch, WatchError};

use super::{Stop, Tick, TickError};
use crate::clock::Turning;
use crate::start::StopPods;
use crate::world;

/// Changes taken from the store at once.
pub(super) const CHANGES: usize = 1024;

/// What a round found ready.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) changes: Vec<Change>,
    pub(super) events: Vec<Event>,
    pub(super) compacted: bool,
    pub(super) stop: Option<StopPods>,
}

impl Tick {
    /// Takes what is ready; waits for something only if there is nothing to do meanwhile.
    pub(super) async fn ready(&mut self, changes: &mut Watch, stop: &mut Stop) -> Result<Ready, TickError> {
        let mut ready = Ready::default();
        // While it drains nobody is let in, however much room there is.
        let is_idle = self.dirty.is_empty() && self.garbage.is_empty();
        let is_stirred = self.room.is_stirred() || self.neighbours.is_stirred();
        let rests = is_idle && (self.draining() || !is_stirred);
        let turns = rests && self.turning.as_mut().is_some_and(Turning::is_wanted);
        let next = self.next_time();
        if rests && !turns {
            tokio::select! {
                told = stop.changed(), if self.drain_until.is_none() => {
                    // Whoever drops the engine without stopping it leaves its pods running.
                    ready.stop = if told.is_ok() { *stop.borrow_and_update() } else { Some(StopPods::Leave) };
                }
                events = self.runtime.events() => ready.events = events?,
                list = changes.next(CHANGES) => ready.take_changes(list)?,
                () = self.sizes.look().done.notified() => {}
                () = self.checks.some() => {}
                () = Turning::asked(&mut self.turning) => {}
                () = world::sleep_until(&*self.world, next) => {}
            }
        } else if self.drain_until.is_none() && stop.has_changed().unwrap_or(true) {
            ready.stop = stop.borrow_and_update().or(Some(StopPods::Leave));
        }
        self.take_ready(&mut ready, changes)?;
        if turns && ready.is_empty() {
            // Only now is there nothing left to do at this time.
            let next = self.next_time();
            self.turning.iter_mut().for_each(|turning| turning.turn(next));
        }
        Ok(ready)
    }

    /// Takes what is there without waiting.
    pub(super) fn take_ready(&self, ready: &mut Ready, changes: &mut Watch) -> Result<(), TickError> {
        if let Some(events) = self.runtime.events().now_or_never() {
            ready.events.extend(events?);
        }
        if !ready.compacted
            && let Some(list) = changes.next(CHANGES).now_or_never()
        {
            ready.take_changes(list)?;
        }
        Ok(())
    }

    /// While much happens, waits a moment for more of it.
    pub(super) async fn gather(&mut self, ready: &mut Ready, changes: &mut Watch) -> Result<(), TickError> {
        let now = world::instant();
        self.pace.saw(ready.events.len() + self.foreign, now);
        self.foreign = 0;
        let wait = self.pace.wait(now);
        if !wait.is_zero() && ready.stop.is_none() && !ready.compacted {
            world::pause(wait).await;
            let before = ready.events.len();
            self.take_ready(ready, changes)?;
            self.pace.saw(ready.events.len() - before, world::instant());
        }
        Ok(())
    }

    pub(super) fn next_time(&self) -> Option<Timestamp> {
        [self.timers.next(), self.fates.next(), self.tokens.next(), self.sizes.next(), self.drain_until]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Ready {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.events.is_empty() && !self.compacted && self.stop.is_none()
    }

    pub(super) fn take_changes(&mut self, list: Result<Vec<Change>, WatchError>) -> Result<(), TickError> {
        match list {
            Ok(list) => self.changes.extend(list),
            Err(WatchError::Compacted { .. }) => self.compacted = true,
            Err(cause) => return Err(cause.into()),
        }
        Ok(())
    }
}
