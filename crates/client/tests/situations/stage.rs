//! Where a situation is brought about: an engine that is reached over TCP, a namespace of the situation's own in it, and the
//! library by which it is asked about.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use http::{Method, Request};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::{JobManager, Source, connect};
use windlass_engine::{Config, Engine, Home, Images, StopPods, StoreKind};

use crate::situation::Situation;

/// What a situation waits for takes far less; a machine under load may take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// An engine.
pub(crate) struct Place {
    engine: Engine,
    home: TempDir,
    /// How many CPUs and how much memory its node has.
    cpus: String,
    memory: String,
}

impl Place {
    /// Starts one as the situation needs it.
    pub(crate) async fn start(situation: &Situation) -> Place {
        let home = tempfile::tempdir().unwrap();
        let mut config =
            Config::new(Home::at(home.path().join("home")), windlass_runner::testing::shim_argv());
        let needs = situation.engine.clone().unwrap_or_default();
        config.store = StoreKind::Memory;
        config.movable_clock = needs.clock;
        config.images = if needs.images { Images::Host } else { Images::Refuse };
        // Not what the machine has that runs the tests.
        config.devices = home.path().join("no-devices");
        config.environment = vec![
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), home.path().display().to_string()),
            ("TMPDIR".to_owned(), home.path().display().to_string()),
        ];
        let engine = Engine::start(config).await.unwrap();
        let node = Api::<Node>::all(engine.client()).get("windlass").await.unwrap();
        let has = node.status.unwrap().allocatable.unwrap();
        let (cpus, memory) = (has["cpu"].0.clone(), has["memory"].0.clone());
        Place { engine, home, cpus, memory }
    }

    pub(crate) async fn stop(self) {
        self.engine.stop(StopPods::End).await;
    }

    fn kubeconfig(&self) -> std::path::PathBuf {
        self.home.path().join("home/kubeconfig")
    }

    /// A client of somebody else's.
    async fn client_of(&self, user: String) -> Client {
        let file = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let mut config =
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        config.auth_info.impersonate = Some(user);
        Client::try_from(config).unwrap()
    }
}

/// A namespace, and who asks.
pub(crate) struct Stage<'a> {
    place: &'a Place,
    pub(crate) namespace: String,
    /// The owner's.
    pub(crate) owner: Client,
    pub(crate) jobs: JobManager,
    /// Who asks why.
    pub(crate) asks: JobManager,
    /// Something has changed in the namespace, or of the node.
    pub(crate) changes: BoxStream<'static, ()>,
    /// Pods that have been seen, by what they are called in what is said.
    pods: Vec<(String, String)>,
}

impl<'a> Stage<'a> {
    /// Makes the namespace and all that is to be there before.
    pub(crate) async fn set(place: &'a Place, namespace: &str, situation: &Situation) -> Stage<'a> {
        let source = Source::Files { paths: vec![place.kubeconfig()], context: None };
        let connection = connect(&source).await.unwrap();
        let owner = connection.client.clone();
        let jobs = JobManager::of(&connection).in_namespace(namespace);
        let metadata = json!({ "name": namespace });
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
        send(&owner, Method::POST, "/api/v1/namespaces", &object).await.unwrap();
        let asks = match situation.role.as_deref() {
            None => jobs.clone(),
            Some("nobody") => {
                let user = format!("system:serviceaccount:{namespace}:default");
                JobManager::new(place.client_of(user).await, namespace)
            }
            Some(role) => {
                let user = format!("system:serviceaccount:kube-system:windlass-{role}");
                JobManager::new(place.client_of(user).await, namespace)
            }
        };
        let changes = changes(&owner, namespace);
        let stage =
            Stage { place, namespace: namespace.to_owned(), owner, jobs, asks, changes, pods: Vec::new() };
        for object in &situation.there {
            stage.create(object).await;
        }
        stage
    }

    /// The engine's time.
    pub(crate) async fn now(&self) -> jiff::Timestamp {
        self.jobs.clock().await.unwrap().now.parse().unwrap()
    }

    /// Words of a document that only the engine knows.
    pub(crate) fn filled(&self, value: &Value) -> Value {
        let text = value.to_string().replace("CPUS", &self.place.cpus);
        serde_json::from_str(&text.replace("HOME", &self.place.home.path().display().to_string())).unwrap()
    }

    /// Makes an object; a quota holds somebody when it is counted, and not before.
    pub(crate) async fn create(&self, object: &Value) {
        let object = self.filled(object);
        let path = collection(&object, &self.namespace);
        let made = send(&self.owner, Method::POST, &path, &object).await;
        let made = made.unwrap_or_else(|error| panic!("{object}: {error}"));
        if object["kind"] == "ResourceQuota" {
            let name = made["metadata"]["name"].as_str().unwrap();
            let quotas: Api<k8s_openapi::api::core::v1::ResourceQuota> =
                Api::namespaced(self.owner.clone(), &self.namespace);
            let counted = |quota: Option<&k8s_openapi::api::core::v1::ResourceQuota>| {
                quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.used.is_some())
            };
            let waiting = kube::runtime::wait::await_condition(quotas, name, counted);
            tokio::time::timeout(PATIENCE, waiting).await.expect("it is counted in time").unwrap();
        }
    }

