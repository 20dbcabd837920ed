//! Strategic merge patches, against what upstream's own library makes of the same (`fixtures/merge.cases.json`).

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::fixture;

fn schema(kind: &str) -> &'static str {
    if kind == "Pod" { "io.k8s.api.core.v1.Pod" } else { "io.k8s.api.batch.v1.Job" }
}

#[test]
fn patches_give_what_upstream_gives() {
    let cases: Vec<Value> = serde_json::from_slice(&fixture("merge.cases.json")).expect("parses");
    assert!(cases.len() > 40);
    for case in cases {
        let kind = schema(case["kind"].as_str().expect("has a kind"));
        let merged = strategic_merge(kind, &case["original"], &case["patch"]);
        match case.get("result") {
            Some(result) => assert_eq!(merged, Ok(without_directives(result)), "{}", case["name"]),
            None => assert!(merged.is_err(), "{}: {merged:?}", case["name"]),
        }
    }
}

/// Upstream leaves `$retainKeys` in items that are new, and drops it when it decodes the result; here it goes at once.
fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let plain = map.iter().filter(|(name, _)| *name != "$retainKeys");
            plain.map(|(name, value)| (name.clone(), without_directives(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_directives).collect(),
        other => other.clone(),
    }
}

#[test]
fn a_patch_may_say_that_it_merges() {
    let original = json!({"metadata": {"labels": {"a": "1"}}});
    let patch = json!({"metadata": {"$patch": "merge", "labels": {"b": "2"}}});
    let merged = strategic_merge(schema("Job"), &original, &patch);
    assert_eq!(merged, Ok(json!({"metadata": {"labels": {"a": "1", "b": "2"}}})));
}

#[test]
fn a_list_of_many_items_merges_item_by_item() {
    let item = |n: u32, value: &str| json!({"name": format!("v{n}"), "value": value});
    let list = |value: &str| (0..20_000).map(|n| item(n, value)).collect::<Vec<_>>();
    let pod = |env: Vec<Value>| json!({"spec": {"containers": [{"name": "a", "env": env}]}});
    let merged = strategic_merge(schema("Pod"), &pod(list("old")), &pod(list("new")));
    assert_eq!(merged, Ok(pod(list("new"))));
}

#[test]
fn what_is_no_object_cannot_be_patched() {
    assert!(strategic_merge(schema("Pod"), &json!({}), &json!([])).is_err());
    assert!(strategic_merge("io.k8s.api.core.v1.Frobnicator", &json!({}), &json!({})).is_err());
}

/// A pod with containers and variables of few names, so that names meet; each name once a list.
fn pod() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "c", "d"]);
    let value = prop_oneof![Just(Value::Null), "[xyz]".prop_map(Value::from)];
    let variables = prop::collection::btree_map(name.clone(), value.clone(), 0..4);
    let containers = prop::collection::btree_map(name.clone(), (variables, value.clone()), 0..4);
    let labels = prop::collection::btree_map(name, value, 0..4);
    let finalizers = prop::collection::btree_set("[abc]", 0..4);
    (containers, labels, finalizers, any::<bool>()).prop_map(|(containers, labels, finalizers, turned)| {
        let mut containers: Vec<_> = containers.into_iter().map(container).collect();
        if turned {
            containers.reverse();
        }
        json!({"metadata": {"labels": labels, "finalizers": finalizers}, "spec": {"containers": containers}})
    })
}

fn container((name, (variables, image)): (&str, (BTreeMap<&str, Value>, Value))) -> Value {
    let env: Value = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"name": name, "env": env, "image": image})
}

/// An object as a store holds it: without nulls.
fn stored() -> impl Strategy<Value = Value> {
    pod().prop_map(|mut pod| {
        fit(schema("Pod"), &mut pod).expect("fits");
        pod
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_empty_patch_changes_nothing(original in stored()) {
        prop_assert_eq!(strategic_merge(schema("Pod"), &original, &json!({})), Ok(original));
    }

    #[test]
    fn a_patch_applied_twice_is_a_patch_applied_once(original in stored(), patch in pod()) {
        let once = strategic_merge(schema("Pod"), &original, &patch).expect("merges");
        let twice = strategic_merge(schema("Pod"), &once, &patch).expect("merges");
        prop_assert_eq!(once, twice);
    }
}
