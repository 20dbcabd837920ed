//! The channels of a client over one WebSocket, attached to a container or to a program beside it: the first byte of a
//! message names its channel. It knows no HTTP and no process.
//!
//! Nothing is buffered but the message in hand: a stdin that is not read stops the reading of the connection, a
//! client that does not read stops the reading of the output.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::{self, Either};
use futures::stream::{self, SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch as signal};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Talk;
use super::handshake::Protocol;
use super::message::{self, Said};
use crate::attach::{Attached, Fate, Input, Output, Terminal};
use crate::http::serve::stopped;
use crate::http::websocket::{LAST_FAREWELL, farewell, hear};

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;

/// How often a client is shown that the connection lives, also while it waits for a slow reader of its stdin: clients
/// give up after a minute without a sign.
const SIGN: Duration = Duration::from_secs(15);
/// How long a client that has been greeted may be silent until it is spoken to all the same: its library may answer no
/// ping.
const GREETING: Duration = Duration::from_secs(1);
/// Why a client is not served any more.
enum End {
    /// The container's run or the program is over.
    Run,
    /// The client is gone.
    Client,
    /// The client has said that it goes, and waits to be told goodbye.
    Goodbye,
    /// The server stops, or the client's credential is over.
    Stop,
}

/// Ends when the server stops, or when what is left of the client's credential is over.
pub(super) async fn leave(mut stop: signal::Receiver<bool>, remaining: Option<Duration>) {
    match remaining {
        Some(remaining) => _ = timeout(remaining, stopped(&mut stop)).await,
        None => stopped(&mut stop).await,
    }
}

/// Serves a client until its end, the container's or the server's.
pub(super) async fn serve<S>(
    socket: WebSocketStream<S>,
    attached: Attached,
    talk: Talk,
    protocol: Protocol,
    leave: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Attached { input, terminal, stdout, stderr, ended } = attached;
    let (mut sink, mut source) = socket.split();
    // In version 4 a client ends a program's stdin by a goodbye: the program may end by itself then (fabric8's uploads).
    let lets_end = talk == Talk::Exec && protocol == Protocol::V4 && input.is_some();
    let end = {
        let (outputs, heard) = (Outputs { stdout, stderr }, Notify::new());
        let mut writing = std::pin::pin!(write(&mut sink, outputs, ended, talk, &heard));
        let reading = read(&mut source, input, terminal.as_deref(), talk, protocol, &heard);
        let mut reading = std::pin::pin!(reading);
        tokio::select! {
            // What is there to be said is said before an end is.
            end = &mut writing => end,
            end = &mut reading => {
                if lets_end && matches!(end, End::Goodbye) {
                    _ = timeout(LAST_FAREWELL, writing).await;
                }
                end
            }
            () = leave => End::Stop,
        }
    };
    match end {
        End::Client => {}
        End::Goodbye => _ = timeout(LAST_FAREWELL, hear(&mut source)).await,
        End::Run => farewell(&mut sink, &mut source, CloseCode::Normal).await,
        End::Stop => _ = timeout(LAST_FAREWELL, farewell(&mut sink, &mut source, CloseCode::Away)).await,
    }
}

/// What a client reads.
struct Outputs {
    stdout: Option<Output>,
    stderr: Option<Output>,
}

