//! What may change on a pod.

use serde_json::{Value, json};

use super::{KIND, pod, texts};

fn update(old: &Value, pointer: &str, value: Value) -> Vec<String> {
    let mut new = old.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    new.pointer_mut(parent).unwrap()[key] = value;
    (KIND.prepare_update)(&mut new, old);
    texts(&(KIND.validate_update)(&new, old, false))
}

#[test]
fn images_deadlines_and_more_patience_may_change() {
    let old = pod(json!({"activeDeadlineSeconds": 10}));
    for (pointer, value) in [
        ("/spec/containers/0/image", json!("other:2")),
        ("/spec/activeDeadlineSeconds", json!(5)),
        ("/spec/tolerations/0/tolerationSeconds", json!(5)),
        ("/metadata/labels", json!({"a": "b"})),
        ("/metadata/finalizers", json!([])),
    ] {
        assert_eq!(update(&old, pointer, value), Vec::<String>::new(), "{pointer}");
    }
}

#[test]
fn what_runs_may_not_change() {
    let old = pod(json!({"activeDeadlineSeconds": 10}));
    let refused = update(&old, "/spec/containers/0/command", json!(["x"]));
    assert!(
        refused[0].starts_with("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"),
        "{refused:?}"
    );
    assert_eq!(refused.len(), 1);
    for (pointer, value, expect) in [
        (
            "/spec/activeDeadlineSeconds",
            json!(11),
            "spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value",
        ),
        (
            "/spec/activeDeadlineSeconds",
            Value::Null,
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
        ),
        (
            "/spec/tolerations/0/operator",
            json!("Equal"),
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            "/spec/initContainers",
            json!([{"name": "i", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}]),
            "spec.initContainers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            "/spec/schedulingGates",
            json!([{"name": "a/b"}]),
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a/b'",
        ),
    ] {
        assert_eq!(update(&old, pointer, value), [expect]);
    }
}

#[test]
fn a_deadline_that_cannot_be_is_all_that_is_told() {
    let old = pod(json!({"activeDeadlineSeconds": 10, "tolerations": [{"key": "k", "operator": "Exists"}]}));
    for seconds in [-1, 1_i64 << 31] {
        let mut new = old.clone();
        new["spec"]["tolerations"] = json!([]);
        let of = |least| {
            format!(
                "spec.activeDeadlineSeconds: Invalid value: {seconds}: must be between {least} and 2147483647, inclusive"
            )
        };
        assert_eq!(update(&new, "/spec/activeDeadlineSeconds", json!(seconds)), [of(1), of(0)]);
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn on(keys: &[&str]) -> Value {
    let expressions: Vec<_> = keys.iter().map(|key| json!({"key": key, "operator": "Exists"})).collect();
    json!({"matchExpressions": expressions})
}

fn required(terms: &[Value]) -> Value {
    json!({REQUIRED: {"nodeSelectorTerms": terms}})
}

fn gated(node_affinity: &Value) -> Value {
    pod(json!({"schedulingGates": [{"name": "a/b"}], "affinity": {"nodeAffinity": node_affinity}}))
}

#[test]
fn a_gated_pod_may_ask_more_of_its_node() {
    let preferred = |key: &str| json!({PREFERRED: [{"weight": 1, "preference": on(&[key])}]});
    let mut both = required(&[on(&["a", "b"]), on(&["c"])]);
    both[PREFERRED] = preferred("y")[PREFERRED].clone();
    let fields = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]});
    let mut more = on(&["a"]);
    more["matchFields"] = fields["matchFields"].clone();
    for (before, after) in [
        (preferred("x"), preferred("y")),
        (preferred("x"), Value::Null),
        (preferred("x"), required(&[on(&["a"]), on(&["b"])])),
        (required(&[on(&["a"]), on(&["c"])]), both),
        (required(&[on(&["a"])]), required(&[more])),
    ] {
        let old = gated(&before);
        assert_eq!(update(&old, "/spec/affinity/nodeAffinity", after.clone()), [""; 0], "{before} {after}");
        let mut ungated = old.clone();
        ungated["spec"]["schedulingGates"] = json!([]);
        let refused = update(&ungated, "/spec/affinity/nodeAffinity", after);
        assert!(refused[0].starts_with("spec: Forbidden: pod updates may not change fields other than"));
    }
    let bare = pod(json!({"schedulingGates": [{"name": "a/b"}]}));
    assert_eq!(update(&bare, "/spec/affinity", json!({"nodeAffinity": preferred("x")})), [""; 0]);
    assert_eq!(update(&gated(&preferred("x")), "/spec/affinity", Value::Null), [""; 0]);
}

