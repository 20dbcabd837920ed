//! `@every DURATION`, in the words of Go's durations.

/// Seconds of each unit, as a fraction.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
];
/// The longest that is read: some 290 years, as Go's.
const LONGEST: f64 = 9.2e9;

/// `1h30m`, `90s`, `1.5h`: whole seconds, rounded down.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("@every {text:?} is no duration; write it like 90m, 1h30m or 45s");
    let (mut total, mut rest) = (0.0, text.strip_prefix('+').unwrap_or(text));
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        let after = &rest[end..];
        let (unit, size) = UNITS.iter().find(|(unit, _)| starts(after, unit)).ok_or_else(wrong)?;
        total += number * size;
        rest = &after[unit.len()..];
    }
    if total < 1.0 {
        return Err(format!("@every {text} is less than a second, which Kubernetes would make one"));
    }
    if total > LONGEST {
        return Err(wrong());
    }
    // It is positive and far below the limit.
    Ok(total as u64)
}

/// Whether a text begins with a unit that ends there: `m` is not the beginning of `ms`.
fn starts(text: &str, unit: &str) -> bool {
    text.strip_prefix(unit)
        .is_some_and(|rest| rest.chars().next().is_none_or(|c| c.is_ascii_digit() || c == '.'))
}

/// The first time after a moment, counted from the anchor.
pub(super) fn next(seconds: u64, after: i64, anchor: i64) -> Option<i64> {
    let step = i64::try_from(seconds).ok()?;
    let passed = after.checked_sub(anchor)?.max(0) / step;
    anchor.checked_add(step.checked_mul(passed + 1)?)
}
