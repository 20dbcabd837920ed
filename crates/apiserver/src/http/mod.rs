//! The HTTP side: TLS, credentials, paths, verbs, lists, watches, tables, discovery.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::logs::LogSource;
use crate::registry::Registry;

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
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 3 << 20,
            connections: 4096,
            header_bytes: 64 << 10,
            header_timeout_s: 30,
            watches: 4096,
        }
    }
}

/// A running server: a cheap handle.
#[derive(Clone)]
pub struct Server {}

impl Server {
    /// The router as a service, without TLS or credentials: what an in-process client is built on.
    #[must_use]
    pub fn service(&self) -> axum::Router {
        todo!()
    }
    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        todo!()
    }
    /// Refuses new requests, ends watches cleanly, waits for the rest (at most a few seconds).
    pub async fn stop(&self) {
        todo!()
    }
}

/// Starts serving.
pub fn start(registry: Registry, config: Config) -> std::io::Result<Server> {
    let _ = (registry, config);
    todo!()
}
