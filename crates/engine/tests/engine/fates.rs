//! Pods whose fate is scripted: nothing of them runs, and everybody sees what would have become of them.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{LogParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::wait::Condition;
use serde_json::{Value, json};
use windlass_engine::Engine;

use crate::clock;
use crate::support::{Cluster, config, finished, pod_phase, reason};

/// A Job of an image that nobody pulls, with a fate.
fn job(name: &str, fate: &str) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {
            "metadata": {"annotations": {"fate.windlass.dev/pod": fate}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/app:1"}]},
        }},
    })
}

fn pod(name: &str, fate: &str) -> Pod {
    let mut pod = job(name, fate)["spec"]["template"].take();
    pod["metadata"]["name"] = name.into();
    serde_json::from_value(pod).expect("a pod")
}

fn status(pod: &Pod) -> Value {
    json!(pod.status)
}

/// The state of the first container.
fn state(pod: &Pod) -> Value {
    let status = status(pod);
    (&status)["containerStatuses"][0]["state"].clone()
}

fn waits_with(reason: &'static str) -> impl Condition<Pod> {
    move |pod: Option<&Pod>| pod.is_some_and(|pod| state(pod)["waiting"]["reason"] == reason)
}

/// What an object's events say: reason and message.
async fn told(cluster: &Cluster, name: &str) -> Vec<(String, String)> {
    let events = cluster.events_about(name).await.into_iter();
    events.map(|event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default())).collect()
}

#[tokio::test]
async fn job_of_an_image_that_nobody_pulls_ends_as_its_script_says() {
    let cluster = Cluster::start().await;
    cluster.create(job("good", "{exit: 0, stdout: \"one\\ntwo\", stderr: oops}")).await;
    cluster.create(job("bad", "{exit: 3, message: that was it}")).await;
    let good = cluster.wait_job("good", finished()).await;
    assert_eq!(good.status.unwrap().succeeded, Some(1));
    let pods = cluster.pods_of("good").await;
    let name = pods[0].metadata.name.clone().unwrap();
    assert_eq!(cluster.log(&name).await, "one\ntwo\noops\n");
    let stderr = LogParams { container: Some("main".into()), timestamps: true, ..LogParams::default() };
    assert!(cluster.pods().logs(&name, &stderr).await.unwrap().lines().all(|line| line.starts_with("20")));
    let bad = cluster.wait_job("bad", finished()).await;
    assert_eq!(reason(&bad, "Failed"), "BackoffLimitExceeded");
    let ended = &state(&cluster.pods_of("bad").await[0])["terminated"];
    assert_eq!((&ended["exitCode"], &ended["reason"]), (&json!(3), &json!("Error")));
    assert_eq!(ended["message"], "that was it");
    let told = told(&cluster, &name).await;
    let reasons: Vec<&str> = told.iter().map(|(reason, _)| reason.as_str()).collect();
    for expected in ["Scheduled", "FateScripted", "Created", "Started"] {
        assert!(reasons.contains(&expected), "{told:?}");
    }
    assert!(!reasons.contains(&"ImageRunOnHost"), "{told:?}");
    cluster.stop().await;
}

#[tokio::test]
async fn command_of_a_pod_with_a_fate_is_never_run() {
    let cluster = Cluster::images_on_host().await;
    let made = cluster.home.path().join("made");
    let mut played = job("played", "exit: 0");
    let containers = json!([
        {"name": "main", "image": "host", "command": ["touch", made]},
        {"name": "beside", "image": "host", "command": ["touch", made]},
    ]);
    played["spec"]["template"]["spec"]["containers"] = containers;
    played["spec"]["template"]["spec"]["runtimeClassName"] = "windlass-host".into();
    played["spec"]["template"]["metadata"]["annotations"] = json!({"fate.windlass.dev/main": ""});
    cluster.create(played).await;
    cluster.wait_job("played", finished()).await;
    assert!(!made.exists());
    cluster.stop().await;
}

