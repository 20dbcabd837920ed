//! What names, labels and metadata may be, and the whole text of what is said otherwise.

use serde_json::{Value, json};

use super::*;
use crate::field::Errors;
use crate::kind::Kind;
use crate::kinds::by_kind;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn row(api_version: &str, kind: &str) -> &'static Kind {
    by_kind(api_version, kind).unwrap()
}

fn check(rule: fn(&str) -> Vec<String>, text: &str, expect: &[&str]) {
    assert_eq!(rule(text), expect, "{text}");
}

fn shown(errors: &Errors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_refused_in_upstreams_words() {
    let long = "a".repeat(254);
    for fine in ["a", "pi-1", "0"] {
        check(dns_label, fine, &[]);
        check(dns_subdomain, fine, &[]);
    }
    check(dns_label, "a.b", &["must not contain dots"]);
    check(dns_label, &long, &["must be no more than 63 characters"]);
    for bad in ["", "-a", "a-", "A", "a_b", "ä"] {
        check(dns_label, bad, &[LABEL]);
        check(dns_subdomain, bad, &[SUBDOMAIN]);
    }
    check(dns_subdomain, "a..b", &[SUBDOMAIN]);
    check(dns_subdomain, &long, &["must be no more than 253 characters"]);
    check(path_segment, "..", &["may not be '..'"]);
    check(path_segment, "a/b%", &["may not contain '/'", "may not contain '%'"]);
}

#[test]
fn label_keys_and_values_are_refused_in_upstreams_words() {
    let name_part = format!("name part {KEY}");
    let prefixed = format!(
        "a valid label key {KEY} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
    );
    let prefix_part = format!("prefix part {SUBDOMAIN}");
    for fine in ["app", "windlass.dev/id", "A_b.c"] {
        check(qualified_name, fine, &[]);
    }
    check(qualified_name, "", &["name part must be non-empty", &name_part]);
    check(qualified_name, "a b", &[&name_part]);
    check(qualified_name, "/a", &["prefix part must be non-empty"]);
    check(qualified_name, "A/a", &[&prefix_part]);
    check(qualified_name, "a/b/c", &[&prefixed]);
    check(label_value, "", &[]);
    let value = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    check(label_value, "-a", &[value]);
    check(label_value, &"a".repeat(64), &["must be no more than 63 bytes"]);
}

#[test]
fn keys_variables_and_ports_are_refused_in_upstreams_words() {
    let key = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    check(data_key, ".dockerconfigjson", &[]);
    check(data_key, "", &[key]);
    check(data_key, "a/b", &[key]);
    check(data_key, "..a", &["must not start with '..'"]);
    check(data_key, "..", &["must not be '..'"]);
    check(env_name, "A B.c", &[]);
    check(env_name, "", &["environment variable name must be non-empty"]);
    check(
        env_name,
        "A=B",
        &["a valid environment variable name must consist only of printable ASCII characters other than '='"],
    );
    check(port_name, "http", &[]);
    check(
        port_name,
        "-1--",
        &[
            "must contain at least one letter (a-z)",
            "must not contain consecutive hyphens",
            "must not begin or end with a hyphen",
        ],
    );
    assert_eq!(port_number(0), ["must be between 1 and 65535, inclusive"]);
}

#[test]
fn the_last_dash_of_a_generated_name_does_not_count() {
    assert!(by_rule(NameRule::Label, "job-", true).is_empty());
    assert!(!by_rule(NameRule::Label, "job-", false).is_empty());
    assert!(!by_rule(NameRule::Label, "-", true).is_empty());
    assert!(!by_rule(NameRule::Label, "jö-", true).iter().any(|w| w.contains("dots")));
}

#[test]
fn metadata_is_checked_in_every_part() {
    let check = |meta: Value, expect: &[&str]| {
        let errors = metadata(&json!({"metadata": meta}), row("v1", "ConfigMap"));
        assert_eq!(shown(&errors), expect, "{meta}");
    };
    check(json!({"name": "a", "namespace": "default", "labels": {"a": "b"}}), &[]);
    check(
        json!({}),
        &[
            "metadata.name: Required value: name or generateName is required",
            "metadata.namespace: Required value",
        ],
    );
    check(
        json!({"name": "A", "namespace": "n"}),
        &[&format!("metadata.name: Invalid value: \"A\": {SUBDOMAIN}")],
    );
    check(
        json!({"name": "a", "namespace": "n", "annotations": {"a": "x".repeat(256 * 1024)}}),
        &["metadata.annotations: Too long: may not be more than 262144 bytes"],
    );
    check(
        json!({"name": "a", "namespace": "n", "finalizers": ["orphan", "foregroundDeletion"]}),
        &[
            "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set",
        ],
    );
    check(
        json!({"name": "a", "namespace": "n", "ownerReferences": [{"apiVersion": "", "kind": "Job", "name": "j"}]}),
        &[
            "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty",
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
        ],
    );
    let cluster = metadata(&json!({"metadata": {"name": "a", "namespace": "n"}}), row("v1", "Namespace"));
    assert_eq!(shown(&cluster), ["metadata.namespace: Forbidden: not allowed on this type"]);
}

#[test]
fn an_update_keeps_who_the_object_is() {
    let old = json!({"metadata": {"name": "a", "uid": "1", "generation": 2, "deletionTimestamp": "t", "finalizers": ["x/a"]}});
    let mut new = old.clone();
    new["metadata"]["uid"] = "2".into();
    new["metadata"]["generation"] = 1.into();
    new["metadata"]["finalizers"] = json!(["x/a", "x/b"]);
    assert_eq!(
        shown(&metadata_update(&new, &old, row("v1", "ConfigMap"), false)),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x/b\"}",
            "metadata.generation: Invalid value: 1: must not be decremented",
            "metadata.uid: Invalid value: \"2\": field is immutable",
        ]
    );
    assert!(metadata_update(&old, &old, row("v1", "ConfigMap"), false).is_empty());
}

