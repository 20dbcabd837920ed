//! Situations of bodies: what strict decoding says of them and what is left in the object.
//!
//! `fixtures/` holds triples: `X.in.json` as a person writes it, and what upstream's own libraries (release 1.36) make
//! of it: `X.json`, the typed object written as JSON, and `X.pb`, the same as a protobuf body.

use std::path::{Path as FilePath, PathBuf};

use serde_json::json;

use super::*;

mod hostile;
mod merging;
mod openapi;

const JOB: &str = "io.k8s.api.batch.v1.Job";

fn fitted(schema: &str, mut object: Value) -> (Value, Vec<String>) {
    let complaints = fit(schema, &mut object).expect("fits");
    (object, complaints)
}

fn refused(schema: &str, mut object: Value) -> String {
    fit(schema, &mut object).expect_err("does not fit").0
}

#[test]
fn every_line_of_the_table_is_understood() {
    let words = ["raw", "fields"];
    let shapes = table::table().types();
    assert!(shapes.len() > 250);
    assert!(shapes.windows(2).all(|pair| pair[0].name < pair[1].name), "each type stands once, in order");
    for shape in shapes {
        for field in &shape.fields {
            let mut inner = &field.shape;
            while let table::Shape::List(next) | table::Shape::Map(next) = inner {
                inner = next;
            }
            if let table::Shape::Scalar(table::Scalar::Raw, _) = inner {
                let line = table::TEXT.lines().find(|line| line.starts_with(&format!("{} ", field.json)));
                assert!(line.is_some_and(|line| words.iter().any(|word| line.contains(word))), "{line:?}");
            }
        }
    }
}

#[test]
fn unknown_fields_are_named_and_removed() {
    let (object, complaints) = fitted(
        JOB,
        json!({"spec": {"bogus": 1, "template": {"spec": {"containers": [{"name": "a", "Image": "x"}]}}}}),
    );
    assert_eq!(
        complaints,
        ["unknown field \"spec.bogus\"", "unknown field \"spec.template.spec.containers[0].Image\""]
    );
    assert_eq!(object, json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}));
}

#[test]
fn wrong_types_are_refused_in_upstreams_words() {
    assert_eq!(
        refused(JOB, json!({"spec": {"parallelism": "three"}})),
        "json: cannot unmarshal string into Go struct field JobSpec.spec.parallelism of type int32"
    );
    assert_eq!(
        refused(JOB, json!({"spec": {"parallelism": 3_000_000_000_u64}})),
        "json: cannot unmarshal number 3000000000 into Go struct field JobSpec.spec.parallelism of type int32"
    );
    assert_eq!(
        refused(JOB, json!({"spec": {"template": {"spec": {"containers": {}}}}})),
        "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"
    );
}

#[test]
fn nulls_and_zeros_that_say_nothing_go() {
    let (object, complaints) = fitted(
        JOB,
        json!({
            "metadata": {"name": "a", "creationTimestamp": null, "labels": {}},
            "spec": {"suspend": false, "backoffLimit": 0, "completions": null,
                "template": {"metadata": {"creationTimestamp": null}, "spec": {
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "containers": [{"name": "c", "resources": {}, "stdin": false, "args": [""]}]}}},
            "status": {}
        }),
    );
    assert_eq!(complaints, [""; 0]);
    assert_eq!(
        object,
        json!({
            "metadata": {"name": "a"},
            "spec": {"suspend": false, "backoffLimit": 0, "template": {"spec": {
                "volumes": [{"name": "v", "emptyDir": {}}],
                "containers": [{"name": "c", "args": [""]}]}}}
        })
    );
}

#[test]
fn what_upstream_always_writes_comes_back_and_goes_again() {
    let (plain, _) =
        fitted(JOB, json!({"metadata": {"name": "a"}, "status": {"conditions": [{"type": "X"}]}}));
    let mut dressed = plain.clone();
    dress(JOB, &mut dressed);
    let condition = json!({"type": "X", "status": "", "lastProbeTime": null, "lastTransitionTime": null});
    assert_eq!(dressed["status"]["conditions"], json!([condition]));
    assert_eq!(
        dressed["spec"],
        json!({"template": {"metadata": {}, "spec": {"containers": null}}}),
        "structs are always there, times of creation never"
    );
    let mut again = dressed.clone();
    dress(JOB, &mut again);
    assert_eq!(again, dressed);
    let (bare, _) = fitted(JOB, dressed);
    assert_eq!(bare["metadata"], plain["metadata"]);
}

