//! Quantities in their canonical form: the largest unit that needs no fraction (`0.5` is `500m`, `1024Mi` is `1Gi`).
//!
//! The rules are those of upstream's `resource.Quantity`: amounts finer than a billionth are rounded up, binary units
//! apply to whole numbers from 1024 on, and a number keeps the family of units in which it was written.

use super::DecodeError;
use crate::quantity::scaled;

/// A billionth, the finest amount.
const NANO: i32 = -9;
/// Units of thousands from 10^-9 on.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Units of 1024 from 1024^0 on.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The family of units in which a quantity is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Binary,
    Decimal,
    Exponent,
}

/// A quantity's canonical form; refuses what is none.
pub(crate) fn canonical(text: &str) -> Result<String, DecodeError> {
    let text = text.trim();
    let (nanos, family) = read(text)?;
    // Amounts beyond all that is countable stay as they are written.
    let Some(nanos) = nanos else { return Ok(text.to_owned()) };
    let nano = 10_i128.pow(9);
    let whole = family == Family::Binary && nanos.abs() >= 1024 * nano && nanos % nano == 0;
    Ok(if whole { binary(nanos / nano) } else { decimal(nanos, family) })
}

/// What upstream answers to anything that is no quantity.
pub(super) fn malformed() -> DecodeError {
    DecodeError(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned(),
    )
}

/// The amount in billionths, if that many can be counted, and its family.
fn read(text: &str) -> Result<(Option<i128>, Family), DecodeError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(malformed());
    }
    let (power, factor, family) = unit(suffix)?;
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let exponent = i64::from(power) - places - i64::from(NANO);
    let nanos = scaled(&[whole, fraction].concat(), factor, exponent);
    Ok((nanos.map(|nanos| if text.starts_with('-') { -nanos } else { nanos }), family))
}

/// A suffix as a power of ten, a factor and the family it belongs to.
fn unit(suffix: &str) -> Result<(i32, i128, Family), DecodeError> {
    if let Some(place) = (0_i32..).zip(DECIMAL).find_map(|(place, unit)| (unit == suffix).then_some(place)) {
        return Ok((place * 3 + NANO, 1, Family::Decimal));
    }
    if let Some(place) = (0_u32..).zip(BINARY).find_map(|(place, unit)| (unit == suffix).then_some(place)) {
        return Ok((0, 1024_i128.pow(place), Family::Binary));
    }
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']).and_then(|exponent| exponent.parse::<i32>().ok())
    {
        return Ok((exponent, 1, Family::Exponent));
    }
    let (letters, number) =
        suffix.split_at(suffix.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(suffix.len()));
    let number = number.strip_prefix(['+', '-']).unwrap_or(number);
    let known =
        letters.chars().all(|c| "eEinumkKMGTP".contains(c)) && number.chars().all(|c| c.is_ascii_digit());
    Err(if known { DecodeError("unable to parse quantity's suffix".to_owned()) } else { malformed() })
}

/// A whole number in powers of 1024.
fn binary(mut value: i128) -> String {
    let mut place = 0;
    while value % 1024 == 0 && place + 1 < BINARY.len() {
        value /= 1024;
        place += 1;
    }
    format!("{value}{}", BINARY[place])
}

/// Billionths in powers of 1000.
fn decimal(nanos: i128, family: Family) -> String {
    let (mut value, mut place) = (nanos, 0_usize);
    while value != 0 && value % 1000 == 0 && (family == Family::Exponent || place + 1 < DECIMAL.len()) {
        value /= 1000;
        place += 1;
    }
    match (family, place) {
        _ if value == 0 => "0".to_owned(),
        (_, 3) => value.to_string(),
        (Family::Exponent, 0..3) => format!("{value}e-{}", 9 - place * 3),
        (Family::Exponent, _) => format!("{value}e{}", place * 3 - 9),
        _ => format!("{value}{}", DECIMAL[place]),
    }
}
