//! Volumes, their claims and their classes.
#![expect(clippy::needless_pass_by_value, reason = "rows read best as literals")]

use serde_json::{Value, json};

use super::{check, check_update, row, texts};

const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn volume(extra: Value) -> Value {
    let mut volume = json!({"spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}});
    volume["spec"].as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
    volume
}

fn on(key: &str) -> Value {
    json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "Exists"}]}]}})
}

#[test]
fn where_a_volume_is_must_be_said_as_in_a_pod() {
    let path = "spec.nodeAffinity.required";
    let affinity = |affinity: Value, expect: &[&str]| {
        check("PersistentVolume", volume(json!({"nodeAffinity": affinity})), expect);
    };
    affinity(on("a"), &[]);
    affinity(json!({}), &[&format!("{path}: Required value: must specify required node constraints")]);
    let terms = format!("{path}.nodeSelectorTerms");
    affinity(
        json!({"required": {}}),
        &[&format!("{terms}: Required value: must have at least one node selector term")],
    );
    let expression = json!({"key": "-", "operator": "x", "values": ["v"]});
    let field = json!({"key": "metadata.uid", "operator": "In", "values": ["v"]});
    let term = json!({"matchExpressions": [expression], "matchFields": [field]});
    affinity(
        json!({"required": {"nodeSelectorTerms": [term]}}),
        &[
            &format!(
                "{terms}[0].matchExpressions[0].operator: Invalid value: \"x\": not a valid selector operator"
            ),
            &format!("{terms}[0].matchExpressions[0].key: Invalid value: \"-\": name part {KEY}"),
            &format!(
                "{terms}[0].matchFields[0].key: Invalid value: \"metadata.uid\": not a valid field selector key"
            ),
        ],
    );
}

