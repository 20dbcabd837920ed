//! Resource quantities (`500m`, `2Gi`, `1e3`): parsing, comparing and the canonical spelling.
//!
//! Source of the grammar: apimachinery, pkg/api/resource/quantity.go. Knows nothing of which resources exist.

use serde_json::Value;

/// A quantity, exact to one billionth; beyond 2^63-1 it stays there, as upstream's does.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    family: Family,
}

/// How a quantity was written, and therefore how it is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Decimal,
    Binary,
    Exponent,
}

/// A text that is no quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    /// Empty, or not of the form `<number><suffix>`.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is fine, the suffix unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const NANO: i128 = 1_000_000_000;
const LIMIT: i128 = i64::MAX as i128 * NANO;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Quantity {
    /// Parses a quantity. A fraction finer than one billionth is rounded away from zero.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError::Format);
        }
        let (family, base, power) = scale(suffix)?;
        let nanos = magnitude(whole, fraction, base, power);
        Ok(Quantity { nanos: if negative { -nanos } else { nanos }, family })
    }

    /// Parses a JSON value: a string, or a number as YAML writers put it.
    pub fn of(value: &Value) -> Result<Quantity, QuantityError> {
        match value {
            Value::String(text) => Quantity::parse(text),
            Value::Number(number) => Quantity::parse(&number.to_string()),
            _ => Err(QuantityError::Format),
        }
    }

    /// In billionths.
    #[must_use]
    pub fn nanos(&self) -> i128 {
        self.nanos
    }

    /// So many.
    #[must_use]
    pub fn whole(number: u32) -> Quantity {
        Quantity { nanos: i128::from(number) * NANO, family: Family::Decimal }
    }

    /// The sum, spelled as the first of the two, or as the second if the first is nothing; it stays within what a
    /// quantity can be.
    #[must_use]
    pub fn plus(self, other: Quantity) -> Quantity {
        let sum = self.nanos.saturating_add(other.nanos).clamp(-LIMIT, LIMIT);
        Quantity { nanos: sum, family: if self.nanos == 0 { other.family } else { self.family } }
    }

    /// The difference, but not less than nothing; spelled as a sum is.
    #[must_use]
    pub fn minus(self, other: Quantity) -> Quantity {
        let sum = self.plus(Quantity { nanos: -other.nanos, ..other });
        Quantity { nanos: sum.nanos.max(0), ..sum }
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// The same, rounded up to a whole number.
    #[must_use]
    pub fn rounded_up(self) -> Quantity {
        Quantity { nanos: div_up(self.nanos, NANO) * NANO, family: self.family }
    }

    /// In thousandths, rounded up.
    #[must_use]
    pub fn millis(&self) -> i128 {
        div_up(self.nanos, 1_000_000)
    }

    /// Whether it is a whole number.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }

    /// The same, rounded up to thousandths, as resource lists are kept.
    #[must_use]
    pub fn rounded_to_milli(self) -> Quantity {
        Quantity { nanos: div_up(self.nanos, 1_000_000) * 1_000_000, family: self.family }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// The canonical spelling: no fraction, the largest suffix that loses nothing.
impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let small = self.nanos.abs() < 1024 * NANO;
        match self.family {
            Family::Binary if !small && self.is_whole() => {
                let (mut value, mut steps) = (self.nanos / NANO, 0);
                while value % 1024 == 0 && steps < BINARY.len() {
                    value /= 1024;
                    steps += 1;
                }
                let suffix = if steps == 0 { "" } else { BINARY[steps - 1] };
                write!(f, "{value}{suffix}")
            }
            family => {
                let (mut value, mut step) = (self.nanos, 0);
                while value % 1000 == 0 && step + 1 < DECIMAL.len() {
                    value /= 1000;
                    step += 1;
                }
                let (suffix, exponent) = DECIMAL[step];
                match family {
                    Family::Exponent if exponent != 0 => write!(f, "{value}e{exponent}"),
                    _ => write!(f, "{value}{suffix}"),
                }
            }
        }
    }
}

