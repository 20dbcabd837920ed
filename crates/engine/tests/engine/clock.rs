//! A clock that is set forward through the API: a day of CronJobs, times to live, deadlines and back-offs in a moment.

use http::Request;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use windlass_engine::Engine;

use crate::support::{Cluster, PATIENCE, config, finished, pod_phase, reason};

/// Seconds that may pass by themselves on a machine with much to do: the clock goes on between its leaps.
const SLACK: std::ops::RangeInclusive<i64> = 0..=300;

pub(crate) async fn start() -> Cluster {
    Cluster::with(|config| config.movable_clock = true).await
}

/// Sends a body to the clock, and waits until all that was due has happened.
async fn ask(cluster: &Cluster, body: Value) -> Result<Value, kube::Error> {
    let request = Request::post("/windlass/clock").body(body.to_string().into_bytes()).expect("a request");
    tokio::time::timeout(PATIENCE, cluster.client.request(request)).await.expect("an answer")
}

pub(crate) async fn advance(cluster: &Cluster, span: &str) -> Value {
    ask(cluster, json!({"advance": span})).await.expect("the clock is set forward")
}

/// A Job of an image that nobody pulls, with a fate; `spec` says more of it.
pub(crate) fn job(name: &str, fate: &str, spec: &Value) -> Value {
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"template": {
            "metadata": {"annotations": {"fate.windlass.dev/pod": fate}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/app:1"}]},
        }},
    });
    for (key, value) in spec.as_object().expect("an object") {
        job["spec"][key] = value.clone();
    }
    job
}

fn seconds(job: &Job) -> i64 {
    let status = job.status.as_ref().expect("a status");
    let end = status.completion_time.as_ref().or_else(|| {
        let failed = status.conditions.iter().flatten().find(|c| c.type_ == "Failed");
        failed.and_then(|c| c.last_transition_time.as_ref())
    });
    end.expect("an end").0.as_second() - status.start_time.as_ref().expect("a start").0.as_second()
}

#[tokio::test]
async fn a_day_of_an_hourly_cron_job_is_a_moment() {
    let cluster = start().await;
    let crons: Api<CronJob> = Api::namespaced(cluster.client.clone(), "default");
    let template = job("x", "{run: 5m, exit: 0}", &json!({}));
    let cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "hourly"},
        "spec": {"schedule": "0 * * * *", "successfulJobsHistoryLimit": 100, "jobTemplate": {"spec": template["spec"]}},
    });
    crons.create(&PostParams::default(), &serde_json::from_value(cron).unwrap()).await.unwrap();
    let before: jiff::Timestamp = advance(&cluster, "0s").await["now"].as_str().unwrap().parse().unwrap();
    let told = advance(&cluster, "1d").await;
    let after: jiff::Timestamp = told["now"].as_str().unwrap().parse().unwrap();
    assert!(after.as_second() - before.as_second() >= 86_400, "{told}");
    // What the leap itself took has passed on the machine, too.
    assert!(told["aheadSeconds"].as_i64() > Some(0), "{told}");
    let jobs = cluster.jobs().list(&ListParams::default()).await.unwrap().items;
    // Each hour has had its Job, at its time, and none was missed.
    assert!((24..=25).contains(&jobs.len()), "{}", jobs.len());
    let scheduled = |job: &Job| {
        let annotations = job.metadata.annotations.as_ref().unwrap();
        let at: jiff::Timestamp =
            annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"].parse().unwrap();
        at.as_second()
    };
    let mut starts: Vec<i64> = jobs.iter().map(scheduled).collect();
    starts.sort_unstable();
    let late = |job: &Job| job.metadata.creation_timestamp.as_ref().unwrap().0.as_second() - scheduled(job);
    assert!(jobs.iter().all(|job| SLACK.contains(&late(job))), "{starts:?}");
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{starts:?}");
    let ended: Vec<&Job> =
        jobs.iter().filter(|job| job.status.as_ref().unwrap().succeeded == Some(1)).collect();
    assert!(ended.len() >= 24 - 1, "{} of {}", ended.len(), jobs.len());
    assert!(ended.iter().all(|job| SLACK.contains(&(seconds(job) - 300))));
    cluster.stop().await;
}

