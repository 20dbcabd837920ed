//! Which of the protocols over a WebSocket a client of `attach` and `exec` asks for. Pure.

use http::HeaderMap;
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

use crate::error::ApiError;
use crate::http::websocket::{self, tokens};

/// How channels are spoken (`apimachinery/pkg/util/remotecommand/constants.go`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    /// A client ends its stdin by ending the connection.
    V4,
    /// A client may end one channel.
    V5,
}

impl Protocol {
    /// As the header names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Protocol::V4 => "v4.channel.k8s.io",
            Protocol::V5 => "v5.channel.k8s.io",
        }
    }
}

/// What a client asks for that can be had.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    /// The first of its protocols that is spoken here.
    pub(super) protocol: Protocol,
    /// The answer to its key.
    pub(super) accept: HeaderValue,
}

/// Reads the request's headers. `door` is what is asked for, in words.
pub(super) fn read(headers: &HeaderMap, door: &str) -> Result<Wanted, ApiError> {
    if tokens(headers, &UPGRADE).any(|token| token.to_ascii_uppercase().starts_with("SPDY")) {
        return Err(ApiError::bad_request(format!(
            "{door} speaks WebSocket here (v5.channel.k8s.io, v4.channel.k8s.io), not SPDY: use kubectl 1.30 or later, \
             or kubectl 1.29 with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true"
        )));
    }
    if !websocket::is_asked(headers) {
        return Err(websocket::required());
    }
    let accept = websocket::accept(headers)?;
    let known = |token: &str| [Protocol::V5, Protocol::V4].into_iter().find(|known| known.name() == token);
    match tokens(headers, &SEC_WEBSOCKET_PROTOCOL).find_map(known) {
        Some(protocol) => Ok(Wanted { protocol, accept }),
        None => Err(ApiError::bad_request(format!(
            "{door} needs the subprotocol v5.channel.k8s.io or v4.channel.k8s.io (Sec-WebSocket-Protocol)"
        ))),
    }
}

/// The protocol that is agreed on and the answer to the key, if a WebSocket is asked for.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn asked(headers: &HeaderMap) -> Result<(&'static str, HeaderValue), ApiError> {
    read(headers, "exec").map(|wanted| (wanted.protocol.name(), wanted.accept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&'static str, &str)]) -> Result<Protocol, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        read(&headers, "exec").map(|wanted| wanted.protocol).map_err(|error| error.message)
    }

    const SOCKET: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn protocols(words: &[&str]) -> Result<Protocol, String> {
        let words = words.iter().map(|word| ("sec-websocket-protocol", *word));
        asked(&SOCKET.into_iter().chain(words).collect::<Vec<_>>())
    }

    #[test]
    fn first_protocol_that_is_known_is_taken() {
        assert_eq!(protocols(&["v5.channel.k8s.io, v4.channel.k8s.io"]), Ok(Protocol::V5));
        assert_eq!(
            protocols(&["base64.channel.k8s.io,v4.channel.k8s.io", "v5.channel.k8s.io"]),
            Ok(Protocol::V4)
        );
        assert!(protocols(&["channel.k8s.io"]).unwrap_err().contains("v5.channel.k8s.io"));
        assert!(protocols(&[]).unwrap_err().contains("Sec-WebSocket-Protocol"));
    }

    #[test]
    fn key_is_answered_as_the_rfc_says() {
        let mut headers = HeaderMap::new();
        for (name, value) in SOCKET.into_iter().chain([("sec-websocket-protocol", "v5.channel.k8s.io")]) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(read(&headers, "exec").unwrap().accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn other_upgrades_are_refused_with_the_way_out() {
        assert_eq!(asked(&[]).unwrap_err(), "Upgrade request required");
        let spdy = asked(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]).unwrap_err();
        assert!(spdy.starts_with("exec speaks") && spdy.contains("kubectl 1.30"), "{spdy}");
        assert!(asked(&SOCKET[..3]).unwrap_err().contains("key"));
    }
}
