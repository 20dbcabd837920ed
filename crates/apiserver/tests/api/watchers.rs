//! Many watchers, idle ones and slow ones, over real connections.

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass_apiserver::http::Limits;
use windlass_store::Bounds;

use crate::hostile::LONG_S;
use crate::support::{Api, CONFIG_MAPS, TOKEN, config_map};
use crate::tls::connect;

const WATCH: &str = "/api/v1/namespaces/default/configmaps?watch=true";

/// A connection for many requests.
async fn http2(api: &Api) -> SendRequest<Body> {
    let io = TokioIo::new(connect(api, b"h2").await);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut SendRequest<Body>, path: &str) -> http::Response<Incoming> {
    let request = Request::get(format!("https://localhost{path}"));
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// The next events of a watch: type, name and revision of each.
async fn events(body: &mut Incoming, count: usize) -> Vec<(String, String, u64)> {
    let (mut rest, mut seen) = (Vec::new(), Vec::new());
    while seen.len() < count {
        let frame = body.frame().await.expect("the watch goes on").expect("a frame");
        rest.extend_from_slice(&frame.into_data().expect("data"));
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=at).collect();
            let event: Value = serde_json::from_slice(&line).unwrap();
            let metadata = &event["object"]["metadata"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let revision = text(&metadata["resourceVersion"]).parse().unwrap();
            seen.push((text(&event["type"]), text(&metadata["name"]), revision));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_watchers_see_every_event_once_and_in_order() {
    const WATCHERS: usize = 200;
    const OBJECTS: usize = 40;
    let api = Api::new().await;
    let mut watchers = Vec::new();
    for _ in 0..4 {
        let mut sender = http2(&api).await;
        for _ in 0..WATCHERS / 4 {
            let response = get(&mut sender, WATCH).await;
            assert_eq!(response.status(), StatusCode::OK);
            let mut body = response.into_body();
            watchers.push(tokio::spawn(async move { events(&mut body, 3 * OBJECTS).await }));
        }
    }
    for n in 0..OBJECTS {
        let path = format!("{CONFIG_MAPS}/c{n}");
        api.make(CONFIG_MAPS, config_map(&format!("c{n}"), json!({}))).await;
        assert_eq!(api.merge(&path, json!({"data": {"a": "2"}})).await.code, 200);
        assert_eq!(api.delete(&path).await.code, 200);
    }
    let mut expected: Option<Vec<(String, String, u64)>> = None;
    for watcher in watchers {
        let seen = watcher.await.unwrap();
        assert!(seen.is_sorted_by(|a, b| a.2 < b.2), "in order, and none twice");
        let first = expected.get_or_insert_with(|| seen.clone());
        assert_eq!(first, &seen, "all see the same");
    }
    let expected = expected.unwrap();
    let kinds = |kind: &str| expected.iter().filter(|event| event.0 == kind).count();
    assert_eq!(["ADDED", "MODIFIED", "DELETED"].map(kinds), [OBJECTS; 3], "and none is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_watches_are_open_and_the_next_is_told_to_come_again() {
    let api = Api::with(Limits { watches: 1000, ..Limits::default() }, Bounds::default()).await;
    let mut open = Vec::new();
    let mut sender = http2(&api).await;
    for n in 0..1000 {
        if n % 500 == 0 {
            sender = http2(&api).await;
        }
        let response = get(&mut sender, WATCH).await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response.into_body());
    }
    let refused = get(&mut http2(&api).await, WATCH).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    for body in &mut open {
        assert_eq!(events(body, 1).await[0].1, "c");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_does_not_read_is_cut_off_with_410() {
    let bounds = Bounds { log_bytes: 1 << 20, ..Bounds::default() };
    let api = Api::with(Limits { stall_s: LONG_S, ..Limits::default() }, bounds).await;
    let mut slow = connect(&api, b"http/1.1").await;
    let request = format!("GET {WATCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut one = [0; 1];
    slow.read_exact(&mut one).await.unwrap();
    // Far more than the buffers of the system and the server's memory of changes hold.
    const WRITES: usize = 40;
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    for n in 0..WRITES {
        let data = json!({"data": {"n": n.to_string(), "x": "y".repeat(900 << 10)}});
        assert_eq!(api.merge(&format!("{CONFIG_MAPS}/c"), data).await.code, 200);
    }
    let mut all = Vec::new();
    let mut chunk = vec![0; 1 << 20];
    let end = "\"code\":410";
    loop {
        let count = slow.read(&mut chunk).await.unwrap();
        assert!(count > 0, "the watch says why it ends");
        all.extend_from_slice(&chunk[..count]);
        let tail = &all[all.len().saturating_sub(1000)..];
        if String::from_utf8_lossy(tail).contains("\"type\":\"ERROR\"") {
            assert!(String::from_utf8_lossy(tail).contains(end));
            break;
        }
    }
    assert!(all.len() < WRITES * (900 << 10), "it did not get everything");
    assert_eq!(api.get("/readyz").await.code, 200);
}
