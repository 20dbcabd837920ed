//! Situations of two managers over one object. The laws that hold for any are in `laws`.

mod laws;

use serde_json::{Value, json};

use super::*;
use crate::kinds;

const NOW: &str = "2026-11-21T12:00:00Z";

fn kind(api_version: &str, name: &str) -> &'static Kind {
    kinds::by_kind(api_version, name).unwrap()
}

fn by<'a>(manager: &'a str, subresource: &'a str) -> Writer<'a> {
    Writer { manager, subresource, now: NOW }
}

fn pod(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
}

/// Applies to a pod that has been stored, as far as that matters here.
fn applied(live: Option<&Value>, spec: &Value, manager: &str) -> Result<Value, ApiError> {
    let mut new = apply(kind("v1", "Pod"), live, &pod(spec), false, by(manager, ""))?;
    new["metadata"]["uid"] = "u".into();
    Ok(new)
}

/// An object as it is stored: with its defaults, which are nobody's.
fn stored(kind: &Kind, mut object: Value) -> Value {
    (kind.default)(&mut object);
    schema::dress(kind.schema, &mut object);
    object
}

/// What a manager owns, as `fieldsV1`.
fn owned<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|entry| entry["manager"] == manager).map_or(&Value::Null, |entry| &entry["fieldsV1"])
}

#[test]
fn the_applier_owns_what_it_names_and_nothing_more() {
    let spec = json!({"containers": [{"name": "c", "image": "a", "ports": [{"containerPort": 80}]}], "nodeSelector": {"a": "b"}});
    let new = applied(None, &spec, "one").unwrap();
    let container = json!({".": {}, "f:name": {}, "f:image": {},
        "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}});
    assert_eq!(
        owned(&new, "one"),
        &json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": container}, "f:nodeSelector": {}}})
    );
    let entry = &new["metadata"]["managedFields"][0];
    assert_eq!(
        (&entry["operation"], &entry["time"], &entry["apiVersion"]),
        (&json!("Apply"), &json!(NOW), &json!("v1"))
    );
}

#[test]
fn another_value_of_anothers_field_is_a_conflict_unless_forced() {
    let live = applied(None, &json!({"hostname": "a", "subdomain": "x"}), "one").unwrap();
    let error = applied(Some(&live), &json!({"hostname": "b", "subdomain": "x"}), "two").unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.hostname");
    let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".spec.hostname"});
    assert_eq!(error.details, Some(json!({"causes": [cause]})));
    let forced =
        apply(kind("v1", "Pod"), Some(&live), &pod(&json!({"hostname": "b"})), true, by("two", "")).unwrap();
    assert_eq!((&forced["spec"]["hostname"], &forced["spec"]["subdomain"]), (&json!("b"), &json!("x")));
    assert_eq!(owned(&forced, "one"), &json!({"f:spec": {"f:subdomain": {}}}));
}

#[test]
fn several_conflicts_are_told_by_manager() {
    let live = applied(None, &json!({"hostname": "a", "subdomain": "x"}), "one").unwrap();
    let live = applied(Some(&live), &json!({"nodeName": "n"}), "two").unwrap();
    let spec = json!({"hostname": "b", "subdomain": "y", "nodeName": "m"});
    let error = applied(Some(&live), &spec, "three").unwrap_err();
    let lines = "conflicts with \"one\":\n- .spec.hostname\n- .spec.subdomain\nconflicts with \"two\":\n- .spec.nodeName";
    assert_eq!(error.message, format!("Apply failed with 3 conflicts: {lines}"));
}

#[test]
fn what_is_left_out_goes_unless_somebody_else_has_it() {
    let both =
        json!({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}], "hostname": "h"});
    let live = applied(None, &both, "one").unwrap();
    let live = applied(Some(&live), &json!({"containers": [{"name": "b", "image": "y"}]}), "two").unwrap();
    let live = applied(Some(&live), &json!({"containers": []}), "one").unwrap();
    assert_eq!(live["spec"], json!({"containers": [{"name": "b", "image": "y"}]}));
    assert_eq!(owned(&live, "one"), &Value::Null);
}

#[test]
fn an_object_that_nobody_applied_belongs_to_before_first_apply() {
    let mut live = pod(&json!({"hostname": "a"}));
    live["metadata"]["uid"] = "u".into();
    let error = applied(Some(&live), &json!({"hostname": "b"}), "one").unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .spec.hostname"
    );
    let new = applied(Some(&live), &json!({"subdomain": "b"}), "one").unwrap();
    assert_eq!(owned(&new, "before-first-apply"), &json!({"f:spec": {"f:hostname": {}}}));
}

