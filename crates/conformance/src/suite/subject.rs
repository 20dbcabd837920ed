//! Who is asked: an engine, through its client in the same process or over TCP, or the cluster of a kubeconfig.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_engine::{Config, Engine, Home, StopPods, StoreKind};

use super::case::{Case, Need};
use super::stage::Stage;
use super::wait::{Look, PATIENCE, Which};
use crate::cluster;

/// The image on clusters, unless another is named: any with a shell that is `/bin/sh`, and a few programs.
pub const IMAGE: &str = "busybox:1.36";

/// How an engine is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// Its client in the same process.
    InProcess,
    /// Its kubeconfig.
    Tcp,
}

/// A Kubernetes that cases run on.
pub struct Subject {
    pub(super) client: Client,
    /// A client over the network: one in the same process has no connection that could become a WebSocket.
    pub(super) remote: Client,
    pub(super) dress: Dress,
    pub(super) patience: Duration,
    unmountable: Option<String>,
    engine: Option<(Engine, TempDir)>,
}

/// How the suite's containers run there.
#[derive(Clone)]
pub(super) enum Dress {
    /// As host processes; the folder is for the host paths of cases.
    Host(PathBuf),
    /// From an image.
    Image(String),
}

impl Subject {
    /// An engine of its own in a temporary home; `shim` is the command that is its shim.
    pub async fn engine(door: Door, shim: Vec<OsString>) -> Result<Subject> {
        let folder = tempfile::tempdir()?;
        let host = folder.path().join("host");
        std::fs::create_dir(&host)?;
        let home = Home::at(folder.path().join("home"));
        let kubeconfig = home.kubeconfig();
        let mut config = Config::new(home, shim);
        config.store = StoreKind::Memory;
        let path = |path: &Path| path.display().to_string();
        config.environment = vec![
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), path(folder.path())),
            ("TMPDIR".to_owned(), path(folder.path())),
        ];
        let engine = Engine::start(config).await?;
        let remote = cluster::client(&kubeconfig).await?;
        let client = match door {
            Door::InProcess => engine.client(),
            Door::Tcp => remote.clone(),
        };
        let (dress, engine) = (Dress::Host(host), Some((engine, folder)));
        let mut subject = Subject { client, remote, dress, patience: PATIENCE, unmountable: None, engine };
        subject.unmountable = subject.try_a_mount().await?;
        Ok(subject)
    }

    /// The cluster that a kubeconfig's current context names.
    pub async fn cluster(kubeconfig: &Path, image: &str) -> Result<Subject> {
        let client = cluster::client(kubeconfig).await?;
        let (remote, dress) = (client.clone(), Dress::Image(image.to_owned()));
        Ok(Subject { client, remote, dress, patience: PATIENCE, unmountable: None, engine: None })
    }

    /// What does not come within this time is taken not to come at all.
    #[must_use]
    pub fn patient_for(mut self, patience: Duration) -> Subject {
        self.patience = patience;
        self
    }

    /// The version that it says it is.
    pub async fn version(&self) -> Result<String> {
        Ok(self.client.apiserver_version().await.context("asking for the version")?.git_version)
    }

    /// Stops what was started.
    pub async fn stop(self) {
        if let Some((engine, _folder)) = self.engine {
            engine.stop(StopPods::End).await;
        }
    }

    pub(super) fn is_engine(&self) -> bool {
        self.engine.is_some()
    }

    /// Why a case cannot be asked here.
    pub(super) fn lacks(&self, case: &Case) -> Option<String> {
        case.needs.contains(&Need::Volumes).then(|| self.unmountable.clone()).flatten()
    }

    /// What the engine says if this machine keeps its user from mounting anything.
    async fn try_a_mount(&self) -> Result<Option<String>> {
        let stage = Stage::in_new_namespace(self, "mounts").await?;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mounts"},
            "spec": {
                "restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}],
                "containers": [{
                    "name": "c", "command": ["true"], "volumeMounts": [{"name": "v", "mountPath": "/data"}],
                }],
            },
        });
        stage.create(pod).await?;
        let told = stage.until(super::stage::POD, Which::Name("mounts"), |pods| {
            let Some(pod) = pods.first() else { return Look::NotYet("no pod".to_owned()) };
            if pod.data["status"]["phase"] == "Succeeded" {
                return Look::Done(None);
            }
            match &pod.data["status"]["containerStatuses"][0]["state"]["waiting"]["message"] {
                Value::String(message) if is_forbidden(message) => Look::Done(Some(message.clone())),
                _ => Look::NotYet("a pod with a volume has not ended".to_owned()),
            }
        });
        let told = told.await.context("a pod with a volume");
        stage.close().await;
        told
    }
}

/// In the words of `runner/src/mounts.rs`.
fn is_forbidden(message: &str) -> bool {
    message.contains("namespaces of their own") || message.contains("CAP_SYS_ADMIN")
}
