//! Watches over WebSocket, as fabric8 asks for all of its own: one message an event, and all that a watch promises.

use std::time::Duration;

use axum::body::Body;
use futures::{SinkExt, StreamExt};
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use windlass_apiserver::http::Limits;
use windlass_store::Bounds;

use crate::hostile::LONG_S;
use crate::support::{Api, CONFIG_MAPS, JOBS, config_map, job};
use crate::websocket::{PLAIN, Socket, asking, open, send};

async fn watch(api: &Api, query: &str) -> Socket {
    open(api, &format!("{CONFIG_MAPS}?watch=true&{query}"), &PLAIN).await.0
}

/// The next event, or the code that the server closes with.
async fn next(socket: &mut Socket) -> Result<Value, u16> {
    loop {
        match socket.next().await.expect("a message").expect("a whole one") {
            Message::Text(text) => {
                assert_eq!(text.find('\n'), Some(text.len() - 1), "one line, as upstream ends it");
                return Ok(serde_json::from_str(&text).unwrap());
            }
            Message::Close(frame) => return Err(frame.expect("a code").code.into()),
            Message::Binary(_) => panic!("JSON is text"),
            _ => {}
        }
    }
}

/// The type and the name of an event.
async fn seen(socket: &mut Socket) -> (String, String) {
    let event = next(socket).await.expect("the watch goes on");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
}

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