#[tokio::test]
async fn ends_have_upstreams_names() {
    let cluster = Cluster::start().await;
    for (name, fate, code, reason) in
        [("oom", "exit: OOMKilled", 137, "OOMKilled"), ("segv", "exit: SIGSEGV", 139, "Error")]
    {
        cluster.pods().create(&PostParams::default(), &pod(name, fate)).await.unwrap();
        let ended = cluster.wait_pod(name, pod_phase("Failed")).await.unwrap();
        let ended = &state(&ended)["terminated"];
        assert_eq!((&ended["exitCode"], &ended["reason"]), (&json!(code), &json!(reason)));
    }
    cluster.pods().create(&PostParams::default(), &pod("evicted", "exit: Evicted")).await.unwrap();
    let evicted = status(&cluster.wait_pod("evicted", pod_phase("Failed")).await.unwrap());
    assert_eq!(evicted["reason"], "Evicted");
    assert_eq!(evicted["message"], "The node was low on resource: memory. ");
    let conditions = evicted["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|c| c["type"] == "DisruptionTarget").expect("the condition");
    assert_eq!((&target["status"], &target["reason"]), (&json!("True"), &json!("TerminationByKubelet")));
    assert!(told(&cluster, "evicted").await.iter().any(|(reason, _)| reason == "Evicted"));
    cluster.stop().await;
}

#[tokio::test]
async fn job_whose_policy_ignores_disruptions_outlives_an_eviction_and_a_lost_node() {
    let cluster = clock::start().await;
    for (name, fate) in [("evicted", "exit: [Evicted, 0]"), ("lost", "exit: [NodeLost, 0]")] {
        let mut job = job(name, fate);
        job["spec"]["podFailurePolicy"] =
            json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]});
        cluster.create(job).await;
        clock::advance(&cluster, "10m").await;
        let job = cluster.wait_job(name, finished()).await.status.unwrap();
        assert_eq!((job.succeeded, job.failed.unwrap_or(0)), (Some(1), 0), "{name}");
    }
    let pods = cluster.pods_of("evicted").await;
    assert!(pods.iter().any(|pod| status(pod)["reason"] == "Evicted"));
    assert_eq!(cluster.pods_of("lost").await.len(), 1, "the lost one is gone with its node");
    cluster.stop().await;
}

#[tokio::test]
async fn pod_waits_for_its_image_in_upstreams_words() {
    let cluster = Cluster::start().await;
    let fate = "stuck: {reason: ImagePullBackOff, message: no such tag}";
    cluster.pods().create(&PostParams::default(), &pod("image", fate)).await.unwrap();
    let waiting = cluster.wait_pod("image", waits_with("ErrImagePull")).await.unwrap();
    assert_eq!(state(&waiting)["waiting"]["message"], "no such tag");
    assert_eq!(status(&waiting)["phase"], "Pending");
    let waiting = cluster.wait_pod("image", waits_with("ImagePullBackOff")).await.unwrap();
    assert_eq!(
        state(&waiting)["waiting"]["message"],
        "Back-off pulling image \"registry.example/app:1\": ErrImagePull: no such tag"
    );
    let told = told(&cluster, "image").await;
    for expected in [
        ("Pulling", "Pulling image \"registry.example/app:1\""),
        ("Failed", "Failed to pull image \"registry.example/app:1\": no such tag"),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", "Back-off pulling image \"registry.example/app:1\""),
        ("Failed", "Error: ImagePullBackOff"),
    ] {
        assert!(
            told.iter().any(|(reason, message)| (reason.as_str(), message.as_str()) == expected),
            "{told:?}"
        );
    }
    let fate = "stuck: {reason: CreateContainerConfigError, message: secret \"x\" not found}";
    cluster.pods().create(&PostParams::default(), &pod("config", fate)).await.unwrap();
    let waiting = cluster.wait_pod("config", waits_with("CreateContainerConfigError")).await.unwrap();
    assert_eq!(state(&waiting)["waiting"]["message"], "secret \"x\" not found");
    cluster.stop().await;
}

#[tokio::test]
async fn pod_that_finds_no_node_says_so() {
    let cluster = Cluster::start().await;
    let fate = "unschedulable: 0/3 nodes are available";
    cluster.pods().create(&PostParams::default(), &pod("waits", fate)).await.unwrap();
    let waits =
        |pod: Option<&Pod>| pod.is_some_and(|pod| status(pod)["conditions"][0]["reason"] == "Unschedulable");
    let pod = status(&cluster.wait_pod("waits", waits).await.unwrap());
    assert_eq!(
        (&pod["phase"], &pod["conditions"][0]["message"]),
        (&json!("Pending"), &json!("0/3 nodes are available"))
    );
    assert!(told(&cluster, "waits").await.iter().any(|(reason, _)| reason == "FailedScheduling"));
    cluster.stop().await;
}

