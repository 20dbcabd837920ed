//! A client that asks for a WebSocket over TLS.

use axum::body::Body;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{Api, TOKEN};
use crate::tls::connect;

pub(crate) type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// The headers that ask for one.
pub(crate) const PLAIN: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// The same, for one of these protocols over it.
pub(crate) fn asking(protocols: &str) -> Vec<(&'static str, &str)> {
    PLAIN.into_iter().chain([("sec-websocket-protocol", protocols)]).collect()
}

/// The answer to a request with these headers.
pub(crate) async fn send(api: &Api, path: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
    let io = TokioIo::new(connect(api, b"http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::get(path).header("host", "localhost");
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// A connection that must be handed over, and the headers that came with it.
pub(crate) async fn open(api: &Api, path: &str, headers: &[(&str, &str)]) -> (Socket, HeaderMap) {
    let mut response = send(api, path, headers).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let said = std::mem::take(response.headers_mut());
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    (WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await, said)
}
