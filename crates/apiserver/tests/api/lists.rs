//! Lists: pages, selectors, revisions and the shapes that clients ask for.

use crate::support::{Api, CONFIG_MAPS, JOBS, PODS, config_map, job, pod};
use http::Method;
use serde_json::{Value, json};
use windlass_apiserver::http::Limits;
use windlass_store::Bounds;

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|i| i["metadata"]["name"].as_str().unwrap()).collect()
}

async fn five(api: &Api) {
    for (name, app) in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"), ("e", "x")] {
        api.make(CONFIG_MAPS, config_map(name, json!({"app": app}))).await;
    }
}

#[tokio::test]
async fn a_list_has_items_without_types_in_order_of_names() {
    let api = Api::new().await;
    five(&api).await;
    let list = api.get(CONFIG_MAPS).await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(names(&list), ["a", "b", "c", "d", "e"]);
    assert_eq!(list["metadata"], json!({"resourceVersion": api.registry.store.revision().0.to_string()}));
    let item = &list["items"][0];
    assert_eq!((&item["kind"], &item["apiVersion"]), (&Value::Null, &Value::Null));
    assert_eq!(item["data"], json!({"a": "b"}));
    let unbounded = api.get(&format!("{CONFIG_MAPS}?limit={}", i64::MAX)).await.json();
    assert_eq!(names(&unbounded).len(), 5);
    let empty = api.get(JOBS).await.json();
    assert_eq!(empty["items"], json!([]));
}

#[tokio::test]
async fn a_list_without_namespace_shows_all_namespaces() {
    let api = Api::new().await;
    api.make("/api/v1/namespaces", json!({"metadata": {"name": "other"}})).await;
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    api.make("/api/v1/namespaces/other/configmaps", config_map("b", json!({}))).await;
    assert_eq!(names(&api.get("/api/v1/configmaps").await.json()), ["a", "b"]);
    let one = api.get("/api/v1/configmaps?fieldSelector=metadata.namespace%3Dother").await.json();
    assert_eq!(names(&one), ["b"]);
    let rest = api.get("/api/v1/configmaps?fieldSelector=metadata.namespace!%3Dother").await.json();
    assert_eq!(names(&rest), ["a"]);
    let named = api.get("/api/v1/configmaps?fieldSelector=metadata.name%3Db").await.json();
    assert_eq!(names(&named), ["b"]);
}

#[tokio::test]
async fn pages_show_one_revision_though_others_write_between_them() {
    let api = Api::new().await;
    five(&api).await;
    let first = api.get(&format!("{CONFIG_MAPS}?limit=2")).await.json();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    api.delete(&format!("{CONFIG_MAPS}/c")).await;
    api.make(CONFIG_MAPS, config_map("bb", json!({}))).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = api.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await.json();
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = api.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await.json();
    assert_eq!(names(&third), ["e"]);
    assert_eq!(third["metadata"]["continue"], Value::Null);
}

#[tokio::test]
async fn a_token_that_is_too_old_or_not_ours_is_refused() {
    let bounds = Bounds { log_bytes: 2000, ..Bounds::default() };
    let api = Api::with(Limits::default(), bounds).await;
    five(&api).await;
    let first = api.get(&format!("{CONFIG_MAPS}?limit=2")).await.json();
    let token = first["metadata"]["continue"].as_str().unwrap();
    for n in 0..50 {
        api.merge(&format!("{CONFIG_MAPS}/a"), json!({"data": {"n": n.to_string()}})).await;
    }
    let old = api.get(&format!("{CONFIG_MAPS}?limit=2&continue={token}")).await;
    assert_eq!((old.code, old.json()["reason"].clone()), (410, json!("Expired")));
    assert!(old.message().contains("You can start a new list"), "{}", old.message());
    api.make(CONFIG_MAPS, config_map("bb", json!({}))).await;
    let status = old.json();
    let next = status["metadata"]["continue"].as_str().unwrap();
    let rest = api.get(&format!("{CONFIG_MAPS}?limit=2&continue={next}")).await.json();
    assert_eq!(names(&rest), ["bb", "c"], "it goes on where it was, at the newest revision");
    let newest = api.registry.store.revision().0.to_string();
    assert_eq!(rest["metadata"]["resourceVersion"], newest);
    let last = rest["metadata"]["continue"].as_str().unwrap();
    assert_eq!(names(&api.get(&format!("{CONFIG_MAPS}?continue={last}")).await.json()), ["d", "e"]);
    assert_eq!(api.get(&format!("{JOBS}?continue={token}")).await.code, 400);
    assert_eq!(api.get(&format!("{CONFIG_MAPS}?continue=junk")).await.code, 400);
}