/// Says what comes, and at the end how it ended.
///
/// The client is greeted by a ping, and spoken to once it has been heard: kubectl 1.29 to 1.33 begins to read before it
/// knows its own channels, and throws away what comes for them until then (kubernetes/kubernetes#131189). A program
/// beside a container may have said all it has to say, and ended, before.
async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    outputs: Outputs,
    ended: future::BoxFuture<'static, Fate>,
    talk: Talk,
    heard: &Notify,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if sink.send(Message::Ping(Bytes::new())).await.is_err() {
        return End::Client;
    }
    let _ = timeout(GREETING, heard.notified()).await;
    // An empty message on the first channel that is written tells that the connection stands.
    let first = match &outputs {
        Outputs { stdout: Some(_), .. } => STDOUT,
        Outputs { stderr: Some(_), .. } => STDERR,
        _ => ERROR,
    };
    if sink.send(message(first, &[])).await.is_err() {
        return End::Client;
    }
    let on = |channel: u8, output: Option<Output>| {
        output.unwrap_or_else(|| stream::empty().boxed()).map(move |chunk| (channel, chunk))
    };
    let mut chunks = stream::select(on(STDOUT, outputs.stdout), on(STDERR, outputs.stderr));
    let mut signs = interval(SIGN);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    signs.reset();
    let fate = loop {
        let sent = tokio::select! {
            chunk = chunks.next() => match chunk {
                Some((channel, Ok(bytes))) => sink.send(message(channel, &bytes)).await,
                Some((_, Err(cause))) => break Fate::Failed(cause.to_string()),
                None => match sign_until(sink, &mut signs, ended).await {
                    Ok(fate) => break fate,
                    Err(_) => return End::Client,
                },
            },
            _ = signs.tick() => sink.send(Message::Pong(Bytes::new())).await,
        };
        if sent.is_err() {
            return End::Client;
        }
    };
    let status = status(&fate, talk);
    if sink.send(message(ERROR, status.to_string().as_bytes())).await.is_err() {
        return End::Client;
    }
    End::Run
}

/// Waits for the end; the client sees meanwhile that the connection lives.
async fn sign_until<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    signs: &mut tokio::time::Interval,
    ended: future::BoxFuture<'static, Fate>,
) -> tokio_tungstenite::tungstenite::Result<Fate>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ended = ended;
    loop {
        match future::select(&mut ended, std::pin::pin!(signs.tick())).await {
            Either::Left((fate, _)) => return Ok(fate),
            Either::Right(_) => {}
        }
        sink.send(Message::Pong(Bytes::new())).await?;
    }
}

/// The last word, as upstream writes it: a run that is over was attached to with success, whatever its exit code; that of
/// a program is told (cri-streaming/pkg/streaming/remotecommand/attach.go and exec.go).
fn status(fate: &Fate, talk: Talk) -> serde_json::Value {
    let done = match talk {
        Talk::Attach => "attaching to container",
        Talk::Exec => "executing command in container",
    };
    match fate {
        Fate::Ended => json!({"metadata": {}, "status": "Success"}),
        Fate::Exited(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit code {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Fate::Failed(cause) => json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": format!("Internal error occurred: error {done}: {cause}"),
            "details": {"causes": [{"message": format!("error {done}: {cause}")}]},
        }),
    }
}

/// Does what the client says, until it is gone. That it was `heard` is told.
async fn read<S>(
    source: &mut SplitStream<WebSocketStream<S>>,
    mut input: Option<Box<dyn Input>>,
    terminal: Option<&dyn Terminal>,
    talk: Talk,
    protocol: Protocol,
    heard: &Notify,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = source.next().await {
        heard.notify_one();
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            // Some clients send text as text.
            Message::Text(text) => text.into(),
            Message::Close(_) => return End::Goodbye,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        match message::read(&bytes, protocol) {
            Said::Stdin(bytes) => {
                let Some(stdin) = &mut input else { continue };
                if let Err(cause) = stdin.write(bytes).await {
                    tracing::debug!(%cause, "a container reads its stdin no more");
                    // A local pipe would stop the writer here. So does this: nothing more is read of it. But a program
                    // ends with its client, whose leave is not to be missed: the rest is thrown away.
                    input = None;
                    if terminal.is_none() && talk == Talk::Attach {
                        return future::pending().await;
                    }
                }
            }
            Said::Size { width, height } => {
                if let Some(terminal) = terminal {
                    // A terminal that is gone has no size: the run is about to end.
                    let _ = terminal.resize(width, height);
                }
            }
            Said::StdinEnds => input = None,
            Said::Nothing => {}
        }
    }
    End::Client
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.extend_from_slice(&[channel]);
    message.extend_from_slice(bytes);
    Message::Binary(message.freeze())
}