#[tokio::test]
async fn back_off_deadline_and_time_to_live_come_at_their_times() {
    let cluster = start().await;
    cluster.create(job("retried", "exit: [1, 1, OOMKilled, 0]", &json!({"backoffLimit": 6}))).await;
    cluster.create(job("beaten", "exit: 1", &json!({"backoffLimit": 2}))).await;
    cluster.create(job("late", "run: forever", &json!({"activeDeadlineSeconds": 600}))).await;
    cluster.create(job("brief", "{run: 1m, exit: 0}", &json!({"ttlSecondsAfterFinished": 3600}))).await;
    advance(&cluster, "30m").await;
    let job = async |name: &str| cluster.jobs().get(name).await.unwrap();
    let retried = job("retried").await;
    assert_eq!(retried.status.as_ref().unwrap().failed, Some(3));
    // Ten seconds, twenty, forty: upstream's waits between one failure and the next pod.
    assert!(SLACK.contains(&(seconds(&retried) - 70)), "{}", seconds(&retried));
    assert_eq!(reason(&job("beaten").await, "Failed"), "BackoffLimitExceeded");
    let late = job("late").await;
    assert_eq!(reason(&late, "Failed"), "DeadlineExceeded");
    assert!(SLACK.contains(&(seconds(&late) - 600)), "{}", seconds(&late));
    let brief = job("brief").await;
    assert!(SLACK.contains(&(seconds(&brief) - 60)), "{}", seconds(&brief));
    // Later than the hour and the minute together: the pod may have begun after the clock was first asked.
    advance(&cluster, "40m").await;
    assert!(cluster.jobs().get_opt("brief").await.unwrap().is_none(), "its time to live is over");
    assert!(cluster.jobs().get_opt("late").await.unwrap().is_some());
    cluster.stop().await;
}

#[tokio::test]
async fn image_comes_after_its_time_and_a_crash_loop_backs_off() {
    let cluster = start().await;
    let fate = "{stuck: {reason: ErrImagePull, for: 40s}, run: 10s}";
    cluster.create(job("image", fate, &json!({}))).await;
    let mut loops = job("loops", "exit: [1, 1, 1, 0]", &json!({}));
    loops["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    cluster.create(loops).await;
    let fate = "unschedulable: {message: no room yet, for: 2m}";
    cluster.create(job("waits", fate, &json!({}))).await;
    advance(&cluster, "10m").await;
    let image = cluster.wait_job("image", finished()).await;
    assert!(SLACK.contains(&(seconds(&image) - 50)), "{}", seconds(&image));
    let loops = cluster.wait_job("loops", finished()).await;
    assert_eq!(loops.status.as_ref().unwrap().succeeded, Some(1));
    assert!(SLACK.contains(&(seconds(&loops) - 30)), "{}", seconds(&loops));
    let pod = &cluster.pods_of("loops").await[0];
    assert_eq!(pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].restart_count, 3);
    let waits = cluster.wait_job("waits", finished()).await;
    assert!(SLACK.contains(&(seconds(&waits) - 119)), "{}", seconds(&waits));
    cluster.stop().await;
}

#[tokio::test]
async fn lines_and_readiness_come_as_the_clock_goes() {
    let cluster = start().await;
    let fate = "{stdout: \"one\\ntwo\\nthree\", every: 1h, run: forever, ready: 30m, term: ignore}";
    let mut pod = job("x", fate, &json!({}))["spec"]["template"].take();
    pod["metadata"]["name"] = "slow".into();
    pod["spec"]["terminationGracePeriodSeconds"] = 36_000.into();
    let pod: Pod = serde_json::from_value(pod).unwrap();
    cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    cluster.wait_pod("slow", pod_phase("Running")).await.unwrap();
    let is_ready = async || {
        let pod = json!(cluster.pods().get("slow").await.unwrap().status);
        pod["containerStatuses"][0]["ready"] == true
    };
    assert!(!is_ready().await);
    advance(&cluster, "30m").await;
    assert!(is_ready().await);
    assert_eq!(cluster.log("slow").await, "one\n");
    advance(&cluster, "1h").await;
    assert_eq!(cluster.log("slow").await, "one\ntwo\n");
    cluster.pods().delete("slow", &Default::default()).await.unwrap();
    advance(&cluster, "5h").await;
    assert!(cluster.pods().get_opt("slow").await.unwrap().is_some(), "it ignores being asked");
    advance(&cluster, "6h").await;
    assert!(cluster.pods().get_opt("slow").await.unwrap().is_none());
    cluster.stop().await;
}

