//! Bodies that nobody means well with: they are refused, never a panic, never without bound.

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::fixtures;

fn refused(body: &[u8]) -> String {
    parse_protobuf(body).expect_err("is refused").0
}

/// A field of wire type 2; short ones only.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let names = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &names), field(2, raw)].concat()
}

#[test]
fn bodies_that_are_no_protobuf_are_refused() {
    assert!(refused(b"").contains("does not appear to be a protobuf message"));
    assert!(refused(b"{}").contains("does not appear to be a protobuf message"));
    assert!(refused(b"k8s\0").contains("no kind"));
    assert!(refused(&envelope("batch/v1", "Frobnicator", b"")).contains("no kind \"Frobnicator\""));
    assert!(refused(&envelope("v1", "Pod", &[0x0a, 0x05, 0x00])).contains("unexpected EOF"));
    assert!(
        refused(&envelope("v1", "Pod", &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]))
            .contains("protobuf")
    );
    assert!(refused(&envelope("v1", "Pod", &[0x08, 0x01])).contains("wrong wire type"));
    assert!(refused(&envelope("v1", "Pod", &field(1, &field(1, &[0xff, 0xfe])))).contains("UTF-8"));
}

#[test]
fn fields_that_no_type_knows_are_skipped() {
    let body = envelope(
        "v1",
        "Namespace",
        &[field(1, &field(1, b"a")), vec![0x98, 0x06, 0x05, 0xa5, 0x06, 1, 2, 3, 4]].concat(),
    );
    assert_eq!(
        parse_protobuf(&body),
        Ok(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}))
    );
}

#[test]
fn compressed_bodies_are_refused() {
    let body = [envelope("v1", "Pod", b""), field(3, b"gzip")].concat();
    assert!(refused(&body).contains("gzip"));
}

#[test]
fn deep_bodies_are_refused() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(deep(100).as_bytes(), false).is_ok());
    assert!(parse(deep(101).as_bytes(), false).is_err());
    assert!(parse(deep(100_000).as_bytes(), false).is_err());
    assert!(parse(deep(101).as_bytes(), true).is_err());
    assert!(parse(format!("{{\"a\":{}}}", deep(101)).as_bytes(), true).is_err());
    assert!(parse(deep(100_000).as_bytes(), true).is_err());
}

#[test]
fn broken_text_is_refused() {
    for body in ["", "{", "{}}", "{\"a\":}", "{} x", "\u{feff}", "nul", "{\"a\" 1}", "[1,]"] {
        assert!(parse(body.as_bytes(), false).is_err(), "{body:?}");
    }
    assert!(parse(b"\xff", false).is_err());
    assert!(parse(b"\xff", true).is_err());
    assert!(parse(b"a: [", true).is_err());
    assert!(parse(b"a: &x [*x]", true).is_err());
}

#[test]
fn aliases_that_multiply_are_refused() {
    let levels = (1..12).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(9)));
    let body = std::iter::once("a0: &a0 [1,1]\n".to_owned()).chain(levels).collect::<String>();
    assert!(parse(body.as_bytes(), true).is_err());
}

#[test]
fn complaints_are_bounded() {
    let mut object: Value = (0..1000).map(|n| (format!("f{n}"), json!(1))).collect();
    let complaints = fit("io.k8s.api.core.v1.Pod", &mut object).expect("fits");
    assert_eq!(complaints.len(), 100);
    assert_eq!(object, json!({}));
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let bodies: Vec<_> = fixtures().into_iter().map(|(_, _, _, body)| body).collect();
    prop::sample::select(bodies)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_protobuf(&[b"k8s\0", &bytes[..]].concat());
        let _ = parse_protobuf(&envelope("batch/v1", "Job", &bytes));
        let _ = parse_protobuf(&envelope("v1", "Pod", &bytes));
        let _ = parse(&bytes, false);
    }

    #[test]
    fn cut_bodies_never_panic(body in bodies(), cut in any::<prop::sample::Index>()) {
        let _ = parse_protobuf(&body[..cut.index(body.len())]);
    }

    #[test]
    fn changed_bodies_decode_to_what_fits_or_are_refused(
        mut body in bodies(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(object) = parse_protobuf(&body) {
            prop_assert!(object["kind"].is_string());
        }
    }

    #[test]
    fn any_json_fits_or_is_refused(text in "[\\[\\]{}\",:a-z0-9 .]{0,60}") {
        if let Ok(mut decoded) = parse(text.as_bytes(), false) {
            let _ = fit("io.k8s.api.batch.v1.Job", &mut decoded.object);
        }
    }
}

/// A key by which `serde_json` hides text in a map.
#[test]
fn key_that_readers_take_for_something_else_is_refused_and_could_be_read() {
    let key = "$serde_json::private::RawValue";
    for text in ["x", "{}", "[1]"] {
        let labels = json!({ key: text });
        let stored = json!({"matchLabels": labels}).to_string();
        assert_eq!(read_stored(stored.as_bytes()).unwrap(), json!({"matchLabels": labels}));
        let mut config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": labels});
        let refused = fit("io.k8s.api.core.v1.ConfigMap", &mut config_map).expect_err("is refused").0;
        assert_eq!(refused, format!("data: the key {key:?} cannot be stored"));
    }
}
