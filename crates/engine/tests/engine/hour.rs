//! Watches that are held for an hour: Jobs come, run, end and are deleted, a CronJob fires each minute, and each client
//! tells every event once and in order, whenever its watch ends by its time and is taken up again.
//!
//! Nothing takes an hour: the engine's clock is set forward minute by minute, and so is the time by which watches end,
//! which is the machine's everywhere else. After each minute every client must have told all that there was to tell.

mod clients;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::{Api, Patch, PatchParams, PostParams, WatchEvent};
use serde_json::json;
use tokio::sync::oneshot;
use windlass_engine::{System, World};

use self::clients::Client;
use crate::clock::{advance, job};
use crate::support::{Cluster, PATIENCE, has_condition};

const MINUTE: Duration = Duration::from_secs(60);
/// Each minute it is written to: who has told that has told all before it.
const MARKER: &str = "marker";

/// The machine's clock, but for the time that clients have waited: that passes when a test says so.
#[derive(Default)]
struct Hour(Mutex<Timers>);

#[derive(Default)]
struct Timers {
    passed: Duration,
    waiting: Vec<(Duration, oneshot::Sender<()>)>,
    /// How long watches were to last that clients have opened.
    spans: Vec<Duration>,
}

impl World for Hour {
    fn now(&self) -> Timestamp {
        System.now()
    }

    fn random(&self, buffer: &mut [u8]) {
        System.random(buffer);
    }

    fn waited(&self, span: Duration) -> BoxFuture<'static, ()> {
        let (over, told) = oneshot::channel();
        let mut timers = self.0.lock().expect("nobody panics with it");
        let due = timers.passed + span;
        timers.waiting.push((due, over));
        timers.spans.push(span);
        Box::pin(async move { told.await.expect("it is told before it is forgotten") })
    }
}

impl Hour {
    fn pass(&self, span: Duration) {
        let mut timers = self.0.lock().expect("nobody panics with it");
        timers.passed += span;
        let now = timers.passed;
        let waiting = std::mem::take(&mut timers.waiting);
        let (mut due, later): (Vec<_>, _) = waiting.into_iter().partition(|(at, _)| *at <= now);
        timers.waiting = later.into_iter().filter(|(_, over)| !over.is_closed()).collect();
        due.sort_by_key(|(at, _)| *at);
        for (_, over) in due {
            // Its watch may have ended.
            let _ = over.send(());
        }
    }

    fn passed(&self) -> Duration {
        self.0.lock().expect("nobody panics with it").passed
    }

    /// How many watches were opened that were to last so many seconds.
    fn opened(&self, seconds: std::ops::Range<u64>) -> usize {
        let timers = self.0.lock().expect("nobody panics with it");
        timers.spans.iter().filter(|span| seconds.contains(&span.as_secs())).count()
    }
}

/// What there was to tell, from one watch that lasts for all of it, and each Job as it was then.
struct Truth {
    stream: BoxStream<'static, Result<WatchEvent<Job>, kube::Error>>,
    told: Vec<(&'static str, Job)>,
}

impl Truth {
    async fn follow(cluster: &Cluster, marker: Job) -> Truth {
        let version = marker.metadata.resource_version.clone().expect("a version");
        let path = format!(
            "/apis/batch/v1/namespaces/default/jobs?watch=true&timeoutSeconds=86400&resourceVersion={version}"
        );
        let request = Request::get(path).body(Vec::new()).expect("a request");
        let stream = cluster.client.request_events::<Job>(request).await.expect("a watch").boxed();
        Truth { stream, told: vec![("ADDED", marker)] }
    }

    async fn until(&mut self, version: &str) {
        while self.told.last().and_then(|(_, job)| job.metadata.resource_version.as_deref()) != Some(version)
        {
            let event =
                tokio::time::timeout(PATIENCE, self.stream.try_next()).await.expect("it is told in time");
            self.told.push(match event.expect("a watch").expect("it lasts a day") {
                WatchEvent::Added(job) => ("ADDED", job),
                WatchEvent::Modified(job) => ("MODIFIED", job),
                WatchEvent::Deleted(job) => ("DELETED", job),
                other => panic!("{other:?}"),
            });
        }
    }

    /// What happened to the Jobs whose names begin so, by their names.
    fn lives(&self, prefix: &str) -> BTreeMap<&str, Vec<&'static str>> {
        let mut lives: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (kind, job) in &self.told {
            let name = job.metadata.name.as_deref().expect("a name");
            if name.starts_with(prefix) {
                lives.entry(name).or_default().push(*kind);
            }
        }
        lives
    }
}

