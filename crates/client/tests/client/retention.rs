//! Retention: what is marked, what is deleted, what stops it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use windlass::JobManager;
use windlass::retention::Retention;
use windlass::world::{Real, World};

use crate::support::{JOBS, Reply, Server, job, merge, refusal, running};

const MARK: &str = "job_deletion_time_unix_sec";
/// The time of these tests.
const NOW: i64 = 1_000_000;

/// A wall clock that goes with the runtime's, which the tests stop.
struct Clock(tokio::time::Instant);

impl World for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap() + self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> futures::future::BoxFuture<'static, ()> {
        Real.sleep(duration)
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// A server that keeps jobs with their revisions; a change or deletion of another revision is a conflict.
#[derive(Clone)]
struct Cluster {
    server: Server,
    jobs: Arc<Mutex<Vec<Value>>>,
}

/// A finished job `name` of these annotations, which ended so many seconds ago.
fn ended(name: &str, ago: i64, marks: &Value) -> Value {
    let time = Timestamp::from_second(NOW - ago).unwrap().to_string();
    let mut made = job(
        1,
        json!({ "status": { "succeeded": 1, "completionTime": time, "conditions":
        [{ "type": "Complete", "status": "True", "lastTransitionTime": time }] } }),
    );
    merge(&mut made, json!({ "metadata": { "name": name, "uid": name, "annotations": marks } }));
    made
}

impl Cluster {
    fn of(jobs: Vec<Value>) -> Self {
        let cluster = Cluster { server: Server::new(), jobs: Arc::new(Mutex::new(jobs)) };
        let names: Vec<String> = cluster
            .jobs
            .lock()
            .unwrap()
            .iter()
            .map(|job| job["metadata"]["name"].as_str().unwrap().into())
            .collect();
        let kept = cluster.jobs.clone();
        cluster.server.on(
            &format!("GET {JOBS}"),
            Reply::Of(Box::new(move |_| {
                Reply::Json(200, json!({ "metadata": {}, "items": *kept.lock().unwrap() }))
            })),
        );
        for name in names {
            let (kept, of) = (cluster.jobs.clone(), name.clone());
            cluster.server.on(
                &format!("PATCH {JOBS}/{name}"),
                Reply::Of(Box::new(move |seen| {
                    let mut jobs = kept.lock().unwrap();
                    let job = jobs.iter_mut().find(|job| job["metadata"]["name"] == of).unwrap();
                    if job["metadata"]["resourceVersion"] != seen.body["metadata"]["resourceVersion"] {
                        return refusal(409, "Conflict", "the object has been modified");
                    }
                    merge(job, seen.body.clone());
                    job["metadata"]["resourceVersion"] = "2".into();
                    Reply::Json(200, job.clone())
                })),
            );
            let (kept, of) = (cluster.jobs.clone(), name.clone());
            cluster.server.on(
                &format!("DELETE {JOBS}/{name}"),
                Reply::Of(Box::new(move |seen| {
                    let mut jobs = kept.lock().unwrap();
                    let place = jobs.iter().position(|job| job["metadata"]["name"] == of).unwrap();
                    let meta = &jobs[place]["metadata"];
                    let wanted = &seen.body["preconditions"];
                    if wanted["uid"] != meta["uid"] || wanted["resourceVersion"] != meta["resourceVersion"] {
                        return refusal(409, "Conflict", "the precondition does not hold");
                    }
                    assert_eq!(seen.body["propagationPolicy"], "Foreground");
                    jobs.remove(place);
                    Reply::Json(200, json!({}))
                })),
            );
        }
        cluster
    }

    fn manager(&self) -> JobManager {
        self.server.manager().in_world(Arc::new(Clock(tokio::time::Instant::now())))
    }

    fn retention(&self) -> Retention {
        Retention::signed(&self.manager(), "ci").unwrap().period(Duration::from_secs(100))
    }

