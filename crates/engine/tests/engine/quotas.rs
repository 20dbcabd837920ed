//! Quotas and limit ranges with the engine's own controllers: what Jobs may start, when they go on, and what is counted.

use crate::support::{Cluster, PATIENCE, config, has_condition, job, pod_phase};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Event, LimitRange, ResourceQuota};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::runtime::watcher;
use serde_json::{Value, json};
use windlass_engine::{Engine, StopPods, StoreKind};

fn quotas(cluster: &Cluster) -> Api<ResourceQuota> {
    Api::namespaced(cluster.client.clone(), "default")
}

/// Waits until a quota's status has these amounts, spelled so.
async fn used(cluster: &Cluster, amounts: &Value) {
    let wanted = amounts.clone();
    let matches = move |quota: Option<&ResourceQuota>| {
        let status = quota.and_then(|quota| quota.status.as_ref());
        let used = status.and_then(|status| status.used.as_ref());
        wanted.as_object().into_iter().flatten().all(|(name, amount)| {
            used.and_then(|used| used.get(name))
                .is_some_and(|found| Some(found.0.as_str()) == amount.as_str())
        })
    };
    let waiting = await_condition(quotas(cluster), "quota", matches);
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("never {amounts}: {:#?}", quotas(cluster).get("quota").await);
    }
}

/// Makes a quota and waits until it is counted: before that it holds nobody.
async fn limit(cluster: &Cluster, hard: &Value) {
    let quota = serde_json::from_value(json!({"metadata": {"name": "quota"}, "spec": {"hard": hard}}));
    let quota: ResourceQuota = quota.expect("a quota");
    quotas(cluster).create(&PostParams::default(), &quota).await.expect("created");
    let counted = |quota: Option<&ResourceQuota>| {
        quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.used.is_some())
    };
    let waiting = await_condition(quotas(cluster), "quota", counted);
    tokio::time::timeout(PATIENCE, waiting).await.expect("it is counted in time").expect("a watch");
}

async fn refusals(cluster: &Cluster, about: &str) -> Vec<String> {
    let events = cluster.events_about(about).await;
    let refused = events.into_iter().filter(|event| event.reason.as_deref() == Some("FailedCreate"));
    refused.filter_map(|event| event.message).collect()
}

