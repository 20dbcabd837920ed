//! The table as a whole, and the smaller kinds.

mod storage;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::table::human_duration;
use super::{all, by_kind, by_resource};
use crate::field::Errors;
use crate::kind::{Kind, Served};

fn row(kind: &str) -> &'static Kind {
    all().iter().find(|k| k.kind == kind).unwrap()
}

fn texts(errors: &Errors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn check(kind: &str, mut object: Value, expect: &[&str]) {
    (row(kind).default)(&mut object);
    assert_eq!(texts(&(row(kind).validate)(&object)), expect, "{object}");
}

fn check_update(kind: &str, mut new: Value, mut old: Value, expect: &[&str]) {
    (row(kind).default)(&mut new);
    (row(kind).default)(&mut old);
    assert_eq!(texts(&(row(kind).validate_update)(&new, &old, false)), expect, "{new}");
}

#[test]
fn every_row_is_found_by_its_names_and_shows_a_cell_per_column() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for kind in all() {
        assert!(std::ptr::eq(by_kind(&kind.api_version(), kind.kind).unwrap(), kind));
        assert!(std::ptr::eq(by_resource(kind.group, kind.version, kind.plural).unwrap(), kind));
        let mut empty = json!({});
        (kind.default)(&mut empty);
        (kind.prepare_create)(&mut empty);
        if kind.served == Served::Full {
            assert_eq!((kind.cells)(&empty, now).len(), kind.columns.len(), "{kind:?}");
        }
        assert_eq!(
            (kind.fields)(&empty).iter().map(|(k, _)| *k).collect::<Vec<_>>(),
            kind.field_names,
            "{kind:?}"
        );
        assert!(kind.schema.ends_with(&format!(".{}", kind.kind)));
    }
}

#[test]
fn nonsense_never_panics() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let nonsense = [
        Value::Null,
        json!([1]),
        json!({"metadata": 1, "spec": [], "status": "x", "data": 3, "stringData": 4}),
        json!({"spec": {"template": {"spec": {"containers": [null, 1, {"env": [null], "ports": {}}], "volumes": [1, {}]}}}}),
        json!({"spec": {"containers": {"a": 1}, "tolerations": [[]]}, "status": {"containerStatuses": [1], "conditions": {}}}),
    ];
    for kind in all() {
        for value in &nonsense {
            let mut object = value.clone();
            (kind.default)(&mut object);
            (kind.prepare_create)(&mut object);
            let _ = (kind.validate)(&object);
            for other in &nonsense {
                let mut new = other.clone();
                (kind.prepare_update)(&mut new, &object);
                let _ = (kind.validate_update)(&new, &object, false);
                (kind.prepare_status)(&mut new, &object);
                let _ = (kind.validate_update)(&new, &object, true);
            }
            let _ = (kind.cells)(&object, now);
            let _ = ((kind.fields)(&object), (kind.warnings)(&object));
        }
    }
}