/// The family of a suffix, and what it multiplies by: `base` to the `power`.
fn scale(suffix: &str) -> Result<(Family, i128, i32), QuantityError> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Ok((Family::Decimal, 10, *exponent));
    }
    if let Some(index) = BINARY.iter().position(|s| *s == suffix) {
        return Ok((Family::Binary, 1024, i32::try_from(index).unwrap_or(0) + 1));
    }
    let well_formed = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let digits = well_formed.strip_prefix(['+', '-']).unwrap_or(well_formed);
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    let exponent = suffix.strip_prefix(['e', 'E']).and_then(|e| e.parse::<i32>().ok());
    exponent.map(|e| (Family::Exponent, 10, e)).ok_or(QuantityError::Suffix)
}

/// `whole.fraction * base^power` in billionths: rounded up, and never more than the limit.
fn magnitude(whole: &str, fraction: &str, base: i128, power: i32) -> i128 {
    let places = 9 - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let digits = [whole, fraction].concat();
    let (factor, exponent) = match base {
        10 => (1, places + i64::from(power)),
        base => (base.pow(power.unsigned_abs()), places),
    };
    scaled(&digits, factor, exponent).map_or(LIMIT, |nanos| nanos.min(LIMIT))
}

/// `digits * factor * 10^exponent`, rounded up and otherwise exact, however many digits there are; none if it cannot be
/// counted. The factor is at most 1024^6.
pub(crate) fn scaled(digits: &str, factor: i128, exponent: i64) -> Option<i128> {
    let digits = digits.trim_start_matches('0');
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
    if digits.is_empty() {
        return Some(0);
    }
    let size = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    if exponent >= 0 {
        let power = 10_i128.checked_pow(u32::try_from(size).ok()?)?;
        return number(digits)?.checked_mul(factor)?.checked_mul(power);
    }
    // Those that come to stand behind the point are multiplied as on paper, the last one first: what is carried over
    // it counts, what stays behind it only by being there.
    let (before, behind) = digits.split_at(digits.len().saturating_sub(size));
    let (mut carried, mut is_more) = (0, false);
    let mut zeros = size - behind.len();
    for digit in behind.bytes().rev().map(|digit| i128::from(digit - b'0')) {
        carried += digit * factor;
        is_more |= carried % 10 != 0;
        carried /= 10;
    }
    while carried > 0 && zeros > 0 {
        is_more |= carried % 10 != 0;
        (carried, zeros) = (carried / 10, zeros - 1);
    }
    number(before)?.checked_mul(factor)?.checked_add(carried + i128::from(is_more))
}

/// Division that rounds away from zero.
fn div_up(value: i128, by: i128) -> i128 {
    let rest = value % by;
    value / by + if rest == 0 { 0 } else { value.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, canonical: &str) {
        let got = Quantity::parse(input).map_or_else(|e| e.to_string(), |q| q.to_string());
        assert_eq!(got, canonical, "{input}");
    }

    #[test]
    fn quantities_are_printed_as_upstream_prints_them() {
        for (input, canonical) in [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("+3", "3"),
            ("-250m", "-250m"),
            ("1500m", "1500m"),
            ("2000", "2k"),
            ("1024", "1024"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("0.5Ki", "512"),
            ("100Ki", "100Ki"),
            ("1e3", "1e3"),
            ("12E6", "12e6"),
            ("1E", "1E"),
            ("1500k", "1500k"),
            ("1000k", "1M"),
            ("0.0000000001", "1n"),
            // More digits than can be counted: those behind count only by being there.
            ("50.00300000100003703720365482036548775808", "50003000002n"),
            ("1.0000000000000000000000000000000000000001Gi", "1073741824000000001n"),
            ("1.00000000000000000001Ei", "1152921504606846976011529216n"),
            ("99999999999999999999E", "9223372036854775807"),
        ] {
            check(input, canonical);
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_rule() {
        let format = QuantityError::Format.to_string();
        let suffix = QuantityError::Suffix.to_string();
        for (input, message) in [
            ("", &format),
            ("cpu", &format),
            ("1 Gi", &format),
            ("1.2.3", &format),
            ("--1", &format),
            ("1mi", &suffix),
            ("1K", &suffix),
            ("1KiB", &format),
        ] {
            check(input, message);
        }
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_spelling_means_the_same(text in "[+-]?[0-9]{1,12}(\\.[0-9]{0,12})?(n|u|m|k|M|Ki|Mi|Gi|e3|E-2)?") {
            let first = Quantity::parse(&text).unwrap();
            let again = Quantity::parse(&first.to_string()).unwrap();
            proptest::prop_assert_eq!(first, again);
            proptest::prop_assert_eq!(first.to_string(), again.to_string());
        }
    }
}