/// Waits for the first refusal of what a Job wants; its message.
async fn first_refusal(cluster: &Cluster, name: &str) -> String {
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), "default");
    let selected = format!("involvedObject.name={name},reason=FailedCreate");
    let told = async {
        let mut events = std::pin::pin!(watcher(events, watcher::Config::default().fields(&selected)));
        while let Some(event) = events.next().await {
            if let watcher::Event::InitApply(event) | watcher::Event::Apply(event) = event.expect("a watch") {
                return event.message.unwrap_or_default();
            }
        }
        String::new()
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it is told in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn job_wider_than_its_quota_runs_narrower_and_ends() {
    let cluster = Cluster::start().await;
    limit(&cluster, &json!({"pods": "2", "count/pods": "20", "count/jobs.batch": "1"})).await;
    let mut wide = job("wide", &["true"]);
    wide["spec"]["parallelism"] = json!(5);
    wide["spec"]["completions"] = json!(9);
    cluster.create(wide).await;
    cluster.wait_job("wide", has_condition("Complete")).await;
    used(&cluster, &json!({"pods": "0", "count/pods": "9", "count/jobs.batch": "1"})).await;
    let told = refusals(&cluster, "wide").await;
    assert!(
        told.iter().any(|text| text.starts_with("Error creating: pods \"wide-")
            && text.ends_with(
                "is forbidden: exceeded quota: quota, requested: pods=1, used: pods=2, limited: pods=2"
            )),
        "{told:#?}"
    );
    let refused = serde_json::from_value(job("second", &["true"])).expect("a Job");
    let answer = cluster.jobs().create(&PostParams::default(), &refused).await.expect_err("refused");
    let said = answer.to_string();
    assert!(
        said.contains(
            "jobs.batch \"second\" is forbidden: exceeded quota: quota, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: count/jobs.batch=1"
        ),
        "{said}"
    );
    cluster.jobs().delete("wide", &DeleteParams::background()).await.expect("deleted");
    used(&cluster, &json!({"pods": "0", "count/pods": "0", "count/jobs.batch": "0"})).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_come_at_once_as_many_come_in_as_there_are_places() {
    let cluster = Cluster::start().await;
    limit(&cluster, &json!({"count/jobs.batch": "7"})).await;
    let creates = stream::iter(0..40).map(|n| {
        let mut held = job(&format!("job-{n}"), &["true"]);
        held["spec"]["suspend"] = json!(true);
        let held = serde_json::from_value(held).expect("a Job");
        let jobs = cluster.jobs();
        async move { jobs.create(&PostParams::default(), &held).await.is_ok() }
    });
    let made: Vec<bool> = creates.buffer_unordered(16).collect().await;
    assert_eq!(made.iter().filter(|made| **made).count(), 7);
    assert_eq!(cluster.jobs().list(&ListParams::default()).await.expect("a list").items.len(), 7);
    used(&cluster, &json!({"count/jobs.batch": "7"})).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_job_goes_on_when_the_quota_allows_more() {
    let cluster = Cluster::start().await;
    limit(&cluster, &json!({"requests.cpu": "0"})).await;
    let mut asking = job("asking", &["true"]);
    asking["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "100m"}});
    cluster.create(asking).await;
    first_refusal(&cluster, "asking").await;
    let active = cluster.jobs().get("asking").await.expect("the Job").status.and_then(|status| status.active);
    assert_eq!(active.unwrap_or(0), 0);
    let more = json!({"spec": {"hard": {"requests.cpu": "1"}}});
    let patched = quotas(&cluster).patch("quota", &PatchParams::default(), &Patch::Merge(&more)).await;
    patched.expect("patched");
    cluster.wait_job("asking", has_condition("Complete")).await;
    used(&cluster, &json!({"requests.cpu": "0"})).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_holds_under_the_next_engine_too() {
    let mut cluster = Cluster::with(|config| config.store = StoreKind::Durable).await;
    limit(&cluster, &json!({"pods": "1", "configmaps": "3"})).await;
    cluster.create(job("first", &["sleep", "1000"])).await;
    let running = cluster.pods_of("first").await;
    assert!(running.len() <= 1);
    used(&cluster, &json!({"pods": "1", "configmaps": "1"})).await;
    cluster.engine.take().expect("an engine").stop(StopPods::Leave).await;
    let mut again = config(&cluster.home);
    again.store = StoreKind::Durable;
    let engine = Engine::start(again).await.expect("the engine starts again");
    cluster.client = engine.client();
    cluster.engine = Some(engine);
    let single = json!({"metadata": {"name": "single"}, "spec": {
        "runtimeClassName": "windlass-host", "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "host", "command": ["true"]}]}});
    let single = serde_json::from_value(single).expect("a Pod");
    let answer = cluster.pods().create(&PostParams::default(), &single).await.expect_err("refused");
    assert!(answer.to_string().contains("used: pods=1, limited: pods=1"), "{answer}");
    cluster.jobs().delete("first", &DeleteParams::background()).await.expect("deleted");
    used(&cluster, &json!({"pods": "0"})).await;
    cluster.pods().create(&PostParams::default(), &single).await.expect("created");
    cluster.wait_pod("single", pod_phase("Succeeded")).await;
    used(&cluster, &json!({"pods": "0"})).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_range_gives_a_jobs_pods_what_they_do_not_say_and_refuses_what_is_too_much() {
    let cluster = Cluster::start().await;
    let ranges: Api<LimitRange> = Api::namespaced(cluster.client.clone(), "default");
    let range = json!({"metadata": {"name": "limits"}, "spec": {"limits": [
        {"type": "Container", "max": {"cpu": "500m"}, "defaultRequest": {"cpu": "10m"}}]}});
    let range = serde_json::from_value(range).expect("a LimitRange");
    ranges.create(&PostParams::default(), &range).await.expect("created");
    cluster.create(job("plain", &["true"])).await;
    cluster.wait_job("plain", has_condition("Complete")).await;
    let pods = cluster.pods_of("plain").await;
    let pod = serde_json::to_value(&pods[0]).expect("JSON");
    assert_eq!(
        pod["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "10m"}})
    );
    assert_eq!(
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    );
    let mut greedy = job("greedy", &["true"]);
    greedy["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1"}});
    cluster.create(greedy).await;
    let told = first_refusal(&cluster, "greedy").await;
    assert!(
        told.ends_with("is forbidden: maximum cpu usage per Container is 500m, but limit is 1"),
        "{told}"
    );
    ranges.delete("limits", &DeleteParams::default()).await.expect("deleted");
    cluster.wait_job("greedy", has_condition("Complete")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_that_asks_for_more_than_the_limit_it_is_given_is_refused() {
    let cluster = Cluster::start().await;
    let ranges: Api<LimitRange> = Api::namespaced(cluster.client.clone(), "default");
    let limits = json!([{"type": "Container", "default": {"memory": "512Mi"}}]);
    let range = json!({"metadata": {"name": "limits"}, "spec": {"limits": limits}});
    let range = serde_json::from_value(range).expect("a LimitRange");
    ranges.create(&PostParams::default(), &range).await.expect("created");
    let mut large = job("large", &["true"]);
    large["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"memory": "2Gi"}});
    cluster.create(large).await;
    let told = first_refusal(&cluster, "large").await;
    assert!(told.contains("must be less than or equal to memory limit of 512Mi"), "{told}");
    assert!(cluster.pods_of("large").await.is_empty());
    cluster.stop().await;
}

/// A pod that finds no node here and so stays as it is.
fn waiting(name: &str, cpu: &str) -> k8s_openapi::api::core::v1::Pod {
    let pod = json!({"metadata": {"name": name, "labels": {"go": "yes"}}, "spec": {
        "runtimeClassName": "windlass-host", "restartPolicy": "Never", "nodeSelector": {"no": "such"},
        "containers": [{"name": "main", "image": "host", "command": ["true"],
            "resources": {"requests": {"cpu": cpu}}}]}});
    serde_json::from_value(pod).expect("a Pod")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_and_remove_is_given_back_as_it_is_counted() {
    let cluster = Cluster::start().await;
    limit(&cluster, &json!({"pods": "40", "count/pods": "40", "requests.cpu": "40", "configmaps": "9"}))
        .await;
    let pods = cluster.pods();
    for number in 0..20 {
        let pod = waiting(&format!("pod-{number}"), "500m");
        pods.create(&PostParams::default(), &pod).await.expect("created");
    }
    used(&cluster, &json!({"pods": "20", "count/pods": "20", "requests.cpu": "10", "configmaps": "1"})).await;
    let settings = serde_json::from_value(json!({"metadata": {"name": "settings"}})).expect("a ConfigMap");
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    maps.create(&PostParams::default(), &settings).await.expect("created");
    // Five end, of them two go; five others go; the rest only gets labels, and one of it is marked.
    let ended = json!({"status": {"phase": "Succeeded"}});
    let labelled = json!({"metadata": {"labels": {"seen": "yes"}}});
    for number in 0..5 {
        let name = format!("pod-{number}");
        let patched = pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&ended)).await;
        patched.expect("its end is told");
    }
    for number in 5..20 {
        let name = format!("pod-{number}");
        pods.patch(&name, &PatchParams::default(), &Patch::Merge(&labelled)).await.expect("labelled");
    }
    for number in [0, 1, 5, 6, 7, 8, 9] {
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        pods.delete(&format!("pod-{number}"), &now).await.expect("deleted");
    }
    maps.delete("settings", &DeleteParams::default()).await.expect("deleted");
    let left = json!({"pods": "10", "count/pods": "13", "requests.cpu": "5", "configmaps": "1"});
    used(&cluster, &left).await;
    // A count finds the same: another limit has all counted.
    let more = json!({"spec": {"hard": {"secrets": "9"}}});
    quotas(&cluster).patch("quota", &PatchParams::default(), &Patch::Merge(&more)).await.expect("patched");
    let mut all = left;
    all["secrets"] = json!("0");
    used(&cluster, &all).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_of_two_namespaces_hold_while_both_are_filled_at_once() {
    let cluster = Cluster::start().await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(cluster.client.clone());
    let second = serde_json::from_value(json!({"metadata": {"name": "second"}})).expect("a Namespace");
    namespaces.create(&PostParams::default(), &second).await.expect("created");
    let quota =
        json!({"metadata": {"name": "quota"}, "spec": {"hard": {"count/jobs.batch": "5", "pods": "2"}}});
    let quota: ResourceQuota = serde_json::from_value(quota).expect("a quota");
    for namespace in ["default", "second"] {
        let quotas: Api<ResourceQuota> = Api::namespaced(cluster.client.clone(), namespace);
        quotas.create(&PostParams::default(), &quota).await.expect("created");
        let counted = |quota: Option<&ResourceQuota>| {
            quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.used.is_some())
        };
        let waiting = await_condition(quotas, "quota", counted);
        tokio::time::timeout(PATIENCE, waiting).await.expect("it is counted in time").expect("a watch");
    }
    let creates = stream::iter(0..40).map(|n| {
        let namespace = if n % 2 == 0 { "default" } else { "second" };
        let jobs: Api<k8s_openapi::api::batch::v1::Job> = Api::namespaced(cluster.client.clone(), namespace);
        let job = serde_json::from_value(job(&format!("job-{n}"), &["true"])).expect("a Job");
        async move { jobs.create(&PostParams::default(), &job).await.ok().map(|_| (namespace, n)) }
    });
    let made: Vec<(&str, i32)> =
        creates.buffer_unordered(16).filter_map(|made| async move { made }).collect().await;
    for namespace in ["default", "second"] {
        assert_eq!(made.iter().filter(|(of, _)| *of == namespace).count(), 5, "{namespace}");
    }
    for (namespace, n) in made {
        let jobs: Api<k8s_openapi::api::batch::v1::Job> = Api::namespaced(cluster.client.clone(), namespace);
        let name = format!("job-{n}");
        let done = await_condition(jobs, &name, has_condition("Complete"));
        tokio::time::timeout(PATIENCE, done).await.expect("it is done in time").expect("a watch");
    }
    used(&cluster, &json!({"count/jobs.batch": "5", "pods": "0"})).await;
    cluster.stop().await;
}
