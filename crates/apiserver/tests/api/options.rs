//! What a request asks is done as asked or refused: a wish that cannot be read is not passed over.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, CONFIG_MAPS, JOBS, PODS, config_map, job, pod};

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";

/// A server that has the config map `c`, its path and what it is.
async fn with_one() -> (Api, String, Value) {
    let api = Api::new().await;
    let made = api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    (api, format!("{CONFIG_MAPS}/c"), made)
}

fn causes(answer: &Answer) -> Vec<String> {
    let status = answer.json();
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    causes.iter().map(|cause| cause["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_delete_whose_options_have_a_wrong_type_deletes_nothing() {
    let (api, path, made) = with_one().await;
    let field = |name: &str, of: &str| format!("Go struct field {name} of type {of}");
    for (body, cause) in [
        (r#"{"dryRun":"All"}"#, field("DeleteOptions.dryRun", "[]string")),
        (r#"{"dryRun":[5]}"#, field("DeleteOptions.dryRun", "string")),
        (r#"{"preconditions":"x"}"#, field("DeleteOptions.preconditions", "v1.Preconditions")),
        (r#"{"preconditions":{"uid":5}}"#, field("Preconditions.preconditions.uid", "types.UID")),
        (
            r#"{"preconditions":{"resourceVersion":1}}"#,
            field("Preconditions.preconditions.resourceVersion", "string"),
        ),
        (r#"{"propagationPolicy":5}"#, field("DeleteOptions.propagationPolicy", "v1.DeletionPropagation")),
        (r#"{"orphanDependents":"true"}"#, field("DeleteOptions.orphanDependents", "bool")),
        (r#"{"gracePeriodSeconds":"5"}"#, field("DeleteOptions.gracePeriodSeconds", "int64")),
        (r#"{"gracePeriodSeconds":1.5}"#, field("DeleteOptions.gracePeriodSeconds", "int64")),
        (r#"{"kind":5}"#, field(".kind", "string")),
        (r#"{"kind":"Pod"}"#, "no kind \"Pod\" is registered for version \"meta.k8s.io/v1\"".to_owned()),
        ("[]", "json: cannot unmarshal array into Go value of type struct".to_owned()),
    ] {
        for path in [path.as_str(), CONFIG_MAPS] {
            let answer = api.call(Method::DELETE, path, JSON, body).await;
            assert_eq!(answer.code, 400, "{body}");
            assert!(answer.message().contains(&cause), "{body}: {}", answer.message());
        }
    }
    for body in [
        r#"{"dryRun":[null]}"#,
        r#"{"dryRun":["All",""]}"#,
        r#"{"propagationPolicy":""}"#,
        r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#,
    ] {
        assert_eq!(api.call(Method::DELETE, &path, JSON, body).await.code, 422, "{body}");
    }
    assert_eq!(api.get(&path).await.json(), made);
    // Any version of the options is theirs, and what no schema knows says nothing.
    let body = json!({"kind": "DeleteOptions", "apiVersion": "batch/v1", "bogus": 1, "dryRun": ["All"]});
    assert_eq!(api.call(Method::DELETE, &path, JSON, body.to_string()).await.code, 200);
    assert_eq!(api.get(&path).await.json(), made);
    assert_eq!(api.call(Method::DELETE, &path, JSON, "null").await.code, 200);
    assert_eq!(api.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_dry_run_that_says_nothing_is_refused_and_writes_nothing() {
    let (api, path, made) = with_one().await;
    let body = config_map("c", json!({"a": "b"})).to_string();
    let merge = "application/merge-patch+json";
    for dry_run in ["dryRun", "dryRun=", "dryRun=All&dryRun=", "dryRun=&dryRun=All", "dryRun=all"] {
        for (method, path, media, more) in [
            (Method::POST, CONFIG_MAPS, JSON, ""),
            (Method::PUT, path.as_str(), JSON, ""),
            (Method::PATCH, path.as_str(), merge, ""),
            (Method::PATCH, path.as_str(), APPLY, "&fieldManager=me"),
        ] {
            let answer = api.call(method, &format!("{path}?{dry_run}{more}"), media, body.clone()).await;
            assert_eq!((answer.code, causes(&answer)), (422, vec!["dryRun".to_owned()]), "{dry_run}");
        }
        for path in [path.as_str(), CONFIG_MAPS] {
            assert_eq!(api.delete(&format!("{path}?{dry_run}")).await.code, 422, "{dry_run}");
        }
    }
    assert_eq!(api.get(&path).await.json(), made);
}

#[tokio::test]
async fn numbers_and_policies_of_a_delete_are_said_or_left_out() {
    let (api, path, made) = with_one().await;
    for (query, code) in [
        ("gracePeriodSeconds=", 400),
        ("gracePeriodSeconds=x", 400),
        ("gracePeriodSeconds=99999999999999999999", 400),
        ("propagationPolicy=", 422),
        ("propagationPolicy=&orphanDependents=", 422),
    ] {
        assert_eq!(api.delete(&format!("{path}?{query}")).await.code, code, "{query}");
    }
    let all = api.delete(&format!("{path}?propagationPolicy=x&orphanDependents=false&dryRun=x")).await;
    assert_eq!(causes(&all), ["propagationPolicy", "propagationPolicy", "dryRun"]);
    assert_eq!(api.get(&path).await.json(), made);
}

#[tokio::test]
async fn an_update_names_its_object() {
    let (api, path, made) = with_one().await;
    let unnamed = "the name of the object (c based on URL) was undeterminable: name must be provided";
    for body in [json!({}), json!({"metadata": null}), json!({"metadata": {"name": "", "generateName": "c"}})]
    {
        assert_eq!(api.put(&path, body.clone()).await.message(), unnamed, "{body}");
        let absent = api.put(&format!("{CONFIG_MAPS}/none"), body).await;
        assert_eq!(absent.code, 400, "{}", absent.message());
    }
    for body in
        [json!({"metadata": null}), json!({"metadata": {"name": null}}), json!({"metadata": {"name": ""}})]
    {
        assert_eq!(api.merge(&path, body.clone()).await.message(), unnamed, "{body}");
    }
    let away = json!([{"op": "remove", "path": "/metadata"}]).to_string();
    assert_eq!(api.call(Method::PATCH, &path, "application/json-patch+json", away).await.message(), unnamed);
    let of_default = "/api/v1/namespaces/default";
    for part in ["", "/status", "/finalize"] {
        assert_eq!(api.put(&format!("{of_default}{part}"), json!({})).await.code, 400, "{part}");
    }
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    assert_eq!(api.put(lease, json!({})).await.code, 400);
    assert_eq!(api.get(lease).await.code, 404);
    // The namespace is asked first.
    let elsewhere = json!({"metadata": {"name": "d", "namespace": "elsewhere"}});
    assert!(api.put(&path, elsewhere).await.message().starts_with("the namespace of the provided object"));
    // What is applied has the name of what is there, but may not deny it.
    let apply = async |metadata: Value| {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}).to_string();
        api.call(Method::PATCH, &format!("{path}?fieldManager=me&dryRun=All"), APPLY, body).await.code
    };
    assert_eq!((apply(json!({})).await, apply(json!({"name": ""})).await), (200, 400));
    assert_eq!(api.get(&path).await.json(), made);
}

#[tokio::test]
async fn an_eviction_whose_options_have_a_wrong_type_evicts_nobody() {
    let api = Api::new().await;
    let made = api.make(PODS, pod("p")).await;
    let evict = async |query: &str, options: Value| {
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": options});
        api.post(&format!("{PODS}/p/eviction{query}"), body).await
    };
    for (options, code) in [
        (json!("x"), 400),
        (json!({"dryRun": "All"}), 400),
        (json!({"preconditions": {"uid": 5}}), 400),
        (json!({"gracePeriodSeconds": "5"}), 400),
        (json!({"dryRun": [""]}), 422),
        (json!({"propagationPolicy": "y"}), 422),
    ] {
        assert_eq!(evict("", options.clone()).await.code, code, "{options}");
    }
    assert_eq!(evict("?dryRun=", json!({})).await.code, 422);
    let refused = evict("", json!({"dryRun": "All"})).await;
    let words = "Eviction in version \"v1\" cannot be handled as a Eviction: json: cannot unmarshal string into Go struct field \
                 DeleteOptions.deleteOptions.dryRun of type []string";
    assert_eq!(refused.message(), words);
    for metadata in [json!({}), json!({"name": "q"}), json!({"name": "p", "namespace": "elsewhere"})] {
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata});
        assert_eq!(api.post(&format!("{PODS}/p/eviction"), body).await.code, 400, "{metadata}");
    }
    assert_eq!(api.get(&format!("{PODS}/p")).await.json(), made);
    let told = evict("?dryRun=All", json!({"bogus": 1})).await;
    assert_eq!((told.code, told.warnings().len()), (201, 1));
    // Old clients send the version before.
    let body = json!({"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "p"}});
    assert_eq!(api.post(&format!("{PODS}/p/eviction?dryRun=All"), body).await.code, 201);
    assert_eq!(api.get(&format!("{PODS}/p")).await.json(), made);
}

#[tokio::test]
async fn all_that_is_wrong_with_the_options_of_a_list_is_told() {
    let api = Api::new().await;
    let (path, matching) = (JOBS, "resourceVersionMatch");
    for (query, expected) in [
        ("resourceVersionMatch=Bogus&continue=x", vec![matching; 3]),
        ("resourceVersion=0&resourceVersionMatch=Exact&continue=x", vec![matching; 2]),
        ("sendInitialEvents=&resourceVersionMatch=Bogus", vec![matching, matching, "sendInitialEvents"]),
        ("watch=1&resourceVersionMatch=Exact", vec![matching; 2]),
        ("watch=1&sendInitialEvents=1&resourceVersionMatch=Bogus&continue=x", vec![matching; 3]),
        ("watch=1&continue=x", vec![matching]),
    ] {
        let answer = api.get(&format!("{path}?{query}")).await;
        assert_eq!(
            (answer.code, causes(&answer)),
            (422, expected.iter().map(ToString::to_string).collect()),
            "{query}"
        );
    }
    // Numbers are read before anything is asked of what else there is.
    for query in
        ["limit=", "limit=x", "timeoutSeconds=", "watch=1&timeoutSeconds=&resourceVersionMatch=Exact"]
    {
        assert_eq!(api.get(&format!("{path}?{query}&resourceVersionMatch=Bogus")).await.code, 400, "{query}");
    }
    api.make(path, job("pi")).await;
    let first = api
        .get(&format!("{path}?limit=1&limit=x&labelSelector=&labelSelector=a%3Db&fieldSelector=&pretty=x"))
        .await;
    assert_eq!(first.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_warned_of_all_the_same() {
    let api = Api::new().await;
    let typed = |spec: Value| json!({"metadata": {"name": "pi"}, "spec": spec});
    let mut good = job("pi")["spec"].clone();
    good["bogus"] = json!(1);
    let bad = json!({"bogus": 1, "parallelism": -1});
    let warned = |answer: &Answer, code: u16| {
        let told = answer.warnings().iter().any(|text| text.contains("unknown field \\\"spec.bogus\\\""));
        assert_eq!((answer.code, told), (code, true), "{answer:?}");
    };
    warned(&api.post(JOBS, typed(bad.clone())).await, 422);
    warned(&api.post(JOBS, typed(good.clone())).await, 201);
    warned(&api.post(JOBS, typed(good.clone())).await, 409);
    let path = format!("{JOBS}/pi");
    let mut changed = typed(good.clone());
    changed["spec"]["completions"] = json!(-1);
    warned(&api.put(&path, changed).await, 422);
    warned(&api.put(&format!("{JOBS}/none"), json!({"metadata": {"name": "none"}, "spec": good})).await, 404);
    warned(&api.merge(&path, json!({"spec": bad})).await, 422);
    let strict = api.post(&format!("{JOBS}?fieldValidation=Strict"), typed(bad)).await;
    assert_eq!((strict.code, strict.warnings().len()), (400, 0));
}

#[tokio::test]
async fn an_objects_version_of_the_future_is_not_there_yet() {
    let (api, path, made) = with_one().await;
    let version: u64 = made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert_eq!(api.get(&format!("{path}?resourceVersion={version}")).await.code, 200);
    for path in [path.as_str(), &format!("{CONFIG_MAPS}/none")] {
        let answer = api.get(&format!("{path}?resourceVersion={}", version + 1000)).await;
        let cause = answer.json()["details"]["causes"][0]["reason"].clone();
        assert_eq!((answer.code, cause), (504, json!("ResourceVersionTooLarge")));
    }
}

#[tokio::test]
async fn a_page_of_a_version_shows_that_version() {
    let (api, _, made) = with_one().await;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    api.make(CONFIG_MAPS, config_map("a", json!({}))).await;
    let names = async |query: &str| {
        let list = api.get(&format!("{CONFIG_MAPS}?resourceVersion={query}")).await.json();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&format!("{version}&limit=5")).await, ["c"]);
    assert_eq!(names(&format!("{version}&limit=5&resourceVersionMatch=NotOlderThan")).await, ["a", "c"]);
    assert_eq!(names(version).await, ["a", "c"]);
    assert_eq!(names("0&limit=1").await, ["a"]);
}

#[tokio::test]
async fn what_says_nothing_of_type_or_version_is_passed_over() {
    let (api, path, _) = with_one().await;
    let strategic = "application/strategic-merge-patch+json";
    for patch in [json!({"kind": "Secret"}), json!({"apiVersion": "v2", "data": {"x": "y"}})] {
        let answer = api.call(Method::PATCH, &path, strategic, patch.to_string()).await;
        assert_eq!((answer.code, &answer.json()["kind"]), (200, &json!("ConfigMap")), "{patch}");
    }
    assert_eq!(api.merge(&path, json!({"kind": "Secret"})).await.code, 422);
    let versioned = |name: &str, version: &str| json!({"apiVersion": "/", "metadata": {"name": name, "resourceVersion": version}});
    assert_eq!(api.post(CONFIG_MAPS, versioned("x", "abc")).await.code, 201);
    assert_eq!(api.post(CONFIG_MAPS, versioned("y", "0")).await.code, 201);
    assert_eq!(api.post(CONFIG_MAPS, versioned("z", "1")).await.code, 400);
    assert_eq!(api.get(&format!("{CONFIG_MAPS}?timeout=x")).await.code, 400);
    assert_eq!(api.get(&format!("{CONFIG_MAPS}?timeout=5s")).await.code, 200);
}
