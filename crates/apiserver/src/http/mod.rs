//! The HTTP side: TLS, credentials, paths, verbs, lists, watches, tables, discovery.

mod activity;
mod apply;
mod attach;
mod auth;
mod author;
mod authorize;
mod body;
mod clock;
mod delete;
mod discovery;
mod dispatch;
mod get;
mod info;
mod linger;
mod list;
mod lobby;
mod log;
mod options;
mod pages;
mod patch;
mod patient;
mod pod;
mod request;
mod respond;
mod review;
mod room;
mod route;
mod serve;
mod table;
mod token;
mod unread;
mod watch;
mod websocket;
mod write;

#[cfg(test)]
pub(crate) use discovery::served_verbs;

/// What the fuzz targets ask of requests.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::attach::fuzz::{Said, asked, both};
    pub(crate) use super::clock::target as moved;
    pub(crate) use super::options::{of_patch, of_write};
    pub(crate) use super::pages::continued;
    pub(crate) use super::patch::{Form, patched};
    pub(crate) use super::request::{Query, accepted, wants_yaml};
    pub(crate) use super::route::{Route, Target, parse as route};
}

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch as signal};

use self::auth::Gate;
use crate::attach::AttachSource;
use crate::clock::ClockSource;
use crate::logs::LogSource;
use crate::registry::Registry;
use crate::rights::Accounts;
pub use activity::Activity;

/// How the server listens and whom it lets in.
pub struct Config {
    /// A bound listener; the engine binds it, so that a port in use is its error to tell.
    pub listener: std::net::TcpListener,
    /// TLS of the engine's own CA.
    pub tls: Arc<rustls::ServerConfig>,
    /// The bearer token of the administrator.
    pub admin_token: String,
    /// Service accounts and the key of their tokens.
    pub accounts: Accounts,
    /// Whether pods that name an image are processes of the host, too: then the administrator alone starts any.
    pub images_on_host: bool,
    /// The clock, if it can be moved.
    pub clock: Option<Arc<dyn ClockSource>>,
    /// Where logs come from.
    pub logs: Arc<dyn LogSource>,
    /// Who attaches to containers, and runs programs beside them.
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
    /// Bytes of the body of a review, which whoever is known may send.
    pub review_bytes: usize,
    /// Bytes of the bodies of all requests that are being read or worked on. A user who is not the administrator has an
    /// eighth of it, but room for one body in any case.
    pub bodies_bytes: usize,
    /// Seconds that a request's body may take to arrive, the wait for room included.
    pub body_timeout_s: u64,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once on which nobody known has spoken yet; the oldest makes way for one more.
    pub newcomers: usize,
    /// Milliseconds that such a connection has at least; one more waits for so long.
    pub newcomer_least_ms: u64,
    /// Seconds after its request that an answer over HTTP/1.1 waits for what nobody has read of the body.
    pub unread_s: u64,
    /// Milliseconds that a client has to read the last answer of a connection that ends although more comes from it
    /// (Go's `rstAvoidanceDelay`).
    pub farewell_ms: u64,
    /// Seconds until somebody known must have spoken on a connection.
    pub newcomer_s: u64,
    /// Seconds that a client may take nothing of an answer that is being sent.
    pub stall_s: u64,
    /// Bytes of a request's headers.
    pub header_bytes: usize,
    /// Seconds that a request's head may take to arrive.
    pub header_timeout_s: u64,
    /// Seconds that connections have to end by themselves when the server stops.
    pub drain_s: u64,
    /// Watches at once.
    pub watches: usize,
    /// Attached clients and programs beside containers at once.
    pub attaches: usize,
    /// Logs that are being read at once; each has files open.
    pub logs: usize,
}

impl Limits {
    /// The usual bounds, but for no more connections and logs than a process with so many file descriptors can spare:
    /// half of them for connections, an eighth for logs of two files each, as many for attached clients and programs
    /// beside containers, of four each. The rest is the store's.
    #[must_use]
    pub fn within(descriptors: usize) -> Limits {
        let usual = Limits::default();
        let connections = usual.connections.min(descriptors / 2).max(16);
        let logs = usual.logs.min(descriptors / 16).max(4);
        let attaches = usual.attaches.min(descriptors / 32).max(4);
        Limits { connections, newcomers: usual.newcomers.min(connections / 4), logs, attaches, ..usual }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 3 << 20,
            review_bytes: 64 << 10,
            bodies_bytes: 64 << 20,
            body_timeout_s: 60,
            connections: 4096,
            newcomers: 512,
            newcomer_least_ms: 3000,
            unread_s: 10,
            farewell_ms: 500,
            newcomer_s: 20,
            stall_s: 60,
            header_bytes: 64 << 10,
            header_timeout_s: 30,
            drain_s: 5,
            watches: 4096,
            attaches: 256,
            logs: 1024,
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

    /// The router as a service, without TLS or credentials: what an in-process client is built on. It has all rights.
    pub fn service(&self) -> axum::Router {
        auth::trust(dispatch::router(Arc::clone(&self.app)))
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
        serve::drained(&self.connections, &self.app.limits).await;
    }
}

/// What every handler sees.
struct App {
    registry: Registry,
    clock: Option<Arc<dyn ClockSource>>,
    logs: Arc<dyn LogSource>,
    attacher: Arc<dyn AttachSource>,
    git_version: String,
    limits: Limits,
    gate: Arc<Gate>,
    images_on_host: bool,
    address: SocketAddr,
    /// Becomes true when the server stops.
    stop: signal::Receiver<bool>,
    /// One permit a watch.
    watches: Arc<Semaphore>,
    /// One permit an attached client or a program beside a container.
    attaches: Arc<Semaphore>,
    /// One permit a log that is being read.
    open_logs: Arc<Semaphore>,
    /// What bodies may take.
    bodies: room::Bodies,
    openapi: info::OpenApi,
}

/// Starts serving. Needs a tokio runtime around it.
pub fn start(registry: Registry, config: Config) -> std::io::Result<Server> {
    let Config { listener, tls, admin_token, accounts, images_on_host, clock, .. } = config;
    let Config { logs, attacher, git_version, limits, .. } = config;
    let gate = Arc::new(Gate::new(admin_token, accounts));
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (stop, stopped) = signal::channel(false);
    let app = Arc::new(App {
        registry,
        clock,
        logs,
        attacher,
        git_version,
        gate: Arc::clone(&gate),
        images_on_host,
        address: listener.local_addr()?,
        stop: stopped,
        watches: Arc::new(Semaphore::new(limits.watches)),
        attaches: Arc::new(Semaphore::new(limits.attaches)),
        open_logs: Arc::new(Semaphore::new(limits.logs)),
        bodies: room::Bodies::new(limits.bodies_bytes, limits.body_bytes),
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
    let service = auth::protect(dispatch::router(Arc::clone(&app)), gate);
    let service = activity::counted(service, activity);
    tokio::spawn(serve::accept(listener, tls, service, app, connections));
    Ok(server)
}