#[test]
fn nothing_is_told_of_an_object_that_nobody_applied() {
    let (old, mut new) = (pod(&json!({"hostname": "a"})), pod(&json!({"hostname": "b"})));
    let before = new.clone();
    track(kind("v1", "Pod"), &old, &mut new, by("cli", ""));
    assert_eq!(new, before);
}

#[test]
fn an_update_takes_what_it_changes_and_gives_up_what_it_removes() {
    let live = applied(None, &json!({"hostname": "a", "subdomain": "x", "nodeName": "n"}), "one").unwrap();
    let mut new = live.clone();
    new["spec"] = json!({"hostname": "b", "nodeName": "n"});
    track(kind("v1", "Pod"), &live, &mut new, by("cli", ""));
    assert_eq!(owned(&new, "one"), &json!({"f:spec": {"f:nodeName": {}}}));
    assert_eq!(owned(&new, "cli")["f:spec"]["f:hostname"], json!({}));
    let error = applied(Some(&new), &json!({"hostname": "a", "nodeName": "n"}), "one").unwrap_err();
    assert!(error.message.ends_with("conflict with \"cli\" using v1: .spec.hostname"), "{}", error.message);
}

#[test]
fn a_status_is_owned_through_its_door_alone() {
    let mut object = pod(&json!({"hostname": "a"}));
    object["status"] = json!({"message": "m"});
    let pod = kind("v1", "Pod");
    let main = apply(pod, None, &object, false, by("one", "")).unwrap();
    assert_eq!(owned(&main, "one"), &json!({"f:spec": {"f:hostname": {}}}));
    let status = apply(pod, Some(&main), &object, false, by("two", "status")).unwrap();
    assert_eq!(owned(&status, "two"), &json!({"f:status": {"f:message": {}}}));
    let entries = status["metadata"]["managedFields"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["subresource"] == "status"));
}

#[test]
fn what_the_server_writes_is_its_controllers() {
    let live = stored(kind("v1", "Pod"), applied(None, &json!({"hostname": "a"}), "one").unwrap());
    let mut new = live.clone();
    new["status"] = json!({"phase": "Running"});
    new["metadata"]["managedFields"] = json!([{"manager": "stale"}]);
    track_server(kind("v1", "Pod"), &live, &mut new, NOW);
    let kubelet =
        new["metadata"]["managedFields"].as_array().unwrap().iter().find(|e| e["manager"] == "kubelet");
    assert_eq!(kubelet.unwrap()["subresource"], "status");
    assert_eq!(owned(&new, "kubelet")["f:status"]["f:phase"], json!({}));
    assert_eq!(owned(&new, "one"), owned(&live, "one"));
}

#[test]
fn managers_that_a_writer_hands_in_count_if_they_can_be_read() {
    let live = stored(kind("v1", "Pod"), applied(None, &json!({"hostname": "a"}), "one").unwrap());
    let with = |entries: Value| {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = entries;
        track(kind("v1", "Pod"), &live, &mut new, by("cli", ""));
        new["metadata"]["managedFields"].clone()
    };
    let other = json!([{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:hostname": {}}}}]);
    assert_eq!(with(other.clone()), other);
    for forgotten in [json!([]), json!([{}])] {
        assert_eq!(with(forgotten), Value::Null);
    }
    let mut spoilt = other;
    for (field, value) in
        [("operation", "Dance"), ("apiVersion", ""), ("fieldsType", "V2"), ("fieldsV1", "x")]
    {
        let before = spoilt[0][field].take();
        spoilt[0][field] = value.into();
        assert_eq!(with(spoilt.clone()), live["metadata"]["managedFields"], "{field}");
        spoilt[0][field] = before;
    }
    // Nor do they count if they would take long to work with.
    let step = json!({ format!("f:{}", "x".repeat(5000)): {} });
    let entry = |manager: &str, fields: &Value| {
        json!({"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": fields}})
    };
    assert_eq!(with(json!([entry("x", &step)])), live["metadata"]["managedFields"]);
    let many = (0..1001).map(|n| entry(&n.to_string(), &json!({"f:hostname": {}})));
    assert_eq!(with(many.collect()), live["metadata"]["managedFields"]);
}

#[test]
fn problems_at_places_with_long_names_are_told_within_a_bound() {
    let env: Vec<Value> = (0..100).map(|n| json!({"name": n.to_string(), "value": 1})).collect();
    let spec = json!({"containers": [{"name": "x".repeat(100_000), "env": env}]});
    let refused = apply(kind("v1", "Pod"), None, &pod(&spec), false, by("one", "")).unwrap_err();
    assert!(refused.message.len() < 300_000, "{}", refused.message.len());
}

#[test]
fn what_kubectl_applied_itself_is_no_conflict_for_kubectl() {
    let last = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"hostname": "a", "subdomain": "x"}});
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let mut live = last.clone();
    live["metadata"]["annotations"] = json!({annotation: last.to_string()});
    live["spec"]["subdomain"] = "changed since".into();
    let new = applied(Some(&live), &json!({"hostname": "b"}), "kubectl").unwrap();
    assert_eq!(new["spec"]["hostname"], "b");
    let kept = new["metadata"]["annotations"][annotation].as_str().unwrap();
    assert_eq!(kept, format!("{}\n", pod(&json!({"hostname": "b"}))));
    let error = applied(Some(&live), &json!({"hostname": "b", "subdomain": "y"}), "kubectl").unwrap_err();
    assert!(
        error.message.ends_with("1 conflict: conflict with \"before-first-apply\" using v1: .spec.subdomain")
    );
    assert_eq!(applied(Some(&live), &json!({"hostname": "b"}), "other").unwrap_err().code, 409);
}

