//! Attaching over TLS and WebSocket to a container that gives back what it reads.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use windlass_apiserver::attach::{AttachRequest, AttachSource, Attached, Input, Terminal};
use windlass_apiserver::error::ApiError;

use crate::support::{Api, PODS, TOKEN, pod};
use crate::tls::connect;

/// A container that is `cat`: it ends with its stdin.
pub(crate) struct Cat;

struct Stdin {
    give: mpsc::Sender<io::Result<Bytes>>,
    over: Arc<Semaphore>,
}

impl Input for Stdin {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let sent = self.give.send(Ok(Bytes::copy_from_slice(bytes))).await;
            sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
        })
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        self.over.close();
    }
}

/// A terminal that prints its size.
struct Size(mpsc::Sender<io::Result<Bytes>>);

impl Terminal for Size {
    fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        let text = format!("{columns}x{rows}\n");
        self.0.try_send(Ok(Bytes::from(text))).map_err(io::Error::other)
    }
}

impl AttachSource for Cat {
    fn attach(&self, pod: Value, request: AttachRequest) -> BoxFuture<'_, Result<Attached, ApiError>> {
        Box::pin(async move {
            if pod["metadata"]["name"] == "over" {
                return Err(ApiError::bad_request("it has ended"));
            }
            let (give, take) = mpsc::channel(1);
            let over = Arc::new(Semaphore::new(0));
            let terminal = request.tty.then(|| Box::new(Size(give.clone())) as Box<dyn Terminal>);
            let stdin = Stdin { give, over: Arc::clone(&over) };
            let stdout = tokio_stream::wrappers::ReceiverStream::new(take).boxed();
            Ok(Attached {
                input: request.stdin.then(|| Box::new(stdin) as Box<dyn Input>),
                terminal: terminal.filter(|_| !request.stderr),
                stdout: request.stdout.then_some(stdout),
                stderr: None,
                ended: Box::pin(async move {
                    let _ = over.acquire().await;
                }),
            })
        })
    }
}

async fn api() -> Api {
    let api = Api::new().await;
    for name in ["p", "over"] {
        let mut bound = pod(name);
        bound["spec"]["nodeName"] = json!("here");
        api.make(PODS, bound).await;
    }
    api
}

async fn send(api: &Api, path: &str, headers: &[(&str, &str)]) -> Response<hyper::body::Incoming> {
    let io = TokioIo::new(connect(api, b"http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::get(format!("{PODS}/{path}")).header("host", "localhost");
    request = request.header("authorization", format!("Bearer {TOKEN}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn socket(protocols: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", protocols),
    ]
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn attach(api: &Api, query: &str, protocols: &str) -> Socket {
    let response = send(api, &format!("p/attach?{query}"), &socket(protocols)).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let first = protocols.split(',').next().unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], first);
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

async fn next(socket: &mut Socket) -> Vec<u8> {
    loop {
        match socket.next().await.expect("a message").expect("a whole one") {
            Message::Binary(bytes) => return bytes.to_vec(),
            Message::Close(frame) => {
                return frame.map(|f| f.code.to_string()).unwrap_or_default().into_bytes();
            }
            _ => {}
        }
    }
}

fn refusal(code: u16, message: &str) -> (u16, String) {
    (code, message.to_owned())
}

async fn refused(api: &Api, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let response = send(api, path, headers).await;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let status: Value = serde_json::from_slice(&bytes).unwrap();
    (code, status["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn bytes_go_both_ways_until_the_client_ends_its_stdin() {
    let api = api().await;
    let mut socket = attach(&api, "stdin=true&stdout=1", "v5.channel.k8s.io,v4.channel.k8s.io").await;
    assert_eq!(next(&mut socket).await, [1]);
    socket.send(Message::binary(vec![0, 0, 255, b'a'])).await.unwrap();
    assert_eq!(next(&mut socket).await, [1, 0, 255, b'a']);
    socket.send(Message::text("\0text")).await.unwrap();
    assert_eq!(next(&mut socket).await, b"\x01text");
    // What is no channel of the client's is nothing.
    socket.send(Message::binary(vec![9, 1])).await.unwrap();
    socket.send(Message::binary(Vec::new())).await.unwrap();
    socket.send(Message::binary(vec![255, 0])).await.unwrap();
    assert_eq!(next(&mut socket).await, b"\x03{\"metadata\":{},\"status\":\"Success\"}");
    assert_eq!(next(&mut socket).await, b"1000");
}

#[tokio::test]
async fn stdin_alone_is_answered_by_the_status_alone() {
    let api = api().await;
    let mut socket = attach(&api, "stdin=true&container=c", "v5.channel.k8s.io").await;
    assert_eq!(next(&mut socket).await, [3]);
    socket.send(Message::binary(vec![255, 0])).await.unwrap();
    assert!(next(&mut socket).await.starts_with(b"\x03{"));
}

#[tokio::test]
async fn in_version_4_the_end_of_the_connection_is_the_end_of_stdin() {
    let api = api().await;
    let mut socket = attach(&api, "stdin=true&stdout=true", "v4.channel.k8s.io").await;
    assert_eq!(next(&mut socket).await, [1]);
    socket.send(Message::binary(vec![255, 0])).await.unwrap();
    socket.send(Message::binary(b"\0still".to_vec())).await.unwrap();
    assert_eq!(next(&mut socket).await, b"\x01still");
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn terminal_is_told_its_size() {
    let api = api().await;
    let mut socket = attach(&api, "stdin=1&stdout=1&stderr=1&tty=1", "v5.channel.k8s.io").await;
    assert_eq!(next(&mut socket).await, [1]);
    socket.send(Message::binary(b"\x04{\"Width\":120,\"Height\":40}".to_vec())).await.unwrap();
    assert_eq!(next(&mut socket).await, b"\x01120x40\n");
    socket.send(Message::binary(b"\x04{\"Width\":-1}".to_vec())).await.unwrap();
    socket.send(Message::binary(b"\0x".to_vec())).await.unwrap();
    assert_eq!(next(&mut socket).await, b"\x01x");
}

#[tokio::test]
async fn server_that_stops_tells_its_clients() {
    let api = api().await;
    let mut socket = attach(&api, "stdin=true", "v5.channel.k8s.io").await;
    assert_eq!(next(&mut socket).await, [3]);
    let (_, last) = tokio::join!(api.server.stop(), next(&mut socket));
    assert_eq!(last, b"1001");
}

#[tokio::test]
async fn what_cannot_be_attached_to_is_refused_in_upstreams_order() {
    let api = api().await;
    api.make(PODS, pod("unbound")).await;
    let v5 = socket("v5.channel.k8s.io");
    assert_eq!(refused(&api, "none/attach", &v5).await, refusal(404, "pods \"none\" not found"));
    let unknown = refusal(400, "container side is not valid for pod unbound");
    assert_eq!(refused(&api, "unbound/attach?container=side", &v5).await, unknown);
    let unbound = refusal(400, "pod unbound does not have a host assigned");
    assert_eq!(refused(&api, "unbound/attach", &v5).await, unbound);
    let nothing = refusal(400, "you must specify at least 1 of stdin, stdout, stderr");
    assert_eq!(refused(&api, "p/attach?stderr=true&tty=true", &v5).await, nothing);
    let plain = refusal(400, "Upgrade request required");
    assert_eq!(refused(&api, "p/attach?stdin=true", &[]).await, plain);
    assert_eq!(refused(&api, "over/attach?stdin=true", &v5).await, refusal(400, "it has ended"));
    let spdy = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    assert!(refused(&api, "p/attach?stdin=true", &spdy).await.1.contains("not SPDY"));
}
