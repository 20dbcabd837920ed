//! Selectors as kubectl and the Python client send them, and malformed ones.

use proptest::prelude::*;
use windlass_store::Tags;

use super::parse::{fields, labels};
use super::*;

fn tags(pairs: &[(&str, &str)]) -> Tags {
    Tags::new(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect())
}

fn selects(text: &str, pairs: &[(&str, &str)]) -> bool {
    let selector = Selector { labels: labels(text).unwrap(), ..Selector::default() };
    selector.passes_tags(&tags(pairs))
}

#[test]
fn label_selectors_select_as_upstream_does() {
    let web = [("l/app", "web"), ("l/tier", "3")];
    for text in [
        "",
        "app",
        "app=web",
        "app==web",
        "app = web , tier",
        "app in (web, db)",
        "x!=y",
        "!x",
        "x notin (a)",
        "tier>2",
        "tier<4",
        "app=web,!x",
    ] {
        assert!(selects(text, &web), "{text}");
    }
    for text in
        ["x", "app=db", "app!=web", "!app", "app notin (web)", "app in (db)", "tier>3", "app>1", "app="]
    {
        assert!(!selects(text, &web), "{text}");
    }
    assert!(selects("app=", &[("l/app", "")]));
    assert!(selects("app in (,a)", &[("l/app", "")]));
}

#[test]
fn malformed_label_selectors_are_refused_in_upstreams_words() {
    let check = |text: &str, expected: &str| assert_eq!(labels(text).unwrap_err(), expected, "{text}");
    check("a=b=c", "found '=', expected: ',' or 'end of string'");
    check("a,", "found '', expected: identifier after ','");
    check("=a", "found '=', expected: !, identifier, or 'end of string'");
    check("a in b", "unable to parse requirement: found 'b' expected: '('");
    check("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
    check("a in (b", "unable to parse requirement: found '', expected: ',' or ')'");
    assert!(
        labels("-a=b")
            .unwrap_err()
            .starts_with("unable to parse requirement: key: Invalid value: \"-a\": name part")
    );
}

#[test]
fn field_selectors_are_read_with_their_escapes() {
    let terms = fields("a=b,c!=d,e==f\\,g,").unwrap();
    let read: Vec<_> = terms.iter().map(|t| (t.field.as_str(), t.value.as_str(), t.equal)).collect();
    assert_eq!(read, [("a", "b", true), ("c", "d", false), ("e", "f,g", true)]);
    assert_eq!(fields("abc").unwrap_err(), "invalid selector: 'abc'; can't understand 'abc'");
    assert!(fields("a=\\x").is_err());
}

#[test]
fn names_are_asked_of_the_key() {
    let term = |field: &str, value: &str| FieldTerm { field: field.into(), value: value.into(), equal: true };
    let selector = Selector {
        identity: vec![term("metadata.name", "a"), term("metadata.namespace", "n")],
        ..Selector::default()
    };
    assert!(selector.passes_key(true, "/pods/n/a"));
    assert!(!selector.passes_key(true, "/pods/m/a"));
    assert!(!selector.passes_key(true, "/pods/n/ab"));
    assert_eq!(selector.exactly("metadata.name"), Some("a"));
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,40}") {
        let _ = labels(&text);
        let _ = fields(&text);
    }

    #[test]
    fn in_and_notin_are_opposites(key in "[a-z]{1,3}", value in "[a-z]{0,3}", there in "[a-z]{0,3}") {
        let pairs = [(&*format!("l/{key}"), &*there)];
        let inside = selects(&format!("{key} in ({value})"), &pairs);
        prop_assert_eq!(inside, !selects(&format!("{key} notin ({value})"), &pairs));
        prop_assert_eq!(inside, value == there);
    }
}
