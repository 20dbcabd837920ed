//! One field of a schedule: the numbers that it names.

use crate::fault::{Fault, NumberFault, PartFault};

/// What a field may name.
pub(crate) struct Bounds {
    name: &'static str,
    min: u32,
    max: u32,
    /// Words for the numbers from `first` on.
    words: &'static [&'static str],
    first: i64,
}

impl Bounds {
    pub(crate) const MINUTE: Bounds = Bounds { name: "minute", min: 0, max: 59, words: &[], first: 0 };
    pub(crate) const HOUR: Bounds = Bounds { name: "hour", min: 0, max: 23, words: &[], first: 0 };
    pub(crate) const DAY: Bounds = Bounds { name: "day of month", min: 1, max: 31, words: &[], first: 0 };
    pub(crate) const MONTH: Bounds = Bounds {
        name: "month",
        min: 1,
        max: 12,
        words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        first: 1,
    };
    pub(crate) const WEEKDAY: Bounds = Bounds {
        name: "day of week",
        min: 0,
        max: 6,
        words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        first: 0,
    };
}

/// The numbers that a field names, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    bits: u64,
    star: bool,
}

impl Field {
    /// Reads a field: ranges by commas. One that names nothing (`,`) is taken, and never comes.
    pub(crate) fn read(text: &str, bounds: &Bounds) -> Result<Field, Fault> {
        let mut field = Field { bits: 0, star: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let range = range(part, bounds).map_err(|why| Fault::Part {
                field: bounds.name,
                bounds: (bounds.min, bounds.max),
                part: part.to_owned(),
                why,
            })?;
            field.bits |= range.bits;
            field.star |= range.star;
        }
        Ok(field)
    }

    /// Whether it names a number.
    pub(crate) fn has(self, number: u32) -> bool {
        self.bits & (1 << number) != 0
    }

    /// Whether it names none.
    pub(crate) fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Whether it narrows nothing: `*`, `?` or `*/1` is in it.
    pub(crate) fn is_star(self) -> bool {
        self.star
    }
}

/// `*`, `N`, `N-M`, each with `/STEP`; `N/STEP` goes to the end. Checked in the library's order, which decides what is
/// told of a part with several faults.
fn range(text: &str, bounds: &Bounds) -> Result<Field, PartFault> {
    let (least, most) = (i64::from(bounds.min), i64::from(bounds.max));
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let all = matches!(ends[0], "*" | "?");
    let (start, mut end) = match (all, &ends[..]) {
        (true, _) => (least, most),
        (false, [low]) => {
            let start = number(low, bounds)?;
            (start, start)
        }
        (false, [low, high]) => (number(low, bounds)?, number(high, bounds)?),
        (false, [low, ..]) => {
            number(low, bounds)?;
            return Err(PartFault::Hyphens(text.to_owned()));
        }
        (false, []) => (least, most),
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => whole(step)?,
        _ => return Err(PartFault::Slashes(text.to_owned())),
    };
    if parts.len() == 2 && ends.len() == 1 {
        end = most;
    }
    let text = || text.to_owned();
    if start < least {
        return Err(PartFault::Below { start, least: bounds.min, text: text() });
    }
    if end > most {
        return Err(PartFault::Above { end, most: bounds.max, text: text() });
    }
    if start > end {
        return Err(PartFault::Backwards { start, end, text: text() });
    }
    if step == 0 {
        return Err(PartFault::Step(text()));
    }
    let stride = usize::try_from(step).unwrap_or(usize::MAX);
    let bits = (start..=end).step_by(stride).fold(0, |bits, number| bits | 1 << number);
    Ok(Field { bits, star: all && step == 1 })
}

fn number(text: &str, bounds: &Bounds) -> Result<i64, PartFault> {
    let lower = text.to_ascii_lowercase();
    match bounds.words.iter().zip(bounds.first..).find(|(word, _)| **word == lower) {
        Some((_, number)) => Ok(number),
        None => whole(text),
    }
}

/// A number as Go reads it: it may have a sign, and zeros in front.
fn whole(text: &str) -> Result<i64, PartFault> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let fault = |why| PartFault::Number { text: text.to_owned(), why };
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(fault(NumberFault::Syntax));
    }
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(PartFault::Negative { number, text: text.to_owned() }),
        Ok(number) => Ok(number),
        Err(_) => Err(fault(NumberFault::Range)),
    }
}
