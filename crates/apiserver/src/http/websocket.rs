//! WebSockets (RFC 6455): whether a request asks for one, how its connection is handed over, and how one is ended.
//! It knows nothing of what is said over it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt, future};
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Extensions, HeaderMap, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::activity::Open;
use super::serve::Place;
use crate::error::ApiError;

/// How long a client may be silent after the last message to it. One that reads slowly shows meanwhile that it lives:
/// kubectl sends a ping every five seconds.
const FAREWELL: Duration = Duration::from_secs(15);
/// How long a server that stops waits for that.
pub(super) const LAST_FAREWELL: Duration = Duration::from_secs(5);

/// A client's connection.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request asks for one.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    let has =
        |name: &HeaderName, word: &str| tokens(headers, name).any(|token| token.eq_ignore_ascii_case(word));
    has(&UPGRADE, "websocket") && has(&CONNECTION, "upgrade")
}

/// The answer to the key of a request that asks for one.
pub(super) fn accept(headers: &HeaderMap) -> Result<HeaderValue, ApiError> {
    let is_known = tokens(headers, &SEC_WEBSOCKET_VERSION).any(|version| version == "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| is_known);
    let key = key.ok_or_else(|| ApiError::bad_request("a WebSocket of version 13 with a key is needed"))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::internal)
}

/// The answer to a request that stays plain HTTP.
pub(super) fn required() -> ApiError {
    ApiError::bad_request("Upgrade request required")
}

/// The comma-separated words of a header, which may be there several times.
pub(super) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// A connection that can be handed over, and what it counts as: what takes it holds that until its end.
pub(super) struct Upgrade {
    connection: OnUpgrade,
    open: Option<Arc<Open>>,
    place: Option<Place>,
}

impl Upgrade {
    /// The connection of a request, if it can be handed over: not an HTTP/2 stream, nor a client within this process.
    pub(super) fn of(extensions: &mut Extensions) -> Option<Upgrade> {
        let connection = extensions.remove::<OnUpgrade>()?;
        Some(Upgrade { connection, open: extensions.remove(), place: extensions.remove() })
    }

    /// The same, no more counted among the connections: it is bounded otherwise.
    pub(super) fn leaving_its_place(self) -> Upgrade {
        Upgrade { place: None, ..self }
    }

    /// The answer that hands it over, to be served once that has been sent.
    pub(super) fn answer<F>(
        self,
        accept: HeaderValue,
        protocol: Option<HeaderValue>,
        config: WebSocketConfig,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let Upgrade { connection, open, place } = self;
        tokio::spawn(async move {
            let stream = match connection.await {
                Ok(upgraded) => TokioIo::new(upgraded),
                Err(cause) => return tracing::debug!(%cause, "a connection was not handed over"),
            };
            serve(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await).await;
            drop((open, place));
        });
        response
    }
}

/// Ends a connection, once the client has read what is still on its way to it or is silent.
pub(super) async fn farewell<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    source: &mut SplitStream<WebSocketStream<S>>,
    code: CloseCode,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = Message::Close(Some(CloseFrame { code, reason: "".into() }));
    let saying = async {
        let _ = sink.send(close).await;
        future::pending::<()>().await;
    };
    // What the client says is read and thrown away: closing over it would destroy what was said to it last.
    let hearing = async { while let Ok(Some(Ok(_))) = timeout(FAREWELL, source.next()).await {} };
    tokio::select! {
        () = saying => {}
        () = hearing => {}
    }
}

/// Hears a client until it is gone. Its pings and its goodbye are answered on the way.
pub(super) async fn hear<S>(source: &mut SplitStream<WebSocketStream<S>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(_)) = source.next().await {}
}

/// Closes a connection in order, so that its client does not take the end for a broken one.
pub(super) async fn hang_up<S>(
    sink: SplitSink<WebSocketStream<S>, Message>,
    source: SplitStream<WebSocketStream<S>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Ok(mut socket) = sink.reunite(source) {
        _ = timeout(LAST_FAREWELL, socket.get_mut().shutdown()).await;
    }
}
