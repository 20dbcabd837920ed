//! What must hold of every schedule that somebody may write: the body of the fuzz target in `fuzz/`.
//!
//! Built for tests and with the feature `fuzzing`; no part of the language.

#[cfg(test)]
#[path = "../../../../fuzz/stored_inputs.rs"]
mod tests;

use super::Schedule;

/// What takes an input and panics if it breaks a promise.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: &[(&str, Target)] = &[("schedules", schedules)];

/// So long may a schedule not be due, in seconds: five years with their leap days, and a day for zones.
const LONGEST: i64 = (5 * 366 + 1) * 86_400;

/// Clocks that change by an hour twice a year, as far from UTC as any. They do so at a full hour: where they leap in the
/// midst of one, what is due in the part of it that is left out is due or not by where one looks from, as upstream.
fn zone(unix: i64) -> i32 {
    let hours = if unix.div_euclid(15_778_800) % 2 == 0 { 13 } else { 14 };
    hours * 3600
}

/// Four bytes of a moment and a schedule: what people may write is what Kubernetes takes; the next time is the first one
/// after the moment, from whichever moment before it one looks.
pub fn schedules(data: &[u8]) {
    let Some((moment, text)) = data.split_first_chunk::<4>() else { return };
    let (after, Ok(text)) = (i64::from(u32::from_le_bytes(*moment)), std::str::from_utf8(text)) else {
        return;
    };
    let read = Schedule::read(text);
    if let Ok(parsed) = Schedule::parse(text) {
        assert_eq!(read.as_ref(), Ok(&parsed));
    }
    let Ok(schedule) = read else { return };
    for zone in [|_| 0, zone] {
        let Some(next) = schedule.next(after, after, &zone) else { continue };
        assert!(next > after, "{next} is not after {after}");
        if let Schedule::Calendar(_) = schedule {
            assert!(next - after <= LONGEST, "{next} is years after {after}");
            assert_eq!(schedule.next(next - 1, after, &zone), Some(next));
            assert_eq!(
                schedule.next(after + (next - after) / 2, after, &zone).map(|t| t <= next),
                Some(true)
            );
            assert_eq!(next.rem_euclid(60), 0);
        }
        let upcoming = schedule.upcoming(after, after, &zone, 5);
        assert!(upcoming.is_sorted_by(|one, other| one < other) && upcoming.first() == Some(&next));
    }
}
