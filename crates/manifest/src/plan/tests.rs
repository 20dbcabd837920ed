//! Jobs and what they need; nodes and quotas that have it, or not.

use serde_json::{Value, json};

use super::*;

fn job() -> Value {
    json!({
        "metadata": { "labels": { "kueue.x-k8s.io/queue-name": "team" } },
        "spec": { "parallelism": 5, "completions": 3, "template": { "spec": {
            "serviceAccountName": "runner", "priorityClassName": "high", "runtimeClassName": "gvisor",
            "nodeSelector": { "disk": "ssd" }, "imagePullSecrets": [{ "name": "registry" }],
            "tolerations": [{ "key": "gpu", "operator": "Exists", "effect": "NoSchedule" }],
            "volumes": [
                { "name": "a", "persistentVolumeClaim": { "claimName": "data" } },
                { "name": "b", "secret": { "secretName": "tls", "items": [{ "key": "cert", "path": "c" }] } },
                { "name": "c", "configMap": { "name": "maybe", "optional": true } },
                { "name": "d", "projected": { "sources": [{ "configMap": { "name": "settings" } }] } },
            ],
            "initContainers": [{ "name": "i", "image": "init:1", "resources": { "requests": { "memory": "4Gi" } } }],
            "containers": [
                { "name": "a", "image": "fit:1", "envFrom": [{ "secretRef": { "name": "all" } }],
                  "env": [{ "name": "P", "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } } }],
                  "resources": { "requests": { "cpu": "500m" }, "limits": { "memory": "1Gi" } } },
                { "name": "b", "image": "fit:1", "resources": { "limits": { "cpu": 1, "memory": "1Gi" } } },
            ],
        } } },
    })
}

#[test]
fn every_object_that_must_be_there_is_named() {
    let needs = needs(&job());
    let names = |all: &std::collections::BTreeMap<String, Named>| {
        let one = |(name, named): (&String, &Named)| {
            format!("{name}:{}", named.keys.iter().cloned().collect::<Vec<_>>().join(","))
        };
        all.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(names(&needs.secrets), ["all:", "db:password", "tls:cert"]);
    assert_eq!(names(&needs.config_maps), ["settings:"]);
    assert_eq!(needs.claims.iter().collect::<Vec<_>>(), ["data"]);
    assert_eq!(needs.images.iter().collect::<Vec<_>>(), ["fit:1", "init:1"]);
    assert_eq!(needs.requests.get("cpu"), Some(&1.5));
    assert_eq!(needs.requests.get("memory"), Some(&4_294_967_296.0));
    assert_eq!((needs.pods, needs.queue.as_deref()), (3, Some("team")));
}

#[test]
fn a_node_fits_by_labels_taints_and_size() {
    let needs = needs(&job());
    let node = |more: Value| {
        let mut node = json!({ "metadata": { "labels": { "disk": "ssd" } },
            "spec": { "taints": [{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }] },
            "status": { "allocatable": { "cpu": "2", "memory": "8Gi" } } });
        for (key, value) in more.as_object().unwrap() {
            node[key] = value.clone();
        }
        node
    };
    assert_eq!(fits(&needs, &node(json!({}))), None);
    let why = |more: Value| fits(&needs, &node(more)).unwrap();
    assert_eq!(why(json!({ "metadata": {} })), "label disk=ssd is not there");
    assert_eq!(
        why(json!({ "status": { "allocatable": { "cpu": "1500m", "memory": "3Gi" } } })),
        "has memory 3Gi"
    );
    assert_eq!(why(json!({ "spec": { "unschedulable": true } })), "is cordoned");
    let taint = json!({ "spec": { "taints": [{ "key": "gpu", "effect": "NoExecute" }] } });
    assert_eq!(why(taint), "taint gpu:NoExecute");
}

#[test]
fn a_quota_is_over_or_wants_to_be_told() {
    let needs = needs(&job());
    let quota = |hard: Value, used: Value| json!({ "spec": {}, "status": { "hard": hard, "used": used } });
    assert_eq!(over_quota(&needs, &quota(json!({ "pods": "5" }), json!({ "pods": "4" }))), None);
    let why = over_quota(&needs, &quota(json!({ "requests.cpu": "4" }), json!({ "requests.cpu": "3" })));
    assert_eq!(why.as_deref(), Some("requests.cpu: 3 of 4 are used"));
    let bare = super::needs(&json!({ "spec": { "template": { "spec": { "containers": [{}] } } } }));
    let why = over_quota(&bare, &quota(json!({ "limits.memory": "4Gi" }), json!({})));
    assert_eq!(why.as_deref(), Some("counts limits.memory, and the pods do not say theirs"));
    let scoped = json!({ "spec": { "scopes": ["BestEffort"] }, "status": { "hard": { "pods": "0" } } });
    assert_eq!(over_quota(&needs, &scoped), None);
}

#[test]
fn images_have_a_form() {
    for good in [
        "busybox",
        "busybox:1.36",
        "localhost:5000/a/b_c:V1",
        "ghcr.io/team/fit-2@sha256:".to_owned().as_str(),
    ] {
        assert_eq!(image_fault(good).is_some(), good.ends_with("sha256:"), "{good}");
    }
    let digest = format!("a@sha256:{}", "0".repeat(64));
    assert_eq!(image_fault(&digest), None);
    for bad in ["Busybox", "a//b", "a:", "a:b c", "a:-x", "", "https://a/b", "-a"] {
        assert!(image_fault(bad).is_some(), "{bad}");
    }
}

#[test]
fn differences_are_those_of_what_is_said() {
    let there = json!({ "metadata": { "labels": { "team": "a", "job-name": "x", "windlass.dev/submission": "1" } },
        "spec": { "backoffLimit": 6, "suspend": false, "template": { "spec": { "dnsPolicy": "ClusterFirst", "containers": [
            { "image": "fit:1", "terminationMessagePath": "/x", "resources": { "limits": { "cpu": "500m" } } } ] } } } });
    let mut wanted = json!({ "metadata": { "labels": { "team": "a" } },
        "spec": { "template": { "spec": { "containers": [
            { "image": "fit:1", "resources": { "limits": { "cpu": 0.5 } } } ] } } } });
    assert_eq!(difference(&there, &wanted), []);
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "fit:2".into();
    wanted["metadata"]["labels"] = json!({ "night": "1" });
    let paths: Vec<String> = difference(&there, &wanted).into_iter().map(|change| change.path).collect();
    assert_eq!(
        paths,
        ["metadata.labels.night", "metadata.labels[team]", "spec.template.spec.containers[0].image"]
    );
}
