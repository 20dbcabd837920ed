//! Spans of time as people write them: `90s`, `1h30m`, `250ms`, `2d`, or a number of seconds.

use std::time::Duration;

use serde_json::Value;

/// The longest span: ten years.
pub const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Reads a span: a text like `90s` or `1h30m`, or a number of seconds.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub fn read(value: &Value) -> Result<Duration, String> {
    let fault = || format!("{value} is no time: write it like 500ms, 90s, 5m, 1h30m or 2d");
    let span = match value {
        Value::Number(number) => {
            let seconds = number.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        }
        Value::String(text) => parse(text.trim()),
        _ => None,
    };
    let span = span.ok_or_else(fault)?;
    if span > LONGEST {
        return Err(format!("{value} is longer than ten years"));
    }
    Ok(span)
}

/// `1h30m` and the like; each unit once, the largest first. Without a unit: seconds.
fn parse(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().ok()?));
    }
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut next, mut total) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let letters = rest[digits..].find(|letter: char| letter.is_ascii_digit());
        let (unit, end) = match letters {
            Some(letters) => (&rest[digits..digits + letters], digits + letters),
            None => (&rest[digits..], rest.len()),
        };
        let place = units.iter().position(|(name, _)| *name == unit).filter(|place| *place >= next)?;
        let count: u64 = rest[..digits].parse().ok()?;
        total = total.checked_add(count.checked_mul(units[place].1)?)?;
        (rest, next) = (&rest[end..], place + 1);
    }
    (next > 0).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spans_are_numbers_with_units() {
        for (text, ms) in [
            (json!("90s"), 90_000),
            (json!("1h30m"), 5_400_000),
            (json!("250ms"), 250),
            (json!("1s250ms"), 1250),
            (json!("2d"), 172_800_000),
            (json!("7"), 7000),
            (json!(7), 7000),
            (json!(0.5), 500),
            (json!("0s"), 0),
        ] {
            assert_eq!(read(&text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            json!(""),
            json!("s"),
            json!("1x"),
            json!("1m1h"),
            json!("1s1s"),
            json!("-1s"),
            json!(-1),
            json!("1 s"),
            json!(true),
            json!("20d5"),
            json!("99999999999999999999s"),
            json!("4000d"),
            json!(1e300),
            json!("1.5s"),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