/// What is said of such metadata in an update of a kind's object, or of its status.
#[expect(clippy::needless_pass_by_value, reason = "made by json! where it is used")]
fn update(meta: Value, kind: &Kind, of_status: bool) -> Vec<String> {
    shown(&metadata_update(&json!({"metadata": meta}), &json!({"metadata": {"name": "a"}}), kind, of_status))
}

#[test]
fn an_update_is_asked_what_a_create_is() {
    let map = row("v1", "ConfigMap");
    let finalizers = |names: Value| json!({"name": "a", "finalizers": names});
    let not_qualified = "name is neither a standard finalizer name nor is it fully qualified";
    assert_eq!(
        update(finalizers(json!(["x/a", "A b!", "bogus", "orphan", "foregroundDeletion"])), map, false),
        [
            format!("metadata.finalizers: Invalid value: \"A b!\": name part {KEY}"),
            "metadata.finalizers: Invalid value: [\"x/a\",\"A b!\",\"bogus\",\"orphan\",\"foregroundDeletion\"]: finalizer orphan and foregroundDeletion cannot be both set".to_owned(),
            format!("metadata.finalizers[1]: Invalid value: \"A b!\": {not_qualified}"),
            format!("metadata.finalizers[2]: Invalid value: \"bogus\": {not_qualified}"),
        ]
    );
    assert_eq!(
        update(
            json!({"name": "a", "labels": {"-": ""}, "ownerReferences": [{"apiVersion": "v1", "kind": "Job", "name": "j"}]}),
            map,
            false
        ),
        [
            format!("metadata.labels: Invalid value: \"-\": name part {KEY}"),
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty".to_owned(),
        ]
    );
}

#[test]
fn bare_finalizers_are_for_the_kinds_that_upstream_leaves_them_to() {
    let meta = json!({"name": "a", "namespace": "n", "finalizers": ["bogus"]});
    for (api_version, kind, fine) in [
        ("v1", "Event", true),
        ("coordination.k8s.io/v1", "Lease", true),
        ("node.k8s.io/v1", "RuntimeClass", true),
        ("events.k8s.io/v1", "Event", false),
        ("batch/v1", "Job", false),
    ] {
        let kind = row(api_version, kind);
        let mut object = json!({"metadata": meta});
        if !kind.namespaced {
            object["metadata"]["namespace"] = Value::Null;
        }
        assert_eq!(metadata(&object, kind).is_empty(), fine, "{kind:?}");
        let new = json!({"name": "a", "finalizers": ["bogus"]});
        assert_eq!(update(new, kind, false).is_empty(), fine, "{kind:?}");
    }
}

#[test]
fn the_prefix_of_a_generated_name_is_looked_at_again_as_each_kind_does() {
    let meta = |prefix: &str| json!({"name": "a", "generateName": prefix});
    let slash = "metadata.generateName: Invalid value: \"a/b\": may not contain '/'".to_owned();
    let (map, cron) = (row("v1", "ConfigMap"), row("batch/v1", "CronJob"));
    assert_eq!(update(meta("a/b"), cron, false), std::slice::from_ref(&slash));
    assert_eq!(update(meta("A b!"), cron, false), [""; 0]);
    let form = format!("metadata.generateName: Invalid value: \"a/b\": {SUBDOMAIN}");
    assert_eq!(update(meta("a/b"), map, false), [slash.clone(), form]);
    assert_eq!(update(meta("a/b"), map, true), [slash]);
    assert_eq!(update(meta("a-"), map, false), [""; 0]);
    assert_eq!(by_rule(NameRule::PathSegment, "..", true), [""; 0]);
}
