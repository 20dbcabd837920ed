//! Attaching over TLS and WebSocket to a container that gives back what it reads, and running programs beside it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Message;
use windlass_apiserver::attach::{
    AttachRequest, AttachSource, Attached, ExecRequest, Fate, Input, Output, Terminal,
};
use windlass_apiserver::error::ApiError;

use crate::support::{Api, PODS, pod};
use crate::websocket::{self, Socket, asking};

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
                    Fate::Ended
                }),
            })
        })
    }

    /// A program that says its words, and ends as the first one says.
    fn exec(&self, _: Value, request: ExecRequest) -> BoxFuture<'_, Result<Attached, ApiError>> {
        Box::pin(async move {
            let fate = match request.command[0].as_str() {
                "true" => Fate::Ended,
                "lost" => Fate::Failed("nobody knows".to_owned()),
                "full" => return Err(ApiError::new(429, "TooManyRequests", "too many")),
                code => Fate::Exited(code.parse().unwrap()),
            };
            let said = Bytes::from(format!("{:?}", request.command));
            let say = |bytes: Bytes| futures::stream::iter([Ok(bytes)]).boxed() as Output;
            Ok(Attached {
                // Nobody reads it any more.
                input: request.stdin.then(|| Box::new(Closed) as Box<dyn Input>),
                terminal: None,
                stdout: request.stdout.then(|| say(said)),
                stderr: request.stderr.then(|| say(Bytes::from_static(b"err"))),
                ended: if request.stdin {
                    Box::pin(futures::future::pending())
                } else {
                    Box::pin(std::future::ready(fate))
                },
            })
        })
    }
}

struct Closed;

impl Input for Closed {
    fn write<'a>(&'a mut self, _: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::BrokenPipe.into())))
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

async fn attach(api: &Api, query: &str, protocols: &str) -> Socket {
    open(api, &format!("p/attach?{query}"), protocols).await
}

async fn open(api: &Api, path: &str, protocols: &str) -> Socket {
    let (socket, headers) = websocket::open(api, &format!("{PODS}/{path}"), &asking(protocols)).await;
    let first = protocols.split(',').next().unwrap();
    assert_eq!(headers["sec-websocket-protocol"], first);
    socket
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
    let response = websocket::send(api, &format!("{PODS}/{path}"), headers).await;
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
    let v5 = asking("v5.channel.k8s.io");
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

#[tokio::test]
async fn program_says_its_words_and_then_how_it_ended() {
    let api = api().await;
    let ask = async |query: &str, protocol: &str| {
        let mut socket = open(&api, &format!("p/exec?{query}"), protocol).await;
        let (mut said, mut status) = (Vec::new(), Value::Null);
        assert_eq!(
            next(&mut socket).await.len(),
            1,
            "the first message only tells that the connection stands"
        );
        loop {
            match next(&mut socket).await.split_first().unwrap() {
                (3, bytes) => status = serde_json::from_slice(bytes).unwrap(),
                (channel @ 1..=2, bytes) => {
                    said.push((*channel, String::from_utf8(bytes.to_vec()).unwrap()));
                }
                close => {
                    assert_eq!(close, (&b'1', b"000".as_slice()));
                    said.sort();
                    return (said, status);
                }
            }
        }
    };
    let words = "command=true&command=a%20b&command=&stdout=true&stderr=1";
    let (said, status) = ask(words, "v5.channel.k8s.io").await;
    assert_eq!(said, [(1, r#"["true", "a b", ""]"#.to_owned()), (2, "err".to_owned())]);
    assert_eq!(status, json!({"metadata": {}, "status": "Success"}));
    // A terminal has one output.
    let (said, status) = ask("command=137&stdout=true&stderr=true&tty=true", "v4.channel.k8s.io").await;
    assert_eq!(said, [(1, r#"["137"]"#.to_owned())]);
    let cause = json!({"causes": [{"reason": "ExitCode", "message": "137"}]});
    assert_eq!((&status["reason"], &status["details"]), (&json!("NonZeroExitCode"), &cause));
    let (said, status) = ask("command=lost&stderr=true", "v5.channel.k8s.io").await;
    assert_eq!((said.len(), &status["reason"]), (1, &json!("InternalError")));
    let words = "Internal error occurred: error executing command in container: nobody knows";
    assert_eq!(status["message"], words);
}

#[tokio::test]
async fn what_a_program_does_not_read_is_thrown_away_until_its_client_leaves() {
    let api = api().await;
    let mut socket = open(&api, "p/exec?command=true&stdin=true&stdout=true", "v5.channel.k8s.io").await;
    assert_eq!(next(&mut socket).await, [1]);
    assert_eq!(next(&mut socket).await, b"\x01[\"true\"]");
    for _ in 0..64 {
        socket.send(Message::binary(vec![0; 64 << 10])).await.unwrap();
    }
    socket.close(None).await.unwrap();
    // It ends: the server has read all that came before the close.
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn program_that_cannot_be_asked_for_is_refused_in_upstreams_order() {
    let api = api().await;
    api.make(PODS, pod("unbound")).await;
    let v5 = asking("v5.channel.k8s.io");
    assert_eq!(refused(&api, "none/exec", &v5).await, refusal(404, "pods \"none\" not found"));
    let unbound = refusal(400, "pod unbound does not have a host assigned");
    assert_eq!(refused(&api, "unbound/exec?command=true", &v5).await, unbound);
    let nothing = refusal(400, "you must specify at least 1 of stdin, stdout, stderr");
    assert_eq!(refused(&api, "p/exec?command=true", &v5).await, nothing);
    let plain = refusal(400, "Upgrade request required");
    assert_eq!(refused(&api, "p/exec?command=true&stdout=true", &[]).await, plain);
    let wordless = refusal(400, "you must specify at least one command for the container");
    assert_eq!(refused(&api, "p/exec?stdout=true", &v5).await, wordless);
    assert_eq!(refused(&api, "p/exec?command=full&stdout=true", &v5).await, refusal(429, "too many"));
    let spdy = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let old = refused(&api, "p/exec?command=true&stdout=true", &spdy).await.1;
    assert!(old.starts_with("exec speaks WebSocket here") && old.contains("not SPDY"), "{old}");
}

#[tokio::test]
async fn pod_that_is_played_has_no_process_however_its_client_speaks() {
    let api = api().await;
    let mut played = pod("played");
    played["metadata"]["annotations"] = json!({"fate.windlass.dev/pod": "run: forever"});
    played["spec"]["nodeName"] = json!("here");
    api.make(PODS, played).await;
    let words = refusal(
        400,
        "pod played is played, as its fate.windlass.dev/* annotations say: it has no process, and nothing can be run in \
         it; its logs show what it writes",
    );
    let spdy = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    for headers in [spdy.as_slice(), asking("v5.channel.k8s.io").as_slice(), &[]] {
        assert_eq!(refused(&api, "played/exec?command=true&stdout=true", headers).await, words);
    }
}