#[test]
fn null_in_a_list_or_map_is_the_zero_value() {
    let (object, complaints) = fitted(
        JOB,
        json!({"metadata": {"labels": {"a": null}},
            "spec": {"template": {"spec": {"containers": [null, {"args": ["x", null]}]}}}}),
    );
    assert_eq!(complaints, [""; 0]);
    assert_eq!(
        object,
        json!({"metadata": {"labels": {"a": ""}},
            "spec": {"template": {"spec": {"containers": [{}, {"args": ["x", ""]}]}}}})
    );
}

#[test]
fn keys_given_twice_are_named_in_json_and_yaml() {
    let decoded = parse(br#"{"spec":{"a":1,"a":2},"l":[{"b":1,"b":1}]}"#, false).expect("parses");
    assert_eq!(decoded.complaints, ["duplicate field \"spec.a\"", "duplicate field \"l[0].b\""]);
    assert_eq!(decoded.object["spec"]["a"], 2);
    let decoded = parse(b"{\"spec\": {\"a\": 1, \"a\": 2}}", true).expect("parses");
    assert_eq!(decoded.complaints, ["duplicate field \"spec.a\""]);
    let decoded = parse(b"{spec: {a: 1}, b: on, c: 1e3, d: ~, e: 012, 5: x}", true).expect("parses");
    assert_eq!(decoded.object["spec"]["a"], 1);
    assert_eq!(decoded.object["5"], "x");
    let decoded = parse(b"spec:\n  a: 1\n  a: 2\n", true).expect("parses");
    assert_eq!(decoded.complaints, ["duplicate field \"spec.a\""]);
    assert_eq!(decoded.object["spec"]["a"], 2);
}

/// The text of one fixture.
fn fixture(name: &str) -> Vec<u8> {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/schema/fixtures");
    std::fs::read(folder.join(name)).expect("is there")
}

/// The fixtures: what was written, upstream's JSON, upstream's protobuf.
fn fixtures() -> Vec<(String, Value, Value, Vec<u8>)> {
    let folder: PathBuf = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/schema/fixtures");
    let read = |name: &str, end: &str| std::fs::read(folder.join(format!("{name}{end}"))).expect("is there");
    let json = |name: &str, end: &str| parse(&read(name, end), false).expect("parses").object;
    let names =
        std::fs::read_dir(&folder).expect("is there").map(|entry| entry.expect("is readable").file_name());
    let names = names.filter_map(|name| Some(name.to_str()?.strip_suffix(".pb")?.to_owned()));
    names
        .map(|name| (name.clone(), json(&name, ".in.json"), json(&name, ".json"), read(&name, ".pb")))
        .collect()
}

fn shape_of(object: &Value) -> String {
    let word = |key: &str| object[key].as_str().expect("is named").to_owned();
    table::table().by_kind(&word("apiVersion"), &word("kind")).expect("is known").schema()
}

#[test]
fn protobuf_json_and_upstreams_own_json_come_to_the_same_object() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 18);
    for (name, written, upstream, protobuf) in fixtures {
        let schema = shape_of(&upstream);
        let (upstream, complaints) = fitted(&schema, upstream);
        assert_eq!(complaints, [""; 0], "{name}");
        let decoded = parse_protobuf(&protobuf).expect("decodes");
        assert_eq!(decoded, upstream, "{name}");
        assert_eq!(fitted(&schema, decoded.clone()), (decoded, Vec::new()), "{name}");
        // Upstream writes out the zero values that JSON keeps; who writes by hand may leave them out.
        let (written, complaints) = fitted(&schema, written);
        assert_eq!(complaints, [""; 0], "{name}");
        assert_part_of(&written, &upstream, &name);
    }
}

/// Everything in `part` stands in `whole`, and what is only in `whole` is zero.
fn assert_part_of(part: &Value, whole: &Value, at: &str) {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            for (key, value) in whole {
                match part.get(key) {
                    Some(inner) => assert_part_of(inner, value, &format!("{at}.{key}")),
                    None => assert!(says_nothing(value), "{at}.{key}: {value}"),
                }
            }
            assert!(part.keys().all(|key| whole.contains_key(key)), "{at}: {part:?} {whole:?}");
        }
        (Value::Array(part), Value::Array(whole)) => {
            assert_eq!(part.len(), whole.len(), "{at}");
            part.iter().zip(whole).for_each(|(part, whole)| assert_part_of(part, whole, at));
        }
        (part, whole) => assert_eq!(part, whole, "{at}"),
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(says_nothing),
        other => [json!(""), json!(0), json!(false)].contains(other),
    }
}

