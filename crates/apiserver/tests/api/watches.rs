//! Watches: what is, what changes, selectors at their edges, bookmarks, ends and refusals.

use crate::support::{Api, CONFIG_MAPS, JOBS, Lines, config_map, job};
use serde_json::{Value, json};
use windlass_apiserver::http::Limits;
use windlass_store::Bounds;

async fn expect(lines: &mut Lines, expected: &[(&str, &str)]) {
    for (kind, name) in expected {
        assert_eq!(lines.seen().await, ((*kind).to_owned(), (*name).to_owned()));
    }
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_watch_shows_what_is_and_then_every_change_in_order() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=True")).await;
    expect(&mut lines, &[("ADDED", "a")]).await;
    api.make(CONFIG_MAPS, config_map("b", json!({}))).await;
    api.merge(&format!("{CONFIG_MAPS}/a"), json!({"data": {"a": "2"}})).await;
    api.delete(&format!("{CONFIG_MAPS}/b")).await;
    expect(&mut lines, &[("ADDED", "b")]).await;
    let modified = lines.next().await.unwrap();
    assert_eq!((&modified["type"], &modified["object"]["data"]["a"]), (&json!("MODIFIED"), &json!("2")));
    assert_eq!(modified["object"]["kind"], "ConfigMap");
    let deleted = lines.next().await.unwrap();
    assert_eq!((&deleted["type"], &deleted["object"]["data"]["a"]), (&json!("DELETED"), &json!("b")));
    assert_eq!(revision(&deleted["object"]), api.registry.store.revision().0);
}

#[tokio::test]
async fn a_watch_goes_on_after_the_revision_of_a_list() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let list = api.get(CONFIG_MAPS).await.json();
    api.make(CONFIG_MAPS, config_map("b", json!({}))).await;
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={}", revision(&list))).await;
    expect(&mut lines, &[("ADDED", "b")]).await;
}

#[tokio::test]
async fn what_starts_to_match_is_added_and_what_stops_is_deleted() {
    let api = Api::new().await;
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=true&labelSelector=app%3Dx")).await;
    let path = format!("{CONFIG_MAPS}/a");
    api.make(CONFIG_MAPS, config_map("a", json!({"app": "y"}))).await;
    api.merge(&path, json!({"metadata": {"labels": {"app": "x"}}})).await;
    api.merge(&path, json!({"data": {"more": "1"}})).await;
    let last = api.merge(&path, json!({"metadata": {"labels": {"app": "z"}}})).await.json();
    api.merge(&path, json!({"data": {"more": "2"}})).await;
    api.make(CONFIG_MAPS, config_map("end", json!({"app": "x"}))).await;
    expect(&mut lines, &[("ADDED", "a"), ("MODIFIED", "a")]).await;
    let gone = lines.next().await.unwrap();
    assert_eq!(
        (&gone["type"], &gone["object"]["metadata"]["labels"]["app"]),
        (&json!("DELETED"), &json!("x"))
    );
    assert_eq!(revision(&gone["object"]), revision(&last));
    expect(&mut lines, &[("ADDED", "end")]).await;
}

#[tokio::test]
async fn one_object_is_watched_by_name_without_its_neighbours() {
    let api = Api::new().await;
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Da")).await;
    api.make(CONFIG_MAPS, config_map("ab", json!({}))).await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let one = api.get(&format!("{CONFIG_MAPS}/a?watch=true")).await.json();
    assert_eq!(one["kind"], "ConfigMap", "a path of one object gives the object, as upstream");
    api.delete(&format!("{CONFIG_MAPS}/ab")).await;
    api.delete(&format!("{CONFIG_MAPS}/a")).await;
    expect(&mut lines, &[("ADDED", "a"), ("DELETED", "a")]).await;
}

#[tokio::test]
async fn a_revision_that_is_forgotten_is_told_as_an_event_and_ends_the_watch() {
    let bounds = Bounds { log_bytes: 2000, ..Bounds::default() };
    let api = Api::with(Limits::default(), bounds).await;
    let made = api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    for n in 0..50 {
        api.merge(&format!("{CONFIG_MAPS}/a"), json!({"data": {"n": n.to_string()}})).await;
    }
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=true&resourceVersion={}", revision(&made))).await;
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(event["object"]["reason"], "Expired");
    assert!(event["object"]["message"].as_str().unwrap().starts_with("too old resource version: "));
    assert!(lines.next().await.is_none());
    let ahead = api.get(&format!("{CONFIG_MAPS}?watch=true&resourceVersion=99999999")).await;
    assert_eq!(ahead.code, 504);
}

