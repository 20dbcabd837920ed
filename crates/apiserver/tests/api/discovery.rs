//! What the server says of itself: groups, resources, version, health, OpenAPI.

use crate::support::Api;
use serde_json::{Value, json};

#[tokio::test]
async fn groups_and_resources_are_listed_with_and_without_a_trailing_slash() {
    let api = Api::new().await;
    for path in ["/api", "/api/"] {
        assert_eq!(api.get(path).await.json()["versions"], json!(["v1"]));
    }
    for path in ["/apis", "/apis/"] {
        let groups = api.get(path).await.json();
        let batch =
            groups["groups"].as_array().unwrap().iter().find(|g| g["name"] == "batch").unwrap().clone();
        assert_eq!(batch["preferredVersion"]["groupVersion"], "batch/v1");
    }
    for path in ["/apis/batch", "/apis/batch/"] {
        assert_eq!(api.get(path).await.json()["kind"], "APIGroup");
    }
    for path in ["/apis/batch/v1", "/apis/batch/v1/"] {
        let list = api.get(path).await.json();
        assert_eq!(list["groupVersion"], "batch/v1");
        let named = |name: &str| list["resources"].as_array().unwrap().iter().any(|r| r["name"] == name);
        assert!(named("jobs") && named("jobs/status"));
    }
}

#[tokio::test]
async fn every_listed_group_version_answers() {
    let api = Api::new().await;
    let groups = api.get("/apis").await.json();
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            let path = format!("/apis/{}", version["groupVersion"].as_str().unwrap());
            assert_eq!(api.get(&path).await.code, 200, "{path}");
        }
    }
    let core = api.get("/api/v1").await.json();
    let pods = core["resources"].as_array().unwrap().iter().find(|r| r["name"] == "pods").unwrap().clone();
    assert_eq!(pods["shortNames"], json!(["po"]));
    assert_eq!(pods["categories"], json!(["all"]));
}

#[tokio::test]
async fn aggregated_discovery_comes_in_the_version_that_the_client_prefers() {
    let api = Api::new().await;
    let clause = |v: &str| format!("application/json;g=apidiscovery.k8s.io;v={v};as=APIGroupDiscoveryList");
    for (accept, version) in [
        (format!("{},{},application/json", clause("v2"), clause("v2beta1")), "v2"),
        (format!("{},application/json", clause("v2beta1")), "v2beta1"),
        (format!("{};profile=nopeer", clause("v2")), "v2"),
    ] {
        for path in ["/api", "/apis"] {
            let answer = api.get_as(path, &accept).await;
            assert_eq!(answer.headers["content-type"], clause(version).as_str());
            let list = answer.json();
            assert_eq!(list["kind"], "APIGroupDiscoveryList");
            assert_eq!(list["apiVersion"], format!("apidiscovery.k8s.io/{version}"));
        }
    }
    let list = api.get_as("/apis", &clause("v2")).await.json();
    let batch = list["items"].as_array().unwrap().iter().find(|g| g["metadata"]["name"] == "batch").unwrap();
    let resources = batch["versions"][0]["resources"].as_array().unwrap();
    let jobs = resources.iter().find(|resource| resource["resource"] == "jobs").unwrap();
    assert_eq!((&jobs["resource"], &jobs["scope"]), (&json!("jobs"), &json!("Namespaced")));
    assert_eq!(jobs["subresources"][0]["subresource"], "status");
    let plain = api.get_as("/apis", &format!("application/json,{}", clause("v2"))).await.json();
    assert_eq!(plain["kind"], "APIGroupList");
}

#[tokio::test]
async fn kinds_that_are_only_listed_offer_only_reading() {
    let api = Api::new().await;
    let list = api.get("/apis/apps/v1").await.json();
    assert_eq!(list["resources"][0]["verbs"], json!(["get", "list", "watch"]));
}

#[tokio::test]
async fn unknown_paths_answer_as_upstream_does() {
    let api = Api::new().await;
    for path in ["/nothing", "/apis/none", "/openapi/v3/apis/none/v1", "/api/v1/%ff"] {
        let answer = api.get(path).await;
        assert_eq!((answer.code, answer.bytes.as_ref()), (404, b"404 page not found\n".as_slice()), "{path}");
    }
    for path in [
        "/apis/batch/v2",
        "/apis/batch/v1/namespaces/default/nones",
        "/apis/batch/v1/jobs/pi",
        "/api/v1/namespaces/default/pods/p/log/more",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.code, 404, "{path}");
        assert_eq!(answer.message(), "the server could not find the requested resource", "{path}");
    }
}

#[tokio::test]
async fn version_and_health_are_told() {
    let api = Api::new().await;
    for path in ["/version", "/version/", "/version?timeout=5s"] {
        let version = api.get(path).await.json();
        assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("36")));
        assert_eq!(version["gitVersion"], "v1.36.0+windlass-0.1.0");
    }
    for path in ["/healthz", "/livez", "/readyz", "/readyz/ping"] {
        assert_eq!(api.get(path).await.bytes, "ok");
    }
    assert_eq!(api.get("/readyz?verbose").await.bytes, "[+]ping ok\nreadyz check passed\n");
    api.server.stop().await;
    assert_eq!(api.get("/readyz").await.code, 500);
    assert_eq!(api.get("/livez").await.code, 200);
}

#[tokio::test]
async fn openapi_v2_is_empty_protobuf_under_a_name_that_go_can_read() {
    let api = Api::new().await;
    let answer =
        api.get_as("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf").await;
    assert_eq!(answer.headers["content-type"], "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert!(answer.bytes.is_empty());
    assert_eq!(api.get_as("/openapi/v2", "application/json").await.json()["swagger"], "2.0");
}

#[tokio::test]
async fn openapi_v3_documents_are_found_by_the_index() {
    let api = Api::new().await;
    let index = api.get("/openapi/v3").await.json();
    let address = index["paths"]["apis/batch/v1"]["serverRelativeURL"].as_str().unwrap();
    let answer = api.get(address).await;
    assert!(answer.headers["cache-control"].to_str().unwrap().contains("immutable"));
    let kinds =
        &answer.json()["components"]["schemas"]["io.k8s.api.batch.v1.Job"]["x-kubernetes-group-version-kind"];
    assert_eq!(kinds[0]["kind"], "Job");
    let other = api.get("/openapi/v3/apis/batch/v1?hash=old").await;
    assert!(!other.headers["cache-control"].to_str().unwrap().contains("immutable"));
    for (path, _) in index["paths"].as_object().unwrap() {
        let document: Value = api.get(&format!("/openapi/v3/{path}")).await.json();
        assert_eq!(document["openapi"].as_str().unwrap().split('.').next(), Some("3"), "{path}");
    }
}
