//! What a server says besides its answer: `Warning: 299 agent "text"` headers (RFC 7234, 5.5).

use http::HeaderMap;

/// The texts of the warnings.
pub(crate) fn warnings(headers: &HeaderMap) -> Vec<String> {
    // A field's own words may be in it, in any script.
    let texts = headers.get_all(http::header::WARNING).iter();
    texts.filter_map(|value| warning(std::str::from_utf8(value.as_bytes()).ok()?)).collect()
}

fn warning(header: &str) -> Option<String> {
    let quoted = header.strip_prefix("299 ")?.split_once('"')?.1;
    let mut text = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => text.push(rest.next()?),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn warnings_are_heard_in_any_script_and_others_headers_are_not() {
        let mut headers = HeaderMap::new();
        for text in [r#"299 - "unknown field \"spec.größe\"""#, r#"199 - "stale""#, r#"299 - "open"#] {
            headers.append(http::header::WARNING, HeaderValue::from_str(text).unwrap());
        }
        assert_eq!(warnings(&headers), [r#"unknown field "spec.größe""#]);
    }
}
