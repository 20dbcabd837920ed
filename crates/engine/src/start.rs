//! Starting and stopping an engine.

use std::future::Future;
use std::net::SocketAddr;

use crate::config::Config;
use crate::home::HomeError;

/// What a stopping engine does with running pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopPods {
    /// They go on; the next engine on this home adopts them.
    Leave,
    /// They are ended and recorded as such before the engine stops.
    End,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// A running Kubernetes.
pub struct Engine {}

impl Engine {
    /// Starts an engine; it serves when this returns.
    pub async fn start(config: Config) -> Result<Engine, StartError> {
        let _ = config;
        todo!()
    }
    /// A client with all rights, without a network between.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        todo!()
    }
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        todo!()
    }
    /// Stops it; returns when everything is on disk and the lock is free.
    pub async fn stop(self, pods: StopPods) {
        let _ = pods;
        todo!()
    }
    /// Resolves if the engine ends by itself, with the cause.
    pub fn stopped(&self) -> impl Future<Output = String> + Send + 'static {
        std::future::pending()
    }
}