/// The answer to a watch that stays plain HTTP.
async fn refused(api: &Api, query: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let response = send(api, &format!("{CONFIG_MAPS}?watch=true&{query}"), headers).await;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let status: Value = serde_json::from_slice(&bytes).unwrap();
    (code, status["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_event_is_a_message() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    api.make(CONFIG_MAPS, config_map("b", json!({}))).await;
    let mut socket = watch(&api, "").await;
    assert_eq!(seen(&mut socket).await, event("ADDED", "a"));
    assert_eq!(seen(&mut socket).await, event("ADDED", "b"));
    let large = json!({"data": {"a": "ü".repeat(400 << 10)}});
    api.merge(&format!("{CONFIG_MAPS}/a"), large.clone()).await;
    let modified = next(&mut socket).await.unwrap();
    assert_eq!((&modified["type"], &modified["object"]["data"]), (&json!("MODIFIED"), &large["data"]));
    api.delete(&format!("{CONFIG_MAPS}/b")).await;
    assert_eq!(seen(&mut socket).await, event("DELETED", "b"));
}

#[tokio::test]
async fn initial_state_is_marked_and_a_revision_is_gone_on_from() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let all = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut socket = watch(&api, all).await;
    assert_eq!(seen(&mut socket).await, event("ADDED", "a"));
    let mark = next(&mut socket).await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let revision = mark["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    let mut later = watch(&api, &format!("resourceVersion={revision}")).await;
    api.make(CONFIG_MAPS, config_map("b", json!({}))).await;
    assert_eq!(seen(&mut socket).await, event("ADDED", "b"));
    assert_eq!(seen(&mut later).await, event("ADDED", "b"));
}

#[tokio::test]
async fn events_come_in_the_shape_that_is_wanted() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    for (form, kind) in [("Table", "Table"), ("PartialObjectMetadata", "PartialObjectMetadata")] {
        let accept = format!("application/json;as={form};v=v1;g=meta.k8s.io");
        let headers = [PLAIN.as_slice(), &[("accept", &accept)]].concat();
        let (mut socket, _) = open(&api, &format!("{JOBS}?watch=true"), &headers).await;
        assert_eq!(next(&mut socket).await.unwrap()["object"]["kind"], kind);
    }
}

#[tokio::test]
async fn pings_are_answered_other_words_passed_over_and_a_goodbye_returned() {
    let api = Api::with(Limits { watches: 1, ..Limits::default() }, Bounds::default()).await;
    let mut socket = watch(&api, "").await;
    assert_eq!(refused(&api, "", &PLAIN).await.0, 429);
    socket.send(Message::text("what?")).await.unwrap();
    socket.send(Message::binary(vec![0; 1000])).await.unwrap();
    socket.send(Message::Ping("here".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("here".into()));
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    assert_eq!(seen(&mut socket).await, event("ADDED", "a"));
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    assert!(socket.next().await.is_none());
    // Its place among the watches is free.
    let mut socket = watch(&api, "").await;
    assert_eq!(seen(&mut socket).await, event("ADDED", "a"));
}

#[tokio::test]
async fn client_that_says_more_than_a_client_may_is_cut_off() {
    let api = Api::with(Limits { watches: 1, ..Limits::default() }, Bounds::default()).await;
    let mut socket = watch(&api, "").await;
    // How far it comes is its own matter.
    let _ = socket.send(Message::binary(vec![0; 1 << 20])).await;
    while let Some(Ok(_)) = socket.next().await {}
    watch(&api, "").await;
}

#[tokio::test]
async fn watch_ends_at_its_time_after_a_last_bookmark() {
    let api = Api::new().await;
    let mut socket = watch(&api, "allowWatchBookmarks=true&timeoutSeconds=90").await;
    tokio::time::pause();
    assert_eq!(next(&mut socket).await.unwrap()["type"], "BOOKMARK");
    assert_eq!(next(&mut socket).await.unwrap()["type"], "BOOKMARK");
    assert_eq!(next(&mut socket).await, Err(1000));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn revision_that_is_forgotten_is_told_and_ends_the_watch() {
    let bounds = Bounds { log_bytes: 2000, ..Bounds::default() };
    let api = Api::with(Limits::default(), bounds).await;
    let made = api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    for n in 0..50 {
        api.merge(&format!("{CONFIG_MAPS}/a"), json!({"data": {"n": n.to_string()}})).await;
    }
    let first = made["metadata"]["resourceVersion"].as_str().unwrap();
    let mut socket = watch(&api, &format!("resourceVersion={first}")).await;
    let event = next(&mut socket).await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(next(&mut socket).await, Err(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn watcher_that_does_not_read_is_told_410_in_the_end() {
    const WRITES: usize = 40;
    let bounds = Bounds { log_bytes: 1 << 20, ..Bounds::default() };
    let api = Api::with(Limits { stall_s: LONG_S, ..Limits::default() }, bounds).await;
    let mut socket = watch(&api, "").await;
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    // Far more than the buffers of the system and the server's memory of changes hold.
    for n in 0..WRITES {
        let data = json!({"data": {"n": n.to_string(), "x": "y".repeat(900 << 10)}});
        assert_eq!(api.merge(&format!("{CONFIG_MAPS}/c"), data).await.code, 200);
    }
    let mut events = 0;
    let last = loop {
        let event = next(&mut socket).await.expect("it says why it ends");
        if event["type"] == "ERROR" {
            break event;
        }
        events += 1;
    };
    assert_eq!(last["object"]["code"], 410);
    assert!(events < WRITES, "it did not get everything");
    assert_eq!(next(&mut socket).await, Err(1000));
}

#[tokio::test]
async fn server_that_stops_says_so_and_waits_until_it_was_heard() {
    let limits = Limits { drain_s: LONG_S, ..Limits::default() };
    let api = Api::with(limits, Bounds::default()).await;
    let mut socket = watch(&api, "").await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    assert_eq!(seen(&mut socket).await, event("ADDED", "a"));
    assert_eq!(api.server.activity().open(), 1, "the engine is of use as long as it is watched");
    let server = api.server.clone();
    let stopping = tokio::spawn(async move { server.stop().await });
    assert_eq!(next(&mut socket).await, Err(1001));
    assert!(!stopping.is_finished(), "a watch is a connection");
    assert!(socket.next().await.is_none());
    let stopped = tokio::time::timeout(Duration::from_secs(180), stopping).await;
    stopped.expect("nobody else is waited for").unwrap();
    assert_eq!(api.server.activity().open(), 0);
}

#[tokio::test]
async fn what_is_refused_is_refused_before_the_connection_is_handed_over() {
    let api = Api::new().await;
    let with = |more: &[(&'static str, &'static str)]| [PLAIN.as_slice(), more].concat();
    assert_eq!(refused(&api, "", &with(&[("authorization", "Bearer x")])).await.0, 401);
    let somebody = with(&[("impersonate-user", "somebody")]);
    assert_eq!(refused(&api, "", &somebody).await.0, 403);
    assert_eq!(refused(&api, "", &with(&[("accept", "text/html")])).await.0, 406);
    assert_eq!(refused(&api, "resourceVersion=x", &PLAIN).await.0, 400);
    assert_eq!(refused(&api, "resourceVersion=99999999", &PLAIN).await.0, 504);
    assert_eq!(refused(&api, "sendInitialEvents=true", &PLAIN).await.0, 422);
    let (code, message) = refused(&api, "", &PLAIN[..3]).await;
    assert!(code == 400 && message.contains("key"), "{message}");
    let (code, message) = refused(&api, "", &asking("a, b")).await;
    assert!(code == 400 && message.contains("Sec-WebSocket-Protocol"), "{message}");
    // Within the process there is no connection to hand over.
    let mut request = Request::get(format!("{CONFIG_MAPS}?watch=true"));
    for (name, value) in PLAIN {
        request = request.header(name, value);
    }
    assert_eq!(api.ask(request.body(Body::empty()).unwrap()).await.code, 400);
}

#[tokio::test]
async fn only_protocol_that_is_asked_for_is_agreed_on_and_none_is_if_none_is() {
    let api = Api::new().await;
    let path = format!("{CONFIG_MAPS}?watch=true");
    let (_, headers) = open(&api, &path, &asking("base64.channel.k8s.io")).await;
    assert_eq!(headers["sec-websocket-protocol"], "base64.channel.k8s.io");
    assert_eq!(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let (_, headers) = open(&api, &path, &PLAIN).await;
    assert!(!headers.contains_key("sec-websocket-protocol"));
}
