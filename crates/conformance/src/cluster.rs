//! Who answers: the engine in a home of its own, or the cluster of a kubeconfig.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;
use windlass_engine::{Config as EngineConfig, Engine, Home, StopPods, StoreKind};

/// A Kubernetes that can be asked.
pub struct Cluster {
    /// The client, with all rights.
    pub client: Client,
    /// The kubeconfig, for programs.
    pub kubeconfig: PathBuf,
    engine: Option<(Engine, TempDir)>,
}

impl Cluster {
    /// The cluster that a kubeconfig's current context names.
    pub async fn named(kubeconfig: &Path) -> Result<Cluster> {
        Ok(Cluster { client: client(kubeconfig).await?, kubeconfig: kubeconfig.to_owned(), engine: None })
    }

    /// An engine in a temporary home, on a free loopback port; `shim` is the command that is its shim.
    pub async fn engine(shim: Vec<OsString>) -> Result<Cluster> {
        let folder = tempfile::tempdir()?;
        let home = Home::at(folder.path().join("home"));
        let kubeconfig = home.kubeconfig();
        let mut config = EngineConfig::new(home, shim);
        config.store = StoreKind::Memory;
        let engine = Engine::start(config).await?;
        Ok(Cluster { client: client(&kubeconfig).await?, kubeconfig, engine: Some((engine, folder)) })
    }

    /// Stops what was started.
    pub async fn stop(self) {
        if let Some((engine, _folder)) = self.engine {
            engine.stop(StopPods::End).await;
        }
    }
}

/// A client for the current context of a kubeconfig.
pub(crate) async fn client(kubeconfig: &Path) -> Result<Client> {
    // Fails only if it was done before, and then it is done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| kubeconfig.display().to_string())?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    // Watches are silent for as long as nothing happens; every wait of the suite has its own end.
    config.read_timeout = None;
    // An answer is what is compared: none is asked for again.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
