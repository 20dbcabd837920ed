//! How long to wait before the next try, and when to give up. Pure: time and chance are arguments.

use std::time::{Duration, Instant};

use crate::limits;
use crate::transport::Fault;

/// The patience with one request, or with one stream.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    budget: Duration,
    /// Since when nothing has been answered.
    since: Option<Instant>,
    /// Failures in a row: they make the pauses longer.
    failures: u32,
}

impl Patience {
    /// Patience for so long without an answer.
    pub(crate) fn new(budget: Duration) -> Self {
        Patience { budget, since: None, failures: 0 }
    }

    /// The pause before the next try; `None` when there is no point in one. `chance` shortens it by up to a quarter.
    pub(crate) fn pause(&mut self, now: Instant, fault: &Fault, chance: u8) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let full = growing(self.failures);
        let pause = full - full / 4 * u32::from(chance) / 256;
        let pause = pause.max(fault.retry_after.unwrap_or_default());
        self.failures += 1;
        let spent = now.saturating_duration_since(since);
        (spent.saturating_add(pause) <= self.budget).then_some(pause)
    }

    /// The server has answered: the time begins anew, the pauses go on growing.
    pub(crate) fn answered(&mut self) {
        self.since = None;
    }

    /// All is well again.
    pub(crate) fn renewed(&mut self) {
        (self.since, self.failures) = (None, 0);
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// The pause after so many failures in a row.
pub(crate) fn growing(failures: u32) -> Duration {
    limits::FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(limits::LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(budget: u64, fault: &Fault) -> Vec<u128> {
        let mut patience = Patience::new(Duration::from_secs(budget));
        let mut now = tokio::time::Instant::now().into_std();
        let mut pauses = Vec::new();
        while let Some(pause) = patience.pause(now, fault, 0) {
            now += pause;
            pauses.push(pause.as_millis());
        }
        pauses
    }

    #[test]
    fn pauses_grow_until_the_budget_is_spent() {
        let fault = Fault::silent("refused");
        assert_eq!(pauses(12, &fault), [100, 200, 400, 800, 1600, 3200, 5000]);
    }

    #[test]
    fn what_the_server_asks_for_is_waited_for() {
        let fault = Fault { retry_after: Some(Duration::from_secs(3)), ..Fault::silent("busy") };
        assert_eq!(pauses(12, &fault), [3000, 3000, 3000, 3000]);
    }

    #[test]
    fn a_server_that_asks_for_more_than_is_left_is_not_waited_for() {
        let fault = Fault { retry_after: Some(Duration::from_secs(3600)), ..Fault::silent("busy") };
        assert_eq!(pauses(30, &fault), [0u128; 0]);
    }

    #[test]
    fn chance_only_shortens() {
        let now = tokio::time::Instant::now().into_std();
        let mut patience = Patience::new(limits::REQUEST_BUDGET);
        let pause = patience.pause(now, &Fault::silent("refused"), 255).unwrap();
        assert!((75..100).contains(&pause.as_millis()), "{pause:?}");
    }
}
