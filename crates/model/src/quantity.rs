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

fn is_exponent(suffix: &str) -> bool {
    let Some(digits) = suffix.strip_prefix(['e', 'E']) else { return false };
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}
