//! Reading what a person has just written: stricter than Kubernetes, and with the way out in each refusal.

use std::fmt;

use crate::fault::{Fault, NumberFault, PartFault};
use crate::{Calendar, Schedule, every};

/// How a schedule is written, for a message.
pub const FORMS: &str = "write five fields, minute hour day-of-month month day-of-week, like \"30 2 * * mon-fri\", or @hourly, \
                         @daily, @weekly, @monthly, @yearly, or @every 90m";

/// Why a schedule is not sent to a cluster. Its text is the rest of a sentence about the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Kubernetes refuses it.
    Fault {
        /// The schedule.
        text: String,
        /// Why.
        fault: Fault,
    },
    /// A zone is in it.
    Zone(String),
    /// A field names no number.
    Nothing {
        /// The field, e.g. `minute`.
        field: &'static str,
        /// The field as it is written.
        text: String,
    },
    /// No month has such a day.
    Never(String),
    /// `@every` with a duration that is negative or nothing.
    NotAfter(String),
    /// `@every` with less than a second, of which Kubernetes makes one.
    BelowASecond(String),
}

/// Reads it.
pub(crate) fn parse(text: &str) -> Result<Schedule, Refusal> {
    let fault = |fault| Refusal::Fault { text: text.to_owned(), fault };
    if text.trim().is_empty() {
        return Err(fault(Fault::Empty));
    }
    if text.contains("TZ") {
        return Err(Refusal::Zone(text.to_owned()));
    }
    let schedule = Schedule::read(text).map_err(fault)?;
    match &schedule {
        Schedule::Calendar(calendar) => comes(text, calendar)?,
        Schedule::Every(_) => {
            let duration = text.strip_prefix("@every ").unwrap_or_default();
            match every::nanoseconds(duration) {
                Ok(..=0) => return Err(Refusal::NotAfter(duration.to_owned())),
                Ok(..1_000_000_000) => return Err(Refusal::BelowASecond(duration.to_owned())),
                _ => {}
            }
        }
    }
    Ok(schedule)
}

fn comes(text: &str, calendar: &Calendar) -> Result<(), Refusal> {
    let fields = [calendar.minute, calendar.hour, calendar.day, calendar.month, calendar.weekday];
    let names = ["minute", "hour", "day of month", "month", "day of week"];
    for ((field, name), written) in fields.iter().zip(names).zip(text.split_whitespace()) {
        if field.is_empty() {
            return Err(Refusal::Nothing { field: name, text: written.to_owned() });
        }
    }
    if calendar.can_come() { Ok(()) } else { Err(Refusal::Never(text.to_owned())) }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Fault { text, fault } => say(f, text, fault),
            Refusal::Zone(text) => {
                write!(f, "{text:?} names a time zone, which belongs into timeZone (--timezone)")
            }
            Refusal::Nothing { field, text } => write!(f, "{field}: {text:?} names nothing"),
            Refusal::Never(text) => {
                write!(f, "{text:?} never comes: none of its months has such a day")
            }
            Refusal::NotAfter(duration) => no_duration(f, duration),
            Refusal::BelowASecond(duration) => {
                write!(f, "@every {duration} is less than a second, which Kubernetes would make one")
            }
        }
    }
}

fn say(f: &mut fmt::Formatter<'_>, text: &str, fault: &Fault) -> fmt::Result {
    match fault {
        Fault::Empty | Fault::ZoneAlone => write!(f, "is empty; {FORMS}"),
        Fault::Fields(fields) => {
            let hint = if fields.len() == 6 { "; there is none for seconds" } else { "" };
            write!(f, "{text:?} has {} fields{hint}; {FORMS}", fields.len())
        }
        Fault::Part { field, bounds, part, why } => {
            write!(f, "{field}: {part:?} {}", of_part(why, *bounds))
        }
        Fault::Descriptor(text) => write!(f, "{text:?} is not known; {FORMS}"),
        Fault::Duration { text, .. } => no_duration(f, text.strip_prefix("@every ").unwrap_or(text)),
    }
}

fn no_duration(f: &mut fmt::Formatter<'_>, duration: &str) -> fmt::Result {
    write!(f, "@every {duration:?} is no duration; write it like 90m, 1h30m or 45s")
}

fn of_part(why: &PartFault, (least, most): (u32, u32)) -> String {
    match why {
        PartFault::Number { why: NumberFault::Syntax, .. } => "is no number or name".to_owned(),
        PartFault::Negative { .. } => "has a number below 0".to_owned(),
        PartFault::Hyphens(_) => "has too many hyphens".to_owned(),
        PartFault::Slashes(_) => "has too many slashes".to_owned(),
        PartFault::Above { end: 7, most: 6, .. } => "is not within 0 to 6; Sunday is 0".to_owned(),
        PartFault::Below { .. } | PartFault::Above { .. } => format!("is not within {least} to {most}"),
        PartFault::Number { why: NumberFault::Range, .. } => format!("is not within {least} to {most}"),
        PartFault::Backwards { .. } => "ends before it begins".to_owned(),
        PartFault::Step(_) => "has the step 0".to_owned(),
    }
}
