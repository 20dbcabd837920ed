//! The server as it listens: TLS, both protocols, credentials, bounds, and how it stops.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Api, CONFIG_MAPS, TOKEN};
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use windlass_apiserver::http::Limits;
use windlass_store::Bounds;

pub(crate) async fn connect(api: &Api, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(api.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(api.server.address()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

/// One request on a connection of its own.
pub(crate) async fn ask(
    api: &Api,
    protocol: &[u8],
    request: Request<Body>,
) -> http::Response<hyper::body::Incoming> {
    let io = TokioIo::new(connect(api, protocol).await);
    if protocol == b"h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }
}

fn get(api: &Api, path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request =
        Request::get(format!("https://{}{path}", api.server.address())).header("host", "localhost");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn both_protocols_serve_the_administrator() {
    let api = Api::new().await;
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        let response =
            ask(&api, protocol, get(&api, "/api/v1/namespaces", Some(&format!("Bearer {TOKEN}")))).await;
        assert_eq!(response.status(), StatusCode::OK);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.starts_with(b"{\"kind\":\"NamespaceList\""));
    }
}

#[tokio::test]
async fn without_the_token_only_health_and_version_are_open() {
    let api = Api::new().await;
    let half = format!("Bearer {}", &TOKEN[..10]);
    let longer = format!("Bearer {TOKEN}x");
    for authorization in
        [None, Some("Bearer "), Some("Bearer"), Some(&*half), Some(&*longer), Some("Basic eDp5")]
    {
        let response = ask(&api, b"http/1.1", get(&api, "/api/v1/secrets", authorization)).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{authorization:?}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let status: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&status["reason"], &status["kind"]), (&"Unauthorized".into(), &"Status".into()));
    }
    for path in ["/healthz", "/livez", "/readyz", "/version", "/version/"] {
        assert_eq!(ask(&api, b"http/1.1", get(&api, path, None)).await.status(), StatusCode::OK, "{path}");
    }
    for path in ["/api", "/openapi/v2", "/healthz/ping", "/nothing"] {
        assert_eq!(
            ask(&api, b"http/1.1", get(&api, path, None)).await.status(),
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
}

#[tokio::test]
async fn headers_above_the_bound_are_refused() {
    let limits = Limits { header_bytes: 8192, ..Limits::default() };
    let api = Api::with(limits, Bounds::default()).await;
    let mut request = get(&api, "/healthz", None);
    request.headers_mut().insert("x-long", "x".repeat(20_000).parse().unwrap());
    let response = ask(&api, b"http/1.1", request).await;
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_body_above_the_bound_is_refused() {
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let api = Api::with(limits, Bounds::default()).await;
    let request = Request::post(CONFIG_MAPS)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Body::from(vec![b' '; 2000]))
        .unwrap();
    assert_eq!(ask(&api, b"http/1.1", request).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_stop_ends_watches_and_idle_connections() {
    // Whoever had to be waited for would be waited for in vain.
    let limits = Limits { drain_s: 100_000, ..Limits::default() };
    let api = Api::with(limits, Bounds::default()).await;
    let authorization = format!("Bearer {TOKEN}");
    let path = format!("{CONFIG_MAPS}?watch=true");
    let mut bodies = Vec::new();
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        bodies.push(ask(&api, protocol, get(&api, &path, Some(&authorization))).await.into_body());
    }
    let idle = connect(&api, b"http/1.1").await;
    tokio::time::timeout(Duration::from_secs(180), api.server.stop())
        .await
        .expect("it need not wait for anyone");
    for body in bodies {
        let rest = body.collect().await.expect("a clean end");
        assert!(rest.to_bytes().is_empty());
    }
    drop(idle);
    assert!(TcpStream::connect(api.server.address()).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_is_no_tls_is_dropped_and_others_are_served() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let api = Api::new().await;
    let mut plain = TcpStream::connect(api.server.address()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // A TLS alert or nothing, and then the end.
    let _ = plain.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP"));
    assert_eq!(ask(&api, b"http/1.1", get(&api, "/healthz", None)).await.status(), StatusCode::OK);
}
