//! Schedules of CronJobs, as Kubernetes reads them: five fields, the macros, `@every`; and when they are due.
//!
//! The rules are those of robfig/cron v3 (`parser.go`, `spec.go`, `constantdelay.go`), which upstream's
//! `pkg/apis/batch/validation` and `pkg/controller/cronjob` use. It knows no clock and no database of time zones: both
//! are passed in. Both halves of Windlass read schedules here: the engine with [`Schedule::read`], which takes what
//! Kubernetes takes and refuses in its words, the command line with [`Schedule::parse`], which refuses for people, and
//! more.

mod every;
mod fault;
mod field;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod next;
mod plain;

pub use every::nanoseconds;
pub use fault::{DurationFault, Fault, NumberFault, PartFault};
pub use plain::{FORMS, Refusal};

use field::{Bounds, Field};

/// When something is due, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At the minutes of a calendar.
    Calendar(Box<Calendar>),
    /// So many seconds after the time before, or after the CronJob was made.
    Every(u64),
}

/// The minutes that five fields name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

/// How far a place's clocks are before UTC at a moment (seconds since 1970), in seconds: what a time zone is here.
pub trait Zone {
    /// The difference at that moment.
    fn offset(&self, unix: i64) -> i32;
}

impl<F: Fn(i64) -> i32> Zone for F {
    fn offset(&self, unix: i64) -> i32 {
        self(unix)
    }
}

impl Schedule {
    /// Reads a schedule without a zone in it (see [`split_zone`]) as Kubernetes does, also one that is never due.
    ///
    /// # Errors
    /// What Kubernetes refuses; the text of the [`Fault`] is its text.
    pub fn read(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        if text.starts_with('@') {
            return named(text);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words[..] else {
            return Err(Fault::Fields(words.into_iter().map(str::to_owned).collect()));
        };
        Ok(Schedule::Calendar(Box::new(Calendar {
            minute: Field::read(minute, &Bounds::MINUTE)?,
            hour: Field::read(hour, &Bounds::HOUR)?,
            day: Field::read(day, &Bounds::DAY)?,
            month: Field::read(month, &Bounds::MONTH)?,
            weekday: Field::read(weekday, &Bounds::WEEKDAY)?,
        })))
    }

    /// Reads a schedule that a person has just written.
    ///
    /// # Errors
    /// What Kubernetes refuses, what it takes and never comes, `@every` below a second, and a zone in the schedule,
    /// which it refuses of new CronJobs; in words for people.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        plain::parse(text)
    }

    /// The first time after a moment (both in seconds since 1970). `anchor` is when it was due before, or when the
    /// CronJob was made: from there `@every` counts. `None`: not within five years.
    ///
    /// A time that the clocks skip is not due that day; one that they show twice is due twice, if its hour is.
    pub fn next(&self, after: i64, anchor: i64, zone: &impl Zone) -> Option<i64> {
        match self {
            Schedule::Calendar(calendar) if !calendar.can_come() => None,
            Schedule::Calendar(calendar) => next::next(calendar, after, zone),
            Schedule::Every(seconds) => every::next(*seconds, after, anchor),
        }
    }

    /// The next `count` times after a moment.
    pub fn upcoming(&self, after: i64, anchor: i64, zone: &impl Zone, count: usize) -> Vec<i64> {
        let first = self.next(after, anchor, zone);
        std::iter::successors(first, |last| self.next(*last, *last, zone)).take(count).collect()
    }
}

impl Calendar {
    /// Whether any of its months has any of its days; of days and weekdays that are both narrowed, one is enough.
    fn can_come(&self) -> bool {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        if [self.minute, self.hour, self.month].iter().any(|field| field.is_empty()) {
            return false;
        }
        let by_day = (1..=12)
            .zip(LONGEST)
            .any(|(month, days)| self.month.has(month) && (1..=days).any(|day| self.day.has(day)));
        let by_weekday = !self.weekday.is_empty();
        match self.day.is_star() || self.weekday.is_star() {
            true => by_day && by_weekday,
            false => by_day || by_weekday,
        }
    }

    /// Days and weekdays that are both narrowed count as one or the other; a star in one of them lets the other decide.
    fn has_day(&self, day: u32, weekday: u32) -> bool {
        let (by_day, by_weekday) = (self.day.has(day), self.weekday.has(weekday));
        match self.day.is_star() || self.weekday.is_star() {
            true => by_day && by_weekday,
            false => by_day || by_weekday,
        }
    }
}

/// The zone that stands in front of a schedule (`TZ=Europe/Berlin 0 2 * * *`), and the schedule without it. Kubernetes
/// refuses it of new CronJobs and goes by it in old ones.
///
/// # Errors
/// A zone and nothing else.
pub fn split_zone(text: &str) -> Result<(Option<&str>, &str), Fault> {
    let Some(rest) = ["TZ=", "CRON_TZ="].iter().find_map(|start| text.strip_prefix(start)) else {
        return Ok((None, text));
    };
    match rest.split_once(' ') {
        Some((zone, schedule)) => Ok((Some(zone), schedule.trim())),
        None => Err(Fault::ZoneAlone),
    }
}

/// Whether a text can be the name of a time zone (upstream `validateTimeZone`); that there is one, only a database says.
pub fn is_zone_name(text: &str) -> bool {
    text.split('/').all(is_zone_part) && !text.eq_ignore_ascii_case("local")
}

/// Whether a text can be a part of such a name, which slashes divide.
pub fn is_zone_part(part: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    !matches!(part, "." | "..")
        && !part.starts_with('-')
        && (1..=14).contains(&part.len())
        && part.chars().all(letter)
}

/// A macro.
fn named(text: &str) -> Result<Schedule, Fault> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => match text.strip_prefix("@every ") {
            Some(duration) => {
                let nanoseconds = every::nanoseconds(duration)
                    .map_err(|why| Fault::Duration { text: text.to_owned(), why })?;
                return Ok(Schedule::Every(every::seconds(nanoseconds)));
            }
            None => return Err(Fault::Descriptor(text.to_owned())),
        },
    };
    Schedule::read(fields)
}

#[cfg(test)]
mod tests;
