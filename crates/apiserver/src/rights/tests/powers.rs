//! What in a pod needs the administrator, wherever the pod stands.

#![allow(clippy::needless_pass_by_value, reason = "specs are written where they are used")]

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::kinds;
use crate::rights::{account, needs_administrator};

fn places(api_version: &str, kind: &str, object: &Value) -> Vec<String> {
    needs_administrator(kinds::by_kind(api_version, kind).unwrap(), object)
}

fn of_pod(spec: Value) -> Vec<String> {
    places("v1", "Pod", &json!({"spec": spec}))
}

#[test]
fn what_the_host_is_safe_from_needs_nobody() {
    let plain = json!({
        "runtimeClassName": "gvisor", "hostNetwork": false, "hostPID": null,
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "c"}}],
        "containers": [{"name": "c", "ports": [{"containerPort": 80}, {"hostPort": 0}], "securityContext": {
            "privileged": false, "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}, "procMount": "Default"}}],
    });
    assert_eq!(of_pod(plain), Vec::<String>::new());
    assert_eq!(of_pod(Value::Null), Vec::<String>::new());
    assert_eq!(places("v1", "ConfigMap", &json!({"spec": {"hostPID": true}})), Vec::<String>::new());
}

#[test]
fn each_power_is_named_with_its_place() {
    for (spec, place) in [
        (
            json!({"runtimeClassName": "windlass-host"}),
            "processes of the host (spec.runtimeClassName: windlass-host)",
        ),
        (json!({"hostNetwork": true}), "host namespaces (spec.hostNetwork)"),
        (json!({"hostPID": true}), "host namespaces (spec.hostPID)"),
        (json!({"hostIPC": true}), "host namespaces (spec.hostIPC)"),
        (
            json!({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/"}}]}),
            "hostPath volumes (spec.volumes[1].hostPath)",
        ),
        (
            json!({"initContainers": [{"securityContext": {"privileged": true}}]}),
            "privileged (spec.initContainers[0].securityContext.privileged)",
        ),
        (
            json!({"containers": [{}, {"securityContext": {"capabilities": {"add": ["CHOWN", "SYS_ADMIN"]}}}]}),
            "privileged (spec.containers[1].securityContext.capabilities.add[1]: \"SYS_ADMIN\")",
        ),
        (
            json!({"ephemeralContainers": [{"securityContext": {"procMount": "Unmasked"}}]}),
            "privileged (spec.ephemeralContainers[0].securityContext.procMount: Unmasked)",
        ),
        (
            json!({"containers": [{"ports": [{"hostPort": 80}]}]}),
            "host namespaces (spec.containers[0].ports[0].hostPort)",
        ),
    ] {
        assert_eq!(of_pod(spec), [place]);
    }
}

#[test]
fn a_template_is_looked_at_as_the_pod_that_it_becomes() {
    let job = json!({"spec": {"template": {"spec": {"hostPID": true, "runtimeClassName": "windlass-host"}}}});
    let found = places("batch/v1", "Job", &job);
    assert_eq!(found.len(), 2);
    assert!(found[1].ends_with("(spec.template.spec.hostPID)"), "{found:?}");
}

#[test]
fn the_account_of_a_pod_has_two_names_and_a_default() {
    for (spec, name) in [
        (json!({"serviceAccountName": "a", "serviceAccount": "b"}), "a"),
        (json!({"serviceAccount": "b"}), "b"),
        (json!({"serviceAccountName": ""}), "default"),
        (Value::Null, "default"),
    ] {
        assert_eq!(account(&spec), name);
    }
}

proptest! {
    /// However much stands beside it, a power is found.
    #[test]
    fn a_power_is_found_wherever_it_stands(before in 0usize..5, after in 0usize..5, which in 0usize..3) {
        let plain = json!({"name": "x", "image": "y"});
        let mut containers = vec![plain.clone(); before];
        containers.push(json!({"securityContext": {"privileged": true}}));
        containers.extend(vec![plain; after]);
        let key = ["initContainers", "containers", "ephemeralContainers"][which];
        let expected = format!("privileged (spec.{key}[{before}].securityContext.privileged)");
        prop_assert_eq!(of_pod(json!({key: containers})), [expected]);
    }
}