/// Trees of JSON whose keys are those that the kinds look at.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = proptest::sample::select(vec![
        "metadata",
        "spec",
        "status",
        "template",
        "labels",
        "name",
        "uid",
        "containers",
        "initContainers",
        "volumes",
        "resources",
        "limits",
        "requests",
        "cpu",
        "conditions",
        "type",
        "selector",
        "matchLabels",
        "completions",
        "completionMode",
        "podFailurePolicy",
        "successPolicy",
        "rules",
        "data",
        "stringData",
        "env",
        "valueFrom",
        "fieldRef",
        "fieldPath",
        "emptyDir",
        "projected",
        "sources",
        "tolerations",
        "key",
        "operator",
        "image",
        "finalizers",
        "containerStatuses",
        "state",
        "terminated",
        "completedIndexes",
        "suspend",
        "livenessProbe",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![Just(""), Just("Indexed"), Just("0-3,5"), Just("1Gi"), Just("Always"), Just("\u{e9}/..")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => proptest::collection::vec((keys.clone(), inner), 0..6)
                .prop_map(|entries| entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn filling_twice_changes_nothing_whatever_is_given(object in any_json(), other in any_json()) {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for kind in all() {
            let mut once = object.clone();
            (kind.default)(&mut once);
            let mut twice = once.clone();
            (kind.default)(&mut twice);
            prop_assert_eq!(&once, &twice);
            let _ = ((kind.validate)(&once), (kind.cells)(&once, now), (kind.fields)(&once));
            for status in [false, true] {
                let _ = (kind.validate_update)(&once, &other, status);
            }
        }
    }

    #[test]
    fn an_update_that_changes_nothing_is_never_refused_as_a_change(object in any_json()) {
        for kind in all() {
            let mut object = object.clone();
            (kind.default)(&mut object);
            let refused = (kind.validate_update)(&object, &object, false);
            prop_assert!(!refused.iter().any(|e| e.detail.contains("immutable") || e.detail.contains("may not change")));
        }
    }
}

#[test]
fn a_suspended_job_whose_template_is_no_object_is_compared_all_the_same() {
    let job = json!({"spec": {"suspend": true, "template": false}});
    let refused = (row("Job").validate_update)(&job, &job, false);
    assert!(!refused.iter().any(|error| error.detail.contains("immutable")), "{refused:?}");
}

#[test]
fn kinds_listed_only_for_clients_say_what_runs_here() {
    for kind in ["Service", "ReplicaSet", "PodDisruptionBudget", "Role", "ClusterRoleBinding"] {
        let Served::Empty(sentence) = row(kind).served else { panic!("{kind} is served") };
        assert!(sentence.starts_with("this server runs Jobs and Pods"));
    }
}

#[test]
fn ages_have_two_figures() {
    for (seconds, text) in [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (28_799, "7h59m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (691_199, "7d23h"),
        (691_200, "8d"),
        (63_071_999, "729d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
        (252_288_000, "8y"),
    ] {
        assert_eq!(human_duration(seconds), text, "{seconds}");
    }
}

#[test]
fn secrets_are_filled_and_checked() {
    let mut secret = json!({"stringData": {"a": "new", "b": "x"}, "data": {"a": "b2xk"}});
    (row("Secret").default)(&mut secret);
    assert_eq!(secret, json!({"metadata": {}, "type": "Opaque", "data": {"a": "bmV3", "b": "eA=="}}));
    check(
        "Secret",
        json!({"data": {"a": "??"}}),
        &["data[a]: Invalid value: illegal base64 data: Invalid symbol 63, offset 0."],
    );
    check(
        "Secret",
        json!({"stringData": {"a": "x".repeat(1_048_577)}}),
        &["data: Too long: may not be more than 1048576 bytes"],
    );
    check(
        "Secret",
        json!({"type": "kubernetes.io/tls"}),
        &["data[tls.crt]: Required value", "data[tls.key]: Required value"],
    );
    check(
        "Secret",
        json!({"type": "kubernetes.io/dockerconfigjson"}),
        &["data[.dockerconfigjson]: Required value"],
    );
    check(
        "Secret",
        json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{"}}),
        &[
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input",
        ],
    );
    check_update(
        "Secret",
        json!({"type": "b", "data": {"a": "eA=="}}),
        json!({"type": "a", "immutable": true}),
        &[
            "type: Invalid value: \"b\": field is immutable",
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ],
    );
}

#[test]
fn config_maps_are_checked() {
    check("ConfigMap", json!({"data": {"a.b": "1"}, "binaryData": {"c": "eA=="}}), &[]);
    check(
        "ConfigMap",
        json!({"data": {"a": "1"}, "binaryData": {"a": "eA=="}}),
        &["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"],
    );
    check("ConfigMap", json!({"data": {"..": ""}}), &["data[..]: Invalid value: \"..\": must not be '..'"]);
    check_update(
        "ConfigMap",
        json!({"immutable": true, "data": {"a": "2"}}),
        json!({"immutable": true, "data": {"a": "1"}}),
        &["data: Forbidden: field is immutable when `immutable` is set"],
    );
}

#[test]
fn namespaces_are_active_and_carry_their_name_as_a_label() {
    let kind = row("Namespace");
    let mut namespace = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["a/b"]}});
    (kind.default)(&mut namespace);
    (kind.prepare_create)(&mut namespace);
    assert_eq!(
        namespace,
        json!({
            "metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}},
            "spec": {"finalizers": ["a/b", "kubernetes"]}, "status": {"phase": "Active"},
        })
    );
    let mut new = namespace.clone();
    new["spec"] = json!({});
    new["status"]["phase"] = "Terminating".into();
    (kind.prepare_update)(&mut new, &namespace);
    assert_eq!(new, namespace);
    check(
        "Namespace",
        json!({"spec": {"finalizers": ["mine"]}}),
        &[
            "spec.finalizers: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified",
        ],
    );
}

#[test]
fn runtime_classes_keep_their_handler() {
    check("RuntimeClass", json!({"handler": "host"}), &[]);
    check("RuntimeClass", json!({}), &["handler: Required value"]);
    check_update(
        "RuntimeClass",
        json!({"handler": "b"}),
        json!({"handler": "a"}),
        &["handler: Invalid value: \"b\": field is immutable"],
    );
}

#[test]
fn events_live_where_their_object_does() {
    let event =
        |namespace: &str| json!({"metadata": {"namespace": "n"}, "involvedObject": {"namespace": namespace}});
    check("Event", event("n"), &[]);
    check(
        "Event",
        event("m"),
        &["involvedObject.namespace: Invalid value: \"m\": does not match event.namespace"],
    );
    let mut new = event("n");
    new["eventTime"] = "2026-01-01T00:00:00.000000Z".into();
    new["reportingComponent"] = "me".into();
    new["action"] = "Run".into();
    check("Event", new, &["reportingInstance: Required value", "reason: Required value"]);
}

#[test]
fn events_are_shown_with_their_source_and_count() {
    let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
    let event = json!({
        "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "type": "Normal", "reason": "Started",
        "message": " yes\n", "source": {"component": "kubelet", "host": "here"}, "count": 3,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:09:55Z",
    });
    assert_eq!(
        Value::Array((row("Event").cells)(&event, now)),
        json!(["5s", "Normal", "Started", "pod/p", "", "kubelet, here", "yes", "10m", 3, "e"])
    );
}

#[test]
fn nodes_are_shown_with_their_state_and_roles() {
    let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
    let node = json!({
        "metadata": {"name": "here", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"unschedulable": true},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1", "kernelVersion": "6", "architecture": "amd64"},
        },
    });
    assert_eq!(
        Value::Array((row("Node").cells)(&node, now)),
        json!([
            "here",
            "Ready,SchedulingDisabled",
            "worker",
            "10m",
            "v1",
            "127.0.0.1",
            "<none>",
            "<unknown>",
            "6 (amd64)",
            "<unknown>"
        ])
    );
}
