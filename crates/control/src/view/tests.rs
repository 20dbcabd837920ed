//! Objects as they come, and what the views make of them.

use serde_json::json;

use super::*;

#[test]
fn nulls_read_as_absent() {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": null, "labels": null, "annotations": null, "finalizers": null,
            "ownerReferences": [{"uid": "u", "controller": null}], "creationTimestamp": null},
        "spec": {"nodeName": null, "schedulingGates": null},
        "status": {"phase": null, "conditions": null, "containerStatuses": [
            {"name": "c", "restartCount": null, "state": null},
            {"name": "d", "state": {"terminated": {"exitCode": 3, "finishedAt": null}}},
        ]},
    }))
    .unwrap();
    assert_eq!((pod.metadata.name.as_str(), pod.metadata.owner_references[0].uid.as_str()), ("p", "u"));
    assert_eq!(pod.status.container_statuses[1].state.terminated.as_ref().unwrap().exit_code, 3);

    let job: Job = serde_json::from_value(json!({
        "metadata": {"uid": "J"}, "status": null,
        "spec": {"completions": null, "selector": {"matchLabels": null, "matchExpressions": null}, "template": null},
    }))
    .unwrap();
    assert_eq!((job.metadata.uid.as_str(), job.status), ("J", JobStatus::default()));
}

#[test]
fn sidecars_are_the_init_containers_that_are_always_started_again() {
    let containers = json!([{"name": "once"}, {"name": "s", "restartPolicy": "Always", "image": "i"}, {"name": "n",
        "restartPolicy": "Never"}, {"name": null, "restartPolicy": null}]);
    let spec: PodSpec = serde_json::from_value(json!({"initContainers": containers})).unwrap();
    assert_eq!(spec.sidecars, ["s"]);
    let spec: PodSpec = serde_json::from_value(json!({"initContainers": null})).unwrap();
    assert!(spec.sidecars.is_empty());
}

#[test]
fn status_survives_its_way_to_the_store_and_back() {
    let text = json!({
        "conditions": [{"type": "Custom", "status": "True", "lastProbeTime": "2026-11-20T10:00:00Z",
            "lastTransitionTime": null, "x": [1]}],
        "startTime": "2026-11-20T10:00:00Z", "failed": 2, "terminating": 0, "ready": 0, "failedIndexes": "",
        "uncountedTerminatedPods": {}, "unknown": {"a": null},
    });
    let status: JobStatus = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&status).unwrap(), text);
    assert_eq!((status.failed, status.succeeded), (2, 0));
}

#[test]
fn condition_pattern_of_a_policy_is_true_by_default() {
    let pattern: OnPodCondition = serde_json::from_value(json!({"type": "DisruptionTarget"})).unwrap();
    assert_eq!(pattern.status, "True");
}
