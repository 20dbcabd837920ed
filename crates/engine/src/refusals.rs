//! Jobs and CronJobs that were refused what they wanted to create: when they may try again.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use windlass_store::Key;

/// The first and the longest wait (upstream's `DefaultJobApiBackOff` and `MaxJobApiBackOff`); it doubles each time.
const FIRST: SignedDuration = SignedDuration::from_secs(1);
const LONGEST: SignedDuration = SignedDuration::from_secs(60);
/// How many are asked again at once when there is room; each that finds some has as many more asked.
const AT_ONCE: usize = 8;

/// Who was refused.
#[derive(Default)]
pub(crate) struct Refusals(HashMap<Key, Refusal>);

struct Refusal {
    times: u32,
    /// The first time, of those since it was let in last.
    since: Timestamp,
    until: Timestamp,
    /// The name that the refused pod would have: told each time, so that it is one event that is seen again.
    pod: Option<String>,
    /// If no quota was why: the priority class that the pod names; empty if it names none.
    class: Option<String>,
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

    /// The pod that a Job was just refused: its name, and, if no quota was why, the priority class that it names.
    pub(crate) fn name(&mut self, key: &Key, pod: String, class: Option<String>) {
        if let Some(refusal) = self.0.get_mut(key) {
            refusal.pod = Some(pod);
            refusal.class = class;
        }
    }

    /// It was refused; until when it waits.
    pub(crate) fn refused(&mut self, key: &Key, now: Timestamp) -> Timestamp {
        let refusal = self.0.entry(key.clone()).or_insert_with(|| Refusal {
            times: 0,
            since: now,
            until: now,
            pod: None,
            class: None,
        });
        let wait = 2i32.checked_pow(refusal.times).and_then(|factor| FIRST.checked_mul(factor));
        refusal.until = now.saturating_add(wait.map_or(LONGEST, |wait| wait.min(LONGEST))).unwrap_or(now);
        refusal.times += 1;
        refusal.until
    }

    /// It was not refused, or is gone. Whether it had been refused before.
    pub(crate) fn forget(&mut self, key: &Key) -> bool {
        !self.0.is_empty() && self.0.remove(key).is_some()
    }

    /// There may be a place in a namespace: those who have waited longest for one there need not wait longer. The others
    /// wait for their time, so that little room does not have thousands ask for it.
    pub(crate) fn wake(&mut self, namespace: &str, now: Timestamp) -> Vec<Key> {
        let waits = |key: &Key, refusal: &Refusal| {
            is_in(key, namespace) && refusal.until > now && refusal.class.is_none()
        };
        let waiting = self.0.iter().filter(|(key, refusal)| waits(key, refusal));
        let mut waiting: Vec<_> = waiting.map(|(key, refusal)| (refusal.since, key.clone())).collect();
        if waiting.len() > AT_ONCE {
            waiting.select_nth_unstable(AT_ONCE);
            waiting.truncate(AT_ONCE);
        }
        let woken: Vec<Key> = waiting.into_iter().map(|(_, key)| key).collect();
        self.wake_these(&woken, now);
        woken
    }

    /// A priority class came or changed: none of those need wait longer that were refused for its sake, or name no class
    /// and may have been. None of them takes anything from the others.
    pub(crate) fn wake_class(&mut self, class: &str, now: Timestamp) -> Vec<Key> {
        let is_its = |refusal: &Refusal| {
            refusal.until > now
                && refusal.class.as_deref().is_some_and(|named| named.is_empty() || named == class)
        };
        let woken = self.0.iter().filter(|(_, refusal)| is_its(refusal)).map(|(key, _)| key.clone());
        let woken: Vec<Key> = woken.collect();
        self.wake_these(&woken, now);
        woken
    }

    /// A namespace's limit ranges are others: those who were refused whatever the quotas allow need not wait longer.
    pub(crate) fn wake_limited(&mut self, namespace: &str, now: Timestamp) -> Vec<Key> {
        let is_its = |key: &Key, refusal: &Refusal| {
            is_in(key, namespace) && refusal.until > now && refusal.class.is_some()
        };
        let woken = self.0.iter().filter(|(key, refusal)| is_its(key, refusal)).map(|(key, _)| key.clone());
        let woken: Vec<Key> = woken.collect();
        self.wake_these(&woken, now);
        woken
    }

    fn wake_these(&mut self, woken: &[Key], now: Timestamp) {
        for key in woken {
            if let Some(refusal) = self.0.get_mut(key) {
                refusal.until = now;
            }
        }
    }
}

fn is_in(key: &Key, namespace: &str) -> bool {
    key.split('/').nth(2) == Some(namespace)
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
        assert!(refusals.forget(&key) && !refusals.forget(&key));
        assert_eq!(refusals.refused(&key, now).as_second(), 1);
    }

    #[test]
    fn who_has_waited_longest_is_asked_first_and_not_all_at_once() {
        let mut refusals = Refusals::default();
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let key = |number: i64| Key::from(format!("/jobs.batch/ns/{:02}", 99 - number));
        for number in 0..20 {
            refusals.refused(&key(number), at(number));
        }
        // It was refused again meanwhile, and has waited as long all the same.
        refusals.refused(&key(3), at(19));
        for number in 0..20 {
            refusals.refused(&key(number), at(20));
        }
        let mut woken = refusals.wake("ns", at(20));
        woken.sort();
        let mut longest: Vec<Key> = (0..8).map(key).collect();
        longest.sort();
        assert_eq!(woken, longest);
        assert_eq!(refusals.wake("ns", at(20)).len(), 8, "the next ones");
    }

    #[test]
    fn class_that_comes_wakes_all_that_wait_for_it_and_nobody_else() {
        let (mut refusals, now) = (Refusals::default(), Timestamp::UNIX_EPOCH);
        let key = |number: usize| Key::from(format!("/jobs.batch/ns{}/j{number:02}", number % 3));
        for number in 0..30 {
            refusals.refused(&key(number), now);
            refusals.name(&key(number), "pod".to_owned(), Some("urgent".to_owned()));
        }
        let others = [("a", Some("other")), ("b", Some("")), ("c", None)];
        for (name, class) in others {
            let key = Key::from(format!("/jobs.batch/ns0/{name}"));
            refusals.refused(&key, now);
            refusals.name(&key, "pod".to_owned(), class.map(str::to_owned));
        }
        let woken = refusals.wake_class("urgent", now);
        assert_eq!(woken.len(), 31, "and the one that names none");
        assert!(woken.iter().all(|key| refusals.holds(key, now).is_none()));
        assert!(refusals.holds(&"/jobs.batch/ns0/a".into(), now).is_some());
        assert!(refusals.wake_class("urgent", now).is_empty());
        // Room in a quota is for those only that a quota keeps.
        assert_eq!(refusals.wake("ns0", now), [Key::from("/jobs.batch/ns0/c")]);
        assert_eq!(refusals.wake_limited("ns0", now), [Key::from("/jobs.batch/ns0/a")]);
    }
}
