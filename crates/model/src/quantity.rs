//! Kubernetes quantities: `500m`, `2`, `512Mi`, `1e3` (apimachinery `pkg/api/resource`).

use crate::Problem;

const SUFFIXES: [&str; 16] =
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Checks a quantity that is sent as it was written.
///
/// # Errors
/// A [`Problem`] without a path that says what was expected.
pub fn check(text: &str) -> Result<(), Problem> {
    let wrong = || Problem::new("", format!("{text:?} is no quantity; write it like 500m, 2, 512Mi or 4G"));
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let digits = number.chars().filter(char::is_ascii_digit).count();
    if digits == 0 || number.chars().filter(|c| *c == '.').count() > 1 {
        return Err(wrong());
    }
    if SUFFIXES.contains(&suffix) || is_exponent(suffix) { Ok(()) } else { Err(wrong()) }
}

/// How much a quantity is, in its unit: `500m` is 0.5, `1Ki` 1024. `None`: it is none. Exact enough to compare.
pub fn value(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    check(unsigned).ok()?;
    let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    if is_exponent(suffix) {
        return unsigned.parse().ok();
    }
    let number: f64 = number.parse().ok()?;
    const DECIMAL: [(&str, i32); 10] = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    match BINARY.iter().zip(1..).find(|(name, _)| **name == suffix) {
        Some((_, power)) => Some(number * 1024f64.powi(power)),
        None => {
            DECIMAL.iter().find(|(name, _)| *name == suffix).map(|(_, power)| number * 10f64.powi(*power))
        }
    }
}

fn is_exponent(suffix: &str) -> bool {
    let Some(digits) = suffix.strip_prefix(['e', 'E']) else { return false };
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn quantities_are_as_much_as_kubernetes_says() {
        for (text, amount) in [
            ("500m", 0.5),
            ("2", 2.0),
            ("+1.5", 1.5),
            ("1Ki", 1024.0),
            ("1k", 1000.0),
            ("1e3", 1000.0),
            ("0.5Gi", 536_870_912.0),
        ] {
            assert_eq!(value(text), Some(amount), "{text}");
        }
        for none in ["", "2 GB", "x", "1.2.3", "m"] {
            assert_eq!(value(none), None, "{none}");
        }
    }
}
