//! Situations of pods: what they become, what is refused and in which words, how they are shown.
#![expect(clippy::needless_pass_by_value, reason = "rows read best as literals")]

mod devices;
mod refused;
mod rights;
mod shown;
mod sources;
mod surroundings;
mod updates;

use serde_json::{Value, json};

use super::KIND;

/// A pod with one container and, in its spec, what the row adds; as the generic part stores it.
fn pod(extra: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}});
    for (key, value) in extra.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    (KIND.default)(&mut pod);
    (KIND.prepare_create)(&mut pod);
    pod
}

/// The same with fields in its container.
fn with(container: Value) -> Value {
    let mut base = json!({"name": "c", "image": "busybox:1"});
    for (key, value) in container.as_object().into_iter().flatten() {
        base[key] = value.clone();
    }
    json!({"containers": [base]})
}

fn texts(errors: &crate::field::Errors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn smallest_pod_is_filled_as_upstream_fills_it() {
    let toleration = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    assert_eq!(
        pod(json!({})),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "generation": 1},
            "spec": {
                "containers": [{
                    "name": "c", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                }],
                "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {},
                "serviceAccount": "default", "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
                "tolerations": [toleration("node.kubernetes.io/not-ready"), toleration("node.kubernetes.io/unreachable")],
            },
            "status": {"phase": "Pending", "qosClass": "BestEffort"},
        })
    );
}

#[test]
fn stop_signal_is_dropped_as_upstream_does_whose_gate_for_it_is_off() {
    let lifecycle =
        |given: Value| pod(with(json!({"lifecycle": given})))["spec"]["containers"][0]["lifecycle"].clone();
    let hook = json!({"preStop": {"sleep": {"seconds": 1}}});
    let both = json!({"preStop": hook["preStop"], "stopSignal": "SIGINT"});
    assert_eq!([lifecycle(json!({"stopSignal": "SIGINT"})), lifecycle(both)], [Value::Null, hook]);
    assert_eq!(lifecycle(json!({})), json!({}), "what was given empty stays");
}

#[test]
fn preparing_twice_changes_nothing() {
    let once = pod(json!({"serviceAccountName": "me", "schedulingGates": [{"name": "a/b"}]}));
    let mut twice = once.clone();
    (KIND.default)(&mut twice);
    (KIND.prepare_create)(&mut twice);
    assert_eq!(once, twice);
    assert_eq!(once["status"]["conditions"][0]["reason"], "SchedulingGated");
    assert_eq!(once["spec"]["serviceAccount"], "me");
}

#[test]
fn parts_of_a_pod_are_filled_where_they_are_given() {
    for (given, pointer, filled) in [
        (with(json!({"image": "a"})), "/containers/0/imagePullPolicy", json!("Always")),
        (with(json!({"image": "r:5000/a:latest"})), "/containers/0/imagePullPolicy", json!("Always")),
        (with(json!({"image": "r:5000/a@sha256:1"})), "/containers/0/imagePullPolicy", json!("IfNotPresent")),
        (with(json!({"ports": [{"containerPort": 1}]})), "/containers/0/ports/0/protocol", json!("TCP")),
        (
            with(json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]})),
            "/containers/0/env/0/valueFrom/fieldRef/apiVersion",
            json!("v1"),
        ),
        (
            with(json!({"livenessProbe": {"httpGet": {"port": 80}}})),
            "/containers/0/livenessProbe",
            json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
                "successThreshold": 1, "failureThreshold": 3}),
        ),
        (
            with(
                json!({"resources": {"limits": {"cpu": "1000m", "memory": 1_048_576}, "requests": {"cpu": "0.5"}}}),
            ),
            "/containers/0/resources",
            json!({"limits": {"cpu": "1", "memory": "1048576"}, "requests": {"cpu": "500m", "memory": "1048576"}}),
        ),
        (json!({"volumes": [{"name": "v"}]}), "/volumes/0/emptyDir", json!({})),
        (
            json!({"volumes": [{"name": "v", "configMap": {"name": "m"}}]}),
            "/volumes/0/configMap/defaultMode",
            json!(420),
        ),
        (
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
            "/volumes/0/hostPath/type",
            json!(""),
        ),
        (json!({"terminationGracePeriodSeconds": -5}), "/terminationGracePeriodSeconds", json!(1)),
    ] {
        assert_eq!(pod(given.clone())["spec"].pointer(pointer), Some(&filled), "{given}");
    }
}

#[test]
fn a_limit_of_the_whole_pod_is_asked_for_as_its_containers_ask() {
    let cpu = |name: &str, amount: &str| json!({"name": name, "image": "i", "resources": {"requests": {"cpu": amount}}});
    let whole = pod(json!({
        "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
        "containers": [cpu("a", "500m"), cpu("b", "1")], "initContainers": [cpu("i", "2")],
    }));
    assert_eq!(whole["spec"]["resources"]["requests"], json!({"cpu": "2", "memory": "1Gi"}));
}

#[test]
fn pods_of_the_host_class_get_no_token_of_themselves() {
    assert!(pod(json!({"runtimeClassName": "windlass-host"}))["spec"].get("volumes").is_none());
}

#[test]
fn quality_of_service_follows_from_resources() {
    for (resources, class) in [
        (json!({}), "BestEffort"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}), "Burstable"),
        (json!({"limits": {"cpu": "1"}}), "Burstable"),
        (json!({"requests": {"ephemeral-storage": "1Gi"}}), "BestEffort"),
    ] {
        assert_eq!(pod(with(json!({"resources": resources})))["status"]["qosClass"], class, "{resources}");
    }
}

#[test]
fn every_field_selector_has_a_value() {
    let fields = (KIND.fields)(&pod(json!({})));
    assert_eq!(fields.iter().map(|(k, _)| *k).collect::<Vec<_>>(), KIND.field_names);
    assert!(fields.contains(&("status.phase", "Pending".to_owned())));
    assert!(fields.contains(&("spec.hostNetwork", "false".to_owned())));
}
