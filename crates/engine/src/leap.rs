//! The rounds of one leap of the clock, counted: one that does not come to its end is given up, and what goes on and on is
//! named. It knows neither clock nor store.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::SignedDuration;
use windlass_store::Key;

/// Rounds in which the clock may stay within one second: 10,000 transactions of a few hundred objects each.
const STANDING: usize = 10_000;
/// Rounds of a whole leap: half a year of a CronJob's every minute is a million and a half.
const IN_ALL: usize = 4_000_000;
/// So many rounds before it is given up it is noted what they are about.
const NOTED: usize = 100;
/// Objects that are named.
const NAMED: usize = 3;

/// What a leap has cost so far.
#[derive(Default)]
pub(crate) struct Steps {
    all: usize,
    standing: usize,
    /// How far the clock was ahead when it began to stand.
    since: SignedDuration,
    /// How often each object was looked at in the last rounds.
    looks: HashMap<Key, usize>,
}

impl Steps {
    /// One more round of a clock that is so far ahead, about these objects. Says how it stands once there were too many.
    pub(crate) fn round<'a>(
        &mut self,
        ahead: SignedDuration,
        about: impl Iterator<Item = &'a Key>,
    ) -> Option<String> {
        self.all += 1;
        self.standing += 1;
        if ahead - self.since >= SignedDuration::from_secs(1) {
            (self.standing, self.since) = (0, ahead);
            if self.all + NOTED < IN_ALL {
                self.looks.clear();
            }
        }
        let left = (STANDING - self.standing).min(IN_ALL - self.all);
        if left < NOTED {
            about.for_each(|key| *self.looks.entry(key.clone()).or_default() += 1);
        }
        (left == 0).then(|| self.told())
    }

    fn told(&self) -> String {
        let so_far = match self.standing >= STANDING {
            true => format!("in {STANDING} rounds at this time there was always more to do"),
            false => format!("after {IN_ALL} rounds there is still more to do on the way"),
        };
        let mut looks: Vec<_> = self.looks.iter().collect();
        looks.sort_by_key(|(key, looks)| (Reverse(**looks), *key));
        let named = looks.iter().take(NAMED).map(|(key, _)| key.trim_start_matches('/'));
        match named.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => so_far,
            named => format!("{so_far}, last for {named}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        text.into()
    }

    fn ahead(milliseconds: usize) -> SignedDuration {
        SignedDuration::from_millis(i64::try_from(milliseconds).unwrap())
    }

    #[test]
    fn clock_that_stands_still_is_given_up_and_who_keeps_it_is_named() {
        let mut steps = Steps::default();
        let job = key("/jobs.batch/default/again");
        for round in 1..STANDING {
            // A new pod each time, and less than a second in all.
            let pod = key(&format!("/pods/default/again-{round}"));
            assert_eq!(steps.round(ahead(round / 100), [&job, &pod].into_iter()), None, "{round}");
        }
        let told = steps.round(ahead(STANDING / 100), [&job].into_iter()).expect("too many");
        assert!(told.starts_with("in 10000 rounds at this time"), "{told}");
        assert!(told.contains("last for jobs.batch/default/again, pods/default/again-"), "{told}");
        assert!(steps.looks.len() <= NOTED + 1, "only the last rounds are noted");
    }

    #[test]
    fn clock_that_goes_on_second_by_second_is_not_given_up_before_long() {
        let mut steps = Steps::default();
        let cron = key("/cronjobs.batch/default/every-minute");
        let told = (1..).find_map(|round| {
            let told = steps.round(ahead(round * 1000), [&cron].into_iter())?;
            Some((round, told))
        });
        let (round, told) = told.expect("it has an end");
        assert_eq!(round, IN_ALL);
        assert!(
            told.ends_with("more to do on the way, last for cronjobs.batch/default/every-minute"),
            "{told}"
        );
    }
}