    /// The Job's pods.
    pub(crate) async fn pods(&mut self) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.owner.clone(), &self.namespace);
        let pods = pods.list(&kube::api::ListParams::default()).await.unwrap().items;
        for pod in &pods {
            let name = pod.metadata.name.clone().unwrap();
            let index = pod.metadata.labels.as_ref();
            let index = index.and_then(|labels| labels.get("batch.kubernetes.io/job-completion-index"));
            let called = index.map_or("POD".to_owned(), |index| format!("POD-{index}"));
            if !self.pods.iter().any(|(known, _)| *known == name) {
                self.pods.push((name, called));
            }
        }
        pods
    }

    /// All objects of a kind in the namespace.
    pub(crate) async fn all<K>(&self) -> Vec<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.owner.clone(), &self.namespace);
        api.list(&kube::api::ListParams::default()).await.unwrap().items
    }

    /// What is said, without what is another each time.
    pub(crate) async fn plain(&mut self, said: &str) -> String {
        self.pods().await;
        let mut said = said.to_owned();
        for (name, called) in &self.pods {
            said = said.replace(name, called);
        }
        said = sized(&said, "cpu", &self.place.cpus, "CPUS");
        said = sized(&said, "memory", &self.place.memory, "MEMORY");
        said = said.replace(&self.place.home.path().display().to_string(), "HOME");
        said = minuteless(&said.replace(&self.namespace, "lab"));
        let is_time =
            |word: &str| word.trim_end_matches([':', ';', ')', ',']).parse::<jiff::Timestamp>().is_ok();
        let words = said.split(' ').map(|word| if is_time(word) { timeless(word) } else { word.to_owned() });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// The size of the node is another on each machine; other resources may happen to have the same figure.
fn sized(said: &str, resource: &str, size: &str, word: &str) -> String {
    let all = format!("room for {resource} {size} (");
    let said = said.replace(&all, &format!("room for {resource} {word} ("));
    let asks = format!("it asks for {resource} ");
    let of_node = format!(", the largest node has {size} in all");
    let mut parts = said.split(&asks);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (asked, rest) = match part.split_once(&of_node) {
            Some((asked, rest)) if !asked.contains(' ') => (asked, Some(rest)),
            _ => (part, None),
        };
        text += &asks;
        text += if asked == size { word } else { asked };
        if let Some(rest) = rest {
            text += &format!(", the largest node has {word} in all{rest}");
        }
    }
    text
}

/// Jobs of CronJobs are named after a minute.
fn minuteless(said: &str) -> String {
    let mut parts = said.split("nightly-");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        text.push_str(if rest.len() < part.len() { "nightly-MINUTE" } else { "nightly-" });
        text.push_str(rest);
    }
    text
}

fn timeless(word: &str) -> String {
    format!("TIME{}", &word[word.trim_end_matches([':', ';', ')', ',']).len()..])
}

/// Everything that a verdict may hang on.
fn changes(client: &Client, namespace: &str) -> BoxStream<'static, ()> {
    let config = watcher::Config::default;
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let crons: Api<CronJob> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let all: Vec<BoxStream<'static, ()>> = vec![
        watcher(jobs, config()).map(|_| ()).boxed(),
        watcher(crons, config()).map(|_| ()).boxed(),
        watcher(pods, config()).map(|_| ()).boxed(),
        watcher(events, config()).map(|_| ()).boxed(),
    ];
    stream::select_all(all).ready_chunks(100).map(|_| ()).boxed()
}

/// Where objects of this kind are made.
fn collection(object: &Value, namespace: &str) -> String {
    let (version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let root = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
    let plural = match kind {
        "PriorityClass" => "priorityclasses".to_owned(),
        "StorageClass" => "storageclasses".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    match kind {
        "PriorityClass" | "StorageClass" | "PersistentVolume" | "Node" => format!("{root}/{plural}"),
        _ => format!("{root}/namespaces/{namespace}/{plural}"),
    }
}

/// A request of the owner's.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Value, kube::Error> {
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let request = request.body(body.to_string().into_bytes()).unwrap();
    tokio::time::timeout(PATIENCE, client.request(request)).await.expect("an answer in time")
}
