//! Answers that are given before a request's body has come, over HTTP/1.1: they arrive, and the connection goes on where
//! that costs little.

use axum::body::Body;
use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass_apiserver::http::Limits;
use windlass_store::Bounds;

use crate::hostile::{LONG_S, until, until_end, until_its_time_is_up};
use crate::support::{Api, CONFIG_MAPS, PODS, TOKEN, config_map};
use crate::tls::connect;

const UNSERVED: &str = "/apis/apps/v1/namespaces/default/deployments";

fn head(path: &str, token: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{more}\r\n\r\n"
    )
}

const NEXT: &[u8] = b"GET /version HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Answers to a request whose body comes once the server has seen its head, and to the next on the same connection.
async fn both(api: &Api, head: &str, body: &[u8]) -> String {
    let mut stream = connect(api, b"http/1.1").await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(api.get("/version").await.code, 200);
    let other =
        crate::tls::ask(api, b"http/1.1", http::Request::get("/version").body(Body::empty()).unwrap());
    assert_eq!(other.await.status(), StatusCode::OK);
    stream.write_all(body).await.unwrap();
    stream.write_all(NEXT).await.unwrap();
    until(&mut stream, "\"gitVersion\"").await
}

#[tokio::test]
async fn connection_goes_on_after_an_answer_that_did_not_wait_for_the_body() {
    let limits = Limits { unread_s: LONG_S, newcomer_s: LONG_S, ..Limits::default() };
    let api = Api::with(limits, Bounds::default()).await;
    api.make(PODS, crate::support::pod("p")).await;
    let somebody = "content-length: 2\r\nimpersonate-user: somebody";
    let chunked = "transfer-encoding: chunked";
    let log = format!("{PODS}/p/log");
    let large = vec![b' '; 200 << 10];
    let said = format!("content-length: {}", large.len());
    for (path, token, more, body, code) in [
        (CONFIG_MAPS, "x", "content-length: 2", b"{}".as_slice(), 401),
        (UNSERVED, TOKEN, "content-length: 2", b"{}", 404),
        (UNSERVED, TOKEN, &said, &large, 404),
        (UNSERVED, TOKEN, chunked, b"2\r\n{}\r\n0\r\n\r\n", 404),
        (&log, TOKEN, "content-length: 2", b"{}", 405),
        (CONFIG_MAPS, TOKEN, somebody, b"{}", 403),
    ] {
        let answers = both(&api, &head(path, token, more), body).await;
        assert!(answers.starts_with(&format!("HTTP/1.1 {code} ")), "{path} {more}: {answers}");
        assert!(answers.contains("HTTP/1.1 200 OK") && !answers.contains("connection: close"), "{answers}");
    }
}

#[tokio::test]
async fn client_that_sends_all_before_it_reads_gets_its_answer() {
    let limits = Limits { farewell_ms: 1000 * LONG_S, newcomer_s: LONG_S, ..Limits::default() };
    let api = Api::with(limits, Bounds::default()).await;
    let body = vec![b'x'; 2_900_000];
    let length = format!("content-length: {}", body.len());
    for (path, token, code) in [(CONFIG_MAPS, "x", 401), (UNSERVED, TOKEN, 404)].repeat(4) {
        let mut stream = connect(&api, b"http/1.1").await;
        stream.write_all(head(path, token, &length).as_bytes()).await.unwrap();
        stream.write_all(&body).await.expect("all of it is taken");
        let answer = until_end(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn rest_that_does_not_come_is_waited_for_a_while() {
    let api = Api::new().await;
    let mut stream = connect(&api, b"http/1.1").await;
    stream.write_all(head(UNSERVED, TOKEN, "content-length: 2").as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let answer = until_its_time_is_up(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn who_waits_to_be_told_to_send_a_body_is_told_that_it_is_refused() {
    let api = Api::new().await;
    let mut stream = connect(&api, b"http/1.1").await;
    let more = "content-length: 2\r\nexpect: 100-continue";
    stream.write_all(head(CONFIG_MAPS, "x", more).as_bytes()).await.unwrap();
    let answer = until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn body_that_is_read_changes_nothing() {
    let api = Api::new().await;
    let mut stream = connect(&api, b"http/1.1").await;
    let body = config_map("c", json!({})).to_string();
    let length = format!("content-length: {}", body.len());
    for code in [201, 409] {
        stream.write_all(head(CONFIG_MAPS, TOKEN, &length).as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let answer = until(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
        let length = answer.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
        stream.read_exact(&mut vec![0; length.parse().unwrap()]).await.unwrap();
    }
}
