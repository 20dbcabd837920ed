//! Kubernetes quantities, as far as the downward API needs them: read one, divide rounding up.

/// A quantity in billionths, the smallest suffix there is.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (is_negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut scaled: i128 = 0;
    for digit in whole.chars().chain(fraction.chars()) {
        scaled = scaled.checked_mul(10)?.checked_add(i128::from(digit.to_digit(10)?))?;
    }
    let (times, over) = unit(suffix)?;
    let times = times.checked_mul(1_000_000_000)?;
    let over = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(over)?;
    let value = ceil_div(scaled.checked_mul(times)?, over);
    Some(if is_negative { -value } else { value })
}

/// A suffix as a fraction.
fn unit(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1_i128 << (10 * power), 1));
    let decimal = |power: u32| Some((10_i128.pow(power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let scale = 10_i128.checked_pow(power.unsigned_abs())?;
            Some(if power < 0 { (1, scale) } else { (scale, 1) })
        }
    }
}

/// Divides rounding up. `over` is positive.
pub(super) fn ceil_div(value: i128, over: i128) -> i128 {
    value.div_euclid(over) + i128::from(value.rem_euclid(over) > 0)
}
