//! Clients that are slow to begin, or slow to read, on a paused clock and without a network.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt, future, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::handshake::Protocol;
use super::{Talk, channels};
use crate::attach::{Attached, Fate, Input};

/// How much is on its way at most.
const PIPE: usize = 4096;

type Socket = WebSocketStream<DuplexStream>;

/// A program that has said this and ended, and its client.
async fn program(words: &'static [&'static str]) -> (Socket, JoinHandle<()>) {
    let (theirs, ours) = tokio::io::duplex(PIPE);
    let server = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
    let said = stream::iter(words).map(|word| Ok(Bytes::from_static(word.as_bytes())));
    let attached = Attached {
        input: None,
        terminal: None,
        stdout: Some(said.boxed()),
        stderr: None,
        ended: Box::pin(future::ready(Fate::Ended)),
    };
    let serving = channels::serve(server, attached, Talk::Exec, Protocol::V5, future::pending());
    let serving = tokio::spawn(serving);
    (WebSocketStream::from_raw_socket(theirs, Role::Client, None).await, serving)
}

async fn next(socket: &mut Socket) -> Message {
    socket.next().await.expect("a message").expect("a whole one")
}

/// What is still said, up to the end.
async fn rest(socket: &mut Socket) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        match next(socket).await {
            Message::Binary(bytes) => said.push(bytes.to_vec()),
            Message::Close(frame) => {
                assert_eq!(u16::from(frame.expect("a code").code), 1000);
                return said;
            }
            _ => {}
        }
    }
}

const SUCCESS: &[u8] = b"\x03{\"metadata\":{},\"status\":\"Success\"}";

/// Reads until the program's word has come.
async fn word(raw: &mut DuplexStream) {
    let mut said = Vec::new();
    while !said.ends_with(b"\x01word") {
        said.push(raw.read_u8().await.expect("it goes on"));
    }
}

#[tokio::test(start_paused = true)]
async fn client_is_spoken_to_once_it_was_heard() {
    let (socket, serving) = program(&["word"]).await;
    let (mut raw, before) = (socket.into_inner(), Instant::now());
    let mut ping = [0; 2];
    raw.read_exact(&mut ping).await.expect("a ping");
    assert_eq!(ping, [0x89, 0]);
    assert!(raw.read_u8().now_or_never().is_none(), "nothing else is said");
    raw.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.expect("a pong");
    word(&mut raw).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    drop(raw);
    serving.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn client_that_answers_no_ping_is_spoken_to_all_the_same() {
    let (socket, serving) = program(&["word"]).await;
    let (mut raw, before) = (socket.into_inner(), Instant::now());
    word(&mut raw).await;
    assert_eq!(before.elapsed(), Duration::from_secs(1));
    drop(raw);
    serving.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn client_that_reads_slowly_and_shows_that_it_lives_is_told_all() {
    let (mut socket, serving) = program(&["a first line\n", "and a second\n"]).await;
    assert!(matches!(next(&mut socket).await, Message::Ping(_)));
    for _ in 0..12 {
        socket.send(Message::Ping(Bytes::new())).await.expect("it is read");
        advance(Duration::from_secs(5)).await;
        assert!(!serving.is_finished());
    }
    let said = rest(&mut socket).await;
    assert_eq!(said, [b"\x01".as_slice(), b"\x01a first line\n", b"\x01and a second\n", SUCCESS]);
    serving.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn client_that_is_silent_after_the_last_word_is_left() {
    let (mut socket, serving) = program(&["word"]).await;
    while next(&mut socket).await != Message::binary(SUCCESS) {}
    let before = Instant::now();
    serving.await.expect("it ends");
    assert_eq!(before.elapsed(), Duration::from_secs(15));
}

/// A stdin that is never full. What it drops tells of its end.
struct Stdin(#[expect(dead_code, reason = "held")] oneshot::Sender<()>);

impl Input for Stdin {
    fn write<'a>(&'a mut self, _: &'a [u8]) -> BoxFuture<'a, std::io::Result<()>> {
        future::ready(Ok(())).boxed()
    }
}

/// How long it takes until a client that says goodbye is answered and left, if its program ends so long after its stdin;
/// and whether the program ended by itself.
async fn goodbye(protocol: Protocol, ends_after: Duration) -> (Duration, bool) {
    let (theirs, ours) = tokio::io::duplex(PIPE);
    let server = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
    let (over, is_over) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let attached = Attached {
        input: Some(Box::new(Stdin(over))),
        terminal: None,
        stdout: None,
        stderr: None,
        ended: Box::pin(async move {
            let _ = is_over.await;
            tokio::time::sleep(ends_after).await;
            let _ = ended.send(());
            Fate::Exited(0)
        }),
    };
    let serving = channels::serve(server, attached, Talk::Exec, protocol, future::pending());
    let serving = tokio::spawn(serving);
    let mut socket = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    while next(&mut socket).await != Message::binary(b"\x03".as_slice()) {}
    let before = Instant::now();
    socket.send(Message::binary(b"\0all of it".as_slice())).await.expect("it is read");
    socket.close(None).await.expect("it is read");
    while !matches!(next(&mut socket).await, Message::Close(_)) {}
    serving.await.expect("it ends");
    (before.elapsed(), has_ended.await.is_ok())
}

#[tokio::test(start_paused = true)]
async fn in_version_4_a_program_may_come_to_the_end_of_its_stdin_and_the_client_is_told_goodbye() {
    let second = Duration::from_secs(1);
    assert_eq!(goodbye(Protocol::V4, second).await, (second, true));
    assert_eq!(goodbye(Protocol::V4, 60 * second).await, (5 * second, false), "but not for ever");
    assert_eq!(goodbye(Protocol::V5, second).await, (Duration::ZERO, false));
}