#[test]
fn a_gated_pod_may_not_ask_less_of_its_node_nor_anything_else_of_other_pods() {
    let path = format!("spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms");
    let listed = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
    let added = "only additions are allowed (no mutations or deletions)";
    let old = gated(&required(&[on(&["a", "b"]), on(&["c"])]));
    for (after, expect) in [
        (Value::Null, format!("{path}: Invalid value: null: {listed}")),
        (
            required(&[on(&["a", "b"])]),
            format!("{path}: Invalid value: {}: {listed}", json!([on(&["a", "b"])])),
        ),
        (
            required(&[on(&["a", "b"]), on(&["d"])]),
            format!("{path}[1]: Invalid value: {}: {added}", on(&["d"])),
        ),
        (
            required(&[on(&["b", "a"]), on(&["c"])]),
            format!("{path}[0]: Invalid value: {}: {added}", on(&["b", "a"])),
        ),
        (required(&[on(&["a"]), on(&["c"])]), format!("{path}[0]: Invalid value: {}: {added}", on(&["a"]))),
    ] {
        assert_eq!(update(&old, "/spec/affinity/nodeAffinity", after), [expect]);
    }
    let nothing = gated(&required(&[json!({})]));
    let refused = update(&nothing, "/spec/affinity/nodeAffinity", required(&[on(&["a"])]));
    assert_eq!(refused, [format!("{path}[0]: Invalid value: {}: {added}", on(&["a"]))]);
    let near = json!([{"weight": 1, "podAffinityTerm": {"topologyKey": "z"}}]);
    let mut both = old["spec"]["affinity"].clone();
    both["podAffinity"] = json!({PREFERRED: near});
    let refused = update(&old, "/spec/affinity", both);
    assert!(refused[0].starts_with("spec: Forbidden: pod updates may not change fields other than"));
}

#[test]
fn a_container_that_ended_for_good_does_not_run_again() {
    let mut old = pod(json!({"restartPolicy": "Never"}));
    old["status"]["containerStatuses"] = json!([{"name": "c", "state": {"terminated": {"exitCode": 1}}}]);
    let mut new = old.clone();
    new["status"]["containerStatuses"][0]["state"] = json!({"running": {}});
    let refuse = |new: &Value, old: &Value| texts(&(KIND.validate_update)(new, old, true));
    assert_eq!(
        refuse(&new, &old),
        ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    );
    old["spec"]["restartPolicy"] = "OnFailure".into();
    assert!(refuse(&new, &old).is_empty());
}

#[test]
fn the_status_door_keeps_spec_owners_and_quality_of_service() {
    let mut old = pod(json!({}));
    old["metadata"]["ownerReferences"] = json!([{"uid": "1"}]);
    let mut new = old.clone();
    new["metadata"]["ownerReferences"] = json!([]);
    new["spec"]["nodeName"] = "n".into();
    new["status"] = json!({"phase": "Running"});
    (KIND.prepare_status)(&mut new, &old);
    assert_eq!(new["metadata"], old["metadata"]);
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["status"], json!({"phase": "Running", "qosClass": "BestEffort"}));
}

#[test]
fn fate_of_a_pod_stays_as_it_was_made() {
    let fate = |value: Value| json!({"fate.windlass.dev/pod": value, "other": "x"});
    let mut old = pod(json!({}));
    let refused = |told: Vec<String>| {
        assert_eq!(
            told,
            [
                "metadata.annotations[fate.windlass.dev/pod]: Forbidden: a pod keeps the fate that it was made with: delete the pod and make another"
            ]
        );
    };
    refused(update(&old, "/metadata/annotations", fate(json!("exit: 1"))));
    old["metadata"]["annotations"] = fate(json!("exit: 1"));
    refused(update(&old, "/metadata/annotations", json!({"other": "x"})));
    refused(update(&old, "/metadata/annotations", fate(json!("exit: 2"))));
    let mut by_status = old.clone();
    by_status["metadata"]["annotations"] = json!({});
    refused(texts(&(KIND.validate_update)(&by_status, &old, true)));
    let mut other = old["metadata"]["annotations"].clone();
    other["other"] = json!("y");
    assert_eq!(update(&old, "/metadata/annotations", other), [""; 0]);
}

#[test]
fn marks_of_mirrors_and_profiles_stay_as_they_were() {
    let (mirror, profile) =
        ("kubernetes.io/config.mirror", "container.apparmor.security.beta.kubernetes.io/c");
    let old = pod(json!({}));
    let both = json!({mirror: "x", profile: "unconfined"});
    let told = |verb: &str| {
        [
            format!("metadata.annotations[{profile}]: Forbidden: may not {verb} AppArmor annotations"),
            format!("metadata.annotations[{mirror}]: Forbidden: may not {verb} mirror pod annotation"),
        ]
    };
    assert_eq!(update(&old, "/metadata/annotations", both.clone()), told("add"));
    let mut marked = old;
    marked["metadata"]["annotations"] = both;
    assert_eq!(update(&marked, "/metadata/annotations", json!({"other": "x"})), told("remove or update"));
    marked["metadata"]["annotations"]["other"] = "x".into();
    assert_eq!(update(&marked, "/metadata/labels", json!({"a": "b"})), [""; 0]);
}

#[test]
fn devices_that_a_pod_was_given_stay_with_it_whatever_a_writer_says() {
    const DEVICES: &str = "devices.windlass.dev/assigned";
    let with = |devices: Option<&str>| {
        let mut pod = pod(json!({}));
        pod["metadata"]["annotations"] = json!({"other": "x"});
        if let Some(devices) = devices {
            pod["metadata"]["annotations"][DEVICES] = devices.into();
        }
        pod
    };
    for prepare in [KIND.prepare_update, KIND.prepare_status] {
        for old in [None, Some("nvidia.com/gpu=0")] {
            for wanted in [None, Some("nvidia.com/gpu=1")] {
                let mut new = with(wanted);
                prepare(&mut new, &with(old));
                assert_eq!(new["metadata"]["annotations"], with(old)["metadata"]["annotations"]);
            }
        }
        let mut bare = with(None);
        bare["metadata"]["annotations"] = Value::Null;
        prepare(&mut bare, &with(Some("nvidia.com/gpu=0")));
        assert_eq!(bare["metadata"]["annotations"], json!({DEVICES: "nvidia.com/gpu=0"}));
    }
}
