//! How long the tick gathers before it decides: not at all while little happens, a moment while much does, so that one
//! transaction (and one look at a Job with many pods) does for many changes.
//!
//! It knows no clock: times are handed in.

use std::time::Duration;

use tokio::time::Instant;

/// How long is gathered while much happens. A prototype with 64 pods in flight was fastest with 2 to 3 ms.
const WINDOW: Duration = Duration::from_millis(2);
/// So many happenings a millisecond are much.
const BUSY: f64 = 0.7;
/// Over what time happenings are counted.
const SPAN: Duration = Duration::from_millis(15);

/// How much happens.
pub(crate) struct Pace {
    since: Instant,
    seen: usize,
    /// Happenings a millisecond in the last whole span.
    rate: f64,
    /// When the last draft was committed.
    committed: Instant,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Pace {
        Pace { since: now, seen: 0, rate: 0.0, committed: now }
    }

    /// So many more things have happened.
    pub(crate) fn saw(&mut self, happenings: usize, now: Instant) {
        self.seen += happenings;
        let span = now.duration_since(self.since);
        if span >= SPAN {
            self.rate = self.seen as f64 / (span.as_secs_f64() * 1e3);
            (self.since, self.seen) = (now, 0);
        }
    }

    /// A draft was committed.
    pub(crate) fn committed(&mut self, now: Instant) {
        self.committed = now;
    }

    /// How long the next draft should wait for more to come.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        if self.rate < BUSY {
            Duration::ZERO
        } else {
            WINDOW.saturating_sub(now.duration_since(self.committed))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_while_little_happens() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for at in (0..1000).step_by(10) {
            pace.saw(4, start + Duration::from_millis(at));
        }
        pace.committed(start + Duration::from_millis(1000));
        assert_eq!(pace.wait(start + Duration::from_millis(1000)), Duration::ZERO);
    }

    #[test]
    fn much_is_gathered_for_a_moment_after_each_commit_and_no_longer_than_it_lasts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(start);
        (1..30).for_each(|ms| pace.saw(3, at(ms)));
        pace.committed(at(30));
        assert_eq!(pace.wait(at(31)), Duration::from_millis(1));
        assert_eq!(pace.wait(at(40)), Duration::ZERO);
        pace.saw(1, at(1000));
        pace.committed(at(1000));
        assert_eq!(pace.wait(at(1000)), Duration::ZERO);
    }
}
