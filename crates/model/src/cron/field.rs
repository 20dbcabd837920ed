//! One field of a schedule: the numbers that it names.

/// What a field may name.
pub(super) struct Bounds {
    name: &'static str,
    min: u32,
    max: u32,
    /// Words for the numbers from `first` on.
    words: &'static [&'static str],
    first: u32,
}

impl Bounds {
    pub(super) const MINUTE: Bounds = Bounds { name: "minute", min: 0, max: 59, words: &[], first: 0 };
    pub(super) const HOUR: Bounds = Bounds { name: "hour", min: 0, max: 23, words: &[], first: 0 };
    pub(super) const DAY: Bounds = Bounds { name: "day of month", min: 1, max: 31, words: &[], first: 0 };
    pub(super) const MONTH: Bounds = Bounds {
        name: "month",
        min: 1,
        max: 12,
        words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        first: 1,
    };
    pub(super) const WEEKDAY: Bounds = Bounds {
        name: "day of week",
        min: 0,
        max: 6,
        words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        first: 0,
    };
}

/// The numbers that a field names, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    bits: u64,
    star: bool,
}

impl Field {
    /// Reads a field: ranges by commas.
    pub(super) fn parse(text: &str, bounds: &Bounds) -> Result<Field, String> {
        let mut field = Field { bits: 0, star: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let range = range(part, bounds).map_err(|why| format!("{}: {part:?} {why}", bounds.name))?;
            field.bits |= range.bits;
            field.star |= range.star;
        }
        if field.bits == 0 {
            return Err(format!("{}: {text:?} names nothing", bounds.name));
        }
        Ok(field)
    }

    /// Whether it names a number.
    pub(super) fn has(self, number: u32) -> bool {
        self.bits & (1 << number) != 0
    }

    /// Whether it narrows nothing: `*`, `?` or `*/1` is in it.
    pub(super) fn is_star(self) -> bool {
        self.star
    }
}

/// `*`, `N`, `N-M`, each with `/STEP`; `N/STEP` goes to the end.
fn range(text: &str, bounds: &Bounds) -> Result<Field, String> {
    let mut parts = text.split('/');
    let (ends, step) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        return Err("has too many slashes".to_owned());
    }
    let mut ends = ends.split('-');
    let (low, high) = (ends.next().unwrap_or_default(), ends.next());
    let all = matches!(low, "*" | "?");
    let (start, end) = match (all, high, ends.next(), step) {
        (true, ..) => (bounds.min, bounds.max),
        (_, _, Some(_), _) => return Err("has too many hyphens".to_owned()),
        (_, Some(high), None, _) => (number(low, bounds)?, number(high, bounds)?),
        (_, None, None, Some(_)) => (number(low, bounds)?, bounds.max),
        (_, None, None, None) => (number(low, bounds)?, number(low, bounds)?),
    };
    let step = step.map_or(Ok(1), whole)?;
    if step == 0 {
        return Err("has the step 0".to_owned());
    }
    if start < bounds.min || end > bounds.max {
        let sunday = if end == 7 && bounds.max == 6 { "; Sunday is 0" } else { "" };
        return Err(format!("is not within {} to {}{sunday}", bounds.min, bounds.max));
    }
    if start > end {
        return Err("ends before it begins".to_owned());
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let bits = (start..=end).step_by(step).fold(0, |bits, number| bits | 1 << number);
    Ok(Field { bits, star: all && step == 1 })
}

fn number(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    match bounds.words.iter().zip(bounds.first..).find(|(word, _)| **word == lower) {
        Some((_, number)) => Ok(number),
        None => whole(text),
    }
}

/// A number as Go reads it: it may have a plus, and zeros in front.
fn whole(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    match (is_number, digits.parse()) {
        (true, Ok(number)) => Ok(number),
        (true, Err(_)) => Ok(u32::MAX),
        _ => Err("is no number or name".to_owned()),
    }
}
