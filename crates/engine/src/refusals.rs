//! Jobs and CronJobs that were refused what they wanted to create: when they may try again.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use windlass_store::Key;

/// The first and the longest wait (upstream's `DefaultJobApiBackOff` and `MaxJobApiBackOff`); it doubles each time.
const FIRST: SignedDuration = SignedDuration::from_secs(1);
const LONGEST: SignedDuration = SignedDuration::from_secs(60);

/// Who was refused.
#[derive(Default)]
pub(crate) struct Refusals(HashMap<Key, Refusal>);

struct Refusal {
    times: u32,
    until: Timestamp,
    /// The name that the refused pod would have: told each time, so that it is one event that is seen again.
    pod: Option<String>,
}

impl Refusals {
    /// Until when an object is to wait, if it is.
    pub(crate) fn holds(&self, key: &Key, now: Timestamp) -> Option<Timestamp> {
        self.0.get(key).map(|refusal| refusal.until).filter(|until| *until > now)
    }

    /// The name of the pod that a Job was refused last.
    pub(crate) fn pod(&self, key: &Key) -> Option<&str> {
        self.0.get(key)?.pod.as_deref()
    }

    /// The name of the pod that a Job was just refused.
    pub(crate) fn name(&mut self, key: &Key, pod: String) {
        if let Some(refusal) = self.0.get_mut(key) {
            refusal.pod = Some(pod);
        }
    }

    /// It was refused; until when it waits.
    pub(crate) fn refused(&mut self, key: &Key, now: Timestamp) -> Timestamp {
        let refusal = self.0.entry(key.clone()).or_insert(Refusal { times: 0, until: now, pod: None });
        let wait = 2i32.checked_pow(refusal.times).and_then(|factor| FIRST.checked_mul(factor));
        refusal.until = now.saturating_add(wait.map_or(LONGEST, |wait| wait.min(LONGEST))).unwrap_or(now);
        refusal.times += 1;
        refusal.until
    }

    /// It was not refused, or is gone.
    pub(crate) fn forget(&mut self, key: &Key) {
        if !self.0.is_empty() {
            self.0.remove(key);
        }
    }

    /// There may be a place in a namespace: whoever waits for one there need not wait longer.
    pub(crate) fn wake(&mut self, namespace: &str, now: Timestamp) -> Vec<Key> {
        let mut woken = Vec::new();
        for (key, refusal) in &mut self.0 {
            if key.split('/').nth(2) == Some(namespace) && refusal.until > now {
                refusal.until = now;
                woken.push(key.clone());
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_holds_twice_as_long_until_a_minute_or_until_there_is_a_place() {
        let (mut refusals, now) = (Refusals::default(), Timestamp::UNIX_EPOCH);
        let key: Key = "/jobs.batch/ns/j".into();
        assert_eq!(refusals.holds(&key, now), None);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let until = refusals.refused(&key, now);
            assert_eq!(until.as_second(), seconds);
            assert_eq!(refusals.holds(&key, now), Some(until));
            assert_eq!(refusals.holds(&key, until), None);
        }
        assert!(refusals.wake("other", now).is_empty());
        assert_eq!(refusals.wake("ns", now), vec![key.clone()]);
        assert_eq!(refusals.holds(&key, now), None);
        refusals.forget(&key);
        assert_eq!(refusals.refused(&key, now).as_second(), 1);
    }
}
