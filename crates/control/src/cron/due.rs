//! Which of the times of a schedule is due, and when to look again. All times are whole seconds since 1970.
//!
//! Source: upstream `mostRecentScheduleTime`, `nextScheduleTimeDuration`, `nextScheduleTime` in `utils.go`.

use jiff::Timestamp;
use windlass_schedule::{Schedule, Zone};

use super::PADDING;
use crate::view::CronJob;

/// From so many times on that were missed, it is told.
const MANY: i64 = 100;

/// What of a schedule has come since it was last due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Recent {
    /// From when on times count.
    pub(super) since: i64,
    /// The latest time that has come.
    pub(super) latest: Option<i64>,
    /// About how many times have come; one is not missed.
    missed: i64,
}

impl Recent {
    /// Whether far more times have come than anybody waited for.
    pub(super) fn is_late(self) -> bool {
        self.missed > MANY
    }
}

/// A schedule that reads well and never comes, or not within the years that are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Never;

impl Never {
    /// Upstream's words: it sees two times at the beginning of time.
    pub(super) const WORDS: &'static str = "time difference between two schedules is less than 1 second";
}

/// The latest time that has come since the CronJob was last due, or was made; with `bounded`, none before its starting
/// deadline.
pub(super) fn recent(
    cron: &CronJob,
    last: Option<Timestamp>,
    schedule: &Schedule,
    zone: &impl Zone,
    now: Timestamp,
    bounded: bool,
) -> Result<Recent, Never> {
    let now = now.as_second();
    let mut since = last.or(cron.metadata.creation_timestamp).map_or(now, Timestamp::as_second);
    if let Some(deadline) = cron.spec.starting_deadline_seconds.filter(|_| bounded) {
        since = since.max(now.saturating_sub(deadline));
    }
    let first = next(schedule, since, zone).ok_or(Never)?;
    if now < first {
        return Ok(Recent { since, latest: None, missed: 0 });
    }
    let second = next(schedule, first, zone).ok_or(Never)?;
    if now < second {
        return Ok(Recent { since, latest: Some(first), missed: 0 });
    }
    // As if the time between the first two were that between all: near now the schedule itself is followed.
    let between = second - first;
    let missed = (now - first) / between + 1;
    let near = first + (missed - 2) * between;
    let times = std::iter::successors(next(schedule, near, zone), |time| next(schedule, *time, zone));
    let latest = times.take_while(|time| *time <= now).last();
    Ok(Recent { since, latest, missed })
}

/// When to look again: at the first time that has not come.
pub(super) fn wake(
    cron: &CronJob,
    last: Option<Timestamp>,
    schedule: &Schedule,
    zone: &impl Zone,
    now: Timestamp,
) -> Option<Timestamp> {
    let after = match recent(cron, last, schedule, zone, now, false) {
        Ok(Recent { latest: Some(latest), .. }) => latest,
        Ok(Recent { since, missed: 0, .. }) => since,
        _ => now.as_second(),
    };
    let next = Timestamp::from_second(next(schedule, after, zone)?).ok()?;
    next.checked_add(PADDING).ok()
}

/// The first time after another. `@every` counts from there.
fn next(schedule: &Schedule, after: i64, zone: &impl Zone) -> Option<i64> {
    schedule.next(after, after, zone)
}
