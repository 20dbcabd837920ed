//! The times of a log's entries. No two are the same, as with upstream's runtimes, which ask the clock for every entry:
//! clients take two lines with one time for one line (Dagster's), or leave out what has a time that they saw before
//! (whoever connects to a log anew). What is read at once differs by a nanosecond a line.

use jiff::{SignedDuration, Timestamp};

/// Of the nanoseconds. `Z` follows them.
const DIGITS: usize = 9;

/// The times of one log, as text: each later than the one before, unless the clock was set back.
#[derive(Default)]
pub(crate) struct Stamps {
    last: Option<Timestamp>,
    text: Vec<u8>,
}

impl Stamps {
    /// The next entry's time, which `now` is read for.
    pub(crate) fn next(&mut self, now: Timestamp) -> &[u8] {
        let at = self.last.and_then(|last| after(last, now)).unwrap_or(now);
        let second = self.last.map(Timestamp::as_second);
        self.last = Some(at);
        let nanos = at.subsec_nanosecond();
        // Within a second only the digits are written anew: a program may say a million lines in one. (Before 1970
        // nanoseconds count backwards.)
        match u32::try_from(nanos) {
            Ok(mut rest) if second == Some(at.as_second()) => {
                for digit in self.text.iter_mut().rev().skip(1).take(DIGITS) {
                    *digit = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
            }
            _ => self.text = format!("{at:.9}").into_bytes(),
        }
        &self.text
    }
}

/// The time after the last one, if the clock has not gone on since. More than a second is no haste of lines: there it
/// was set back, and is believed.
fn after(last: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let ahead = last.duration_since(now);
    let is_needed = !ahead.is_negative() && ahead <= SignedDuration::from_secs(1);
    is_needed.then(|| last.checked_add(SignedDuration::from_nanos(1)).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_time_is_later_than_the_one_before() {
        let mut stamps = Stamps::default();
        for (now, stamp) in [
            ("2026-11-20T23:41:06.123456789Z", "2026-11-20T23:41:06.123456789Z"),
            ("2026-11-20T23:41:06.123456789Z", "2026-11-20T23:41:06.123456790Z"),
            ("2026-11-20T23:41:06.123456785Z", "2026-11-20T23:41:06.123456791Z"),
            ("2026-11-20T23:41:06.2Z", "2026-11-20T23:41:06.200000000Z"),
            ("2026-11-20T23:41:06.999999999Z", "2026-11-20T23:41:06.999999999Z"),
            ("2026-11-20T23:41:06.999999999Z", "2026-11-20T23:41:07.000000000Z"),
            ("2026-11-20T23:41:06.999999999Z", "2026-11-20T23:41:07.000000001Z"),
            ("2026-11-20T23:41:08Z", "2026-11-20T23:41:08.000000000Z"),
        ] {
            assert_eq!(stamps.next(at(now)), stamp.as_bytes());
        }
    }

    #[test]
    fn clock_that_was_set_back_is_believed() {
        let mut stamps = Stamps::default();
        stamps.next(at("2026-11-20T23:00:00Z"));
        assert_eq!(stamps.next(at("2026-11-20T22:00:00Z")), b"2026-11-20T22:00:00.000000000Z");
        assert_eq!(stamps.next(at("2026-11-20T22:00:00Z")), b"2026-11-20T22:00:00.000000001Z");
    }

    #[test]
    fn last_of_all_times_stays() {
        let mut stamps = Stamps::default();
        let text = stamps.next(Timestamp::MAX).to_vec();
        assert_eq!(stamps.next(Timestamp::MAX), text);
    }
}