    fn names(&self) -> Vec<String> {
        self.jobs.lock().unwrap().iter().map(|job| job["metadata"]["name"].as_str().unwrap().into()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn finished_jobs_are_marked_with_their_end_and_the_period() {
    let mut busy = job(1, running());
    merge(&mut busy, json!({ "metadata": { "name": "busy" } }));
    let cluster =
        Cluster::of(vec![ended("new", 10, &json!({})), ended("kept", 10, &json!({ MARK: "2000000" })), busy]);
    let pass = cluster.retention().mark().await.unwrap();
    assert_eq!(pass.marked, [("new".to_owned(), NOW - 10 + 100)]);
    assert_eq!((pass.deleted.len(), pass.skipped.len()), (0, 0));
    let patch = &cluster.server.asked(&format!("PATCH {JOBS}/new"))[0].body;
    let expected =
        json!({ "metadata": { "resourceVersion": "1", "annotations": { MARK: (NOW + 90).to_string() } } });
    assert_eq!(*patch, expected);
    assert!(cluster.server.asked(&format!("PATCH {JOBS}/kept")).is_empty());
    assert!(cluster.server.asked(&format!("PATCH {JOBS}/busy")).is_empty());
    let selector = &cluster.server.seen()[0].query["labelSelector"];
    assert_eq!(selector, "app.kubernetes.io/managed-by=ci");
    assert_eq!(cluster.retention().mark().await.unwrap().marked, [], "a mark is put once");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_deleted_and_nothing_else() {
    let mut busy = job(1, running());
    merge(&mut busy, json!({ "metadata": { "name": "busy", "annotations": { MARK: "1" } } }));
    let cluster = Cluster::of(vec![
        ended("due", 10, &json!({ MARK: NOW.to_string() })),
        ended("later", 500, &json!({ MARK: (NOW + 1).to_string() })),
        ended("unmarked", 500, &json!({})),
        ended("strange", 500, &json!({ MARK: "soon" })),
        busy,
    ]);
    let pass = cluster.retention().clean().await.unwrap();
    assert_eq!(pass.deleted, ["due"]);
    assert_eq!(cluster.names(), ["later", "unmarked", "strange", "busy"]);
    let [(name, reason)] = &pass.skipped[..] else { panic!("{pass:?}") };
    assert!(name == "strange" && reason.contains("\"soon\""), "{reason}");
    let pass = cluster.retention().mark_and_clean().await.unwrap();
    assert_eq!((pass.marked.len(), pass.deleted.as_slice()), (1, &["unmarked".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_fails_keeps_the_job_and_is_called_again() {
    let cluster =
        Cluster::of(vec![ended("due", 10, &json!({ MARK: "1" })), ended("also", 10, &json!({ MARK: "1" }))]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let retention = cluster.retention().before_deletion(move |job| {
        let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            assert!(job.metadata.name.is_some());
            if first { Err("the archive is full".into()) } else { Ok(()) }
        }
    });
    let pass = retention.clean().await.unwrap();
    assert_eq!(pass.deleted, ["also"]);
    assert_eq!(pass.skipped, [("due".to_owned(), "the archive is full".to_owned())]);
    assert_eq!(retention.clean().await.unwrap().deleted, ["due"]);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn who_raises_the_time_during_the_callback_keeps_the_job() {
    let cluster = Cluster::of(vec![ended("due", 10, &json!({ MARK: "1" }))]);
    let jobs = cluster.jobs.clone();
    let retention = cluster.retention().before_deletion(move |_| {
        let mut jobs = jobs.lock().unwrap();
        merge(
            &mut jobs[0],
            json!({ "metadata": { "resourceVersion": "9", "annotations": { MARK: "2000000" } } }),
        );
        async { Ok(()) }
    });
    let pass = retention.clean().await.unwrap();
    assert_eq!(pass.skipped, [("due".to_owned(), "was changed meanwhile".to_owned())]);
    assert_eq!(retention.clean().await.unwrap(), Default::default());
    assert_eq!(cluster.names(), ["due"]);
}

#[tokio::test(start_paused = true)]
async fn cleaning_now_needs_no_mark_and_respects_one() {
    let jobs = || {
        vec![
            ended("old", 101, &json!({})),
            ended("young", 99, &json!({})),
            ended("held", 500, &json!({ MARK: "2000000" })),
        ]
    };
    let cluster = Cluster::of(jobs());
    assert_eq!(cluster.retention().clean_now(true).await.unwrap().deleted, ["old"]);
    assert_eq!(cluster.names().len(), 3, "a dry run changes nothing");
    assert_eq!(cluster.retention().clean_now(false).await.unwrap().deleted, ["old"]);
    assert_eq!(cluster.names(), ["young", "held"]);
    assert!(cluster.server.seen().iter().all(|seen| !seen.route.starts_with("PATCH")));
}

#[tokio::test(start_paused = true)]
async fn the_background_goes_on_until_it_is_stopped() {
    let cluster = Cluster::of(vec![ended("a", 10, &json!({})), ended("b", 90, &json!({}))]);
    let (sender, mut passes) = tokio::sync::mpsc::unbounded_channel();
    let background = cluster.retention().start(Duration::from_secs(60), move |pass| {
        sender.send(pass.unwrap()).unwrap();
    });
    assert_eq!(passes.recv().await.unwrap().marked.len(), 2);
    assert_eq!(passes.recv().await.unwrap().deleted, ["b"]);
    assert_eq!(passes.recv().await.unwrap().deleted, ["a"]);
    // The clock stands still as long as anything can go on: the pause before the next pass is not waited for.
    let before = tokio::time::Instant::now();
    background.stop().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(passes.recv().await.is_none(), "nothing goes on");
}

#[tokio::test(start_paused = true)]
async fn the_background_is_stopped_in_the_middle_of_a_pass() {
    let cluster = Cluster::of(vec![ended("due", 10, &json!({ MARK: "1" }))]);
    let (sender, mut called) = tokio::sync::mpsc::unbounded_channel();
    let retention = cluster.retention().before_deletion(move |_| {
        sender.send(()).unwrap();
        futures::future::pending()
    });
    let background = retention.start(Duration::from_secs(60), |_| ());
    called.recv().await.unwrap();
    background.stop().await;
    assert_eq!(cluster.names(), ["due"]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_fails_is_told_and_made_again() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), refusal(403, "Forbidden", "no"));
    server.on(&format!("GET {JOBS}"), Reply::Json(200, json!({ "metadata": {}, "items": [] })));
    let (sender, mut passes) = tokio::sync::mpsc::unbounded_channel();
    let background = Retention::ours(&server.manager()).start(Duration::from_secs(60), move |pass| {
        sender.send(pass.is_ok()).unwrap();
    });
    assert_eq!((passes.recv().await, passes.recv().await), (Some(false), Some(true)));
    assert_eq!(server.seen()[0].query["labelSelector"], "windlass.dev/managed-by=windlass");
    drop(background);
    assert_eq!(passes.recv().await, None, "who drops it stops it");
}

#[tokio::test]
async fn what_cannot_be_a_signature_is_refused() {
    for signature in ["", "a,b=c", "a b"] {
        assert!(Retention::signed(&Server::new().manager(), signature).is_err(), "{signature}");
    }
}
