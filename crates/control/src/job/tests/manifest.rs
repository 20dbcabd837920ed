//! The manifests of created pods.

use serde_json::{Value, json};

use crate::job::sim::{at, job, template};
use crate::job::{Action, Past, plan};
use crate::view::Pod;

fn manifests(name: &str, spec: Value) -> Vec<Value> {
    let mut job = job(spec);
    job.metadata.name = name.to_owned();
    let actions = plan(&job, &[] as &[Pod], &Past::default(), at(0)).actions;
    let pods = actions.into_iter().map(|action| match action {
        Action::CreatePod { pod } => (*pod).clone(),
        other => panic!("{other:?}"),
    });
    pods.collect()
}

#[test]
fn pod_is_the_template_and_what_makes_it_the_jobs() {
    let [pod] = &manifests("j", json!({"completions": 1}))[..] else { panic!() };
    assert_eq!(
        *pod,
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": "j-",
                "namespace": "n",
                "labels": {"job": "j"},
                "annotations": {"a": "b"},
                "finalizers": ["batch.kubernetes.io/job-tracking"],
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "J",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": template()["spec"],
        })
    );
}

#[test]
fn pod_of_an_index_knows_it_in_every_way() {
    let mut template = template();
    template["spec"]["initContainers"] = json!([{"name": "i", "env": null}]);
    template["spec"]["containers"] = json!([
        {"name": "c", "env": [{"name": "A", "value": "1"}]},
        {"name": "own", "env": [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]},
    ]);
    let pods = manifests(
        "j",
        json!({"parallelism": 2, "completions": 2, "completionMode": "Indexed", "template": template}),
    );
    let pod = &pods[1];
    assert_eq!(pod["metadata"]["generateName"], "j-1-");
    assert_eq!(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], "1");
    assert_eq!(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"], "1");
    assert_eq!(pod["metadata"]["annotations"]["a"], "b");
    assert_eq!(pod["spec"]["hostname"], "j-1");
    let given = json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {
        "apiVersion": "v1", "fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']",
    }}});
    assert_eq!(pod["spec"]["initContainers"][0]["env"], json!([given]));
    assert_eq!(pod["spec"]["containers"][0]["env"], json!([{"name": "A", "value": "1"}, given]));
    assert_eq!(
        pod["spec"]["containers"][1]["env"],
        json!([{"name": "JOB_COMPLETION_INDEX", "value": "mine"}])
    );
}

#[test]
fn long_names_are_cut_and_keep_their_index() {
    let long = "x".repeat(63);
    let pods = manifests(&long, json!({"parallelism": 12, "completions": 12, "completionMode": "Indexed"}));
    let name = pods[11]["metadata"]["generateName"].as_str().unwrap();
    assert_eq!((name.len(), name.ends_with("x-11-")), (58, true));
    let [pod] = &manifests(&long, json!({"completions": 1}))[..] else { panic!() };
    let name = pod["metadata"]["generateName"].as_str().unwrap();
    assert_eq!((name.len(), name.ends_with("x-")), (58, true));
}

#[test]
fn template_without_metadata_makes_a_pod_without_labels() {
    let [pod] = &manifests("j", json!({"completions": 1, "template": {"spec": {"containers": []}}}))[..]
    else {
        panic!()
    };
    assert!(pod["metadata"].get("labels").is_none());
    assert_eq!(pod["spec"], json!({"containers": []}));
}

#[test]
fn finalizers_of_the_template_are_kept() {
    let mut template = template();
    template["metadata"]["finalizers"] = json!(["example.com/mine"]);
    let [pod] = &manifests("j", json!({"completions": 1, "template": template}))[..] else { panic!() };
    assert_eq!(
        pod["metadata"]["finalizers"],
        json!(["example.com/mine", "batch.kubernetes.io/job-tracking"])
    );
}
