//! The form of an image's name (the grammar of the distribution project's reference package).

/// What is wrong with an image's name, if something is.
pub fn image_fault(image: &str) -> Option<&'static str> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("has a digest that is none, like sha256: and 64 hexadecimal digits");
    }
    // A colon behind the last slash begins the tag; one before it belongs to a port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some("has a tag that is none: at most 128 letters, digits, '_', '.' and '-'");
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    if parts.len() > 1 && is_host(parts[0]) {
        let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if !parts.remove(0).chars().all(host) {
            return Some("names a registry that is no host");
        }
    }
    if name.len() > 255 {
        return Some("is longer than 255 characters");
    }
    if parts.iter().any(|part| part.chars().any(|c| c.is_ascii_uppercase())) {
        return Some("has capital letters, which only a tag may have");
    }
    (!parts.iter().all(|part| is_part(part)))
        .then_some("is no name of an image, like registry.example/team/fit:1.2")
}

fn is_part(part: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(letter)
        && part.ends_with(letter)
        && part.chars().all(|c| letter(c) || matches!(c, '.' | '_' | '-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=128).contains(&tag.len())
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

fn is_digest(digest: &str) -> bool {
    let hex = |text: &str, length| text.len() == length && text.chars().all(|c| c.is_ascii_hexdigit());
    match digest.split_once(':') {
        Some(("sha256", text)) => hex(text, 64),
        Some(("sha512", text)) => hex(text, 128),
        _ => false,
    }
}
