//! A watch over a WebSocket: one message an event, as upstream's HandleWS (`endpoints/handlers/watch.go`).
//!
//! Here a client needs no Origin: a browser's own does not let it in, its token does. What a client says is thrown
//! away. It reads as fast as it wants: what waits for it is one batch, and the server's memory of changes goes on.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use http::HeaderMap;
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch as signal;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::feed::Feed;
use crate::error::ApiError;
use crate::http::serve::stopped;
use crate::http::websocket::{self, LAST_FAREWELL, Upgrade};

/// The longest message of a client, in bytes. It has nothing to say but pings.
const MAX_MESSAGE: usize = 64 << 10;
/// How much is read at a time: each open watch holds so much.
const READ: usize = 4 << 10;
/// How much is written at a time.
const WRITE: usize = 16 << 10;
/// The longest frame: a larger event comes in several, so that no watch holds the largest that it ever sent.
const FRAME: usize = 64 << 10;
/// How long a client that goes on talking has to take note of the end.
const PARTING: Duration = Duration::from_secs(60);

/// Hands the connection over to a watch.
pub(super) fn answer(
    headers: &HeaderMap,
    upgrade: Option<Upgrade>,
    feed: Feed,
    stop: signal::Receiver<bool>,
) -> Result<Response, ApiError> {
    let accept = websocket::accept(headers)?;
    let protocol = protocol(headers)?;
    let upgrade = upgrade.ok_or_else(websocket::required)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(WRITE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    Ok(upgrade.answer(accept, protocol, config, move |socket| serve(socket, feed, stop)))
}

/// The subprotocol that is agreed on: the only one that is asked for, whatever it is. Of several, upstream's library
/// takes none (`golang.org/x/net/websocket`, AcceptHandshake).
fn protocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
    let mut asked = websocket::tokens(headers, &SEC_WEBSOCKET_PROTOCOL).filter(|token| !token.is_empty());
    let first = asked.next();
    if asked.next().is_some() {
        return Err(ApiError::bad_request(
            "a watch has no subprotocols to choose from: ask for none (Sec-WebSocket-Protocol)",
        ));
    }
    first.map(|name| HeaderValue::from_str(name).map_err(ApiError::internal)).transpose()
}

/// Serves a watch until its end, the client's or the server's.
pub(super) async fn serve<S>(socket: WebSocketStream<S>, mut feed: Feed, mut stop: signal::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut source) = socket.split();
    let told = tokio::select! {
        told = tell(&mut sink, &mut feed) => Some(told),
        () = websocket::hear(&mut source) => None,
    };
    // Its place among the watches is free.
    drop(feed);
    match told {
        // A client that says goodbye has been answered, or still is.
        None => {}
        Some(Err(_)) => _ = timeout(LAST_FAREWELL, websocket::hear(&mut source)).await,
        Some(Ok(())) if *stop.borrow() => {
            let farewell = websocket::farewell(&mut sink, &mut source, CloseCode::Away);
            _ = timeout(LAST_FAREWELL, farewell).await;
        }
        Some(Ok(())) => {
            let farewell = websocket::farewell(&mut sink, &mut source, CloseCode::Normal);
            tokio::select! {
                _ = timeout(PARTING, farewell) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }
    websocket::hang_up(sink, source).await;
}

/// Tells all that there is to be told.
async fn tell<S>(sink: &mut SplitSink<WebSocketStream<S>, Message>, feed: &mut Feed) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(events) = feed.events().await {
        for event in events {
            for frame in frames(&event) {
                sink.feed(Message::Frame(frame)).await?;
            }
        }
        sink.flush().await?;
    }
    Ok(())
}

/// An event as a message of text.
fn frames(event: &Bytes) -> impl Iterator<Item = Frame> {
    let count = event.len().div_ceil(FRAME);
    (0..count).map(move |at| {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let part = event.slice(at * FRAME..event.len().min((at + 1) * FRAME));
        Frame::message(part, OpCode::Data(kind), at + 1 == count)
    })
}
