//! Schedules of CronJobs, as Kubernetes reads them: five fields, the macros, `@every`; and when they are due.
//!
//! The rules are those of robfig/cron v3 (`parser.go`, `spec.go`), which upstream's `pkg/apis/batch/validation` and
//! `pkg/controller/cronjob` use. It knows no clock and no database of time zones: both are passed in.

mod every;
mod field;
mod next;

use crate::Problem;
use field::{Bounds, Field};

/// How a schedule is written, for a message.
pub const FORMS: &str = "write five fields, minute hour day-of-month month day-of-week, like \"30 2 * * mon-fri\", or @hourly, \
                         @daily, @weekly, @monthly, @yearly, or @every 90m";

/// The longest name of a CronJob: its jobs' names are eleven characters longer (upstream
/// `pkg/apis/batch/validation`).
pub const MAX_NAME: usize = 52;

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
    /// Reads a schedule.
    ///
    /// # Errors
    /// A [`Problem`] without a path: what Kubernetes would refuse, what it takes and never comes, and a zone in the
    /// schedule, which it refuses of new CronJobs.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |message: String| Problem::new("", message);
        if text.trim().is_empty() {
            return Err(wrong(format!("is empty; {FORMS}")));
        }
        if text.contains("TZ") {
            let message = format!("{text:?} names a time zone, which belongs into timeZone (--timezone)");
            return Err(wrong(message));
        }
        if text.starts_with('@') {
            return named(text).map_err(wrong);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words[..] else {
            let count = words.len();
            let hint = if count == 6 { "; there is none for seconds" } else { "" };
            return Err(wrong(format!("{text:?} has {count} fields{hint}; {FORMS}")));
        };
        let calendar = Calendar {
            minute: Field::parse(minute, &Bounds::MINUTE).map_err(wrong)?,
            hour: Field::parse(hour, &Bounds::HOUR).map_err(wrong)?,
            day: Field::parse(day, &Bounds::DAY).map_err(wrong)?,
            month: Field::parse(month, &Bounds::MONTH).map_err(wrong)?,
            weekday: Field::parse(weekday, &Bounds::WEEKDAY).map_err(wrong)?,
        };
        match calendar.can_come() {
            true => Ok(Schedule::Calendar(Box::new(calendar))),
            false => Err(wrong(format!("{text:?} never comes: none of its months has such a day"))),
        }
    }

    /// The first time after a moment (both in seconds since 1970). `anchor` is when it was due before, or when the
    /// CronJob was made: from there `@every` counts. `None`: not within five years.
    ///
    /// A time that the clocks skip is not due that day; one that they show twice is due twice, if its hour is.
    pub fn next(&self, after: i64, anchor: i64, zone: &impl Zone) -> Option<i64> {
        match self {
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
        let by_weekday = !self.day.is_star() && !self.weekday.is_star();
        by_weekday
            || (1..=12)
                .zip(LONGEST)
                .any(|(month, days)| self.month.has(month) && (1..=days).any(|day| self.day.has(day)))
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

/// A macro.
fn named(text: &str) -> Result<Schedule, String> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => match text.strip_prefix("@every ") {
            Some(duration) => return every::seconds(duration).map(Schedule::Every),
            None => return Err(format!("{text:?} is not known; {FORMS}")),
        },
    };
    Schedule::parse(fields).map_err(|problem| problem.message)
}

/// The concurrency policies of Kubernetes, by the words of the command line.
pub const CONCURRENCY: [(&str, &str); 3] = [("allow", "Allow"), ("forbid", "Forbid"), ("replace", "Replace")];

/// Adds what is wrong with a CronJob's name.
///
/// # Errors
/// A [`Problem`] at `metadata.name`.
pub fn check_name(name: &str) -> Result<(), Problem> {
    crate::JobName::parse(name)?;
    if name.len() > MAX_NAME {
        let message = format!(
            "{name:?} has {} characters; a CronJob's name has at most {MAX_NAME}, its jobs' names are longer",
            name.len()
        );
        return Err(Problem::new("metadata.name", message));
    }
    Ok(())
}

/// Whether a text can be the name of a time zone (upstream `validateTimeZone`); that there is one, only a database says.
pub fn is_zone_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let part = |part: &str| {
        !matches!(part, "." | "..")
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.chars().all(letter)
    };
    text.split('/').all(part) && !text.eq_ignore_ascii_case("local")
}

#[cfg(test)]
mod tests;
