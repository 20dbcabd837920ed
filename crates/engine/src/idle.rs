//! When an engine has been of no use for long: no request, no watch, nothing that runs or waits to run, no CronJob
//! that will be due.
//!
//! Decides only. Who started the engine chooses whether it then leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use windlass_apiserver::http::Activity;
use windlass_apiserver::world::World;

use crate::world;

/// How often it is looked during the time that the engine may be idle: it is so much finer than that time.
const LOOKS: i32 = 16;

/// What is going on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scene {
    /// Requests and watches that are being answered.
    open: usize,
    /// Requests that have ever come.
    seen: u64,
    /// Jobs and pods that are not over, and CronJobs that are not suspended.
    busy: usize,
}

/// Since when nothing has been going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quiet {
    since: Option<Timestamp>,
    seen: u64,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It has been idle for so long.
    Leave,
    /// To look again then.
    Look(Timestamp),
}

impl Quiet {
    /// One look. A clock that was set back begins the time anew; one that was set forward shortens it.
    fn look(&mut self, scene: Scene, now: Timestamp, after: Duration) -> Next {
        let quiet = scene.open == 0 && scene.busy == 0;
        let same = scene.seen == self.seen;
        let since = self.since.filter(|since| same && *since <= now).unwrap_or(now);
        *self = Quiet { since: quiet.then_some(since), seen: scene.seen };
        let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
        let until = self.since.unwrap_or(now).saturating_add(after).unwrap_or(Timestamp::MAX);
        if until <= now {
            return Next::Leave;
        }
        let soon = now.saturating_add(after / LOOKS).unwrap_or(Timestamp::MAX);
        Next::Look(soon.min(until))
    }
}

/// Watches over an engine's idleness. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Idle {
    pub(crate) activity: Activity,
    pub(crate) busy: Arc<AtomicUsize>,
    pub(crate) world: Arc<dyn World>,
    /// After how long it is enough; never, if none.
    pub(crate) after: watch::Receiver<Option<Duration>>,
}

impl Idle {
    /// Resolves when the engine has been idle for as long as it may be.
    pub(crate) async fn elapsed(mut self) {
        let mut quiet = Quiet { since: None, seen: 0 };
        loop {
            let after = *self.after.borrow_and_update();
            let at = match after.map(|after| quiet.look(self.scene(), self.world.now(), after)) {
                Some(Next::Leave) => return,
                Some(Next::Look(at)) => Some(at),
                None => None,
            };
            tokio::select! {
                () = world::sleep_until(&*self.world, at) => {}
                changed = self.after.changed() => if changed.is_err() {
                    // The engine is gone: nobody asks any more.
                    return std::future::pending().await;
                },
            }
        }
    }

    /// Whether nothing is going on at this moment.
    pub(crate) fn is_quiet(&self) -> bool {
        let Scene { open, busy, .. } = self.scene();
        open == 0 && busy == 0
    }

    fn scene(&self) -> Scene {
        Scene {
            open: self.activity.open(),
            seen: self.activity.seen(),
            busy: self.busy.load(Ordering::Acquire),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_HOUR: Duration = Duration::from_secs(1800);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).expect("a time")
    }

    fn scene(open: usize, seen: u64, busy: usize) -> Scene {
        Scene { open, seen, busy }
    }

    /// Follows every look until it leaves, or for a day; the minute of its leaving.
    fn leaves(scene: impl Fn(i64) -> Scene) -> Option<i64> {
        let mut quiet = Quiet { since: None, seen: 0 };
        let mut now = at(0);
        while now < at(1440) {
            let minute = (now.as_second() - at(0).as_second()) / 60;
            match quiet.look(scene(minute), now, HALF_HOUR) {
                Next::Leave => return Some(minute),
                Next::Look(then) => {
                    assert!(then > now, "time goes on");
                    now = then;
                }
            }
        }
        None
    }

    #[test]
    fn an_engine_that_nobody_asks_leaves_when_its_time_is_over() {
        assert_eq!(leaves(|_| scene(0, 0, 0)), Some(30));
    }

    #[test]
    fn a_running_or_waiting_job_keeps_it() {
        assert_eq!(leaves(|_| scene(0, 0, 1)), None);
        assert!(
            leaves(|minute| scene(0, 0, usize::from(minute < 60))).is_some_and(|m| (90..=92).contains(&m))
        );
    }

    #[test]
    fn a_watch_keeps_it() {
        assert_eq!(leaves(|_| scene(1, 1, 0)), None);
    }

    #[test]
    fn each_request_begins_the_time_anew() {
        assert_eq!(leaves(|minute| scene(0, u64::try_from(minute / 20).unwrap_or(0), 0)), None);
        assert!(leaves(|minute| scene(0, u64::from(minute > 20), 0)).is_some_and(|m| (50..=53).contains(&m)));
    }

    #[test]
    fn a_clock_that_was_set_back_begins_the_time_anew() {
        let mut quiet = Quiet { since: Some(at(100)), seen: 0 };
        assert!(matches!(quiet.look(scene(0, 0, 0), at(0), HALF_HOUR), Next::Look(_)));
        assert_eq!(quiet.since, Some(at(0)));
        assert_eq!(quiet.look(scene(0, 0, 0), at(30), HALF_HOUR), Next::Leave);
    }
}