#[tokio::test]
async fn mistake_in_a_fate_is_refused_where_it_is_written() {
    let cluster = Cluster::start().await;
    let refused = async |job: Value| {
        let job = serde_json::from_value(job).expect("a Job");
        cluster.jobs().create(&PostParams::default(), &job).await.expect_err("it is refused").to_string()
    };
    let told = refused(job("typo", "exitcode: 1")).await;
    assert!(
        told.contains("spec.template.metadata.annotations[fate.windlass.dev/pod]: Invalid value"),
        "{told}"
    );
    assert!(told.contains("no fate has this; there is delay, run, exit"), "{told}");
    let mut misplaced = job("misplaced", "exit: 1");
    misplaced["metadata"]["annotations"] = json!({"fate.windlass.dev/pod": "exit: 1"});
    let told = refused(misplaced).await;
    assert!(told.contains("write it under spec.template.metadata.annotations"), "{told}");
    cluster.pods().create(&PostParams::default(), &pod("kept", "run: forever")).await.unwrap();
    let without = Patch::Merge(json!({"metadata": {"annotations": {"fate.windlass.dev/pod": null}}}));
    let told = cluster.pods().patch("kept", &PatchParams::default(), &without).await.unwrap_err().to_string();
    assert!(told.contains("a pod keeps the fate that it was made with"), "{told}");
    cluster.stop().await;
}

#[tokio::test]
async fn indexes_end_each_as_is_written_of_them() {
    let cluster = Cluster::start().await;
    let mut job = job("indexed", "{exit: 0, index: {1: {exit: 4}, \"3-4\": {stdout: hello}}}");
    for (key, value) in [
        ("completions", json!(5)),
        ("parallelism", json!(5)),
        ("completionMode", json!("Indexed")),
        ("backoffLimitPerIndex", json!(0)),
        ("backoffLimit", Value::Null),
    ] {
        job["spec"][key] = value;
    }
    cluster.create(job).await;
    let job = cluster.wait_job("indexed", finished()).await.status.unwrap();
    assert_eq!(job.completed_indexes.as_deref(), Some("0,2-4"));
    assert_eq!(job.failed_indexes.as_deref(), Some("1"));
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_played_goes_on_under_the_next_engine() {
    let home = tempfile::tempdir().unwrap();
    let durable = || {
        let mut config = config(&home);
        config.store = windlass_engine::StoreKind::Durable;
        config
    };
    let engine = Engine::start(durable()).await.unwrap();
    let mut cluster =
        Cluster { client: engine.client(), engine: Some(engine), home: tempfile::tempdir().unwrap() };
    cluster
        .pods()
        .create(&PostParams::default(), &pod("long", "{run: forever, stdout: here}"))
        .await
        .unwrap();
    cluster.wait_pod("long", pod_phase("Running")).await.unwrap();
    cluster.engine.take().unwrap().stop(windlass_engine::StopPods::Leave).await;
    let engine = Engine::start(durable()).await.unwrap();
    (cluster.client, cluster.engine) = (engine.client(), Some(engine));
    let pod = cluster.pods().get("long").await.unwrap();
    assert_eq!(
        (&status(&pod)["phase"], &status(&pod)["containerStatuses"][0]["restartCount"]),
        (&json!("Running"), &json!(0))
    );
    assert_eq!(cluster.log("long").await, "here\n");
    cluster.pods().delete("long", &Default::default()).await.unwrap();
    cluster.wait_pod("long", |pod: Option<&Pod>| pod.is_none()).await;
    cluster.stop().await;
}

#[tokio::test]
async fn nobody_runs_a_program_beside_what_is_played() {
    let cluster = Cluster::start().await;
    let mut played = pod("played", "run: forever");
    played.metadata = ObjectMeta { name: Some("played".into()), ..played.metadata };
    cluster.pods().create(&PostParams::default(), &played).await.unwrap();
    cluster.wait_pod("played", pod_phase("Running")).await.unwrap();
    let refused = cluster.pods().exec("played", ["true"], &Default::default()).await;
    let Err(refused) = refused else { panic!("nothing runs there") };
    assert!(format!("{refused:?}").contains("pod played is played"), "{refused:?}");
    cluster.stop().await;
}
