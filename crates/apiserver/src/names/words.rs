//! Upstream's sentences about malformed texts: clients and tests compare them, so they are kept to the letter.

pub(super) const EMPTY: &str = "must be non-empty";
pub(super) const NO_DOTS: &str = "must not contain dots";
pub(super) const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
pub(super) const PORT_CHARACTERS: &str =
    "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
pub(super) const PORT_LETTER: &str = "must contain at least one letter (a-z)";
pub(super) const PORT_DASHES: &str = "must not contain consecutive hyphens";
pub(super) const PORT_ENDS: &str = "must not begin or end with a hyphen";
pub(super) const DOMAIN_PREFIX: &str = "must be a domain-prefixed path (such as \"acme.io/foo\")";

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const WORD: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// Labels are counted in bytes, names in characters, though both are ASCII: upstream has two packages for them.
pub(super) fn max_len(bytes: usize) -> String {
    format!("must be no more than {bytes} bytes")
}

pub(super) fn max_characters(characters: usize) -> String {
    format!("must be no more than {characters} characters")
}

/// A sentence with examples and the pattern behind it.
fn pattern(sentence: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    let list = if examples.is_empty() { String::new() } else { format!("e.g. {}", examples.join(" or ")) };
    format!("{sentence} ({list}regex used for validation is '{pattern}')")
}

pub(super) fn label() -> String {
    pattern(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
        LABEL,
        &["my-name", "123-abc"],
    )
}

pub(super) fn subdomain() -> String {
    pattern(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        &format!("{LABEL}(\\.{LABEL})*"),
        &["example.com"],
    )
}

pub(super) fn search_domain() -> String {
    let label = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    pattern(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
        &format!("{label}(\\.{label})*"),
        &["example.com"],
    )
}

pub(super) fn label_key() -> String {
    pattern(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        WORD,
        &["MyName", "my.name", "123-abc"],
    )
}

pub(super) fn label_key_with_prefix() -> String {
    format!(
        "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        label_key()
    )
}

pub(super) fn label_value() -> String {
    pattern(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        &format!("({WORD})?"),
        &["MyValue", "my_value", "12345"],
    )
}

pub(super) fn data_key() -> String {
    pattern(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        "[-._a-zA-Z0-9]+",
        &["key.name", "KEY_NAME", "key-name"],
    )
}

pub(super) fn http_header() -> String {
    pattern(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    )
}

pub(super) fn http_path() -> String {
    pattern("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[])
}
