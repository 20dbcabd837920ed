//! What Kubernetes refuses in a schedule, in the words of the library that it uses: they reach whoever wrote it in the
//! API server's answer. Sources: robfig/cron v3 `parser.go`, Go's `strconv/atoi.go` and `time/format.go`.

use std::fmt;

/// Why a schedule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is empty.
    #[error("empty spec string")]
    Empty,
    /// A zone, and no schedule behind it. The library panics here, and upstream tells that.
    #[error("invalid schedule format: runtime error: slice bounds out of range [:-1]")]
    ZoneAlone,
    /// Not five fields.
    #[error("expected exactly 5 fields, found {}: [{}]", .0.len(), .0.join(" "))]
    Fields(Vec<String>),
    /// A part of a field.
    #[error("{why}")]
    Part {
        /// The field, e.g. `minute`.
        field: &'static str,
        /// The least and the largest number that it takes.
        bounds: (u32, u32),
        /// The part, one of those between commas.
        part: String,
        /// What is wrong with it, which names it.
        why: PartFault,
    },
    /// A word with `@` that there is not.
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
    /// The duration of `@every`.
    #[error("failed to parse duration {text}: {why}")]
    Duration {
        /// The whole schedule.
        text: String,
        /// What is wrong with it.
        why: DurationFault,
    },
}

/// What is wrong with a part of a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartFault {
    /// What should be a number or a name is neither.
    #[error("failed to parse int from {text}: strconv.Atoi: parsing {}: {why}", quoted(.text))]
    Number {
        /// It.
        text: String,
        /// Why it is no number.
        why: NumberFault,
    },
    /// A number below zero.
    #[error("negative number ({number}) not allowed: {text}")]
    Negative {
        /// The number.
        number: i64,
        /// As it is written.
        text: String,
    },
    /// More than one `-`.
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    /// More than one `/`.
    #[error("too many slashes: {0}")]
    Slashes(String),
    /// It begins below what the field takes.
    #[error("beginning of range ({start}) below minimum ({least}): {text}")]
    Below {
        /// Where it begins.
        start: i64,
        /// The least.
        least: u32,
        /// The part.
        text: String,
    },
    /// It ends above what the field takes.
    #[error("end of range ({end}) above maximum ({most}): {text}")]
    Above {
        /// Where it ends.
        end: i64,
        /// The largest.
        most: u32,
        /// The part.
        text: String,
    },
    /// It ends before it begins.
    #[error("beginning of range ({start}) beyond end of range ({end}): {text}")]
    Backwards {
        /// Where it begins.
        start: i64,
        /// Where it ends.
        end: i64,
        /// The part.
        text: String,
    },
    /// A step of zero.
    #[error("step of range should be a positive number: {0}")]
    Step(String),
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberFault {
    /// It is not written as one.
    #[error("invalid syntax")]
    Syntax,
    /// It is too large.
    #[error("value out of range")]
    Range,
}

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurationFault {
    /// It is not written as one, or too long.
    Invalid(String),
    /// A number without a unit.
    MissingUnit(String),
    /// A unit that there is not.
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The duration.
        text: String,
    },
}

impl std::error::Error for DurationFault {}

impl fmt::Display for DurationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DurationFault::Invalid(text) => write!(f, "time: invalid duration {}", quoted(text)),
            DurationFault::MissingUnit(text) => {
                write!(f, "time: missing unit in duration {}", quoted(text))
            }
            DurationFault::UnknownUnit { unit, text } => {
                write!(f, "time: unknown unit {} in duration {}", quoted(unit), quoted(text))
            }
        }
    }
}

/// A text in quotes, as Go quotes what is plain text.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}
