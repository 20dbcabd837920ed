//! CronJobs on the engine: due by a clock that the test sets forward, also while no engine runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::{Ahead, Cluster, PATIENCE, config, finished, job};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{Condition, await_condition, conditions};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use windlass_engine::{Engine, StopPods, StoreKind, World};

const HOUR: i64 = 3600;

struct Crons {
    cluster: Cluster,
    clock: Arc<Ahead>,
}

impl Crons {
    async fn start() -> Crons {
        // Ten past: no hour begins but when a test says so.
        let clock = Arc::new(Ahead::default());
        clock.0.store(600 - clock.now().as_second().rem_euclid(HOUR) + HOUR, Ordering::Relaxed);
        let world = Arc::clone(&clock);
        let cluster = Cluster::with(|config| {
            config.world = world;
            config.store = StoreKind::Durable;
        })
        .await;
        Crons { cluster, clock }
    }

    fn api(&self) -> Api<CronJob> {
        Api::namespaced(self.cluster.client.clone(), "default")
    }

    async fn create(&self, cron: Value) {
        let cron = serde_json::from_value(cron).expect("a CronJob");
        self.api().create(&PostParams::default(), &cron).await.expect("the CronJob is created");
    }

    async fn patch(&self, name: &str, patch: Value) {
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    /// Sets the clock forward, and has the engine look at it at once.
    async fn pass(&self, name: &str, seconds: i64) {
        let passed = self.clock.0.fetch_add(seconds, Ordering::Relaxed) + seconds;
        self.patch(name, json!({"metadata": {"annotations": {"passed": passed.to_string()}}})).await;
    }

    async fn wait(&self, name: &str, condition: impl Condition<CronJob>) -> CronJob {
        let waiting = await_condition(self.api(), name, condition);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(cron) => cron.expect("a watch").expect("the CronJob is there"),
            Err(_) => panic!("{name} never came so far: {:#?}", self.api().get(name).await.map(|c| c.status)),
        }
    }

    async fn jobs(&self) -> Vec<Job> {
        self.cluster.jobs().list(&ListParams::default()).await.expect("a list").items
    }

    async fn told(&self, name: &str) -> Vec<String> {
        let events = self.cluster.events_about(name).await;
        events.into_iter().filter_map(|event| event.reason).collect()
    }

    /// Stops the engine and starts another one on the same home, so many seconds later.
    async fn restart(&mut self, later: i64) {
        let engine = self.cluster.engine.take().expect("an engine");
        engine.stop(StopPods::Leave).await;
        self.clock.0.fetch_add(later, Ordering::Relaxed);
        let mut config = config(&self.cluster.home);
        config.store = StoreKind::Durable;
        config.world = self.clock.clone();
        let engine = Engine::start(config).await.expect("the engine starts again");
        self.cluster.client = engine.client();
        self.cluster.engine = Some(engine);
    }
}

/// A CronJob of host processes that is due at every full hour.
fn hourly(name: &str, argv: &[&str], spec: &Value) -> Value {
    let mut cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
        "spec": {"schedule": "0 * * * *", "jobTemplate": {
            "metadata": {"labels": {"made": "here"}}, "spec": job(name, argv)["spec"],
        }},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        cron["spec"][key] = value.clone();
    }
    cron
}

fn status(check: impl Fn(&k8s_openapi::api::batch::v1::CronJobStatus) -> bool) -> impl Condition<CronJob> {
    move |cron: Option<&CronJob>| cron.and_then(|cron| cron.status.as_ref()).is_some_and(&check)
}

fn active(count: usize) -> impl Condition<CronJob> {
    status(move |status| status.active.as_ref().map_or(0, Vec::len) == count)
}

fn succeeded() -> impl Condition<CronJob> {
    status(|status| status.last_successful_time.is_some() && status.active.is_none())
}

fn name(job: &Job) -> String {
    job.metadata.name.clone().expect("a name")
}

/// The hour that an offset of the clock has come to.
fn hour(clock: &Ahead) -> Timestamp {
    let now = clock.now().as_second();
    Timestamp::from_second(now - now.rem_euclid(HOUR)).expect("a time")
}