async fn each_minute(cluster: &Cluster) {
    let template = job("x", "{run: 20s, exit: 0}", &json!({}));
    let cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "minutely"},
        "spec": {
            "schedule": "* * * * *", "successfulJobsHistoryLimit": 3,
            "jobTemplate": {"spec": template["spec"]},
        },
    });
    let crons: Api<CronJob> = Api::namespaced(cluster.client.clone(), "default");
    let cron = serde_json::from_value(cron).expect("a CronJob");
    crons.create(&PostParams::default(), &cron).await.expect("it is created");
}

/// Every ten minutes: one that succeeds, one that fails after a retry, and one that is resumed; all go five minutes
/// after their ends.
async fn each_tenth_minute(cluster: &Cluster, minute: u32) {
    let brief = json!({"ttlSecondsAfterFinished": 300, "backoffLimit": 1});
    cluster.create(job(&format!("brief-{minute}"), "{run: 90s, exit: 0}", &brief)).await;
    cluster.create(job(&format!("fails-{minute}"), "{run: 5s, exit: 1}", &brief)).await;
    let later = json!({"ttlSecondsAfterFinished": 300, "suspend": true});
    let later = cluster.create(job(&format!("later-{minute}"), "{run: 30s, exit: 0}", &later)).await;
    let name = later.metadata.name.expect("a name");
    let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
    cluster.jobs().patch(&name, &PatchParams::default(), &resume).await.expect("it is resumed");
}

async fn write_marker(cluster: &Cluster, minute: u32) -> String {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"minute": minute.to_string()}}}));
    let marker = cluster.jobs().patch(MARKER, &PatchParams::default(), &patch).await.expect("it is there");
    marker.metadata.resource_version.expect("a version")
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_of_every_client_tell_an_hour_once_and_in_order() {
    let hour = Arc::new(Hour::default());
    let world = Arc::clone(&hour);
    let cluster = Cluster::with(|config| {
        config.movable_clock = true;
        config.world = world;
    })
    .await;
    cluster.create(job(MARKER, "run: forever", &json!({"suspend": true}))).await;
    // Its controller writes once that it is suspended.
    let marker = cluster.wait_job(MARKER, has_condition("Suspended")).await;
    let mut truth = Truth::follow(&cluster, marker).await;
    let mut clients = Client::all(&cluster).await;
    for client in &mut clients {
        client.tells(&truth.told, hour.passed()).await;
    }
    each_minute(&cluster).await;
    for minute in 1..=60 {
        // Watches end, and are taken up again, while things happen.
        hour.pass(MINUTE);
        if minute % 10 == 1 {
            each_tenth_minute(&cluster, minute).await;
        }
        advance(&cluster, "1m").await;
        truth.until(&write_marker(&cluster, minute).await).await;
        for client in &mut clients {
            client.tells(&truth.told, hour.passed()).await;
        }
    }
    happened(&truth);
    // As upstream: who does not say for how long has a watch for half an hour at least and for no whole one.
    let forever = clients.iter().filter(|client| client.is_unlimited()).count();
    let unlimited = hour.opened(1800..3600);
    let again = clients.iter().filter(|client| client.goes_on_by_itself()).count();
    assert!(unlimited >= forever + again, "{unlimited} watches of {forever} clients");
    // kube-rs asks for 290 seconds.
    assert!(hour.opened(290..291) >= 2 * 12, "{}", hour.opened(290..291));
    // A client that opened its watch in the first minute has one that ends in this one.
    hour.pass(MINUTE);
    for client in clients {
        client.ends(hour.passed()).await;
    }
    cluster.stop().await;
}

/// The hour was as it should be, so that to tell it means something.
fn happened(truth: &Truth) {
    let fired = truth.lives("minutely-");
    assert!(fired.len() >= 60, "{} Jobs", fired.len());
    let minutes: BTreeSet<u64> = fired.keys().map(|name| name[9..].parse().expect("minutes")).collect();
    let (first, last) = (minutes.first().expect("a minute"), minutes.last().expect("a minute"));
    assert_eq!(last - first + 1, minutes.len() as u64, "one a minute: {minutes:?}");
    let gone = fired.values().filter(|life| life.last() == Some(&"DELETED")).count();
    // One may run, and one may have ended at this moment.
    assert!(fired.len() - gone <= 3 + 2, "three are kept: {gone} of {} are gone", fired.len());
    for prefix in ["brief-", "fails-", "later-"] {
        let lives = truth.lives(prefix);
        let gone = lives.values().filter(|life| life.last() == Some(&"DELETED")).count();
        assert_eq!((lives.len(), gone), (6, 6), "{prefix}: {lives:?}");
    }
    for life in fired.values() {
        let added = life.iter().filter(|kind| **kind == "ADDED").count();
        assert!(life[0] == "ADDED" && added == 1, "{life:?}");
    }
}