#[test]
fn where_a_volume_is_stays_but_for_new_names_of_labels() {
    let at = |affinity: Value| volume(json!({"nodeAffinity": affinity}));
    let old = at(on("beta.kubernetes.io/os"));
    check_update("PersistentVolume", at(on("kubernetes.io/os")), old.clone(), &[]);
    check_update("PersistentVolume", at(on("a")), volume(json!({})), &[]);
    let refused = format!(
        "nodeAffinity: Invalid value: {}: field is immutable, except for updating from beta label to GA",
        on("kubernetes.io/arch")
    );
    check_update("PersistentVolume", at(on("kubernetes.io/arch")), old, &[&refused]);
    check_update(
        "PersistentVolume",
        volume(json!({"hostPath": {"path": "/y"}})),
        volume(json!({})),
        &[
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n- hostPath: {\"path\":\"/x\",\"type\":\"\"}\n+ hostPath: {\"path\":\"/y\",\"type\":\"\"}",
        ],
    );
}

#[test]
fn a_class_of_attributes_is_named_and_for_drivers() {
    let path = "spec.volumeAttributesClassName";
    let class = |name: &str| json!({"volumeAttributesClassName": name});
    let driver = "spec.csi: Required value: has to be specified when using volumeAttributesClassName";
    let empty = format!("{path}: Required value: an empty string is disallowed");
    check("PersistentVolume", volume(class("")), &[&empty, driver]);
    let form = format!("{path}: Invalid value: \"-\": {SUBDOMAIN}");
    check("PersistentVolume", volume(class("-")), &[&form, driver]);
    check("PersistentVolumeClaim", claim(class("-")), &[&form]);
    check("PersistentVolumeClaim", claim(class("")), &[]);
    check_update(
        "PersistentVolume",
        volume(json!({})),
        volume(class("a")),
        &[&format!("{path}: Forbidden: update from non-nil value to nil is forbidden")],
    );
    let bound = |extra: Value| {
        let mut claim = claim(extra);
        claim["status"] = json!({"phase": "Bound", "currentVolumeAttributesClassName": "a"});
        claim
    };
    for (new, word) in [(json!({}), "nil"), (class(""), "empty string")] {
        let refused = format!(
            "{path}: Forbidden: update to {word} is forbidden when status.currentVolumeAttributesClassName is not nil"
        );
        check_update("PersistentVolumeClaim", bound(new), bound(class("a")), &[&refused]);
    }
}

fn claim(extra: Value) -> Value {
    let mut claim = json!({"spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    claim["spec"].as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
    claim
}

#[test]
fn a_claim_is_filled_from_one_source_however_that_is_said() {
    let kind = row("PersistentVolumeClaim");
    let sources = |extra: Value| {
        let mut claim = claim(extra);
        (kind.default)(&mut claim);
        (kind.prepare_create)(&mut claim);
        let spec = &claim["spec"];
        (spec["dataSource"].clone(), spec["dataSourceRef"].clone(), texts(&(kind.validate)(&claim)))
    };
    let other = json!({"kind": "PersistentVolumeClaim", "name": "other"});
    let snapshot = json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"});
    for source in [other, snapshot] {
        for field in ["dataSource", "dataSourceRef"] {
            assert_eq!(sources(json!({field: source})), (source.clone(), source.clone(), vec![]));
        }
    }
    for dropped in [json!({}), json!({"kind": "x", "name": "x"}), json!({"apiGroup": "a.b", "kind": "x"})] {
        assert_eq!(sources(json!({"dataSource": dropped})), (Value::Null, Value::Null, vec![]));
    }
    let elsewhere = json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "b"});
    assert_eq!(sources(json!({"dataSourceRef": elsewhere})), (Value::Null, Value::Null, vec![]));
}

#[test]
fn sources_that_cannot_be_are_refused_in_both_fields() {
    let kind = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
    check(
        "PersistentVolumeClaim",
        claim(json!({"dataSourceRef": {"kind": "x", "apiGroup": ""}})),
        &[
            "spec.dataSourceRef.name: Required value",
            &format!("spec.dataSourceRef: Invalid value: \"x\": {kind}"),
        ],
    );
    let other = |group: &str| json!({"kind": "x", "name": "x", "apiGroup": group});
    check(
        "PersistentVolumeClaim",
        claim(json!({"dataSource": other("a"), "dataSourceRef": other("-")})),
        &[
            &format!("spec.dataSourceRef.apiGroup: Invalid value: \"-\": {SUBDOMAIN}"),
            "spec: Invalid value: {}: must match dataSourceRef",
        ],
    );
}

#[test]
fn a_claim_whose_spec_changes_is_told_what_differs() {
    let modes = json!({"accessModes": ["ReadOnlyMany"]});
    let words = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n- accessModes: [\"ReadWriteOnce\"]\n+ accessModes: [\"ReadOnlyMany\"]";
    check_update("PersistentVolumeClaim", claim(modes), claim(json!({})), &[words]);
    // One that was stored when only the older field was.
    let source = json!({"kind": "PersistentVolumeClaim", "name": "other"});
    let both = claim(json!({"dataSource": source, "dataSourceRef": source}));
    check_update("PersistentVolumeClaim", both, claim(json!({"dataSource": source})), &[]);
}

#[test]
fn classes_say_once_where_their_volumes_may_be() {
    let class = |topologies: Value| json!({"provisioner": "a.b/c", "allowedTopologies": topologies});
    let term =
        |key: &str, values: &[&str]| json!({"matchLabelExpressions": [{"key": key, "values": values}]});
    check("StorageClass", class(json!([term("a", &["x", "y"]), term("a", &["x"])])), &[]);
    let path = "allowedTopologies";
    check(
        "StorageClass",
        class(json!([{"matchLabelExpressions": [{"key": "-"}, {"key": "-", "values": ["v", "v"]}]}])),
        &[
            &format!("{path}[0].matchLabelExpressions[0].values: Required value"),
            &format!("{path}[0].matchLabelExpressions[0].key: Invalid value: \"-\": name part {KEY}"),
            &format!("{path}[0].matchLabelExpressions[1].values[1]: Duplicate value: \"v\""),
            &format!("{path}[0].matchLabelExpressions[1].key: Invalid value: \"-\": name part {KEY}"),
            &format!("{path}[0].matchLabelExpressions[1].key: Duplicate value: \"-\""),
        ],
    );
    check(
        "StorageClass",
        class(json!([{}, term("a", &["x", "y"]), term("a", &["y", "x"])])),
        &[
            &format!("{path}[0].matchLabelExpressions: Duplicate value: \"\""),
            &format!("{path}[2].matchLabelExpressions: Duplicate value: \"\""),
        ],
    );
    check(
        "StorageClass",
        json!({"provisioner": "A b!"}),
        &[&format!("provisioner: Invalid value: \"a b!\": name part {KEY}")],
    );
}

#[test]
fn a_runtime_class_tolerates_each_taint_once() {
    let toleration = |seconds: i64| json!({"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
    check(
        "RuntimeClass",
        json!({"handler": "host", "scheduling": {"tolerations": [toleration(1), toleration(2)]}}),
        &[&format!("scheduling.tolerations[1]: Duplicate value: {}", toleration(2))],
    );
}
