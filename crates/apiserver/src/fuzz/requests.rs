//! Request lines and headers: paths, queries, `Accept`, the tokens that clients send back.

use http::{HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::text;
use crate::http::fuzz::{Query, Route, Target, accepted, continued, of_patch, of_write, route, wants_yaml};
use crate::rights::fuzz::verified;

/// A path means the same however it is escaped, and what it means can be written as a path.
pub fn paths(data: &[u8]) {
    let Some(path) = text(data) else { return };
    let meant = route(path);
    let Route::Objects(target) = &meant else { return };
    let written = write(target);
    assert_eq!(route(&written), meant, "{written:?}");
    assert_eq!(route(&format!("{written}/")), meant, "{written:?}");
}

fn write(target: &Target) -> String {
    let kind = target.kind;
    let mut path = if kind.group.is_empty() {
        format!("/api/{}", kind.version)
    } else {
        format!("/apis/{}/{}", kind.group, kind.version)
    };
    let mut add = |part: &str| {
        path.push('/');
        path.extend(utf8_percent_encode(part, NON_ALPHANUMERIC));
    };
    if let Some(namespace) = &target.namespace {
        add("namespaces");
        add(namespace);
    }
    add(kind.plural);
    target.name.iter().chain(&target.part).for_each(|part| add(part));
    path
}

/// Parameters survive being written and read again; whatever is asked of them is answered or refused with 400 or 422.
pub fn queries(data: &[u8]) {
    let Some(line) = text(data) else { return };
    let query = Query::parse(line);
    let escape = |part: &str| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
    let written: Vec<String> =
        query.pairs().iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    assert_eq!(Query::parse(&written.join("&")).pairs(), query.pairs());
    let refusals = [
        query.number("limit").err(),
        of_write("CreateOptions", &query).err(),
        of_patch(&query, true).err(),
        query.flag("watch").err(),
    ];
    for refusal in refusals.into_iter().flatten() {
        assert!(matches!(refusal.code, 400 | 422), "{refusal:?}");
    }
}

/// The forms that are accepted do not depend on case or space; YAML is not promised where nothing is.
pub fn accepts(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(http::header::ACCEPT, value.clone());
    let shape = accepted(&headers);
    if let Err(refusal) = &shape {
        assert_eq!(refusal.code, 406);
        assert!(!wants_yaml(&headers), "{value:?}");
    }
    let Ok(text) = value.to_str() else { return };
    if text.contains('"') {
        return;
    }
    let wider = text.replace(',', " , ").replace(';', " ; ");
    headers.insert(http::header::ACCEPT, HeaderValue::from_str(&wider).expect("spaces are fine"));
    assert_eq!(accepted(&headers).ok(), shape.ok(), "{wider:?}");
}

/// Of the tokens that clients show, none counts that was not made here; a continue token that is taken is one that
/// would be written, and stays within its list.
pub fn tokens(data: &[u8]) {
    let Some(token) = text(data) else { return };
    assert!(!verified(token), "{token:?}");
    continued(token);
}
