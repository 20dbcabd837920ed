//! Names, labels, annotations and the rest of metadata: what upstream allows, in upstream's words.
//!
//! Sources: apimachinery, pkg/api/validate/content, pkg/util/validation and pkg/api/validation/objectmeta.go.
//! Each check of a text returns what is wrong with it, and nothing if it is fine.

mod metadata;
#[cfg(test)]
mod tests;
mod words;

pub use metadata::{annotations, labels, metadata, metadata_update};

use crate::kind::NameRule;

/// The longest DNS label, in bytes.
pub const LABEL_MAX: usize = 63;
/// The longest DNS subdomain, in bytes.
pub const SUBDOMAIN_MAX: usize = 253;

/// One DNS label (RFC 1123): at most 63 of `a-z0-9-`, no dash at either end.
#[must_use]
pub fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_MAX {
        wrong.push(words::max_characters(LABEL_MAX));
    }
    if !is_label(text) {
        wrong.push(if is_subdomain(text) { words::NO_DOTS.to_owned() } else { words::label() });
    }
    wrong
}

/// A DNS subdomain (RFC 1123): labels joined by dots, at most 253 bytes.
#[must_use]
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        wrong.push(words::max_characters(SUBDOMAIN_MAX));
    }
    if !is_subdomain(text) {
        wrong.push(words::subdomain());
    }
    wrong
}

/// A domain that names are looked up in: a subdomain whose labels may have underscores.
#[must_use]
pub fn search_domain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        wrong.push(words::max_characters(SUBDOMAIN_MAX));
    }
    let fits = |label: &str| {
        let body = label.strip_prefix('_').unwrap_or(label);
        !body.starts_with('_') && !body.ends_with('_') && is_label(&body.replace('_', "-"))
    };
    if !text.split('.').all(fits) {
        wrong.push(words::search_domain());
    }
    wrong
}

/// A name that may stand in a path.
#[must_use]
pub fn path_segment(text: &str) -> Vec<String> {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"].iter().filter(|c| text.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// A label key: a name of at most 63 bytes, after an optional DNS subdomain and a slash.
#[must_use]
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push(format!("prefix part {}", words::EMPTY));
            } else {
                if prefix.len() > SUBDOMAIN_MAX {
                    wrong.push(format!("prefix part {}", words::max_len(SUBDOMAIN_MAX)));
                }
                if !is_subdomain(prefix) {
                    wrong.push(format!("prefix part {}", words::subdomain()));
                }
            }
            *name
        }
        _ => return vec![words::label_key_with_prefix()],
    };
    if name.is_empty() {
        wrong.push(format!("name part {}", words::EMPTY));
    } else if name.len() > LABEL_MAX {
        wrong.push(format!("name part {}", words::max_len(LABEL_MAX)));
    }
    if !is_word(name) {
        wrong.push(format!("name part {}", words::label_key()));
    }
    wrong
}

/// A label's value: empty, or at most 63 of letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
#[must_use]
pub fn label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_MAX {
        wrong.push(words::max_len(LABEL_MAX));
    }
    if !text.is_empty() && !is_word(text) {
        wrong.push(words::label_value());
    }
    wrong
}

/// A key of a config map or secret, which becomes a file's name.
#[must_use]
pub fn data_key(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > SUBDOMAIN_MAX {
        wrong.push(words::max_characters(SUBDOMAIN_MAX));
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        wrong.push(words::data_key());
    }
    wrong.extend(hidden_directory(text));
    wrong
}

/// The name of an environment variable: printable ASCII without `=` (upstream's relaxed rule, the default since 1.32).
#[must_use]
pub fn env_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.is_empty() {
        wrong.push(format!("environment variable name {}", words::EMPTY));
    }
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        wrong.push(words::ENV_NAME.to_owned());
    }
    wrong
}

/// The name of a port: at most 15 of `a-z0-9-`, with a letter, no dash at either end and no two in a row.
#[must_use]
pub fn port_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 15 {
        wrong.push(words::max_characters(15));
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || !text.bytes().all(allowed) {
        wrong.push(words::PORT_CHARACTERS.to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        wrong.push(words::PORT_LETTER.to_owned());
    }
    if text.contains("--") {
        wrong.push(words::PORT_DASHES.to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        wrong.push(words::PORT_ENDS.to_owned());
    }
    wrong
}

/// A number of a port.
#[must_use]
pub fn port_number(number: i64) -> Vec<String> {
    in_range(number, 1, 65535)
}

/// A number within bounds, both included.
#[must_use]
pub fn in_range(number: i64, least: i64, most: i64) -> Vec<String> {
    if (least..=most).contains(&number) {
        Vec::new()
    } else {
        vec![format!("must be between {least} and {most}, inclusive")]
    }
}

/// The name of an HTTP header.
#[must_use]
pub fn http_header(text: &str) -> Vec<String> {
    let fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fine { Vec::new() } else { vec![words::http_header()] }
}

/// A path after a domain, as in `acme.io/foo`: what is wrong with which part.
#[must_use]
pub fn domain_prefixed_path(text: &str) -> Vec<(String, String)> {
    let (host, path) = match text.split_once('/') {
        Some((host, path)) if !host.is_empty() && !path.is_empty() => (host, path),
        _ => return vec![(text.to_owned(), words::DOMAIN_PREFIX.to_owned())],
    };
    let mut wrong: Vec<_> = dns_subdomain(host).into_iter().map(|w| (host.to_owned(), w)).collect();
    if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        wrong.push((path.to_owned(), words::http_path()));
    }
    wrong
}

/// A name by its kind's rule; of a `generateName` the last dash does not count.
#[must_use]
pub fn by_rule(rule: NameRule, text: &str, prefix: bool) -> Vec<String> {
    let masked = match text.strip_suffix('-') {
        // The last two bytes become one letter, as upstream masks them.
        Some(rest) if prefix && !rest.is_empty() => format!("{}a", &rest[..floor(rest, rest.len() - 1)]),
        _ => text.to_owned(),
    };
    match rule {
        NameRule::Subdomain => dns_subdomain(&masked),
        NameRule::Label => dns_label(&masked),
        // What follows makes another name of `.` and `..`.
        NameRule::PathSegment if prefix && matches!(text, "." | "..") => Vec::new(),
        NameRule::PathSegment => path_segment(text),
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Names that would lead out of a directory.
fn hidden_directory(text: &str) -> Option<String> {
    match text {
        "." => Some("must not be '.'".to_owned()),
        ".." => Some("must not be '..'".to_owned()),
        _ if text.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edge = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
    let bytes = text.as_bytes();
    bytes.iter().all(|b| inner(*b)) && edge(bytes.first()) && edge(bytes.last())
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_word(text: &str) -> bool {
    let inner = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.iter().all(inner) && edge(bytes.first()) && edge(bytes.last())
}
