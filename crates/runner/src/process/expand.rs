//! `$(NAME)` in arguments and values: a known name is replaced, an unknown one stays, `$$` is one `$`
//! (upstream: third_party/forked/golang/expansion).

use crate::text::Text;

/// Expands references by what `value` answers.
pub(crate) fn expand<'a>(text: &str, value: impl Fn(&str) -> Option<&'a [u8]>) -> Text {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push(b'$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match value(name) {
                Some(value) => out.extend_from_slice(value),
                None => out.extend([b"$(", name.as_bytes(), b")"].concat()),
            }
            rest = tail;
        } else {
            out.push(b'$');
            rest = after;
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out.into()
}