fn scheduled(job: &Job) -> Timestamp {
    let annotations = job.metadata.annotations.as_ref().expect("annotations");
    annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"].parse().expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_made_when_its_time_comes_runs_and_is_remembered() {
    let crons = Crons::start().await;
    crons.create(hourly("tick", &["sh", "-c", "echo ran"], &json!({}))).await;
    crons.pass("tick", HOUR).await;
    crons.wait("tick", succeeded()).await;
    let [made] = &crons.jobs().await[..] else { panic!("one job") };
    assert_eq!(scheduled(made), hour(&crons.clock));
    assert_eq!(name(made), format!("tick-{}", scheduled(made).as_second() / 60));
    assert_eq!(made.metadata.labels.as_ref().expect("labels")["made"], "here");
    let [pod] = &crons.cluster.pods_of(&name(made)).await[..] else { panic!("one pod") };
    assert_eq!(crons.cluster.log(pod.metadata.name.as_deref().expect("a name")).await, "ran\n");
    let mut told = crons.told("tick").await;
    told.sort();
    assert_eq!(told, ["SawCompletedJob", "SuccessfulCreate"], "and no MissingJob or UnexpectedJob");

    let uid = made.metadata.uid.clone().expect("a uid");
    crons.api().delete("tick", &DeleteParams::default()).await.expect("deleted");
    let made = name(made);
    let gone = await_condition(crons.cluster.jobs(), &made, conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("its jobs go with it").expect("a watch");
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_times_that_no_engine_saw_the_latest_is_made_up_for_once() {
    let mut crons = Crons::start().await;
    crons.create(hourly("tick", &["true"], &json!({}))).await;
    crons.restart(5 * HOUR).await;
    crons.wait("tick", succeeded()).await;
    crons.restart(0).await;
    crons.patch("tick", json!({"metadata": {"annotations": {"looked": "at"}}})).await;
    // A Job that the engine makes after that patch's look would be another.
    crons.cluster.create(job("after", &["true"])).await;
    crons.cluster.wait_job("after", finished()).await;
    let made: Vec<Job> = crons.jobs().await.into_iter().filter(|job| name(job) != "after").collect();
    let [made] = &made[..] else { panic!("one job: {made:#?}") };
    assert!(hour(&crons.clock).duration_since(scheduled(made)) <= SignedDuration::from_hours(1));
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_still_runs_is_run_beside_waited_for_or_replaced() {
    let crons = Crons::start().await;
    for policy in ["Allow", "Forbid", "Replace"] {
        let tick = policy.to_lowercase();
        crons.create(hourly(&tick, &["sleep", "600"], &json!({"concurrencyPolicy": policy}))).await;
        crons.pass(&tick, HOUR).await;
        let first = crons.wait(&tick, active(1)).await.status.expect("a status").last_schedule_time;
        crons.pass(&tick, HOUR).await;
        match policy {
            "Allow" => drop(crons.wait(&tick, active(2)).await),
            "Forbid" => {
                event_of(&crons, "JobAlreadyActive").await;
                let status = crons.api().get(&tick).await.expect("it").status.expect("a status");
                assert_eq!((status.last_schedule_time, status.active.map(|a| a.len())), (first, Some(1)));
            }
            _ => {
                let later = status(move |status| status.last_schedule_time > first);
                let status = crons.wait(&tick, later).await.status.expect("a status");
                assert_eq!(status.active.map(|active| active.len()), Some(1));
                let mine = |job: &Job| {
                    name(job).starts_with("replace-") && job.metadata.deletion_timestamp.is_none()
                };
                assert_eq!(crons.jobs().await.iter().filter(|job| mine(job)).count(), 1);
            }
        }
        crons.patch(&tick, json!({"spec": {"suspend": true}})).await;
    }
    crons.cluster.stop().await;
}

/// Waits for an event with this reason; its message.
async fn event_of(crons: &Crons, reason: &str) -> String {
    let api: Api<Event> = Api::namespaced(crons.cluster.client.clone(), "default");
    let config = watcher::Config::default().fields(&format!("reason={reason}"));
    let mut events = Box::pin(watcher(api, config).applied_objects());
    let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("it is told");
    event.expect("a stream").expect("an event").message.expect("a message")
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_jobs_beyond_the_limit_go() {
    let crons = Crons::start().await;
    let limit = json!({"successfulJobsHistoryLimit": 1});
    crons.create(hourly("tick", &["true"], &limit)).await;
    let mut last = None;
    for _ in 0..3 {
        crons.pass("tick", HOUR).await;
        let before = last;
        let done = status(move |s| {
            s.active.is_none() && s.last_schedule_time > before && s.last_successful_time.is_some()
        });
        last = crons.wait("tick", done).await.status.expect("a status").last_schedule_time;
    }
    // The one before goes in the transaction that takes the last one off the list.
    let [kept] = &crons.jobs().await[..] else { panic!("one is kept") };
    assert_eq!(Some(scheduled(kept)), last.map(|time| time.0));
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_one_makes_nothing_and_a_changed_schedule_makes_up_for_nothing() {
    let crons = Crons::start().await;
    crons.create(hourly("tick", &["true"], &json!({"suspend": true}))).await;
    crons.pass("tick", 2 * HOUR).await;
    // What was asked for before a job that has ended has been looked at: one that is still to be looked at is looked
    // at as it is then, and makes up for what it missed.
    crons.cluster.create(job("before", &["true"])).await;
    crons.cluster.wait_job("before", finished()).await;
    crons.patch("tick", json!({"spec": {"schedule": "0 0 29 2 *"}})).await;
    crons.patch("tick", json!({"spec": {"suspend": false, "schedule": "0 * * * *"}})).await;
    crons.cluster.create(job("after", &["true"])).await;
    crons.cluster.wait_job("after", finished()).await;
    assert_eq!(crons.jobs().await.len(), 2, "only the other ones");
    crons.pass("tick", HOUR).await;
    crons.wait("tick", succeeded()).await;
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_was_deleted_leaves_the_list_and_one_made_by_hand_is_not_expected() {
    let crons = Crons::start().await;
    crons.create(hourly("tick", &["sleep", "600"], &json!({}))).await;
    crons.pass("tick", HOUR).await;
    crons.wait("tick", active(1)).await;
    let [made] = &crons.jobs().await[..] else { panic!("one job") };
    crons.cluster.jobs().delete(&name(made), &DeleteParams::background()).await.expect("deleted");
    crons.wait("tick", active(0)).await;
    let uid = crons.api().get("tick").await.expect("it").metadata.uid.expect("a uid");
    let mut by_hand = job("by-hand", &["true"]);
    by_hand["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": uid, "controller": true}]);
    crons.cluster.create(by_hand).await;
    crons.wait("tick", succeeded()).await;
    let told = crons.told("tick").await;
    assert!(
        ["MissingJob", "UnexpectedJob"].iter().all(|reason| told.iter().any(|t| t == reason)),
        "{told:?}"
    );
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_the_api_refuses_is_told_of() {
    let crons = Crons::start().await;
    let long = "a".repeat(52);
    let mut cron = hourly(&long, &["true"], &json!({}));
    cron["spec"]["jobTemplate"]["spec"]["completionMode"] = "Indexed".into();
    cron["spec"]["jobTemplate"]["spec"]["completions"] = 1000.into();
    crons.create(cron).await;
    crons.pass(&long, HOUR).await;
    let message = event_of(&crons, "FailedCreate").await;
    assert!(
        message.starts_with("Error creating job: Job.batch") && message.contains("DNS label"),
        "{message}"
    );
    assert!(crons.jobs().await.is_empty());
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_that_goes_takes_its_cron_jobs_with_it() {
    let crons = Crons::start().await;
    let spaces: Api<Namespace> = Api::all(crons.cluster.client.clone());
    let lab = serde_json::from_value(json!({"metadata": {"name": "lab"}})).expect("a namespace");
    let uid =
        spaces.create(&PostParams::default(), &lab).await.expect("created").metadata.uid.expect("a uid");
    let inside: Api<CronJob> = Api::namespaced(crons.cluster.client.clone(), "lab");
    let tick =
        serde_json::from_value(hourly("tick", &["true"], &json!({"schedule": "@every 1s"}))).expect("it");
    inside.create(&PostParams::default(), &tick).await.expect("created");
    spaces.delete("lab", &DeleteParams::default()).await.expect("deleted");
    let gone = await_condition(spaces, "lab", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("it empties itself").expect("a watch");
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zone_of_the_schedule_is_that_of_its_name() {
    let crons = Crons::start().await;
    let wrong =
        serde_json::from_value(hourly("tick", &["true"], &json!({"timeZone": "bad-time-zone"}))).expect("it");
    let refused = crons.api().create(&PostParams::default(), &wrong).await.expect_err("refused");
    let kube::Error::Api(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.code, 422);
    assert!(refused.message.contains("unknown time zone bad-time-zone"), "{}", refused.message);
    // Half an hour from UTC: full hours there are half hours here.
    crons.create(hourly("tick", &["true"], &json!({"timeZone": "Asia/Kolkata"}))).await;
    crons.pass("tick", HOUR).await;
    crons.wait("tick", succeeded()).await;
    let [made] = &crons.jobs().await[..] else { panic!("one job") };
    assert_eq!(scheduled(made).as_second().rem_euclid(HOUR), HOUR / 2);
    let annotations = made.metadata.annotations.as_ref().expect("annotations");
    assert!(annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"].ends_with(":00+05:30"));
    crons.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedule_that_never_comes_keeps_no_engine() {
    let cluster =
        Cluster::with(|config| config.idle_exit = Some(std::time::Duration::from_millis(100))).await;
    let crons: Api<CronJob> = Api::namespaced(cluster.client.clone(), "default");
    let never = hourly("never", &["true"], &json!({"schedule": "0 0 31 2 *"}));
    let never = serde_json::from_value(never).expect("it");
    crons.create(&PostParams::default(), &never).await.expect("created");
    let idle = cluster.engine.as_ref().expect("an engine").idle();
    tokio::time::timeout(PATIENCE, idle).await.expect("nothing keeps it");
    crons.get("never").await.expect("it is kept all the same");
    cluster.stop().await;
}
