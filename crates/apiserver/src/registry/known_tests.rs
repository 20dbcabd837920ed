//! Which specs are taken again, and that they are what they would have been.

use serde_json::json;

use super::*;
use crate::kinds;

fn job() -> &'static Kind {
    kinds::by_kind("batch/v1", "Job").unwrap()
}

/// A Job as the API makes it.
fn made(name: &str, uid: &str, spec: &Value) -> Object {
    let mut job = json!({"metadata": {"name": name, "uid": uid}, "spec": spec});
    (super::tests::job().default)(&mut job);
    (super::tests::job().prepare_create)(&mut job);
    job.into()
}

fn plain() -> Value {
    json!({"suspend": true, "template": {"metadata": {"labels": {"a": "b", "z": "y"}}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": ["echo", "a \"b\"", "é"]}]}}})
}

/// What is kept of a spec that came twice.
fn kept(spec: &Value) -> Option<Arc<Known>> {
    // As text without escapes: what has them is not kept.
    let text = spec.to_string();
    let specs = Specs::default();
    assert!(specs.find(job(), &text).is_none());
    for n in 0..2 {
        assert!(specs.find(job(), &text).is_none(), "what came once is not kept");
        specs.remember(job(), &text, &made(&format!("first-{n}"), "u1", spec));
    }
    specs.find(job(), &text)
}

#[test]
fn a_spec_that_comes_again_becomes_what_it_would_have_become() {
    let mut spec = plain();
    assert!(kept(&spec).is_none(), "its text has escapes");
    spec["template"]["spec"]["containers"][0]["command"] = json!(["echo", "é"]);
    let known = kept(&spec).expect("nothing of it is its user's own choice");
    for (name, uid) in [("second", "u2"), ("a", "6a5bd5a0-0000-4000-8000-000000000001")] {
        let expected = made(name, uid, &spec);
        let json = known.spec(name, uid).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), expected.spec().to_string());
        assert_eq!(&known.labels(name, uid).unwrap(), &expected.spec()["template"]["metadata"]["labels"]);
    }
}

#[test]
fn a_name_that_has_to_be_looked_at_is() {
    let mut spec = plain();
    spec["template"]["spec"]["containers"][0]["command"] = json!(["true"]);
    let known = kept(&spec).unwrap();
    for name in ["", "with.dots", "Upper", &"long".repeat(16), "quote\""] {
        assert!(known.spec(name, "u").is_none(), "{name}");
    }
}

#[test]
fn what_depends_on_more_than_its_text_is_not_kept() {
    let with = |path: &str, value: Value| {
        let mut spec = plain();
        spec["template"]["spec"]["containers"][0]["command"] = json!(["true"]);
        let (parent, key) = path.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[key] = value;
        spec
    };
    assert!(kept(&with("/parallelism", json!(2))).is_some());
    for (path, value) in [
        ("/completionMode", json!("Indexed")),
        ("/manualSelector", json!(true)),
        ("/selector", json!({"matchLabels": {"a": "b"}})),
        ("/template/metadata/labels/job-name", json!("first-0")),
        ("/template/metadata/annotations", json!({"a": "batch.kubernetes.io/controller-uid"})),
        ("/template/metadata/labels/a", json!(MARKS[0])),
        ("/template/metadata/labels/a", json!("x".repeat(BYTES))),
    ] {
        assert!(kept(&with(path, value.clone())).is_none(), "{path}: {value}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_the_newest() {
    let specs = Specs::default();
    let text = |n: usize| json!({"parallelism": n, "template": plain()["template"]["metadata"]}).to_string();
    for n in 0..KEPT + SEEN {
        let spec: Value = serde_json::from_str(&text(n)).unwrap();
        let object = made("n", "u", &spec);
        specs.remember(job(), &text(n), &object);
        specs.remember(job(), &text(n), &object);
    }
    let kept = specs.lock();
    assert!(kept.known.len() <= KEPT && kept.seen.len() <= SEEN);
    drop(kept);
    assert!(specs.find(job(), &text(0)).is_none() && specs.find(job(), &text(KEPT + SEEN - 1)).is_some());
    let pods = kinds::by_kind("v1", "Pod").unwrap();
    assert!(specs.find(pods, &text(KEPT + SEEN - 1)).is_none());
}
