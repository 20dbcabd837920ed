//! Durations as people write them: `90`, `90s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

use crate::Problem;

const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a duration: a number of seconds, or numbers with the units `w`, `d`, `h`, `m`, `s` in falling order.
///
/// # Errors
/// A [`Problem`] without a path that says what was expected.
pub fn parse(text: &str) -> Result<Duration, Problem> {
    let wrong = || Problem::new("", format!("{text:?} is no duration; write it like 90s, 5m, 1h30m or 2d"));
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let (mut seconds, mut rest, mut units) = (0u64, text, &UNITS[..]);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit = rest[end..].chars().next().ok_or_else(wrong)?;
        let place = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        seconds = number
            .checked_mul(units[place].1)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(wrong)?;
        units = &units[place + 1..];
        rest = &rest[end + unit.len_utf8()..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_secs(seconds)) }
}

/// `1h30m`, `45s`, `2d`: what [`parse`] reads, rounded down to seconds.
pub fn format(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, seconds) in UNITS.iter().filter(|(unit, _)| *unit != 'w') {
        if rest >= *seconds {
            text.push_str(&format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    text
}
