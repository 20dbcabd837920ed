//! Situations of bodies: what strict decoding says of them and what is left in the object.

use serde_json::json;

use super::*;

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
    for shape in table::table().types() {
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
fn keys_given_twice_are_named_in_json_and_yaml() {
    let decoded = parse(br#"{"spec":{"a":1,"a":2},"l":[{"b":1,"b":1}]}"#, false).expect("parses");
    assert_eq!(decoded.complaints, ["duplicate field \"spec.a\"", "duplicate field \"l[0].b\""]);
    assert_eq!(decoded.object["spec"]["a"], 2);
    let decoded = parse(b"spec:\n  a: 1\n  a: 2\n", true).expect("parses");
    assert_eq!(decoded.complaints, ["duplicate field \"spec.a\""]);
    assert_eq!(decoded.object["spec"]["a"], 2);
}
