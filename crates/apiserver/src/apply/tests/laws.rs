//! What holds for any sets, objects and bodies.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::compare::compare;
use super::super::fields::fields_of;
use super::super::managers::Managed;
use super::super::set::Set;
use super::super::{Writer, apply, track};
use super::{NOW, kind};
use crate::schema::Node;

fn element() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]".prop_map(|name| format!("f:{name}")),
        "[a-b]".prop_map(|name| format!("k:{{\"name\":\"{name}\"}}")),
        (0..2).prop_map(|number| format!("v:{number}")),
        (0..2).prop_map(|at| format!("i:{at}")),
    ]
}

/// `fieldsV1` of any set, up to four levels deep.
fn fields() -> impl Strategy<Value = Value> {
    Just(json!({})).prop_recursive(4, 40, 4, |inner| {
        (prop::collection::btree_map(element(), inner, 0..4), any::<bool>()).prop_map(|(map, own)| {
            let mut map: serde_json::Map<String, Value> = map.into_iter().collect();
            if own && !map.is_empty() {
                map.insert(".".to_owned(), json!({}));
            }
            map.into()
        })
    })
}

fn set() -> impl Strategy<Value = Set> {
    fields().prop_map(|json| Set::from_json(&json).unwrap())
}

/// Any JSON, much of it looking like steps.
fn anything() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), "\\PC{0,6}".prop_map(Value::from)];
    leaf.prop_recursive(4, 30, 4, |inner| {
        let key = prop_oneof!["[fkvi.]:?.{0,8}", element()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What somebody may apply to a pod: a map, a set, lists in lists with keys, a list that is one value.
fn wanted() -> impl Strategy<Value = Value> {
    let map = prop::collection::btree_map("[a-d]", "[0-2]", 0..4);
    let finalizers = prop::sample::subsequence(vec!["x/a", "x/b", "x/c"], 0..4).prop_shuffle();
    let env = prop::collection::btree_map("[A-C]", "[0-2]", 0..3);
    let containers = prop::collection::btree_map("[a-c]", env, 0..4);
    let tolerations = prop::option::of(prop::collection::vec("[a-b]", 1..3));
    (map, finalizers, containers, tolerations, any::<bool>()).prop_map(
        |(labels, finalizers, containers, tolerations, reverse)| {
            let env = |env: std::collections::BTreeMap<String, String>| -> Vec<Value> {
                env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
            };
            let mut items: Vec<Value> =
                containers.into_iter().map(|(name, of)| json!({"name": name, "env": env(of)})).collect();
            if reverse {
                items.reverse();
            }
            let tolerations: Option<Vec<Value>> =
                tolerations.map(|keys| keys.into_iter().map(|key| json!({"key": key})).collect());
            let mut object =
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u"}, "spec": {}});
            for (place, field, value) in [
                ("metadata", "labels", json!(labels)),
                ("metadata", "finalizers", json!(finalizers)),
                ("spec", "containers", json!(items)),
                ("spec", "tolerations", json!(tolerations)),
            ] {
                if !value.is_null() && value != json!([]) && value != json!({}) {
                    object[place][field] = value;
                }
            }
            object
        },
    )
}

fn forced(live: Option<&Value>, wanted: &Value, manager: &str) -> Value {
    let writer = Writer { manager, subresource: "", now: NOW };
    let new = apply(kind("v1", "Pod"), live, wanted, true, writer).unwrap();
    fitted(new)
}

/// As it is stored: what says nothing goes.
fn fitted(mut object: Value) -> Value {
    let pod = kind("v1", "Pod");
    crate::schema::fit(pod.schema, &mut object).unwrap();
    object
}

fn node() -> Node {
    Node::of_schema(kind("v1", "Pod").schema).unwrap()
}

fn without_managers(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"].as_object_mut().unwrap().remove("managedFields");
    fitted(object)
}

proptest! {
    #[test]
    fn sets_obey_the_laws_of_sets(a in set(), b in set(), c in set()) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.intersection(&b).intersection(&c), a.intersection(&b.intersection(&c)));
        prop_assert_eq!(a.union(&a), a.clone());
        prop_assert_eq!(a.intersection(&a), a.clone());
        prop_assert!(a.difference(&a).is_empty());
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        prop_assert_eq!(a.difference(&b.union(&c)), a.difference(&b).difference(&c));
        prop_assert_eq!(a.without(&b).difference(&a), Set::default());
        prop_assert!(a.without(&b).intersection(&b).is_empty());
    }

    #[test]
    fn a_set_is_its_paths(a in set()) {
        let mut again = Set::default();
        a.paths().iter().for_each(|path| again.insert(path));
        prop_assert!(a.paths().iter().all(|path| a.has(path)));
        prop_assert_eq!(again, a);
    }

    #[test]
    fn fields_come_back_as_they_were(json in fields()) {
        let set = Set::from_json(&json).unwrap();
        prop_assert_eq!(Set::from_json(&set.to_json()).unwrap(), set);
    }

    #[test]
    fn whatever_is_handed_in_is_read_or_refused(json in anything()) {
        if let Ok(set) = Set::from_json(&json) {
            prop_assert_eq!(Set::from_json(&set.to_json()).unwrap(), set);
        }
        let entry = json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": json}]);
        let _ = Managed::read(&entry);
        let _ = Managed::read(&json);
        let mut new = json!({"metadata": {"managedFields": entry}});
        let writer = Writer { manager: "cli", subresource: "", now: NOW };
        track(kind("v1", "Pod"), &Value::Null, &mut new, writer);
    }

    #[test]
    fn whatever_is_applied_is_merged_or_refused(json in anything(), live in wanted()) {
        let writer = Writer { manager: "one", subresource: "", now: NOW };
        let mut wild = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
        wild["spec"] = json;
        let _ = apply(kind("v1", "Pod"), Some(&live), &wild, true, writer);
    }

    #[test]
    fn applying_twice_is_applying_once(other in wanted(), object in wanted()) {
        let live = forced(None, &other, "two");
        let once = forced(Some(&live), &object, "one");
        prop_assert_eq!(forced(Some(&once), &object, "one"), once);
    }

    #[test]
    fn a_sole_applier_gets_what_it_applies(first in wanted(), then in wanted()) {
        let live = forced(None, &first, "one");
        let new = forced(Some(&live), &then, "one");
        prop_assert_eq!(without_managers(&new), without_managers(&forced(None, &then, "one")));
        prop_assert_eq!(&new["metadata"]["managedFields"], &forced(None, &then, "one")["metadata"]["managedFields"]);
    }

    #[test]
    fn what_is_given_up_goes_and_what_another_owns_stays(mine in wanted(), theirs in wanted()) {
        let live = forced(Some(&forced(None, &mine, "one")), &theirs, "two");
        let nothing = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u"}, "spec": {}});
        let left = forced(Some(&live), &nothing, "one");
        let alone = without_managers(&forced(None, &theirs, "two"));
        let difference = compare(node(), &alone, &without_managers(&left));
        prop_assert!(difference.removed.is_empty() && difference.modified.is_empty() && difference.added.is_empty(), "{left}\n{alone}");
    }

    #[test]
    fn nobody_owns_what_is_not_there(first in wanted(), second in wanted(), third in wanted()) {
        let live = forced(Some(&forced(None, &first, "one")), &second, "two");
        let mut new = fitted(third);
        track(kind("v1", "Pod"), &live, &mut new, Writer { manager: "cli", subresource: "", now: NOW });
        let managed = Managed::read(&new["metadata"]["managedFields"]).unwrap();
        let mut whole = without_managers(&new);
        (kind("v1", "Pod").default)(&mut whole);
        crate::schema::dress(kind("v1", "Pod").schema, &mut whole);
        let there = fields_of(node(), &whole).with_named_fields(Some(node()));
        for (manager, owned) in &managed.owned {
            let gone = owned.set.difference(&there);
            prop_assert!(gone.is_empty(), "{manager} owns {}", gone.to_json());
        }
    }
}

#[test]
fn a_megabyte_of_managers_is_read_in_one_go() {
    let many: serde_json::Map<String, Value> =
        (0..40_000).map(|n| (format!("f:k{n:08}"), json!({}))).collect();
    let deep = (0..90).fold(json!({}), |inner, _| json!({"f:a": inner}));
    let entry = |fields: Value| json!({"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
    let mut new =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}});
    new["metadata"]["managedFields"] = json!([entry(json!({"f:data": many})), entry(deep)]);
    let writer = Writer { manager: "cli", subresource: "", now: NOW };
    track(kind("v1", "ConfigMap"), &Value::Null, &mut new, writer);
    assert!(new["metadata"]["managedFields"].is_array());
}
