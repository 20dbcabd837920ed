//! Whatever becomes of the requests: one Job a submission, the true end of each, every byte of its log.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use serde_json::{Value, json};
use windlass::manifest::{Base, Cause, Manifest, make};
use windlass::model::{JobRequest, Place, SubmissionId};
use windlass::{FollowEvent, JobManager, LogEvent, LogOptions, SubmitOptions, Submitted};

use crate::chance::Chance;
use crate::model::Model;

/// What becomes of a job in the model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    Ends(i32),
    Deleted,
    /// Deleted, and another one made under its name.
    Replaced,
}

fn manifest(name: &str) -> Manifest {
    let request = JobRequest::new(vec![name.to_owned()], Place::Image("busybox".to_owned()));
    make(&Base::Request(Box::new(request)), &[]).unwrap()
}

fn pod(job: &str, uid: &Value) -> Value {
    json!({
        "metadata": { "name": format!("{job}-0"), "namespace": "lab", "uid": format!("pod-of-{job}"),
            "labels": { "batch.kubernetes.io/controller-uid": uid },
            "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": uid, "controller": true }] },
        "spec": { "restartPolicy": "Never", "containers": [{ "name": "main" }] },
        "status": { "phase": "Pending" },
    })
}

fn state(phase: &str, state: &Value) -> Value {
    json!({ "status": { "phase": phase, "containerStatuses":
        [{ "name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state }] } })
}

/// Runs a job in the model to its end, in virtual time; its log's clock jumps.
async fn live(model: Model, job: String, life: Life, lines: u64) {
    let chance = model.trouble.chance.clone();
    let pause = async |from, to| tokio::time::sleep(chance.millis(from, to)).await;
    let uid = model.state().jobs[&job]["metadata"]["uid"].clone();
    let pod_name = format!("{job}-0");
    pause(0, 500).await;
    model.put("pods", &pod_name, Some(pod(&job, &uid)));
    pause(0, 3000).await;
    let started = json!({ "startedAt": "2026-11-20T10:00:00Z" });
    model.patch("pods", &pod_name, state("Running", &json!({ "running": started })));
    model.patch("jobs", &job, json!({ "status": { "startTime": "2026-11-20T10:00:00Z", "active": 1 } }));
    for number in 0..lines {
        pause(0, 4000).await;
        let jump = i64::try_from(chance.below(200)).unwrap() - if chance.percent(10) { 3000 } else { 0 };
        let time = jiff::Timestamp::from_millisecond(
            1_795_168_800_000 + i64::try_from(number).unwrap() * 100 + jump,
        );
        let line = (time.unwrap().to_string(), format!("{job} line {number}"));
        model.state().logs.entry(pod_name.clone()).or_default().push(line);
        model.news.send_modify(|_| {});
    }
    pause(0, 2000).await;
    let Life::Ends(code) = life else {
        // Whoever waits has looked at it by then.
        pause(80_000, 100_000).await;
        model.put("jobs", &job, None);
        if life == Life::Replaced {
            let other = json!({ "metadata": { "name": job, "namespace": "lab", "uid": format!("other-{job}") },
                "spec": {}, "status": { "conditions": [{ "type": "Complete", "status": "True" }] } });
            model.put("jobs", &job, Some(other));
        }
        return;
    };
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let end = json!({ "terminated": { "exitCode": code, "startedAt": "2026-11-20T10:00:00Z" } });
    let mut status = state(phase, &end);
    status["status"]["containerStatuses"][0]["state"]["running"] = Value::Null;
    model.patch("pods", &pod_name, status);
    pause(0, 500).await;
    let kind = if code == 0 { "Complete" } else { "Failed" };
    let count = if code == 0 { "succeeded" } else { "failed" };
    let conditions = json!([{ "type": kind, "status": "True", "reason": "BackoffLimitExceeded" }]);
    model.patch("jobs", &job, json!({ "status": { "active": 0, count: 1, "conditions": conditions } }));
}

/// Two minutes of bad weather.
async fn storm(model: Model) {
    let percent = 25 + model.trouble.chance.below(30);
    model.storm(percent, 12, 20_000).await;
}

/// What was seen of one job: how it ended, what it wrote, what was missing of that.
async fn follow(manager: &JobManager, submitted: &Submitted) -> (Cause, u8, String, Vec<LogEvent>) {
    let (mut text, mut gaps, mut end) = (String::new(), Vec::new(), None);
    let mut events =
        manager.follow_submitted(submitted, LogOptions { follow: true, ..LogOptions::default() });
    while let Some(event) = events.next().await {
        match event.unwrap() {
            FollowEvent::Log(LogEvent::Chunk(chunk)) => {
                text.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
            }
            FollowEvent::Log(gap) => gaps.push(gap),
            FollowEvent::Status(_) | FollowEvent::Stuck(_) | FollowEvent::Outlived(_) => {}
            FollowEvent::Ended(outcome) => end = Some((outcome.cause, outcome.exit.code())),
        }
    }
    let (cause, exit) = end.unwrap();
    (cause, exit, text, gaps)
}

/// Gives how many logs were given up and marked so.
async fn one_seed(seed: u64) -> usize {
    let mut marked = 0;
    let chance = Chance::new(seed);
    let model = Model::new(&chance);
    let manager = model.manager();
    let weather = tokio::spawn(storm(model.clone()));
    let lives = [Life::Ends(0), Life::Ends(7), Life::Ends(0), Life::Deleted, Life::Replaced, Life::Ends(3)];
    let one = async |number: usize, life: Life| {
        let chosen =
            number.is_multiple_of(2).then(|| SubmissionId::parse(format!("seed-{number}").as_str()).unwrap());
        let options = SubmitOptions { id: chosen, ..SubmitOptions::default() };
        let submitted = manager.submit(&manifest(&format!("job-{number}")), &options).await.unwrap();
        let lines = model.trouble.chance.below(12);
        let living = tokio::spawn(live(model.clone(), submitted.name.clone(), life, lines));
        let (followed, waited) =
            futures::join!(follow(&manager, &submitted), manager.wait(&submitted.name, None));
        living.await.unwrap();
        (life, submitted, followed, waited.unwrap())
    };
    let ends = join_all(lives.into_iter().enumerate().map(|(number, life)| one(number, life))).await;
    for (life, submitted, (cause, exit, text, gaps), waited) in ends {
        let place = format!("seed {seed}, {} that {life:?}", submitted.name);
        assert_eq!((&waited.cause, waited.exit.code()), (&cause, exit), "{place}");
        match life {
            Life::Ends(code) => {
                assert_eq!(i32::from(exit), code, "{place}: {cause:?}");
                let lines = model.state().logs.get(&format!("{}-0", submitted.name)).cloned();
                let truth: String =
                    lines.unwrap_or_default().iter().map(|(_, line)| format!("{line}\n")).collect();
                if gaps.is_empty() {
                    assert_eq!(text, truth, "{place}");
                } else {
                    // Given up because the storm outlasted the patience after the job's end: that is marked.
                    assert!(truth.starts_with(&text), "{place}: {text}");
                    marked += 1;
                }
            }
            Life::Deleted | Life::Replaced => assert_eq!(cause, Cause::Deleted, "{place}"),
        }
    }
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    model.state().made.iter().for_each(|id| *made.entry(id.clone()).or_default() += 1);
    assert_eq!(made.len(), lives.len(), "seed {seed}");
    assert!(made.values().all(|count| *count == 1), "seed {seed}: {made:?}");
    weather.abort();
    marked
}

#[tokio::test(start_paused = true)]
async fn no_storm_doubles_a_job_or_hides_its_end_or_a_byte() {
    let mut marked = 0;
    for seed in 0..100 {
        let within = Duration::from_secs(3600);
        let end = tokio::time::timeout(within, one_seed(seed)).await;
        marked += end.unwrap_or_else(|_| panic!("seed {seed} did not end"));
    }
    assert!(marked < 20, "{marked} of 400 logs were given up");
}

#[tokio::test(start_paused = true)]
async fn many_jobs_are_waited_for_with_one_watch_in_any_weather() {
    for seed in 100..120 {
        let chance = Chance::new(seed);
        let model = Model::new(&chance);
        let manager = model.manager();
        let mut truth = BTreeMap::new();
        for number in 0..20 {
            let submitted =
                manager.submit(&manifest(&format!("job-{number}")), &SubmitOptions::default()).await.unwrap();
            let life = match number % 5 {
                3 => Life::Deleted,
                4 => Life::Replaced,
                code => Life::Ends(code),
            };
            tokio::spawn(live(model.clone(), submitted.name.clone(), life, 3));
            truth.insert(submitted.name, life);
        }
        let weather = tokio::spawn(storm(model.clone()));
        let names = truth.keys().cloned().chain(["never-there".to_owned()]);
        let mut ends: BTreeMap<_, _> = manager.wait_all(names).collect().await;
        let missing = ends.remove("never-there").unwrap().unwrap_err();
        assert!(matches!(missing, windlass::Error::NotFound { .. }), "seed {seed}: {missing}");
        assert_eq!(ends.len(), truth.len());
        for (name, end) in ends {
            let end = end.unwrap();
            match truth[&name] {
                Life::Ends(code) => assert_eq!(i32::from(end.exit.code()), code, "seed {seed}, {name}"),
                _ => assert_eq!(end.cause, Cause::Deleted, "seed {seed}, {name}"),
            }
        }
        weather.abort();
    }
}
