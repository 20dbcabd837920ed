//! Jobs of one template: what the server makes of a spec that it has met before is what it makes of one that it has not.

use serde_json::{Value, json};

use crate::support::{Answer, Api, JOBS, job};

/// Makes two Jobs of the spec that all bodies here have: from then on it has been met.
async fn acquaint(api: &Api) {
    for name in ["first", "second"] {
        api.make(JOBS, job(name)).await;
    }
}

/// An answer without what differs from one server to the next.
fn shown(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut body = answer.json();
    let uid = body["metadata"]["uid"].as_str().unwrap_or("no uid").to_owned();
    if body["metadata"]["resourceVersion"].is_string() {
        body["metadata"]["resourceVersion"] = "some".into();
    }
    let text = body.to_string().replace(&uid, "the-uid");
    (answer.code, serde_json::from_str(&text).unwrap(), answer.warnings())
}

/// Bodies that all have the same spec.
fn bodies() -> Vec<Value> {
    let with = |changes: Value| {
        let mut body = job("pi");
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    let meta = |mut metadata: Value| {
        metadata["name"] = metadata["name"].as_str().unwrap_or("pi").into();
        with(json!({"metadata": metadata}))
    };
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"});
    vec![
        job("pi"),
        meta(json!({"labels": {"a": "b"}, "annotations": {"c": "d"}})),
        meta(
            json!({"labels": {}, "namespace": "default", "uid": "mine", "generation": 7, "managedFields": []}),
        ),
        meta(json!({"labels": {"a": "b c"}})),
        meta(json!({"labels": 3})),
        meta(json!({"namespace": "elsewhere"})),
        meta(json!({"resourceVersion": "1"})),
        meta(json!({"finalizers": ["example.com/held"], "ownerReferences": [owner, owner]})),
        meta(json!({"finalizers": ["none"]})),
        meta(json!({"deletionTimestamp": "2027-01-15T08:00:00Z", "selfLink": "x", "bogus": true})),
        meta(json!({"name": "with.dots"})),
        meta(json!({"name": "Upper"})),
        meta(json!({"name": "l".repeat(64)})),
        meta(json!({"name": "l".repeat(63)})),
        meta(json!({"name": "taken"})),
        with(json!({"metadata": {}})),
        with(json!({"metadata": null})),
        with(json!({"status": {"active": 3}})),
        with(json!({"status": {"active": "many"}})),
        with(json!({"bogus": 1})),
        with(json!({"kind": "Pod"})),
        with(json!({"apiVersion": "v1"})),
        with(json!({"apiVersion": "", "kind": null})),
    ]
}

#[tokio::test]
async fn a_job_is_the_same_whether_its_spec_came_before_or_not() {
    let mut taken = job("taken");
    taken["spec"]["parallelism"] = 2.into();
    for body in bodies() {
        let (met, unmet) = (Api::new().await, Api::new().await);
        acquaint(&met).await;
        for api in [&met, &unmet] {
            api.make(JOBS, taken.clone()).await;
        }
        // No more: what was sent twice has been met.
        for query in ["?dryRun=All&fieldValidation=Strict", ""] {
            let path = format!("{JOBS}{query}");
            let (with, without) =
                (met.post(&path, body.clone()).await, unmet.post(&path, body.clone()).await);
            assert_eq!(shown(&with), shown(&without), "{query} {body}");
            if with.code == 201 && query.is_empty() {
                let name = with.json()["metadata"]["name"].as_str().unwrap().to_owned();
                assert_eq!(met.get(&format!("{JOBS}/{name}")).await.json(), with.json());
            }
        }
    }
}

#[tokio::test]
async fn a_spec_that_differs_in_one_letter_is_another() {
    let api = Api::new().await;
    acquaint(&api).await;
    let mut body = job("other");
    body["spec"]["template"]["spec"]["restartPolicy"] = "Nevar".into();
    assert_eq!(api.post(JOBS, body.clone()).await.code, 422);
    body["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    let made = api.make(JOBS, body).await;
    assert_eq!(made["spec"]["template"]["spec"]["restartPolicy"], "OnFailure");
}

#[tokio::test]
async fn a_spec_of_which_something_is_to_be_said_is_told_each_time() {
    let api = Api::new().await;
    let with = |name: &str, bogus: Value| {
        let mut body = job(name);
        body["spec"]["bogus"] = bogus;
        body
    };
    for (n, query) in
        ["?fieldValidation=Ignore", "?fieldValidation=Ignore", "", "", ""].into_iter().enumerate()
    {
        let answer = api.post(&format!("{JOBS}{query}"), with(&format!("j{n}"), json!(1))).await;
        assert_eq!((answer.code, answer.warnings().len()), (201, usize::from(query.is_empty())), "{n}");
    }
    let strict = format!("{JOBS}?fieldValidation=Strict");
    assert_eq!(api.post(&strict, with("strict", json!(1))).await.code, 400);
}
