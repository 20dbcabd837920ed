//! Labels and annotations: which keys and values Kubernetes takes.

use crate::Problems;

const MAX_PART: usize = 63;
const MAX_PREFIX: usize = 253;

/// Adds what is wrong with a label (apimachinery `validation.IsQualifiedName` and `IsValidLabelValue`).
pub fn check(path: &str, key: &str, value: &str, found: &mut Problems) {
    check_key(path, key, found);
    if !is_value(value) {
        found.add(
            path,
            format!("value {value:?} must be at most 63 letters, digits, '-', '_' or '.', and begin and end with a letter or digit"),
        );
    }
}

/// Adds what is wrong with the key of a label or annotation.
pub fn check_key(path: &str, key: &str, found: &mut Problems) {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.is_empty() || !is_value(name) {
        found.add(
            path,
            format!("key {key:?} must be at most 63 letters, digits, '-', '_' or '.', and begin and end with a letter or digit"),
        );
    }
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        found
            .add(path, format!("what stands before the '/' in key {key:?} must be a DNS name in lower case"));
    }
}

/// Whether a text can be a label's value; the empty one can.
pub fn is_value(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.len() <= MAX_PART
        && text.chars().all(inner)
        && text.chars().next().is_none_or(|c| c.is_ascii_alphanumeric())
        && text.chars().next_back().is_none_or(|c| c.is_ascii_alphanumeric())
}

/// The label value that is nearest to a text: a `-` for each character that no value has, cut to 63 characters, and
/// to a letter or digit at both ends. A valid value stays as it is.
pub fn nearest_value(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let ends = |c: char| !c.is_ascii_alphanumeric();
    let value: String = text.chars().map(keep).collect();
    let value: String = value.trim_start_matches(ends).chars().take(MAX_PART).collect();
    value.trim_end_matches(ends).to_owned()
}

/// Whether a text is a DNS subdomain (RFC 1123, as Kubernetes reads it).
pub fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= MAX_PREFIX && text.split('.').all(part)
}
