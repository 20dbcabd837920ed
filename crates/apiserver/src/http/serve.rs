//! Connections: accepted within bounds, wrapped in TLS, served as HTTP/1.1 or HTTP/2, ended gracefully.
//!
//! Knows no paths and no credentials. It is told by `auth` when a connection has shown that somebody known is at its
//! other end; until then it is a newcomer: newcomers are few, have little time, and the oldest goes when one more comes.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch as signal};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::linger::{Farewell, Lingering};
use super::lobby::Lobby;
pub(super) use super::lobby::Newcomer;
use super::patient::Patient;
use super::{App, Limits, unread};

/// The pause after a failed accept (most often: out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// HTTP/2 requests at once on one connection; watches are many.
const STREAMS: u32 = 1024;
/// How often a silent HTTP/2 peer is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Bytes of answers that one HTTP/2 stream holds for a peer that does not take them.
const HELD_BYTES: usize = 64 << 10;

/// Accepts until the server stops.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    service: Router,
    app: Arc<App>,
    connections: Arc<Semaphore>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let lobby = Lobby::new(app.limits.newcomers, Duration::from_millis(app.limits.newcomer_least_ms));
    let mut stop = app.stop.clone();
    loop {
        // A permit first: connections above the bound wait in the kernel's queue.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tracing::debug!(%peer, "connection");
                let newcomer = tokio::select! {
                    newcomer = lobby.enter() => newcomer,
                    () = stopped(&mut stop) => return,
                };
                let connection = Connection {
                    acceptor: acceptor.clone(),
                    service: service.clone(),
                    limits: app.limits.clone(),
                    stop: app.stop.clone(),
                    newcomer,
                    place: Place(Arc::new(permit)),
                };
                tokio::spawn(connection.run(stream));
            }
            Err(cause) => {
                tracing::warn!(%cause, "cannot accept a connection");
                // Most often there is no descriptor left: whoever waits without having shown anything gives theirs.
                lobby.clear();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits until all connections have ended, or for a few seconds.
pub(super) async fn drained(connections: &Semaphore, limits: &Limits) {
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let patience = Duration::from_secs(limits.drain_s);
    if timeout(patience, connections.acquire_many(all)).await.is_err() {
        tracing::warn!("connections were still open when the server stopped");
    }
    connections.close();
}

/// Resolves when the server stops.
pub(super) async fn stopped(stop: &mut signal::Receiver<bool>) {
    // An error means that the server is gone, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A place among the connections. Who is handed a connection holds its place.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "held")] Arc<OwnedSemaphorePermit>);

struct Connection {
    acceptor: TlsAcceptor,
    service: Router,
    limits: Limits,
    stop: signal::Receiver<bool>,
    newcomer: Newcomer,
    place: Place,
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let stream = Patient::new(stream, Duration::from_secs(self.limits.stall_s));
        let deadline = Instant::now() + Duration::from_secs(self.limits.newcomer_s);
        let stream = tokio::select! {
            stream = timeout_at(deadline, self.acceptor.accept(stream)) => stream,
            () = self.newcomer.evicted() => return tracing::debug!("a newcomer made way"),
            () = stopped(&mut self.stop) => return,
        };
        let stream = match stream {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => return tracing::debug!(%cause, "TLS handshake failed"),
            Err(_) => return tracing::debug!("TLS handshake took too long"),
        };
        // The protocol is what ALPN chose, so that nothing waits for a first byte to tell.
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let (service, newcomer) = (self.service.clone(), self.newcomer.clone());
        let result = if http2 {
            let service = service.map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(newcomer.clone());
                request
            });
            let (stream, service) = (TokioIo::new(stream), TowerToHyperService::new(service));
            let serving = pin!(self.http2().serve_connection(stream, service));
            self.see_through(serving, deadline, http2::Connection::graceful_shutdown).await
        } else {
            let (place, farewell) = (self.place.clone(), Farewell::default());
            let patience = Duration::from_millis(self.limits.farewell_ms);
            let stream = TokioIo::new(Lingering::new(stream, farewell.clone(), patience));
            let patience = Duration::from_secs(self.limits.unread_s);
            let service = service_fn(move |mut request: Request<Incoming>| {
                if request.headers().contains_key(UPGRADE) {
                    request.extensions_mut().insert(place.clone());
                }
                request.extensions_mut().insert(newcomer.clone());
                unread::answer(service.clone(), request, farewell.clone(), patience)
            });
            let serving = pin!(self.http1().serve_connection(stream, service).with_upgrades());
            self.see_through(serving, deadline, http1::UpgradeableConnection::graceful_shutdown).await
        };
        if let Err(cause) = result {
            tracing::debug!(%cause, "connection ended");
        }
    }

    /// Serves until the client ends it, the server stops, or nobody known has spoken in time.
    async fn see_through<C: Future<Output = hyper::Result<()>>>(
        &mut self,
        mut serving: Pin<&mut C>,
        deadline: Instant,
        shut_down: impl FnOnce(Pin<&mut C>),
    ) -> hyper::Result<()> {
        tokio::select! {
            result = serving.as_mut() => result,
            // Nobody's work is broken off.
            () = self.newcomer.overstays(deadline) => {
                tracing::debug!("a newcomer's time is up");
                Ok(())
            }
            () = stopped(&mut self.stop) => {
                shut_down(serving.as_mut());
                serving.await
            }
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(self.limits.header_timeout_s))
            .max_buf_size(self.limits.header_bytes.max(8192));
        builder
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(HELD_BYTES)
            .keep_alive_interval(KEEP_ALIVE);
        builder
    }
}
