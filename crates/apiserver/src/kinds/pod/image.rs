//! The names of images (`HOST:PORT/PATH:TAG@DIGEST`), as far as they say whether to ask for a newer one.
//!
//! Source: github.com/distribution/reference, normalize.go and regexp.go; upstream pkg/util/parsers/parsers.go.

/// The longest path of an image, without its host, in bytes.
const PATH_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// Whether an image is the newest of its name: it has the tag `latest`, or neither tag nor digest. What names no image is
/// taken as pinned.
pub(super) fn is_latest(image: &str) -> bool {
    let (named, digest) =
        image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let tagged = named.rfind(':').filter(|at| !named[*at..].contains('/'));
    let (name, tag) = tagged.map_or((named, None), |at| (&named[..at], Some(&named[at + 1..])));
    let newest = match tag {
        Some(tag) => tag == "latest",
        None => digest.is_none(),
    };
    newest && is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

fn is_name(name: &str) -> bool {
    let is_id = name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let path = match name.split_once('/') {
        Some((host, path)) if names_host(host) => match is_host(host) {
            true => path,
            false => return false,
        },
        _ => name,
    };
    !is_id && path.len() <= PATH_MAX && path.split('/').all(is_component)
}

/// Whether the first part of a name is a host and no part of the path.
fn names_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host(host: &str) -> bool {
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return rest.split_once(']').is_some_and(|(address, rest)| {
            hex(address) && (rest.is_empty() || rest.strip_prefix(':').is_some_and(digits))
        });
    }
    let (names, port) = host.split_once(':').map_or((host, None), |(names, port)| (names, Some(port)));
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    names.split('.').all(label) && port.is_none_or(digits)
}

/// Lower-case words, joined by a dot, by one or two underscores or by dashes.
fn is_component(part: &str) -> bool {
    let in_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |b: Option<&u8>| b.is_some_and(|b| in_word(*b));
    let joins = part.split(|c: char| u8::try_from(c).is_ok_and(in_word)).filter(|join| !join.is_empty());
    let mut joins = joins.map(|join| matches!(join, "." | "_" | "__") || join.bytes().all(|b| b == b'-'));
    ends(part.as_bytes().first()) && ends(part.as_bytes().last()) && joins.all(|fits| fits)
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// A digest of a known kind, of its length.
fn is_digest(digest: &str) -> bool {
    let Some((kind, hex)) = digest.split_once(':') else { return false };
    let length = match kind {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