#[test]
fn items_keep_an_order_that_suits_both() {
    let names = |spec: &Value| -> Vec<String> {
        let items = spec["spec"]["containers"].as_array().unwrap();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let list = |names: &str| {
        let items: Vec<Value> = names.chars().map(|name| json!({"name": name.to_string()})).collect();
        json!({"containers": items})
    };
    for (live, wanted, merged) in
        [("abc", "b", "abc"), ("abc", "ca", "bca"), ("abc", "xcy", "abxcy"), ("", "ba", "ba")]
    {
        let live = applied(None, &list(live), "one").unwrap();
        let new = applied(Some(&live), &list(wanted), "two").unwrap();
        assert_eq!(names(&new).concat(), merged, "{wanted}");
    }
}

#[test]
fn updaters_beyond_the_tenth_become_one() {
    let mut object = applied(None, &json!({"hostname": "a"}), "one").unwrap();
    for n in 0..14 {
        let mut new = object.clone();
        new["metadata"]["labels"][format!("l{n}")] = "x".into();
        track(kind("v1", "Pod"), &object, &mut new, by(&format!("m{n:02}"), ""));
        object = new;
    }
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.iter().filter(|entry| entry["operation"] == "Update").count(), 10);
    assert!(owned(&object, "ancient-changes")["f:metadata"]["f:labels"].get("f:l0").is_some());
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    for (spec, problem) in [
        (json!({"bogus": 1}), ".spec.bogus: field not declared in schema"),
        (json!({"priority": "x"}), ".spec.priority: expected numeric (int or float), got string"),
        (json!({"containers": {}}), ".spec.containers: expected list, got &{map[]}"),
        (
            json!({"containers": [{"name": "a"}, {"name": "a"}]}),
            ".spec.containers: duplicate entries for key [name=\"a\"]",
        ),
        (
            json!({"containers": ["a"]}),
            ".spec.containers: element 0: associative list with keys may not have non-map elements",
        ),
    ] {
        let error = applied(None, &spec, "one").unwrap_err();
        assert_eq!(error.code, 400);
        assert_eq!(
            error.message,
            format!("failed to create typed patch object (/p; v1, Kind=Pod): {problem}")
                .replace("v1, ", "/v1, ")
        );
    }
}

#[test]
fn an_item_that_stays_keeps_its_key_though_nobody_owns_it() {
    let mut live = pod(&json!({"containers": [{"name": "c", "image": "i"}]}));
    let item = json!({".": {}, "f:image": {}});
    live["metadata"]["managedFields"] = json!([{"manager": "other", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:containers": {r#"k:{"name":"c"}"#: item}}}}]);
    let with = |live: &Value, spec: Value| {
        apply(kind("v1", "Pod"), Some(live), &pod(&spec), true, by("one", "")).unwrap()
    };
    let first = with(&live, json!({"containers": [{"name": "c", "tty": true}]}));
    let second = with(&first, json!({}));
    assert_eq!(second["spec"]["containers"], json!([{"name": "c", "image": "i"}]));
}
