//! Finished Jobs, of which the engine keeps next to nothing in memory: what still can happen to them does.

use std::sync::Arc;

use crate::support::{Cluster, PATIENCE, config, finished, has_condition, job};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::json;
use windlass_engine::{Engine, StopPods, StoreKind, System, World};

/// A clock that is ahead of the machine's.
struct Ahead(SignedDuration);

impl World for Ahead {
    fn now(&self) -> Timestamp {
        System.now().saturating_add(self.0).expect("a time")
    }

    fn random(&self, buffer: &mut [u8]) {
        System.random(buffer);
    }
}

/// Stops the engine and starts another one on the same home, some time later.
async fn restart(cluster: &mut Cluster, later: SignedDuration) {
    let engine = cluster.engine.take().expect("an engine");
    engine.stop(StopPods::Leave).await;
    let mut config = config(&cluster.home);
    config.store = StoreKind::Durable;
    config.world = Arc::new(Ahead(later));
    let engine = Engine::start(config).await.expect("the engine starts again");
    cluster.client = engine.client();
    cluster.engine = Some(engine);
}

async fn durable() -> Cluster {
    Cluster::with(|config| config.store = StoreKind::Durable).await
}

async fn is_gone(cluster: &Cluster, name: &str, uid: &str) {
    let gone = await_condition(cluster.jobs(), name, conditions::is_deleted(uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes").expect("a watch");
    assert!(cluster.pods_of(name).await.is_empty(), "its pods go with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_to_live_of_a_finished_job_runs_out_in_another_engine() {
    let mut cluster = durable().await;
    for (name, ttl) in [("brief", 600), ("lasting", 100_000)] {
        let mut spec = job(name, &["true"]);
        spec["spec"]["ttlSecondsAfterFinished"] = json!(ttl);
        cluster.create(spec).await;
        cluster.wait_job(name, finished()).await;
    }
    let uid = cluster.jobs().get("brief").await.expect("the Job").metadata.uid.expect("a uid");
    restart(&mut cluster, SignedDuration::from_hours(1)).await;
    is_gone(&cluster, "brief", &uid).await;
    assert!(cluster.jobs().get("lasting").await.is_ok());
    assert_eq!(cluster.pods_of("lasting").await.len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_had_finished_before_the_engine_started_is_deleted_with_its_pods() {
    let mut cluster = durable().await;
    for name in ["one", "two"] {
        cluster.create(job(name, &["true"])).await;
        cluster.wait_job(name, finished()).await;
    }
    restart(&mut cluster, SignedDuration::ZERO).await;
    for (name, policy) in [("one", PropagationPolicy::Background), ("two", PropagationPolicy::Foreground)] {
        let uid = cluster.jobs().get(name).await.expect("the Job").metadata.uid.expect("a uid");
        let delete = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        cluster.jobs().delete(name, &delete).await.expect("deleted");
        let gone = await_condition(cluster.jobs(), name, conditions::is_deleted(&uid));
        tokio::time::timeout(PATIENCE, gone).await.expect("it goes").expect("a watch");
        for pod in cluster.pods_of(name).await {
            let (pod, uid) = (pod.metadata.name.expect("a name"), pod.metadata.uid.expect("a uid"));
            let gone = await_condition(cluster.pods(), &pod, conditions::is_deleted(&uid));
            tokio::time::timeout(PATIENCE, gone).await.expect("its pod goes").expect("a watch");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_job_can_be_given_a_time_to_live() {
    let mut cluster = durable().await;
    cluster.create(job("late", &["true"])).await;
    let uid = cluster.wait_job("late", has_condition("Complete")).await.metadata.uid.expect("a uid");
    restart(&mut cluster, SignedDuration::ZERO).await;
    let patch = Patch::Merge(json!({"spec": {"ttlSecondsAfterFinished": 0}}));
    cluster.jobs().patch("late", &PatchParams::default(), &patch).await.expect("patched");
    is_gone(&cluster, "late", &uid).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_of_the_api_says_where_it_listens_and_is_written_when_that_changes() {
    let mut cluster = durable().await;
    let find = async |cluster: &Cluster| {
        let services: Api<Service> = Api::namespaced(cluster.client.clone(), "default");
        let all = services.list(&ListParams::default()).await.expect("a list").items;
        assert_eq!(all.len(), 1, "no other is made here");
        services.get("kubernetes").await.expect("the API's service")
    };
    let before = find(&cluster).await;
    let spec = before.spec.clone().expect("a spec");
    assert_eq!(spec.cluster_ip.as_deref(), Some("127.0.0.1"));
    let port =
        |service: &Service| service.spec.as_ref().expect("a spec").ports.as_ref().expect("ports")[0].port;
    let address = cluster.engine.as_ref().expect("an engine").address();
    assert_eq!(port(&before), i32::from(address.port()));
    restart(&mut cluster, SignedDuration::ZERO).await;
    let after = find(&cluster).await;
    let is_same = after.metadata.resource_version == before.metadata.resource_version;
    assert_eq!(is_same, port(&after) == port(&before), "{after:#?}");
    cluster.stop().await;
}
