//! Where one case plays: a namespace of its own, and what every case does there.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    ApiResource, AttachParams, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::case::Case;
use super::subject::{Dress, Subject};
use super::wait::{Look, Which};

/// How often a write is tried again because another writer was quicker.
const TRIES: usize = 50;

/// A kind of object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const fn kind(group: &'static str, kind: &'static str, plural: &'static str) -> Kind {
    Kind { group, kind, plural }
}

pub(super) const JOB: Kind = kind("batch", "Job", "jobs");
pub(super) const CRON_JOB: Kind = kind("batch", "CronJob", "cronjobs");
pub(super) const POD: Kind = kind("", "Pod", "pods");
pub(super) const EVENT: Kind = kind("", "Event", "events");
pub(super) const NODE: Kind = kind("", "Node", "nodes");
pub(super) const CONFIG_MAP: Kind = kind("", "ConfigMap", "configmaps");
pub(super) const SECRET: Kind = kind("", "Secret", "secrets");
const NAMESPACE: Kind = kind("", "Namespace", "namespaces");
const SERVICE_ACCOUNT: Kind = kind("", "ServiceAccount", "serviceaccounts");
const ALL: [Kind; 5] = [JOB, CRON_JOB, POD, CONFIG_MAP, SECRET];

impl Kind {
    fn resource(self) -> ApiResource {
        let version = "v1".to_owned();
        let api_version = if self.group.is_empty() { version.clone() } else { format!("{}/v1", self.group) };
        ApiResource {
            group: self.group.to_owned(),
            version,
            api_version,
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }
}

/// A namespace of a case's own.
pub(super) struct Stage {
    client: Client,
    remote: Client,
    pub(super) namespace: String,
    dress: Dress,
    /// The longest that any one state may take to come.
    pub(super) patience: Duration,
}

impl Stage {
    pub(super) async fn open(subject: &Subject, case: &Case) -> Result<Stage> {
        Stage::in_new_namespace(subject, &case.id().to_lowercase().replace(' ', "-")).await
    }