#[tokio::test]
async fn numbers_that_are_none_are_refused_whether_or_not_they_are_used() {
    let api = Api::new().await;
    for query in ["timeoutSeconds=abc", "limit=abc", "watch=true&timeoutSeconds=abc", "watch=true&limit=abc"]
    {
        let answer = api.get(&format!("{CONFIG_MAPS}?{query}")).await;
        let words = "strconv.ParseInt: parsing \"abc\": invalid syntax";
        assert_eq!((answer.code, answer.message().as_str()), (400, words), "{query}");
    }
    assert_eq!(api.get(&format!("{CONFIG_MAPS}?timeoutSeconds=5&limit=3")).await.code, 200);
}

#[tokio::test]
async fn selectors_narrow_a_list_and_its_pages() {
    let api = Api::new().await;
    five(&api).await;
    let list = api.get(&format!("{CONFIG_MAPS}?labelSelector=app%3Dx")).await.json();
    assert_eq!(names(&list), ["a", "c", "e"]);
    let page = api.get(&format!("{CONFIG_MAPS}?labelSelector=app%3Dx&limit=2")).await.json();
    assert_eq!(names(&page), ["a", "c"]);
    assert_eq!(page["metadata"]["remainingItemCount"], Value::Null);
    let token = page["metadata"]["continue"].as_str().unwrap();
    let rest = api.get(&format!("{CONFIG_MAPS}?labelSelector=app%3Dx&limit=2&continue={token}")).await.json();
    assert_eq!(names(&rest), ["e"]);
    let query = "labelSelector=app+in+(x,y),app!%3Dy&fieldSelector=metadata.name%3Dc";
    let both = api.get(&format!("{CONFIG_MAPS}?{query}")).await;
    assert_eq!(names(&both.json()), ["c"]);
    assert_eq!(
        names(&api.get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3D")).await.json()),
        [""; 0]
    );
}

#[tokio::test]
async fn fields_of_a_kind_can_be_selected_and_others_are_refused() {
    let api = Api::new().await;
    for (name, phase) in [("p", "Running"), ("q", "Pending"), ("r", "Running")] {
        api.make(PODS, pod(name)).await;
        api.merge(&format!("{PODS}/{name}/status"), json!({"status": {"phase": phase}})).await;
    }
    let running = api.get(&format!("{PODS}?fieldSelector=status.phase%3DRunning")).await.json();
    assert_eq!(names(&running), ["p", "r"]);
    for (path, message) in [
        (format!("{PODS}?fieldSelector=spec.bogus%3D1"), "field label not supported: spec.bogus"),
        (format!("{JOBS}?fieldSelector=bogus%3D1"), "field label \"bogus\" not supported for Job"),
        (
            format!("{CONFIG_MAPS}?fieldSelector=bogus%3D1"),
            "\"bogus\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        (
            format!("{PODS}?labelSelector=a+b"),
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
    ] {
        let answer = api.get(&path).await;
        assert_eq!((answer.code, answer.message().as_str()), (400, message));
    }
}

#[tokio::test]
async fn a_list_can_show_an_earlier_revision_and_never_a_later_one() {
    let api = Api::new().await;
    five(&api).await;
    let before = api.registry.store.revision().0;
    api.delete(&format!("{CONFIG_MAPS}/a")).await;
    let query = |text: String| format!("{CONFIG_MAPS}?{text}");
    let exact = api.get(&query(format!("resourceVersion={before}&resourceVersionMatch=Exact"))).await.json();
    assert_eq!(names(&exact).len(), 5);
    assert_eq!(exact["metadata"]["resourceVersion"], before.to_string());
    let newer = api.get(&query(format!("resourceVersion={before}&resourceVersionMatch=NotOlderThan"))).await;
    assert_eq!(names(&newer.json()).len(), 4);
    assert_eq!(names(&api.get(&query("resourceVersion=0".to_owned())).await.json()).len(), 4);
    let ahead = api.get(&query(format!("resourceVersion={}", before + 1000))).await;
    assert_eq!(
        (ahead.code, &ahead.json()["details"]["causes"][0]["reason"]),
        (504, &json!("ResourceVersionTooLarge"))
    );
    for refused in [
        "resourceVersionMatch=Exact",
        "resourceVersion=0&resourceVersionMatch=Exact",
        "resourceVersion=1&resourceVersionMatch=Newest",
        "sendInitialEvents=true",
    ] {
        assert_eq!(api.get(&query(refused.to_owned())).await.code, 422, "{refused}");
    }
    assert_eq!(api.get(&query("resourceVersion=x".to_owned())).await.code, 400);
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[tokio::test]
async fn tables_have_a_row_an_object() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let table = api.get_as(&format!("{JOBS}?limit=500"), TABLE).await.json();
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns = table["columnDefinitions"].as_array().unwrap();
    assert_eq!((&columns[0]["name"], &columns[0]["format"]), (&json!("Name"), &json!("name")));
    let row = &table["rows"][0];
    assert_eq!(row["cells"].as_array().unwrap().len(), columns.len());
    assert_eq!(row["cells"][0], "pi");
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(row["object"]["metadata"]["namespace"], "default");
    assert_eq!(row["object"]["spec"], Value::Null);
    let whole = api.get_as(&format!("{JOBS}?includeObject=Object"), TABLE).await.json();
    assert_eq!(whole["rows"][0]["object"]["spec"]["parallelism"], 1);
    let bare = api.get_as(&format!("{JOBS}/pi?includeObject=None"), TABLE).await.json();
    assert_eq!(bare["rows"][0]["object"], Value::Null);
    assert_eq!(api.get_as(&format!("{JOBS}?includeObject=Half"), TABLE).await.code, 400);
}

#[tokio::test]
async fn finished_pods_have_a_row_condition() {
    let api = Api::new().await;
    api.make(PODS, pod("p")).await;
    api.merge(&format!("{PODS}/p/status"), json!({"status": {"phase": "Succeeded"}})).await;
    let table = api.get_as(PODS, TABLE).await.json();
    assert_eq!(table["rows"][0]["conditions"][0]["type"], "Completed");
}

#[tokio::test]
async fn metadata_clients_get_metadata() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = api.get_as(JOBS, accept).await.json();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert_eq!(list["items"][0]["spec"], Value::Null);
    let one = api
        .get_as(&format!("{JOBS}/pi"), "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
        .await;
    assert_eq!(one.json()["metadata"]["name"], "pi");
    assert_eq!(api.get_as(JOBS, "application/vnd.kubernetes.protobuf").await.code, 406);
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector_and_named() {
    let api = Api::new().await;
    five(&api).await;
    let answer = api.delete(&format!("{CONFIG_MAPS}?labelSelector=app%3Dx")).await;
    assert_eq!(names(&answer.json()), ["a", "c", "e"]);
    assert_eq!(names(&api.get(CONFIG_MAPS).await.json()), ["b", "d"]);
    let body = json!({"dryRun": ["All"]}).to_string();
    assert_eq!(api.call(Method::DELETE, CONFIG_MAPS, "application/json", body).await.code, 200);
    assert_eq!(names(&api.get(CONFIG_MAPS).await.json()), ["b", "d"]);
    let refused = api.delete("/api/v1/configmaps").await;
    assert_eq!((refused.code, refused.json()["reason"].clone()), (405, json!("MethodNotAllowed")));
}

#[tokio::test]
async fn one_name_is_looked_up_though_thousands_begin_like_it() {
    let api = Api::new().await;
    for name in ["pi", "pi-1", "pi-2", "pi-3"] {
        api.make(CONFIG_MAPS, config_map(name, json!({"app": name}))).await;
    }
    let list = api.get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Dpi&limit=2")).await.json();
    assert_eq!(names(&list), ["pi"]);
    assert_eq!(list["metadata"]["continue"], Value::Null);
    let none = api.get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Dp")).await.json();
    assert_eq!(names(&none), [""; 0]);
    let other = "fieldSelector=metadata.name%3Dpi&labelSelector=app%3Dpi-1";
    assert_eq!(names(&api.get(&format!("{CONFIG_MAPS}?{other}")).await.json()), [""; 0]);
}

#[tokio::test]
async fn a_list_without_a_limit_is_whole_however_long() {
    let api = Api::new().await;
    let maps = crate::support::kind("v1", "ConfigMap");
    for n in 0..1203 {
        let object = config_map(&format!("m{n:04}"), json!({"odd": (n % 2).to_string()}));
        api.registry.create(maps, Some("default"), object, false).await.unwrap();
    }
    let list = api.get(CONFIG_MAPS).await.json();
    let expected: Vec<String> = (0..1203).map(|n| format!("m{n:04}")).collect();
    assert_eq!(names(&list), expected);
    assert_eq!(list["metadata"], json!({"resourceVersion": api.registry.store.revision().0.to_string()}));
    let odd = api.get(&format!("{CONFIG_MAPS}?labelSelector=odd%3D1")).await.json();
    assert_eq!(names(&odd).len(), 601);
    let rest = api.get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name!%3Dm0000")).await.json();
    assert_eq!(names(&rest).len(), 1202);
    let limited = api.get(&format!("{CONFIG_MAPS}?limit=1200")).await.json();
    assert_eq!(names(&limited).len(), 1200);
}

#[tokio::test]
async fn a_node_shows_that_the_disk_is_full_until_there_is_room_and_stays_as_it_is() {
    const NODES: &str = "/api/v1/nodes";
    let api = Api::new().await;
    let ready = json!({"type": "Ready", "status": "True"});
    api.make(NODES, json!({"metadata": {"name": "lab"}, "status": {"conditions": [ready]}})).await;
    let before = api.get(NODES).await.json();
    api.registry.disk.set_full("no space left", "2026-11-20T10:00:00Z");
    api.registry.disk.set_full("the same again", "2026-11-20T10:00:01Z");
    let one = api.get(&format!("{NODES}/lab")).await.json();
    let all = api.get(NODES).await.json();
    let page = api.get(&format!("{NODES}?limit=1")).await.json();
    for node in [&one, &all["items"][0], &page["items"][0]] {
        let told = node["status"]["conditions"].as_array().unwrap();
        let full = told.iter().find(|told| told["type"] == "DiskPressure").unwrap();
        assert_eq!((&full["status"], &full["message"]), (&json!("True"), &json!("no space left")));
        assert_eq!(full["lastTransitionTime"], "2026-11-20T10:00:00Z");
        assert_eq!(told.len(), before["items"][0]["status"]["conditions"].as_array().unwrap().len() + 1);
    }
    assert_eq!((&one["kind"], &all["items"][0]["kind"]), (&json!("Node"), &Value::Null));
    assert_eq!(all["metadata"], before["metadata"]);
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let map = api.get(&format!("{CONFIG_MAPS}/a")).await.json();
    assert_eq!(map["status"], Value::Null, "no other kind tells of it");
    api.registry.disk.set_free();
    assert_eq!(api.get(NODES).await.json()["items"], before["items"]);
}
