//! `@every DURATION`, in the words of Go's durations (`time.ParseDuration`).

use crate::fault::DurationFault;

/// Nanoseconds of each unit.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
];
const SECOND: u64 = 1_000_000_000;

/// A duration of Go's (`time.ParseDuration`) in nanoseconds: `1h30m`, `90s`, `1.5h`, `-1s`, of some 290 years at most.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub fn nanoseconds(text: &str) -> Result<i64, DurationFault> {
    let invalid = || DurationFault::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let whole = digits(rest);
        let fraction = rest[whole.len()..].strip_prefix('.').map(digits);
        if whole.is_empty() && fraction.is_none_or(str::is_empty) {
            return Err(invalid());
        }
        let after = &rest[whole.len() + fraction.map_or(0, |fraction| fraction.len() + 1)..];
        let unit = &after[..after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len())];
        if unit.is_empty() {
            return Err(DurationFault::MissingUnit(text.to_owned()));
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(DurationFault::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
        };
        let part = (if whole.is_empty() { Some(0) } else { whole.parse::<u64>().ok() })
            .and_then(|whole| whole.checked_mul(*size))
            .and_then(|whole| whole.checked_add(part_of(fraction.unwrap_or_default(), *size)));
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(invalid)?;
        rest = &after[unit.len()..];
    }
    let total = i64::try_from(total).map_err(|_| invalid())?;
    Ok(if negative { -total } else { total })
}

/// Whole seconds, at least one, as the library makes of whatever it is given.
pub(crate) fn seconds(nanoseconds: i64) -> u64 {
    (u64::try_from(nanoseconds).unwrap_or(0) / SECOND).max(1)
}

/// The digits that a text begins with.
fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

/// A decimal fraction of a unit, rounded down. Digits beyond the eighteenth say nothing.
fn part_of(digits: &str, size: u64) -> u64 {
    let digits = &digits[..digits.len().min(18)];
    // At most eighteen digits are a number, and their count is small.
    let number: u128 = digits.parse().unwrap_or(0);
    let scale = 10_u128.pow(u32::try_from(digits.len()).unwrap_or(0));
    u64::try_from(number * u128::from(size) / scale).unwrap_or(0)
}

/// The first time after a moment, counted from the anchor.
pub(crate) fn next(seconds: u64, after: i64, anchor: i64) -> Option<i64> {
    let step = i64::try_from(seconds).ok()?;
    let passed = after.checked_sub(anchor)?.max(0) / step;
    anchor.checked_add(step.checked_mul(passed + 1)?)
}