    /// Ready when the namespace has its service account.
    pub(super) async fn in_new_namespace(subject: &Subject, name: &str) -> Result<Stage> {
        let client = subject.client.clone();
        let all: Api<DynamicObject> = Api::all_with(client.clone(), &NAMESPACE.resource());
        let wish = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "generateName": format!("suite-{name}-"),
                "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
            },
        });
        let made = all.create(&PostParams::default(), &serde_json::from_value(wish)?).await?;
        let namespace = made.metadata.name.context("a namespace without a name")?;
        let remote = subject.remote.clone();
        let (dress, patience) = (subject.dress.clone(), subject.patience);
        let stage = Stage { client, remote, namespace, dress, patience };
        let ready = stage.until(SERVICE_ACCOUNT, Which::Name("default"), |accounts| {
            if accounts.is_empty() { Look::NotYet("no service account".to_owned()) } else { Look::Done(()) }
        });
        ready.await.context("the namespace's service account `default`")?;
        Ok(stage)
    }

    /// The namespace goes, and what is in it; nobody waits for that.
    pub(super) async fn close(&self) {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), &NAMESPACE.resource());
        // What cannot be deleted now was deleted by somebody else, or the subject is gone: the case has ended anyway.
        let _ = all.delete(&self.namespace, &DeleteParams::default()).await;
    }

    pub(super) fn api(&self, kind: Kind) -> Api<DynamicObject> {
        match kind {
            NODE | NAMESPACE => Api::all_with(self.client.clone(), &kind.resource()),
            _ => Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource()),
        }
    }

    /// Of all namespaces.
    pub(super) fn everywhere(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &kind.resource())
    }

    /// Creates an object; its containers get what runs here.
    pub(super) async fn create(&self, object: Value) -> Result<DynamicObject> {
        let named = format!("creating {} {}", object["kind"], object["metadata"]["name"]);
        self.try_create(object).await.context(named)
    }

    /// The same, for answers that may be errors.
    pub(super) async fn try_create(&self, mut object: Value) -> Result<DynamicObject, kube::Error> {
        if let Some(pod) = pod_spec(&mut object) {
            self.dress(pod);
        }
        let kind = ALL.into_iter().find(|kind| object["kind"] == kind.kind).unwrap_or(POD);
        let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        self.api(kind).create(&PostParams::default(), &object).await
    }

    fn dress(&self, pod: &mut Value) {
        let image = match &self.dress {
            Dress::Host(_) => {
                pod["runtimeClassName"] = "windlass-host".into();
                "host"
            }
            Dress::Image(image) => image,
        };
        for list in ["initContainers", "containers"] {
            for container in pod[list].as_array_mut().into_iter().flatten() {
                container["image"] = image.into();
                container["imagePullPolicy"] = "IfNotPresent".into();
            }
        }
    }

    /// A volume that outlives its pods, of this case's own on the host.
    pub(super) fn host_volume(&self) -> Value {
        let folder = match &self.dress {
            Dress::Host(folder) => folder.join(&self.namespace).display().to_string(),
            Dress::Image(_) => format!("/tmp/windlass-conformance/{}", self.namespace),
        };
        json!({"name": "data", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}})
    }

    /// Whether containers are made of an image: only those may ask for more than the host's user may.
    pub(super) fn has_images(&self) -> bool {
        matches!(self.dress, Dress::Image(_))
    }

    pub(super) async fn get(&self, kind: Kind, name: &str) -> Result<DynamicObject> {
        let got = self.api(kind).get(name).await;
        got.with_context(|| format!("getting {} {name}", kind.kind))
    }

    pub(super) async fn list(&self, kind: Kind, labels: &str) -> Result<Vec<DynamicObject>> {
        let list = ListParams::default().labels(labels);
        let got = self.api(kind).list(&list).await;
        Ok(got.with_context(|| format!("listing {} by {labels:?}", kind.plural))?.items)
    }

    /// Get, edit, replace; again when another writer was quicker.
    pub(super) async fn update(
        &self,
        kind: Kind,
        name: &str,
        edit: impl Fn(&mut DynamicObject),
    ) -> Result<DynamicObject> {
        self.until_written(kind, name, edit, false).await
    }

    /// The same, of its status.
    pub(super) async fn update_status(
        &self,
        kind: Kind,
        name: &str,
        edit: impl Fn(&mut DynamicObject),
    ) -> Result<DynamicObject> {
        self.until_written(kind, name, edit, true).await
    }

    async fn until_written(
        &self,
        kind: Kind,
        name: &str,
        edit: impl Fn(&mut DynamicObject),
        is_status: bool,
    ) -> Result<DynamicObject> {
        let (api, how) = (self.api(kind), PostParams::default());
        let of = if is_status { "'s status" } else { "" };
        for _ in 0..TRIES {
            let mut object = self.get(kind, name).await?;
            edit(&mut object);
            let written = match is_status {
                true => api.replace_status(name, &how, &object).await,
                false => api.replace(name, &how, &object).await,
            };
            match written {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                other => return other.with_context(|| format!("replacing {} {name}{of}", kind.kind)),
            }
        }
        bail!("replacing {} {name}{of}: a conflict {TRIES} times", kind.kind)
    }

    pub(super) async fn merge(&self, kind: Kind, name: &str, patch: Value) -> Result<DynamicObject> {
        let patched = self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.with_context(|| format!("patching {} {name}", kind.kind))
    }

    /// Deletes in the background and waits until it is gone.
    pub(super) async fn delete(&self, kind: Kind, name: &str) -> Result<()> {
        let deleted = self.api(kind).delete(name, &DeleteParams::background()).await;
        deleted.with_context(|| format!("deleting {} {name}", kind.kind))?;
        self.gone(kind, name).await
    }

    /// What a container has said.
    pub(super) async fn log(&self, pod: &str, container: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/log?container={container}", self.namespace);
        let request = http::Request::get(path).body(Vec::new())?;
        self.client.request_text(request).await.with_context(|| format!("the log of {pod}"))
    }

    /// Follows what a container says until a line has these words.
    pub(super) async fn log_until(&self, pod: &str, container: &str, words: &str) -> Result<()> {
        let path =
            format!("/api/v1/namespaces/{}/pods/{pod}/log?container={container}&follow=true", self.namespace);
        let request = http::Request::get(path).body(Vec::new())?;
        let waiting = async {
            let mut lines = self.client.request_stream(request).await?.lines();
            while let Some(line) = lines.try_next().await? {
                if line.contains(words) {
                    return Ok(());
                }
            }
            bail!("its log has ended")
        };
        let waited = tokio::time::timeout(self.patience, waiting).await;
        waited.context("no such line").flatten().with_context(|| format!("{words:?} in the log of {pod}"))
    }

    /// Runs a program beside a container and takes in what it says, over a WebSocket: its stdout, and its Status.
    pub(super) async fn exec(&self, pod: &str, container: &str, command: &[&str]) -> Result<(String, Value)> {
        let pods: Api<Pod> = Api::namespaced(self.remote.clone(), &self.namespace);
        let params = AttachParams::default().container(container).stdin(false).stderr(false);
        let running = async {
            let mut process = pods.exec(pod, command.iter().copied(), &params).await?;
            let status = process.take_status().context("no status")?;
            let mut said = String::new();
            process.stdout().context("no stdout")?.read_to_string(&mut said).await?;
            let status = status.await.context("no last word")?;
            Ok((said, serde_json::to_value(status)?))
        };
        let ran = tokio::time::timeout(self.patience, running).await;
        ran.context("it does not end").flatten().with_context(|| format!("{command:?} in {pod}"))
    }

    /// A group that files may be given to: any, where containers are made of an image; on the host its user's own.
    pub(super) fn group(&self) -> Result<u32> {
        match &self.dress {
            Dress::Host(folder) => Ok(std::fs::metadata(folder)?.gid()),
            Dress::Image(_) => Ok(1001),
        }
    }

    /// What is in the namespace, for who reads of a failure.
    pub(super) async fn scene(&self) -> String {
        let mut text = String::new();
        for kind in [CRON_JOB, JOB, POD] {
            for object in self.list(kind, "").await.unwrap_or_default() {
                let name = object.metadata.name.unwrap_or_default();
                let deleted =
                    if object.metadata.deletion_timestamp.is_some() { ", being deleted" } else { "" };
                let _ = writeln!(text, "  {} {name}{deleted}: {}", kind.kind, object.data["status"]);
            }
        }
        for event in self.list(EVENT, "").await.unwrap_or_default().iter().rev().take(30) {
            let data = &event.data;
            let _ = writeln!(
                text,
                "  event {} {}: {}",
                data["involvedObject"]["name"], data["reason"], data["message"]
            );
        }
        text
    }
}

/// The pod's spec in a Pod, Job or CronJob.
fn pod_spec(object: &mut Value) -> Option<&mut Value> {
    let place = match object["kind"].as_str()? {
        "Pod" => "/spec",
        "Job" => "/spec/template/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    object.pointer_mut(place)
}
