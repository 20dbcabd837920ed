//! Resource quantities (`500m`, `2Gi`, `1e3`): parsing, comparing and the canonical spelling.
//!
//! Source: apimachinery, pkg/api/resource/quantity.go. Knows nothing of which resources exist.

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
/// Units of 1000, from 10^-9 on.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Where the unit 1 stands among them.
const ONE: usize = 3;
/// Units of 1024, from 1024^0 on.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Quantity {
    /// Parses a quantity. A fraction finer than one billionth is rounded away from zero.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let written = read(text)?;
        let nanos = written.nanos.map_or(LIMIT, |nanos| nanos.min(LIMIT));
        Ok(Quantity { nanos: if written.is_negative { -nanos } else { nanos }, family: written.family })
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

/// The canonical spelling.
impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&spelled(self.nanos, self.family))
    }
}

/// The canonical spelling of a quantity as a client writes it, blanks around it included; amounts beyond all that is
/// countable stay as they are written.
pub(crate) fn canonical(text: &str) -> Result<String, QuantityError> {
    let text = text.trim();
    let written = read(text)?;
    let Some(nanos) = written.nanos else { return Ok(text.to_owned()) };
    Ok(spelled(if written.is_negative { -nanos } else { nanos }, written.family))
}

/// The canonical spelling: no fraction, the largest unit that loses nothing, in the family in which it was written. It is
/// its own canonical spelling: what is compared with it later was read once more.
fn spelled(nanos: i128, family: Family) -> String {
    // What no binary unit divides is decimal: without a unit it would be read as that from then on.
    if family == Family::Binary && nanos != 0 && nanos % (1024 * NANO) == 0 {
        let (value, place) = in_units(nanos / NANO, 1024, BINARY.len() - 1);
        return format!("{value}{}", BINARY[place]);
    }
    let most = if family == Family::Exponent { usize::MAX } else { DECIMAL.len() - 1 };
    match (in_units(nanos, 1000, most), family) {
        ((0, _), _) => "0".to_owned(),
        ((value, ONE), _) => value.to_string(),
        ((value, place @ 0..ONE), Family::Exponent) => format!("{value}e-{}", (ONE - place) * 3),
        ((value, place), Family::Exponent) => format!("{value}e{}", (place - ONE) * 3),
        ((value, place), _) => format!("{value}{}", DECIMAL[place]),
    }
}

/// A value in the largest unit that loses nothing, and which unit that is; 0 stays as it is.
fn in_units(mut value: i128, base: i128, most: usize) -> (i128, usize) {
    let mut place = 0;
    while value != 0 && value % base == 0 && place < most {
        (value, place) = (value / base, place + 1);
    }
    (value, place)
}

/// A quantity as it is written.
struct Written {
    is_negative: bool,
    /// How much it is in billionths without its sign; none if that cannot be counted.
    nanos: Option<i128>,
    family: Family,
}

fn read(text: &str) -> Result<Written, QuantityError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(QuantityError::Format);
    }
    let (family, factor, power) = unit(suffix)?;
    let behind = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let nanos = scaled(&[whole, fraction].concat(), factor, 9 + i64::from(power) - behind);
    let nanos = match family {
        Family::Binary => Some(nanos.map_or(LIMIT, |nanos| nanos.min(LIMIT))),
        Family::Decimal | Family::Exponent => nanos,
    };
    Ok(Written { is_negative: text.starts_with('-'), nanos, family })
}

/// The family of a suffix, and what it multiplies by: a factor, and a power of ten.
fn unit(suffix: &str) -> Result<(Family, i128, i32), QuantityError> {
    if let Some(power) =
        (-9_i32..).step_by(3).zip(DECIMAL).find_map(|(power, unit)| (unit == suffix).then_some(power))
    {
        return Ok((Family::Decimal, 1, power));
    }
    if let Some(place) = (0_u32..).zip(BINARY).find_map(|(place, unit)| (unit == suffix).then_some(place)) {
        return Ok((Family::Binary, 1024_i128.pow(place), 0));
    }
    if let Some(power) = suffix.strip_prefix(['e', 'E']).and_then(|power| power.parse::<i32>().ok()) {
        return Ok((Family::Exponent, 1, power));
    }
    let digits = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let is_of_the_form = digits.chars().all(|c| c.is_ascii_digit());
    Err(if is_of_the_form { QuantityError::Suffix } else { QuantityError::Format })
}

/// `digits * factor * 10^exponent`, rounded up and otherwise exact, however many digits there are; none if it cannot be
/// counted. The factor is at most 1024^6.
fn scaled(digits: &str, factor: i128, exponent: i64) -> Option<i128> {
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
            ("1e-3", "1e-3"),
            // What no binary unit divides is decimal.
            ("1.1Ki", "1126400m"),
            ("312.5Ki", "320k"),
            ("1025Ki", "1025Ki"),
        ] {
            check(input, canonical);
        }
    }

    #[test]
    fn quantities_take_their_canonical_form() {
        for (written, spelling) in [
            ("0.5", "500m"),
            ("1", "1"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1.5", "1500m"),
            ("1000m", "1"),
            ("0", "0"),
            ("1024Mi", "1Gi"),
            ("50.00300000100003703720365482036548775808", "50003000002n"),
            ("1.0000000000000000000000000000000000000001Gi", "1073741824000000001n"),
            ("2.0000000000000000000000000000000000000000000000000000", "2"),
            ("1.5Gi", "1536Mi"),
            ("512", "512"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("1.1Ki", "1126400m"),
            ("10E", "10E"),
            ("1e30", "1e30"),
            ("1e300", "1e300"),
            ("1e-3", "1e-3"),
            ("100000000", "100M"),
            ("-1.5", "-1500m"),
            ("+5", "5"),
            ("0.0000000001", "1n"),
            (".5", "500m"),
            ("8037104Ki", "8037104Ki"),
            ("0Gi", "0"),
            ("12e2", "1200"),
            ("1Ei", "1Ei"),
            (" 1 ", "1"),
            ("5.", "5"),
            // More digits than can be counted, which the power of ten takes away.
            ("4444444444444444444444444444444444444444444444e-1744445", "1e-9"),
            ("1000000000000000000000000000000000000000000000e-45", "1"),
            ("1000000000000000000000000000000000000000000001e-45", "1000000001e-9"),
            // Binary amounts have an end.
            ("99999999999Ei", "9223372036854775807"),
            ("-99999999999999999999999999999999999Ei", "-9223372036854775807"),
            ("100000000000000000000", "100E"),
        ] {
            assert_eq!(canonical(written).as_deref(), Ok(spelling), "{written}");
        }
        for wrong in ["", "x", "1.2.3", "1 Gi", "1Gb", "--1", "1_000"] {
            assert!(canonical(wrong).is_err(), "{wrong}");
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
            ("1ki", &suffix),
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

        #[test]
        fn a_canonical_spelling_is_its_own(text in "[+-]?[0-9]{0,30}[.]?[0-9]{0,20}(Ki|Mi|Gi|Ei|n|u|m|k|E|e[+-]?[0-9]{1,11})?") {
            if let Ok(once) = canonical(&text) {
                proptest::prop_assert_eq!(canonical(&once), Ok(once));
            }
        }
    }
}
