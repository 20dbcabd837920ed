//! The road to one server: TCP, then TLS that offers HTTP/2, made anew for each connection that is needed.
//!
//! kube's own client speaks HTTP/1.1, where each watch and each log is a connection with a handshake of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{self, Builder};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::{BoxError, Service, ServiceBuilder};

use super::lanes::Lanes;
use crate::limits;

/// The client of a configuration. Through a proxy it is kube's own.
pub(super) fn client(config: Config) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let lanes = Lanes::new(&Road::of(&config)?);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .service(lanes);
    Ok(Client::new(service, config.default_namespace))
}

/// Which protocols are offered.
#[derive(Clone, Copy)]
pub(super) enum Protocols {
    Http1,
    Both,
}

/// Makes connections to one server.
#[derive(Clone)]
pub(super) struct Road {
    tcp: HttpConnector,
    tls: Arc<ClientConfig>,
    /// The name that the server's certificate must have, if it is not that of the address.
    name: Option<String>,
    timeout: Duration,
}

impl Road {
    fn of(config: &Config) -> kube::Result<Road> {
        let timeout = config.connect_timeout.unwrap_or(limits::CONNECT);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        let tls = Arc::new(config.rustls_client_config()?);
        Ok(Road { tcp, tls, name: config.tls_server_name.clone(), timeout })
    }

    /// The same with these protocols.
    pub(super) fn with(&self, protocols: Protocols) -> Road {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.alpn_protocols = match protocols {
            Protocols::Http1 => vec![b"http/1.1".to_vec()],
            Protocols::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Road { tls: Arc::new(tls), ..self.clone() }
    }

    /// Connections on this road; none is made yet.
    pub(super) fn connections(&self) -> legacy::Client<Road, Body> {
        let (ping, answer) = limits::PING;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        builder.http2_initial_stream_window_size(limits::WINDOW);
        // A reader that does not read holds up itself alone: the window of all of them together is never full.
        builder.http2_initial_connection_window_size(i32::MAX as u32);
        builder.http2_keep_alive_interval(ping).http2_keep_alive_timeout(answer);
        builder.build(self.clone())
    }
}

impl Service<Uri> for Road {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let (tls, name, timeout) = (self.tls.clone(), self.name.clone(), self.timeout);
        let tcp = self.tcp.call(address.clone());
        let made = async move {
            let tcp = tcp.await?.into_inner();
            if address.scheme_str() != Some("https") {
                return Ok(TokioIo::new(Stream::Plain(tcp)));
            }
            let host = address.host().unwrap_or_default();
            let name = name.as_deref().unwrap_or(host.trim_start_matches('[').trim_end_matches(']'));
            let name = ServerName::try_from(name.to_owned())?;
            let tls = TlsConnector::from(tls).connect(name, tcp).await?;
            Ok::<_, BoxError>(TokioIo::new(Stream::Tls(Box::new(tls))))
        };
        async move { tokio::time::timeout(timeout, made).await.unwrap_or_else(|_| Err(too_long(timeout))) }
            .boxed()
    }
}

fn too_long(timeout: Duration) -> BoxError {
    let text = format!("no connection in {} s", timeout.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

/// A connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