#[test]
fn strict_decoding_says_what_upstream_says() {
    let cases: Vec<(String, String)> = serde_json::from_slice(&fixture("strict.cases.json")).expect("parses");
    assert!(cases.len() > 40);
    for (body, expected) in cases {
        let mut decoded = parse(body.as_bytes(), false).expect("parses");
        let schema = shape_of(&decoded.object);
        let said = match fit(&schema, &mut decoded.object) {
            Err(error) => error.0,
            Ok(unknown) => {
                decoded.complaints.extend(unknown);
                decoded.complaints.join(", ")
            }
        };
        // Upstream's order is that of the body, ours that of the names.
        let sorted = |text: &str| {
            let mut parts: Vec<_> = text.split(", ").map(str::to_owned).collect();
            parts.sort();
            parts
        };
        let expected = expected.trim_start_matches("strict decoding error: ");
        assert_eq!(sorted(&said), sorted(expected), "{body}");
    }
}

/// What kubectl 1.33 sends for `create job`, `create secret`, `create namespace`, `create token` and `auth can-i`.
#[test]
fn bodies_of_typed_clients_hold_only_what_they_mean() {
    let decoded = |name: &str| parse_protobuf(&fixture(&format!("typed/{name}.pb"))).expect("decodes");
    let container = json!({"name": "crunch", "image": "host", "command": ["sh", "-c", "echo 1"]});
    let pod = json!({"restartPolicy": "Never", "containers": [container]});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "crunch"},
        "spec": {"template": {"spec": pod}}});
    assert_eq!(decoded("job"), job);
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "Yg=="}});
    assert_eq!(decoded("secret"), secret);
    assert_eq!(
        decoded("namespace"),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    );
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {}, "status": {"token": ""}});
    assert_eq!(decoded("tokenrequest")["kind"], request["kind"]);
    let review = decoded("accessreview");
    assert_eq!(review["spec"]["resourceAttributes"]["resource"], "jobs");
}

#[test]
fn times_take_their_canonical_form() {
    for (written, seconds) in [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.9999999Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.5-01:30", "2026-01-02T04:34:05Z"),
    ] {
        assert_eq!(scalar::time(written, false), Ok(json!(seconds)));
    }
    for (written, micros) in [
        ("2026-01-02T03:04:05.000000Z", Ok("2026-01-02T03:04:05.000000Z")),
        ("2026-01-02T03:04:05.500000-01:30", Ok("2026-01-02T04:34:05.500000Z")),
        ("2026-01-02T03:04:05Z", Err("cannot parse \"Z\" as \".000000\"")),
        ("2026-01-02T03:04:05.5Z", Err("cannot parse \".5Z\" as \".000000\"")),
        ("2026-01-02T03:04:05.9999999Z", Err("cannot parse \"9Z\" as \"Z07:00\"")),
    ] {
        match (scalar::time(written, true), micros) {
            (Ok(time), Ok(micros)) => assert_eq!(time, micros),
            (Err(error), Err(words)) => assert!(error.to_string().ends_with(words), "{error}"),
            (got, _) => panic!("{written}: {got:?}"),
        }
    }
    assert_eq!(scalar::time("0001-01-01T00:00:00Z", false), Ok(Value::Null), "Go's zero time is no time");
    for wrong in [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "20260102T030405Z",
        "2026-13-02T03:04:05Z",
        "2026-01-02T03:04:05Z[Europe/Berlin]",
        "2026-01-02T03:04:05+0100",
        "\u{e4}026-01-02T03:04:05Z",
        "2026-01-02t03:04:05z",
    ] {
        assert!(scalar::time(wrong, false).is_err(), "{wrong}");
    }
}

/// As YAML 1.1 reads them, which is what upstream's reader follows.
#[test]
fn plain_words_of_yaml_are_typed_as_upstream_types_them() {
    let decoded =
        parse(b"[y, no, on, True, 0644, 0x1f, 1e3, ~, .5, 2026-01-02, \"y\"]", true).expect("parses");
    assert_eq!(
        decoded.object,
        json!([true, false, true, true, 420, 31, 1000.0, null, 0.5, "2026-01-02", "y"])
    );
}
