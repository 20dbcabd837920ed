//! Priority classes: what they make of pods, also of Jobs', and who comes first when there is room.

use crate::support::{Cluster, finished, has_condition, job, pod_phase};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

async fn class(cluster: &Cluster, class: Value) -> Result<PriorityClass, kube::Error> {
    let classes: Api<PriorityClass> = Api::all(cluster.client.clone());
    let class = serde_json::from_value(class).expect("a PriorityClass");
    classes.create(&PostParams::default(), &class).await
}

fn named(name: &str, value: i32) -> Value {
    json!({"metadata": {"name": name}, "value": value})
}

fn pod(name: &str, class: &str, cpu: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "priorityClassName": class,
            "containers": [{
                "name": "main", "image": "host", "command": ["sleep", "1000"], "resources": {"requests": {"cpu": cpu}},
            }],
        },
    })
}

async fn make(cluster: &Cluster, pod: Value) -> Pod {
    let pod = serde_json::from_value(pod).expect("a Pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("the pod is created")
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_jobs_have_the_priority_of_their_class_or_of_the_default_one() {
    let cluster = Cluster::start().await;
    class(&cluster, named("urgent", 700)).await.expect("created");
    let mut wanted = job("urgent", &["true"]);
    wanted["spec"]["template"]["spec"]["priorityClassName"] = json!("urgent");
    cluster.create(wanted).await;
    cluster.create(job("plain", &["true"])).await;
    let mut usual = named("usual", 3);
    usual["globalDefault"] = json!(true);
    usual["preemptionPolicy"] = json!("Never");
    for name in ["urgent", "plain"] {
        cluster.wait_job(name, finished()).await;
    }
    class(&cluster, usual.clone()).await.expect("created");
    cluster.create(job("later", &["true"])).await;
    cluster.wait_job("later", finished()).await;
    for (name, expected) in [
        ("urgent", (Some(700), Some("urgent"), Some("PreemptLowerPriority"))),
        ("plain", (Some(0), None, Some("PreemptLowerPriority"))),
        ("later", (Some(3), Some("usual"), Some("Never"))),
    ] {
        let spec = cluster.pods_of(name).await.remove(0).spec.expect("a spec");
        let has = (spec.priority, spec.priority_class_name.as_deref(), spec.preemption_policy.as_deref());
        assert_eq!(has, expected, "{name}");
    }
    usual["metadata"]["name"] = json!("other");
    let refused = class(&cluster, usual).await.expect_err("refused").to_string();
    let words = "PriorityClass usual is already marked as default. Only one default can exist";
    assert!(refused.contains(words), "{refused}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_whose_class_is_not_there_says_so_and_runs_when_it_comes() {
    let cluster = Cluster::start().await;
    let mut wanted = job("early", &["true"]);
    wanted["spec"]["template"]["spec"]["priorityClassName"] = json!("urgent");
    cluster.create(wanted).await;
    let events: Api<k8s_openapi::api::core::v1::Event> = Api::namespaced(cluster.client.clone(), "default");
    let mut told = std::pin::pin!(kube::runtime::watcher(
        events,
        kube::runtime::watcher::Config::default().fields("involvedObject.name=early")
    ));
    let words = "no PriorityClass with name urgent was found";
    let refusal = async {
        use futures::TryStreamExt;
        loop {
            use kube::runtime::watcher::Event::{Apply, InitApply};
            let next = told.try_next().await.expect("a watch").expect("no end");
            if let Apply(event) | InitApply(event) = next
                && event.reason.as_deref() == Some("FailedCreate")
            {
                return event.message.unwrap_or_default();
            }
        }
    };
    let message = tokio::time::timeout(crate::support::PATIENCE, refusal).await.expect("it says so in time");
    assert!(message.starts_with("Error creating: pods \"early-") && message.contains(words), "{message}");
    assert!(cluster.pods_of("early").await.is_empty());
    class(&cluster, named("urgent", 1)).await.expect("created");
    cluster.wait_job("early", has_condition("Complete")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn higher_priority_comes_first_and_ends_nobody() {
    let cluster = Cluster::start().await;
    for (name, value) in [("low", -1), ("high", 10)] {
        class(&cluster, named(name, value)).await.expect("created");
    }
    let node = Api::<Node>::all(cluster.client.clone()).get("windlass").await.expect("the node");
    let all = node.status.and_then(|status| status.allocatable).expect("allocatable")["cpu"].0.clone();
    make(&cluster, pod("first", "low", &all)).await;
    cluster.wait_pod("first", pod_phase("Running")).await;
    let message = |pod: Option<&Pod>| -> Option<String> {
        let conditions = pod?.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False")?.message.clone()
    };
    let waits = move |pod: Option<&Pod>| message(pod).is_some();
    make(&cluster, pod("patient", "low", &all)).await;
    let patient = cluster.wait_pod("patient", waits).await;
    let words = message(patient.as_ref()).unwrap_or_default();
    assert!(words.ends_with("1 No preemption victims found for incoming pod."), "{words}");
    make(&cluster, pod("urgent", "high", &all)).await;
    let urgent = cluster.wait_pod("urgent", waits).await;
    let words = message(urgent.as_ref()).unwrap_or_default();
    assert!(words.contains("this engine ends none for another's sake"), "{words}");
    cluster.pods().delete("first", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    cluster.wait_pod("urgent", pod_phase("Running")).await;
    let patient = cluster.pods().get("patient").await.expect("the pod");
    assert_eq!(patient.status.and_then(|status| status.phase).as_deref(), Some("Pending"));
    cluster.stop().await;
}
