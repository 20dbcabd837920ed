//! The manifests of upstream's documentation of Jobs and CronJobs, written anew with the same fields and commands that
//! need no image: each behaves as its page says. Each file in `pages/` names its page.

mod concepts;
mod cron;
mod policies;
mod tasks;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{LogParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use windlass_engine::Images;

use crate::support::{Ahead, Cluster, PATIENCE, finished};

/// An engine as somebody has it who tries what a page says; its clock is the reader's.
struct Reader {
    cluster: Cluster,
    clock: Arc<Ahead>,
}

impl Reader {
    async fn start() -> Reader {
        Reader::at(Ahead::default()).await
    }

    async fn at(clock: Ahead) -> Reader {
        let clock = Arc::new(clock);
        let world = Arc::clone(&clock);
        let cluster = Cluster::with(|config| {
            config.images = Images::Host;
            config.world = world;
        })
        .await;
        Reader { cluster, clock }
    }

    /// A file that the commands know as `$TMPDIR/NAME`.
    fn place(&self, name: &str) -> PathBuf {
        self.cluster.home.path().join(name)
    }

    /// Opens the gate that commands wait at.
    fn open(&self) {
        std::fs::write(self.place("gate"), "").expect("a file");
    }

    /// Makes the one Job of a page.
    async fn submit(&self, page: &str) -> Job {
        let [job] = <[Value; 1]>::try_from(read(page)).expect("one object");
        self.cluster.create(job).await
    }

    /// Makes a Job of a page and waits for its end.
    async fn run(&self, page: &str) -> (Job, JobStatus) {
        let name = self.submit(page).await.metadata.name.expect("a name");
        self.finish(&name).await
    }

    /// Waits for a Job's end. Nobody waits for the delays between attempts: with each failure the clock is set forward.
    async fn finish(&self, name: &str) -> (Job, JobStatus) {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut states = watcher(self.cluster.jobs(), config).applied_objects().boxed();
        let mut failed = None;
        let end = async {
            loop {
                let job = match states.try_next().await {
                    // Of what has not been read yet, the store forgets what is old by the clock that was set forward;
                    // the watcher lists again.
                    Err(watcher::Error::WatchError(gone)) if gone.code == 410 => continue,
                    told => told.expect("a watch").expect("it goes on"),
                };
                let status = job.status.clone().unwrap_or_default();
                if kube::runtime::wait::Condition::matches_object(&finished(), Some(&job)) {
                    return (job, status);
                }
                if status.failed > failed {
                    failed = status.failed;
                    self.pass(1000).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, end).await.expect("it ends in time")
    }

    /// Sets the clock forward, and has the engine look at it at once, as it does whatever happens.
    async fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
        let maps: Api<ConfigMap> = Api::namespaced(self.cluster.client.clone(), "default");
        let mut passed = ConfigMap::default();
        passed.metadata.generate_name = Some("passed-".to_owned());
        maps.create(&PostParams::default(), &passed).await.expect("a ConfigMap");
    }

    async fn patch(&self, job: &str, patch: Value) -> Job {
        let patched = self.cluster.jobs().patch(job, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.expect("it is patched")
    }

    async fn wait(&self, job: &str, passes: impl Fn(&JobStatus) -> bool + Clone) -> Job {
        let passes = move |job: Option<&Job>| job.and_then(|j| j.status.as_ref()).is_some_and(&passes);
        self.cluster.wait_job(job, passes).await
    }

    async fn until_gone(&self, job: &Job) {
        let (name, uid) = (job.metadata.name.as_deref(), job.metadata.uid.as_deref());
        let (name, uid) = (name.expect("a name"), uid.expect("a uid"));
        let gone = await_condition(self.cluster.jobs(), name, conditions::is_deleted(uid));
        tokio::time::timeout(PATIENCE, gone).await.expect("it goes in time").expect("a watch");
    }

    async fn until_pod_gone(&self, pod: &Pod) {
        let (name, uid) = (pod.metadata.name.as_deref(), pod.metadata.uid.as_deref());
        let (name, uid) = (name.expect("a name"), uid.expect("a uid"));
        let gone = await_condition(self.cluster.pods(), name, conditions::is_deleted(uid));
        tokio::time::timeout(PATIENCE, gone).await.expect("it goes in time").expect("a watch");
    }

    /// The one pod of a Job.
    async fn pod_of(&self, job: &str) -> Pod {
        let [pod] = <[Pod; 1]>::try_from(self.cluster.pods_of(job).await).expect("one pod");
        pod
    }

    /// Reads a container's log until it has said this.
    async fn until_said(&self, pod: &str, text: &str) {
        let follow = LogParams { follow: true, ..LogParams::default() };
        let mut lines = self.cluster.pods().log_stream(pod, &follow).await.expect("a log").lines();
        let said = async { while lines.next().await.expect("more of it").expect("a line") != text {} };
        tokio::time::timeout(PATIENCE, said).await.expect("it speaks in time");
    }

    /// What the pods of a Job said, by completion index (of a Job without: all under the empty name).
    async fn said(&self, job: &str) -> BTreeMap<String, String> {
        let mut said = BTreeMap::<String, String>::new();
        for pod in self.cluster.pods_of(job).await {
            let name = pod.metadata.name.expect("a name");
            let labels = pod.metadata.labels.unwrap_or_default();
            let index = labels.get("batch.kubernetes.io/job-completion-index").cloned().unwrap_or_default();
            said.entry(index).or_default().push_str(&self.cluster.log(&name).await);
        }
        said
    }
}

/// The objects of a page.
fn read(page: &str) -> Vec<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/pages");
    let text = std::fs::read_to_string(folder.join(format!("{page}.yaml"))).expect("a page");
    documents(&text)
}

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|one| serde_saphyr::from_str(one).expect("YAML")).collect()
}

/// The reason of a condition that is true.
fn because(status: &JobStatus, kind: &str) -> Option<String> {
    let mut all = status.conditions.iter().flatten();
    all.find(|c| c.type_ == kind && c.status == "True").map(|c| c.reason.clone().unwrap_or_default())
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn owned_by(uid: &str) -> impl Fn(Option<&Pod>) -> bool + use<'_> {
    move |pod: Option<&Pod>| {
        let owners = pod.and_then(|pod| pod.metadata.owner_references.as_ref());
        owners.is_some_and(|all| all.iter().any(|owner| owner.uid == uid))
    }
}

fn suspended(suspend: bool) -> Value {
    json!({"spec": {"suspend": suspend}})
}