#[tokio::test]
async fn clock_of_an_engine_that_is_not_for_tests_cannot_be_moved() {
    let cluster = Cluster::start().await;
    let told = ask(&cluster, json!({"advance": "1h"})).await.unwrap_err().to_string();
    assert!(told.contains("cannot be moved") && told.contains("windlass up --ephemeral"), "{told}");
    let read = Request::get("/windlass/clock").body(Vec::new()).unwrap();
    let told: Value = cluster.client.request(read).await.unwrap();
    assert_eq!((&told["canMove"], &told["aheadSeconds"]), (&json!(false), &json!(0)));
    cluster.stop().await;
}

#[tokio::test]
async fn clock_refuses_what_it_does_not_understand_and_never_goes_back() {
    let home = tempfile::tempdir().unwrap();
    let movable = || {
        let mut config = config(&home);
        config.movable_clock = true;
        config
    };
    let engine = Engine::start(movable()).await.unwrap();
    let mut cluster =
        Cluster { client: engine.client(), engine: Some(engine), home: tempfile::tempdir().unwrap() };
    for body in [json!({}), json!({"advance": "soon"}), json!({"to": "2001-01-01T00:00:00Z"}), json!([])] {
        let told = ask(&cluster, body).await.unwrap_err().to_string();
        assert!(
            told.contains("send {") || told.contains("no time") || told.contains("only goes forward"),
            "{told}"
        );
    }
    let before: jiff::Timestamp = advance(&cluster, "1000d").await["now"].as_str().unwrap().parse().unwrap();
    cluster.engine.take().unwrap().stop(windlass_engine::StopPods::Leave).await;
    let engine = Engine::start(movable()).await.unwrap();
    (cluster.client, cluster.engine) = (engine.client(), Some(engine));
    let after: jiff::Timestamp = advance(&cluster, "0s").await["now"].as_str().unwrap().parse().unwrap();
    assert!(after >= before, "{before} {after}");
    cluster.stop().await;
}

#[tokio::test]
async fn crash_loop_of_a_pod_alone_goes_its_whole_way_in_one_leap() {
    let cluster = start().await;
    let mut pod = job("x", "exit: 1", &json!({}))["spec"]["template"].take();
    pod["metadata"]["name"] = "loops".into();
    pod["spec"]["restartPolicy"] = "Always".into();
    let pod: Pod = serde_json::from_value(pod).unwrap();
    cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    advance(&cluster, "1h").await;
    let status = json!(cluster.pods().get("loops").await.unwrap().status);
    // At 0, 0, 10, 30, 70, 150 and 310 s, then each five minutes.
    let restarts = status["containerStatuses"][0]["restartCount"].as_u64().unwrap();
    assert!((14..=18).contains(&restarts), "{status:#}");
    cluster.stop().await;
}

#[tokio::test]
async fn process_of_the_host_that_fails_after_a_leap_is_retried_after_its_back_off() {
    let cluster = start().await;
    advance(&cluster, "1d").await;
    let mut real = crate::support::job("real", &["false"]);
    real["spec"]["backoffLimit"] = 1.into();
    cluster.create(real).await;
    let failed = |job: Option<&Job>| job.and_then(|job| job.status.as_ref()?.failed) >= Some(1);
    cluster.wait_job("real", failed).await;
    advance(&cluster, "1m").await;
    cluster.wait_job("real", finished()).await;
    let pods = cluster.pods_of("real").await;
    let mut made: Vec<i64> =
        pods.iter().map(|pod| pod.metadata.creation_timestamp.as_ref().unwrap().0.as_second()).collect();
    made.sort_unstable();
    assert!(made.len() == 2 && made[1] - made[0] >= 9, "{made:?}");
    cluster.stop().await;
}
