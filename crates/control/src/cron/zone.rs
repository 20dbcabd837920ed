//! The schedule of a CronJob with its zone, and why there is none.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use windlass_schedule::{Schedule, Zone, split_zone};

use super::{Event, Known};
use crate::view::CronJobSpec;

/// The clocks of a zone.
pub(super) struct Clocks(TimeZone);

impl Zone for Clocks {
    fn offset(&self, unix: i64) -> i32 {
        let at =
            Timestamp::from_second(unix).unwrap_or(if unix < 0 { Timestamp::MIN } else { Timestamp::MAX });
        self.0.to_offset(at).seconds()
    }
}

impl Clocks {
    /// A moment as an annotation has it: RFC 3339, with `Z` where the zone is UTC.
    pub(super) fn shown(&self, at: Timestamp) -> String {
        match self.0.to_offset(at) {
            offset if offset.seconds() == 0 => at.to_string(),
            offset => at.display_with_offset(offset).to_string(),
        }
    }
}

/// The zone that the spec names: UTC, if it names none.
pub(super) fn clocks(spec: &CronJobSpec, known: &Known<'_>) -> Result<Clocks, Event> {
    let name = spec.time_zone.as_deref().unwrap_or_default();
    (known.zone)(name)
        .map(Clocks)
        .map_err(|why| Event::warning("UnknownTimeZone", format!("invalid timeZone: {name:?}: {why}")))
}

/// The schedule and the zone by which it goes. A zone that stands in it goes before the other.
pub(super) fn schedule(spec: &CronJobSpec, known: &Known<'_>) -> Result<(Schedule, Clocks), Event> {
    let text = &spec.schedule;
    let unparseable = |why: String| {
        Event::warning("UnparseableSchedule", format!("unparseable schedule: {text:?} : {why}"))
    };
    let (zone, rest) = split_zone(text).map_err(|fault| unparseable(fault.to_string()))?;
    let clocks = match zone {
        Some(zone) => (known.zone)(zone)
            .map(Clocks)
            .map_err(|why| unparseable(format!("provided bad location {zone}: {why}")))?,
        None => clocks(spec, known)?,
    };
    let schedule = Schedule::read(rest).map_err(|fault| unparseable(fault.to_string()))?;
    Ok((schedule, clocks))
}

/// What is told of a schedule with a zone in it.
pub(super) fn unsupported(schedule: &str) -> Option<Event> {
    schedule.contains("TZ").then(|| {
        let message = format!(
            "CRON_TZ or TZ used in schedule {schedule:?} is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        );
        Event::warning("UnsupportedSchedule", message)
    })
}
