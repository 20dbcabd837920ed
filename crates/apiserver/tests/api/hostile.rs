//! Clients that mean no good, or have bad luck, over real connections: each gets a clear answer or is cut off, costs a
//! bounded amount, and the server is well after.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use windlass_apiserver::http::Limits;
use windlass_store::Bounds;

use crate::support::{Api, CONFIG_MAPS, JOBS, TOKEN, config_map, job};
use crate::tls::{ask, connect};

/// Seconds: longer than any test stands still.
pub(crate) const LONG_S: u64 = 100_000;

/// A request as the owner's.
fn owners(method: Method, path: &str, media: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("https://localhost{path}"));
    let request = request.header("host", "localhost").header("content-type", media);
    request.header("authorization", format!("Bearer {TOKEN}")).body(body.into()).unwrap()
}

async fn is_well(api: &Api) {
    for protocol in [b"h2".as_slice(), b"http/1.1"] {
        let answer = ask(api, protocol, owners(Method::GET, "/readyz", "text/plain", Body::empty())).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

async fn with_limits(change: impl FnOnce(&mut Limits)) -> Api {
    let mut limits = Limits::default();
    change(&mut limits);
    Api::with(limits, Bounds::default()).await
}

/// Everything until the server ends the connection, or breaks it.
pub(crate) async fn until_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut all, mut chunk) = (Vec::new(), vec![0; 16 << 10]);
    while let Ok(count) = stream.read(&mut chunk).await {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// As [`until_end`], of a connection that the server ends when its time is up: the time passes at once. What is under
/// way on other connections must be over: theirs passes too.
pub(crate) async fn until_its_time_is_up(stream: &mut (impl AsyncRead + Unpin)) -> String {
    tokio::time::pause();
    let all = until_end(stream).await;
    tokio::time::resume();
    all
}

/// Everything until this was said.
pub(crate) async fn until(stream: &mut (impl AsyncRead + Unpin), text: &str) -> String {
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(text) {
        match stream.read_u8().await {
            Ok(byte) => all.push(byte),
            Err(error) => panic!("{error}: no {text:?} in {:?}", String::from_utf8_lossy(&all)),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn head(more: &str) -> String {
    format!(
        "POST {CONFIG_MAPS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\n{more}\r\n\r\n"
    )
}

/// Writes up to so many bytes in pieces; how many were taken before the other end refused more.
async fn pour(stream: &mut (impl AsyncWrite + Unpin), piece: &[u8], bytes: usize) -> usize {
    let mut taken = 0;
    while taken < bytes && stream.write_all(piece).await.is_ok() {
        taken += piece.len();
    }
    taken
}

#[tokio::test]
async fn a_body_of_50_megabytes_is_refused_and_its_connection_closed() {
    const BODY: usize = 50 << 20;
    let api = Api::new().await;
    let plain = vec![b' '; 64 << 10];
    let chunk = [b"10000\r\n".as_slice(), &plain, b"\r\n"].concat();
    let length = format!("content-length: {BODY}");
    for (said, piece) in [(length.as_str(), &plain), ("transfer-encoding: chunked", &chunk)] {
        let stream = connect(&api, b"http/1.1").await;
        let (mut reading, mut writing) = tokio::io::split(stream);
        writing.write_all(head(said).as_bytes()).await.unwrap();
        let (answer, taken) = tokio::join!(until_end(&mut reading), pour(&mut writing, piece, BODY));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{said}: {answer}");
        assert!(answer.contains("Request entity too large: limit is 3145728"));
        assert!(taken < BODY / 2, "{said}: {taken} bytes were taken");
    }
    let answer =
        ask(&api, b"h2", owners(Method::POST, CONFIG_MAPS, "application/json", vec![b' '; 5 << 20])).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    is_well(&api).await;
}

#[tokio::test]
async fn bodies_have_their_time_and_their_room() {
    let api = with_limits(|limits| {
        limits.bodies_bytes = 4 << 10;
        limits.body_timeout_s = LONG_S;
    })
    .await;
    let mut hoarder = connect(&api, b"http/1.1").await;
    hoarder.write_all(head("content-length: 4000\r\nexpect: 100-continue").as_bytes()).await.unwrap();
    // The body is being read.
    until(&mut hoarder, "HTTP/1.1 100 Continue\r\n\r\n").await;
    hoarder.write_all(b"{").await.unwrap();
    let answer = until_its_time_is_up(&mut hoarder).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let body = config_map("c", json!({})).to_string();
    let answer = ask(&api, b"h2", owners(Method::POST, CONFIG_MAPS, "application/json", body)).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "the room is free again");
}

#[tokio::test]
async fn nesting_and_references_without_end_are_no_object() {
    let api = Api::new().await;
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    // Each line has the one before nine times: nine to the power of eight texts.
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (at, name) in "bcdefghi".chars().enumerate() {
        let before = "abcdefghi".as_bytes()[at] as char;
        bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(","));
    }
    for (media, body) in [
        ("application/json", deep("[", "]")),
        ("application/json", deep("{\"a\":", "}")),
        ("application/json", format!("{{\"metadata\":{}}}", deep("[", "]"))),
        ("application/yaml", deep("[", "]")),
        ("application/yaml", deep("{a: ", "}")),
        ("application/yaml", (0..10_000).map(|n| " ".repeat(n.min(200)) + "a:\n").collect()),
        ("application/yaml", bomb),
        ("application/json", "\u{0}".repeat(1000)),
    ] {
        let sample: String = body.chars().take(20).collect();
        for method in [Method::POST, Method::DELETE] {
            let answer = ask(&api, b"http/1.1", owners(method, CONFIG_MAPS, media, body.clone())).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{media}: {sample}");
        }
    }
    let patch = format!("{{\"data\":{}}}", deep("[", "]"));
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let path = format!("{CONFIG_MAPS}/c");
    let answer = ask(&api, b"h2", owners(Method::PATCH, &path, "application/merge-patch+json", patch)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    is_well(&api).await;
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let api = Api::new().await;
    let many: String = (0..2000).map(|n| format!("x-{n}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(1 << 20));
    let long_path = format!("/{}", "a".repeat(1 << 20));
    for (path, headers) in [("/readyz", many.as_str()), ("/readyz", &large), (&long_path, "")] {
        let stream = connect(&api, b"http/1.1").await;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        let (answer, _) =
            tokio::join!(until_end(&mut reading), pour(&mut writing, text.as_bytes(), text.len()));
        let refused = ["HTTP/1.1 431 ", "HTTP/1.1 414 "].iter().any(|start| answer.starts_with(start));
        assert!(refused, "{text:.80}: {answer:.200}");
    }
    let mut flood = owners(Method::GET, "/readyz", "text/plain", Body::empty());
    for n in 0..1000 {
        let name = http::HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap();
        flood.headers_mut().insert(name, "y".repeat(100).parse().unwrap());
    }
    let io = TokioIo::new(connect(&api, b"h2").await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    if let Ok(answer) = sender.send_request(flood).await {
        assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    is_well(&api).await;
}

#[tokio::test]
async fn connections_that_show_nothing_make_way_for_others() {
    let api = with_limits(|limits| {
        limits.connections = 20;
        limits.newcomers = 4;
        limits.newcomer_least_ms = 1;
        // None of them goes by its time.
        limits.newcomer_s = LONG_S;
        limits.header_timeout_s = LONG_S;
    })
    .await;
    let mut silent = Vec::new();
    for n in 0..60 {
        if n % 2 == 0 {
            silent.push(TcpStream::connect(api.server.address()).await.unwrap());
        } else {
            // Through the handshake, and then a request that never ends.
            let mut slow = connect(&api, b"http/1.1").await;
            slow.write_all(b"GET /api HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        }
    }
    is_well(&api).await;
    // All but the last few have been sent away.
    for stream in &mut silent[..26] {
        assert_eq!(until_end(stream).await, "");
    }
}

#[tokio::test]
async fn newcomers_and_heads_have_their_time() {
    let api = with_limits(|limits| {
        limits.newcomer_s = LONG_S;
        limits.header_timeout_s = LONG_S;
    })
    .await;
    let mut half_open = TcpStream::connect(api.server.address()).await.unwrap();
    let mut silent = connect(&api, b"http/1.1").await;
    let mut nobody = connect(&api, b"http/1.1").await;
    nobody.write_all(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut slow = connect(&api, b"http/1.1").await;
    let known = format!(
        "GET /api HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\nGET /api HTTP/1.1\r\nx:"
    );
    slow.write_all(known.as_bytes()).await.unwrap();
    for answered in [&mut nobody, &mut slow] {
        assert_eq!(until(answered, "HTTP/1.1 200 ").await, "HTTP/1.1 200 ");
    }
    assert_eq!(until_its_time_is_up(&mut half_open).await, "");
    assert_eq!(until_its_time_is_up(&mut silent).await, "");
    for answered in [&mut nobody, &mut slow] {
        let rest = until_its_time_is_up(answered).await;
        assert!(!rest.contains("HTTP/1.1 200 "), "it was answered, and then closed: {rest}");
    }
    is_well(&api).await;
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_cut_off() {
    let api = with_limits(|limits| {
        limits.connections = 1;
        limits.stall_s = 1;
    })
    .await;
    for n in 0..8 {
        let mut large = config_map(&format!("c{n}"), json!({}));
        large["data"]["x"] = "y".repeat(900 << 10).into();
        api.make(CONFIG_MAPS, large).await;
    }
    let mut deaf = connect(&api, b"http/1.1").await;
    let list = format!("GET {CONFIG_MAPS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    // Asked for until nothing more is taken: far more than the system's buffers between the two.
    deaf.write_all(list.repeat(20).as_bytes()).await.unwrap();
    // There is room for one connection: this is answered when the deaf one has been cut off.
    is_well(&api).await;
    assert!(until_end(&mut deaf).await.len() < (20 * 8 * 900) << 10, "not everything was sent");
}

#[tokio::test]
async fn connections_above_the_bound_wait_for_their_turn() {
    let api = with_limits(|limits| limits.connections = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let io = TokioIo::new(connect(&api, b"http/1.1").await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let task = tokio::spawn(connection);
        let answer =
            sender.send_request(owners(Method::GET, "/readyz", "text/plain", Body::empty())).await.unwrap();
        answer.into_body().collect().await.unwrap();
        held.push((sender, task));
    }
    let api = Arc::new(api);
    let waiting = tokio::spawn({
        let api = Arc::clone(&api);
        async move { is_well(&api).await }
    });
    drop(held);
    waiting.await.unwrap();
}

#[tokio::test]
async fn garbage_in_the_pipeline_hurts_nobody() {
    // Whoever says nothing that is understood goes with their time.
    let api = with_limits(|limits| limits.newcomer_s = LONG_S).await;
    let one = "GET /version HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut pipelined = connect(&api, b"http/1.1").await;
    pipelined.write_all((one.repeat(3) + "\u{1}\u{2}garbage\r\n\r\n" + one).as_bytes()).await.unwrap();
    let answers = until_end(&mut pipelined).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 400 ").count(), 1, "what follows the garbage is not looked at");
    // Two lengths, of which a proxy before the server might believe the other.
    let body = config_map("smuggled", json!({})).to_string();
    for lengths in [
        "content-length: 4\r\ncontent-length: 900",
        "content-length: 4\r\ntransfer-encoding: chunked, identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "content-length: -1",
    ] {
        let mut sly = connect(&api, b"http/1.1").await;
        sly.write_all((head(lengths) + &body).as_bytes()).await.unwrap();
        let answers = until_end(&mut sly).await;
        assert!(answers.starts_with("HTTP/1.1 400 "), "{lengths}: {answers}");
    }
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/smuggled")).await.code, 404);
    for bytes in [vec![0xff; 5000], b"\x16\x03\x01\xff\xff\x01".to_vec(), vec![0; 70_000]] {
        let mut plain = TcpStream::connect(api.server.address()).await.unwrap();
        // The server may have gone before all is written.
        let _ = plain.write_all(&bytes).await;
        let _ = plain.shutdown().await;
        assert!(!until_its_time_is_up(&mut plain).await.contains("HTTP"));
    }
    let mut no_preface = connect(&api, b"h2").await;
    no_preface.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = until_its_time_is_up(&mut no_preface).await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    is_well(&api).await;
}

#[tokio::test]
async fn a_page_in_a_browser_gets_nothing_without_a_token() {
    let api = Api::new().await;
    for (method, path) in [
        (Method::GET, CONFIG_MAPS),
        (Method::POST, CONFIG_MAPS),
        (Method::OPTIONS, CONFIG_MAPS),
        (Method::GET, "/api"),
        (Method::GET, "/openapi/v3"),
        (Method::DELETE, JOBS),
    ] {
        for host in ["rebound.example", "localhost", "127.0.0.1"] {
            let request = Request::builder().method(&method).uri(path).header("host", host);
            let request =
                request.header("origin", "https://rebound.example").header("content-type", "text/plain");
            let request = request.header("cookie", "token=x").header("access-control-request-method", "POST");
            let body = config_map("c", json!({})).to_string();
            let answer = ask(&api, b"http/1.1", request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path} at {host}");
            let allows = answer.headers().keys().any(|name| name.as_str().starts_with("access-control-"));
            assert!(!allows, "no page may read an answer");
        }
    }
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/c")).await.code, 404);
    is_well(&api).await;
}

#[tokio::test]
async fn a_label_that_is_too_long_is_told_with_its_place() {
    let api = Api::new().await;
    let mut wrong = job("j");
    wrong["metadata"]["labels"] = json!({"app": "x".repeat(64)});
    let answer = ask(&api, b"h2", owners(Method::POST, JOBS, "application/json", wrong.to_string())).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let status: Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("metadata.labels") && message.contains("63"), "{message}");
    is_well(&api).await;
}
