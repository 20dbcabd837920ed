//! An engine of a test's own: in a temporary home, on a free loopback port, ended with the test.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, LogParams, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use windlass_engine::{Config, Engine, Home, Images, StopPods, StoreKind, System, World};

/// What a test waits for takes far less; a machine under load may take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The system's clock, set forward by so many seconds.
#[derive(Default)]
pub(crate) struct Ahead(pub(crate) AtomicI64);

impl World for Ahead {
    fn now(&self) -> Timestamp {
        System.now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
    fn random(&self, buffer: &mut [u8]) {
        System.random(buffer);
    }
}

/// A clock that stands still until it is set forward by so many seconds.
pub(crate) struct Standing {
    since: Timestamp,
    pub(crate) ahead: AtomicI64,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing { since: System.now(), ahead: AtomicI64::new(0) }
    }
}

impl World for Standing {
    fn now(&self) -> Timestamp {
        self.since + SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed))
    }
    fn random(&self, buffer: &mut [u8]) {
        System.random(buffer);
    }
}

/// What processes write into a pipe, line by line.
pub(crate) struct Heard(Lines<BufReader<pipe::Receiver>>);

impl Heard {
    pub(crate) fn at(place: &Path) -> Heard {
        assert!(std::process::Command::new("mkfifo").arg(place).status().expect("mkfifo").success());
        // Open for both: it does not end when a writer goes.
        let pipe = pipe::OpenOptions::new().read_write(true).open_receiver(place).expect("the pipe");
        Heard(BufReader::new(pipe).lines())
    }

    pub(crate) async fn next(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.0.next_line()).await.expect("somebody speaks in time");
        line.expect("a pipe").expect("a line")
    }
}

pub(crate) struct Cluster {
    pub(crate) engine: Option<Engine>,
    pub(crate) client: Client,
    pub(crate) home: TempDir,
}

pub(crate) fn config(home: &TempDir) -> Config {
    let mut config = Config::new(Home::at(home.path().join("home")), windlass_runner::testing::shim_argv());
    config.store = StoreKind::Memory;
    // Not what the machine has that runs the tests.
    config.devices = home.path().join("no-devices");
    config.environment = vec![
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOME".to_owned(), home.path().display().to_string()),
        ("TMPDIR".to_owned(), home.path().display().to_string()),
    ];
    config
}

impl Cluster {
    pub(crate) async fn start() -> Cluster {
        Cluster::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Cluster {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut config = config(&home);
        change(&mut config);
        let engine = Engine::start(config).await.expect("the engine starts");
        let client = engine.client();
        Cluster { engine: Some(engine), client, home }
    }

    pub(crate) async fn images_on_host() -> Cluster {
        Cluster::with(|config| config.images = Images::Host).await
    }

    pub(crate) fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn create(&self, job: Value) -> Job {
        let job = serde_json::from_value(job).expect("a Job");
        self.jobs().create(&PostParams::default(), &job).await.expect("the Job is created")
    }

    pub(crate) async fn wait_job(&self, name: &str, condition: impl Condition<Job>) -> Job {
        let waiting = await_condition(self.jobs(), name, condition);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(job) => job.expect("a watch").expect("the Job is there"),
            Err(_) => {
                panic!("{name} never came so far: {:#?}", self.jobs().get(name).await.map(|j| j.status))
            }
        }
    }

    pub(crate) async fn wait_pod(&self, name: &str, condition: impl Condition<Pod>) -> Option<Pod> {
        let waiting = await_condition(self.pods(), name, condition);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(pod) => pod.expect("a watch"),
            Err(_) => {
                panic!("{name} never came so far: {:#?}", self.pods().get(name).await.map(|p| p.status))
            }
        }
    }

    pub(crate) async fn pods_of(&self, job: &str) -> Vec<Pod> {
        let list = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        self.pods().list(&list).await.expect("a list").items
    }

    pub(crate) async fn log(&self, pod: &str) -> String {
        self.pods().logs(pod, &LogParams::default()).await.expect("a log")
    }

    pub(crate) async fn events_about(&self, name: &str) -> Vec<Event> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let list = ListParams::default().fields(&format!("involvedObject.name={name}"));
        events.list(&list).await.expect("a list").items
    }

    pub(crate) async fn stop(mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop(StopPods::End).await;
        }
    }
}

/// A Job of host processes.
pub(crate) fn job(name: &str, argv: &[&str]) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "runtimeClassName": "windlass-host", "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "host", "command": argv}],
        }}},
    })
}

pub(crate) fn has_condition(kind: &'static str) -> impl Condition<Job> {
    move |job: Option<&Job>| {
        let conditions = job.and_then(|j| j.status.as_ref()).and_then(|s| s.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == kind && c.status == "True"))
    }
}

pub(crate) fn pod_phase(phase: &'static str) -> impl Condition<Pod> {
    move |pod: Option<&Pod>| {
        pod.and_then(|p| p.status.as_ref()).and_then(|s| s.phase.as_deref()) == Some(phase)
    }
}

pub(crate) fn finished() -> impl Condition<Job> {
    has_condition("Complete").or(has_condition("Failed"))
}

/// The reason of a Job's condition.
pub(crate) fn reason(job: &Job, kind: &str) -> String {
    let conditions = job.status.as_ref().and_then(|s| s.conditions.as_ref());
    let found = conditions.into_iter().flatten().find(|c| c.type_ == kind);
    found.and_then(|c| c.reason.clone()).unwrap_or_default()
}

/// Waits until an event about the pod says this.
pub(crate) async fn told(cluster: &Cluster, pod: &str, reason: &str, message: &str) {
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), "default");
    let is_told = |event: &Event| {
        event.reason.as_deref() == Some(reason)
            && event.message.as_deref().is_some_and(|text| text.contains(message))
    };
    let config = kube::runtime::watcher::Config::default().fields(&format!("involvedObject.name={pod}"));
    let mut stream = std::pin::pin!(kube::runtime::watcher(events, config));
    let waiting = async {
        use futures::StreamExt;
        use kube::runtime::watcher::Event::{Apply, InitApply};
        while let Some(next) = stream.next().await {
            if let Ok(Apply(event) | InitApply(event)) = next
                && is_told(&event)
            {
                return;
            }
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{reason} {message}: {:#?}", cluster.events_about(pod).await);
    }
}