#[tokio::test]
async fn a_watch_list_marks_the_end_of_the_initial_state() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?{query}")).await;
    expect(&mut lines, &[("ADDED", "a")]).await;
    let mark = lines.next().await.unwrap();
    assert_eq!((&mark["type"], &mark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(revision(&mark["object"]), api.registry.store.revision().0);
    api.make(CONFIG_MAPS, config_map("b", json!({}))).await;
    expect(&mut lines, &[("ADDED", "b")]).await;
}

#[tokio::test]
async fn a_watch_that_declines_the_initial_state_starts_with_changes() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let query = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0";
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?{query}")).await;
    api.make(CONFIG_MAPS, config_map("b", json!({}))).await;
    expect(&mut lines, &[("ADDED", "b")]).await;
}

#[tokio::test]
async fn combinations_that_would_hang_a_client_are_refused() {
    let api = Api::new().await;
    for query in [
        "sendInitialEvents=true",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
        "resourceVersionMatch=NotOlderThan",
        "continue=x",
    ] {
        let answer = api.get(&format!("{CONFIG_MAPS}?watch=true&{query}")).await;
        assert_eq!((answer.code, answer.json()["reason"].clone()), (422, json!("Invalid")), "{query}");
    }
    assert_eq!(api.get(&format!("{CONFIG_MAPS}?watch=true&resourceVersion=x")).await.code, 400);
}

#[tokio::test]
async fn what_is_there_comes_whole_though_it_fills_several_pages() {
    let api = Api::new().await;
    for n in 0..1203 {
        let namespaces = crate::support::kind("v1", "ConfigMap");
        let object = config_map(&format!("m{n:04}"), json!({}));
        api.registry.create(namespaces, Some("default"), object, false).await.unwrap();
    }
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=true")).await;
    for n in 0..1203 {
        assert_eq!(lines.seen().await.1, format!("m{n:04}"));
    }
    api.make(CONFIG_MAPS, config_map("z", json!({}))).await;
    expect(&mut lines, &[("ADDED", "z")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_at_its_time_after_a_last_bookmark() {
    let api = Api::new().await;
    let path = format!("{CONFIG_MAPS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=90");
    let mut lines = api.watch(&path).await;
    let started = tokio::time::Instant::now();
    let first = lines.next().await.unwrap();
    assert_eq!(first["type"], "BOOKMARK");
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(first["object"]["metadata"].as_object().unwrap().len(), 1);
    assert_eq!(lines.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(started.elapsed().as_secs(), 90);
    assert!(lines.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_bookmarks_ends_silently_at_its_time() {
    let api = Api::new().await;
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=300")).await;
    assert!(lines.next().await.is_none());
    let started = tokio::time::Instant::now();
    let empty = "/apis/apps/v1/namespaces/default/replicasets?watch=true";
    assert!(api.watch(empty).await.next().await.is_none());
    let endless = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds={}", i64::MAX);
    drop(api.watch(&endless).await);
    let minutes = started.elapsed().as_secs() / 60;
    assert!((30..60).contains(&minutes), "{minutes}");
}

#[tokio::test]
async fn watches_end_when_the_server_stops() {
    let api = Api::new().await;
    let mut lines = api.watch(&format!("{CONFIG_MAPS}?watch=true")).await;
    api.server.stop().await;
    assert!(lines.next().await.is_none());
}

#[tokio::test]
async fn more_watches_than_allowed_are_turned_away_until_one_ends() {
    let api = Api::with(Limits { watches: 1, ..Limits::default() }, Bounds::default()).await;
    let path = format!("{CONFIG_MAPS}?watch=true");
    let lines = api.watch(&path).await;
    let refused = api.get(&path).await;
    assert_eq!((refused.code, refused.headers["retry-after"].to_str().unwrap()), (429, "5"));
    drop(lines);
    api.watch(&path).await;
}

#[tokio::test(start_paused = true)]
async fn events_come_as_tables_to_those_who_print() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let request = http::Request::get(format!("{JOBS}?watch=true&timeoutSeconds=1")).header("accept", accept);
    let answer = api.ask(request.body(axum::body::Body::empty()).unwrap()).await;
    let event: Value = serde_json::from_slice(answer.bytes.split(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!("Table")));
    assert_eq!(event["object"]["rows"][0]["cells"][0], "pi");
}
