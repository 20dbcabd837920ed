//! The two halves of an attached WebSocket, as channels (`v5.channel.k8s.io`, or version 4 of older clusters). It
//! knows no pod and no stream of this machine.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::{self, BoxFuture, Either};
use futures::stream::BoxStream;
use futures::{Sink, SinkExt, StreamExt};
use kube::client::Connection;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::world::World;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// How often a sign of life is sent: what stands between may cut a silent connection, often after a minute.
const SIGN: Duration = Duration::from_secs(20);
/// The payload of the ping behind the last byte of stdin. It is answered in its turn: then all before it was taken.
const LAST: &[u8] = b"end of stdin";

/// The way to the pod.
pub struct AttachInput {
    sink: Pin<Box<dyn Sink<Message, Error = tungstenite::Error> + Send>>,
    /// Whether the cluster lets one channel end.
    ends_channels: bool,
}

/// What comes from the pod.
pub struct AttachOutput {
    source: BoxStream<'static, Result<Message, tungstenite::Error>>,
    world: Arc<dyn World>,
    sign: BoxFuture<'static, ()>,
}

/// What came from the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachEvent {
    /// It wrote this.
    Output(Bytes),
    /// Everything that was written to it, and the end of it, was taken.
    Delivered,
    /// A sign of life is due: [`AttachInput::sign`].
    Quiet,
    /// It ended, or takes no more.
    Ended,
    /// The cluster could not attach to it: it may have ended before.
    Refused(String),
    /// The connection was lost, and why.
    Cut(String),
}

pub(crate) fn split(connection: Connection, world: Arc<dyn World>) -> (AttachInput, AttachOutput) {
    let ends_channels = connection.supports_stream_close();
    let (sink, source) = connection.into_stream().split();
    let sign = world.sleep(SIGN);
    let (sink, source) = (Box::pin(sink), source.boxed());
    (AttachInput { sink, ends_channels }, AttachOutput { source, world, sign })
}

impl AttachInput {
    /// Writes to its stdin; waits as long as the pod does not read. False: the connection is lost, and
    /// [`AttachOutput::next`] tells why.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.sink.send(message(STDIN, bytes)).await.is_ok()
    }

    /// Ends its stdin. [`AttachEvent::Delivered`] comes when all was taken; from an old cluster, where the end of the
    /// connection is the end of stdin, [`AttachEvent::Ended`] does.
    pub async fn end(&mut self) -> bool {
        if !self.ends_channels {
            return self.sink.close().await.is_ok();
        }
        let end = Message::binary(vec![CLOSE, STDIN]);
        self.sink.send(end).await.is_ok()
            && self.sink.send(Message::Ping(Bytes::from_static(LAST))).await.is_ok()
    }

    /// Tells its terminal its size, in characters.
    pub async fn resize(&mut self, columns: u16, rows: u16) -> bool {
        let size = json!({"Width": columns, "Height": rows});
        self.sink.send(message(RESIZE, size.to_string().as_bytes())).await.is_ok()
    }

    /// Shows that this side lives.
    pub async fn sign(&mut self) -> bool {
        self.sink.send(Message::Ping(Bytes::new())).await.is_ok()
    }

    /// Whether the end of the connection is the end of stdin.
    pub(super) fn ends_with_connection(&self) -> bool {
        !self.ends_channels
    }
}

impl AttachOutput {
    /// What comes next. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> AttachEvent {
        loop {
            let message = match future::select(self.source.next(), &mut self.sign).await {
                Either::Left((message, _)) => message,
                Either::Right(_) => {
                    self.sign = self.world.sleep(SIGN);
                    return AttachEvent::Quiet;
                }
            };
            let event = match message {
                Some(Ok(message)) => event(&message),
                Some(Err(error)) => Some(AttachEvent::Cut(error.to_string())),
                None => Some(AttachEvent::Cut("it was closed".to_owned())),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }
}

fn event(message: &Message) -> Option<AttachEvent> {
    let bytes = match message {
        Message::Binary(bytes) => bytes,
        Message::Pong(payload) => return (payload[..] == *LAST).then_some(AttachEvent::Delivered),
        Message::Close(frame) => {
            let why = frame.as_ref().map(|frame| format!("the server closed it ({})", frame.code));
            return Some(AttachEvent::Cut(why.unwrap_or_else(|| "the server closed it".to_owned())));
        }
        Message::Text(_) | Message::Ping(_) | Message::Frame(_) => return None,
    };
    match bytes.split_first() {
        Some((&(STDOUT | STDERR), rest)) if !rest.is_empty() => Some(AttachEvent::Output(bytes.slice(1..))),
        Some((&ERROR, rest)) if !rest.is_empty() => Some(last_word(rest)),
        _ => None,
    }
}

/// What a binary message says.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn heard(message: &[u8]) -> Option<AttachEvent> {
    event(&Message::Binary(Bytes::copy_from_slice(message)))
}

/// The Status that ends an attachment.
fn last_word(bytes: &[u8]) -> AttachEvent {
    let status: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    if status["status"] == "Success" || status["reason"] == "NonZeroExitCode" {
        return AttachEvent::Ended;
    }
    AttachEvent::Refused(status["message"].as_str().unwrap_or("it gives no reason").to_owned())
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut message = BytesMut::with_capacity(bytes.len() + 1);
    message.extend_from_slice(&[channel]);
    message.extend_from_slice(bytes);
    Message::Binary(message.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &'static [u8]) -> Option<AttachEvent> {
        event(&Message::Binary(Bytes::from_static(bytes)))
    }

    #[test]
    fn channels_are_told_apart() {
        assert_eq!(heard(b"\x01"), None);
        assert_eq!(heard(b"\x02text"), Some(AttachEvent::Output(Bytes::from_static(b"text"))));
        assert_eq!(heard(b"\x09text"), None);
        assert_eq!(heard(b""), None);
        assert_eq!(event(&Message::Pong(Bytes::from_static(LAST))), Some(AttachEvent::Delivered));
        assert_eq!(event(&Message::Pong(Bytes::new())), None);
    }

    #[test]
    fn last_word_is_an_end_or_a_refusal() {
        assert_eq!(heard(b"\x03{\"metadata\":{},\"status\":\"Success\"}"), Some(AttachEvent::Ended));
        let failed = heard(b"\x03{\"status\":\"Failure\",\"message\":\"no such container\"}");
        assert_eq!(failed, Some(AttachEvent::Refused("no such container".to_owned())));
        assert!(matches!(heard(b"\x03nonsense"), Some(AttachEvent::Refused(_))));
    }
}
