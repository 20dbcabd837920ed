//! The HTTP side: TLS, credentials, paths, verbs, lists, watches, tables, discovery.

mod activity;
mod attach;
mod auth;
mod body;
mod delete;
mod discovery;
mod dispatch;
mod get;
mod info;
mod list;
mod pages;
mod patch;
mod pod;
mod request;
mod respond;
mod route;
mod serve;
mod table;
mod watch;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch as signal};

use crate::attach::AttachSource;
use crate::logs::LogSource;
use crate::registry::Registry;
pub use activity::Activity;

/// How the server listens and whom it lets in.
pub struct Config {
    /// A bound listener; the engine binds it, so that a port in use is its error to tell.
    pub listener: std::net::TcpListener,
    /// TLS of the engine's own CA.
    pub tls: Arc<rustls::ServerConfig>,
    /// The bearer token of the administrator.
    pub admin_token: String,
    /// Where logs come from.
    pub logs: Arc<dyn LogSource>,
    /// Who attaches to containers.
    pub attacher: Arc<dyn AttachSource>,
    /// What `/version` says, e.g. `v1.36.0+windlass-0.1.0`.
    pub git_version: String,
    /// Bounds of what a client may ask.
    pub limits: Limits,
}

/// Bounds of what a client may ask.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Connections at once.
    pub connections: usize,
    /// Bytes of a request's headers.
    pub header_bytes: usize,
    /// Seconds that a request's head may take to arrive.
    pub header_timeout_s: u64,
    /// Watches at once.
    pub watches: usize,
    /// Attached clients at once.
    pub attaches: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 3 << 20,
            connections: 4096,
            header_bytes: 64 << 10,
            header_timeout_s: 30,
            watches: 4096,
            attaches: 256,
        }
    }
}

/// A running server: a cheap handle.
#[derive(Clone)]
pub struct Server {
    app: Arc<App>,
    stop: Arc<signal::Sender<bool>>,
    connections: Arc<Semaphore>,
    activity: Activity,
}

impl Server {
    /// What clients are doing.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// The router as a service, without TLS or credentials: what an in-process client is built on.
    pub fn service(&self) -> axum::Router {
        dispatch::router(Arc::clone(&self.app))
    }
    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.app.address
    }
    /// Refuses new requests, ends watches cleanly, waits for the rest (at most a few seconds).
    pub async fn stop(&self) {
        // Only fails when nobody listens any more, and then there is nothing to stop.
        let _ = self.stop.send(true);
        serve::drained(&self.connections, self.app.limits.connections).await;
    }
}

/// What every handler sees.
struct App {
    registry: Registry,
    logs: Arc<dyn LogSource>,
    attacher: Arc<dyn AttachSource>,
    git_version: String,
    limits: Limits,
    address: SocketAddr,
    /// Becomes true when the server stops.
    stop: signal::Receiver<bool>,
    /// One permit a watch or followed log.
    watches: Arc<Semaphore>,
    /// One permit an attached client.
    attaches: Arc<Semaphore>,
    openapi: info::OpenApi,
}

/// Starts serving. Needs a tokio runtime around it.
pub fn start(registry: Registry, config: Config) -> std::io::Result<Server> {
    let Config { listener, tls, admin_token, logs, attacher, git_version, limits } = config;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (stop, stopped) = signal::channel(false);
    let app = Arc::new(App {
        registry,
        logs,
        attacher,
        git_version,
        address: listener.local_addr()?,
        stop: stopped,
        watches: Arc::new(Semaphore::new(limits.watches)),
        attaches: Arc::new(Semaphore::new(limits.attaches)),
        limits,
        openapi: info::OpenApi::default(),
    });
    let connections = Arc::new(Semaphore::new(app.limits.connections));
    let activity = Activity::default();
    let server = Server {
        app: Arc::clone(&app),
        stop: Arc::new(stop),
        connections: Arc::clone(&connections),
        activity: activity.clone(),
    };
    let service = auth::protect(dispatch::router(Arc::clone(&app)), admin_token);
    let service = activity::counted(service, activity);
    tokio::spawn(serve::accept(listener, tls, service, app, connections));
    Ok(server)
}
