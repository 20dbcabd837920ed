//! One object at a time: created, read, replaced, deleted, as a client sees it.

use std::sync::Arc;

use crate::support::{Api, CONFIG_MAPS, JOBS, PODS, config_map, job, kind, pod};
use http::Method;
use serde_json::{Value, json};
use windlass_apiserver::registry::{DeleteOptions, Deleted, Door, Object};

#[tokio::test]
async fn a_new_job_gets_identity_defaults_and_a_revision() {
    let api = Api::new().await;
    let made = api.make(JOBS, job("pi")).await;
    let metadata = &made["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["creationTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_eq!(made["spec"]["parallelism"], 1);
    assert_eq!(api.get(&format!("{JOBS}/pi")).await.json(), made);
    let revision: u64 = metadata["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert_eq!(revision, api.registry.store.revision().0);
}

#[tokio::test]
async fn a_name_is_generated_from_its_prefix() {
    let api = Api::new().await;
    let mut wanted = config_map("", json!({}));
    wanted["metadata"] = json!({"generateName": format!("{}-", "a".repeat(60))});
    let first = api.make(CONFIG_MAPS, wanted.clone()).await;
    let second = api.make(CONFIG_MAPS, wanted).await;
    let name = first["metadata"]["name"].as_str().unwrap();
    assert_eq!(name.len(), 63);
    assert!(name.starts_with(&"a".repeat(58)));
    assert_ne!(first["metadata"]["name"], second["metadata"]["name"]);
}

#[tokio::test]
async fn what_the_server_sets_is_not_taken_from_the_writer() {
    let api = Api::new().await;
    let mut wanted = job("pi");
    wanted["metadata"] = json!({"name": "pi", "uid": "mine", "creationTimestamp": null, "generation": 7, "selfLink": "/x",
        "deletionTimestamp": "2020-01-01T00:00:00Z", "managedFields": [{"manager": "x"}]});
    wanted["status"] = json!({"active": 3});
    let made = api.make(JOBS, wanted).await;
    assert_ne!(made["metadata"]["uid"], "mine");
    assert_eq!(made["metadata"]["generation"], 1);
    for field in ["selfLink", "deletionTimestamp", "managedFields"] {
        assert_eq!(made["metadata"][field], Value::Null, "{field}");
    }
    assert_eq!(made["status"], json!({}));
}

#[tokio::test]
async fn a_limit_range_needs_no_name_and_a_cluster_wide_object_loses_its_namespace() {
    let api = Api::new().await;
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": []}});
    let made = api.make("/api/v1/namespaces/default/limitranges", range).await;
    assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 36);
    let class = json!({"metadata": {"name": "c", "namespace": "x", "generation": 3}, "provisioner": "a.b/c"});
    let made = api.make("/apis/storage.k8s.io/v1/storageclasses", class).await;
    assert_eq!((&made["metadata"]["namespace"], &made["metadata"]["generation"]), (&Value::Null, &json!(3)));
    let mut map = config_map("m", json!({}));
    map["metadata"]["generation"] = json!(-1);
    let refused = api.post(CONFIG_MAPS, map).await;
    let words = "ConfigMap \"m\" is invalid: metadata.generation: Invalid value: -1: must be greater than or equal to 0";
    assert_eq!((refused.code, refused.message().as_str()), (422, words));
}

#[tokio::test]
async fn refused_creates_say_why_and_store_nothing() {
    let api = Api::new().await;
    api.make(JOBS, job("there")).await;
    let before = api.registry.store.revision();
    let with = |change: fn(&mut Value)| {
        let mut object = job("x");
        change(&mut object);
        object
    };
    for (path, body, code, reason, message) in [
        (JOBS, job("there"), 409, "AlreadyExists", "jobs.batch \"there\" already exists"),
        (
            "/apis/batch/v1/namespaces/nowhere/jobs",
            job("x"),
            404,
            "NotFound",
            "namespaces \"nowhere\" not found",
        ),
        (
            JOBS,
            with(|o| o["metadata"] = json!({})),
            422,
            "Invalid",
            "Job.batch \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (
            JOBS,
            with(|o| o["metadata"]["namespace"] = json!("other")),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            JOBS,
            with(|o| o["apiVersion"] = json!("apps/v1")),
            400,
            "BadRequest",
            "no kind \"Job\" is registered for version \"apps/v1\"",
        ),
        (
            JOBS,
            with(|o| o["metadata"]["resourceVersion"] = json!("5")),
            400,
            "BadRequest",
            "resourceVersion should not be set on objects to be created",
        ),
        (JOBS, json!([]), 400, "BadRequest", ""),
    ] {
        let answer = api.post(path, body).await;
        let status = answer.json();
        assert_eq!((answer.code, &status["reason"]), (code, &json!(reason)), "{status}");
        assert!(status["message"].as_str().unwrap().contains(message), "{status}");
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["code"], code);
    }
    assert_eq!(api.registry.store.revision(), before);
}

#[tokio::test]
async fn a_pod_that_names_what_is_not_there_is_turned_away() {
    let api = Api::new().await;
    for (field, message) in [
        (
            "serviceAccountName",
            "error looking up service account default/none: serviceaccount \"none\" not found",
        ),
        ("runtimeClassName", "pod rejected: RuntimeClass \"none\" not found"),
        ("priorityClassName", "no PriorityClass with name none was found"),
    ] {
        let mut wanted = pod("p");
        wanted["spec"][field] = json!("none");
        let refused = api.post(PODS, wanted).await;
        assert_eq!(refused.code, 403, "{field}");
        assert_eq!(refused.message(), format!("pods \"p\" is forbidden: {message}"));
    }
    // An engine has it from its start.
    let class = json!({"metadata": {"name": "system-cluster-critical"}, "value": 2_000_000_000});
    api.make("/apis/scheduling.k8s.io/v1/priorityclasses", class).await;
    let mut urgent = pod("p");
    urgent["spec"]["priorityClassName"] = json!("system-cluster-critical");
    assert_eq!(api.make(PODS, urgent).await["spec"]["priority"], 2_000_000_000);
}

#[tokio::test]
async fn a_bound_claim_grows_where_its_class_lets_it() {
    let api = Api::new().await;
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    for (name, grows) in [("fixed", json!(null)), ("elastic", json!(true)), ("rigid", json!(false))] {
        let class = json!({"metadata": {"name": name}, "provisioner": "p", "allowVolumeExpansion": grows});
        api.make(classes, class).await;
    }
    let claims = "/api/v1/namespaces/default/persistentvolumeclaims";
    let size = |size: &str| json!({"spec": {"resources": {"requests": {"storage": size}}}});
    for (class, code) in [("fixed", 403), ("elastic", 200), ("rigid", 403), ("gone", 403), ("", 403)] {
        let name = format!("of-{class}x");
        let claim = json!({"metadata": {"name": name}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}}});
        api.make(claims, claim).await;
        let path = format!("{claims}/{name}");
        assert_eq!(api.merge(&path, size("2Gi")).await.code, 422, "it is not bound");
        let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
        assert_eq!(api.merge(&format!("{path}/status"), bound).await.code, 200);
        let grown = api.merge(&path, size("2Gi")).await;
        assert_eq!(grown.code, code, "{class}");
        if code == 403 {
            let words = format!(
                "persistentvolumeclaims {name:?} is forbidden: only dynamically provisioned pvc can be resized and the \
                 storageclass that provisions the pvc must support resize"
            );
            assert_eq!(grown.message(), words);
        }
        let other = json!({"metadata": {"labels": {"a": "b"}}});
        assert_eq!(api.merge(&path, other).await.code, 200, "any other change");
    }
}

#[tokio::test]
async fn every_problem_of_an_object_is_a_cause() {
    let api = Api::new().await;
    let mut wrong = job("Bad_Name");
    wrong["spec"]["parallelism"] = json!(-1);
    let status = api.post(JOBS, wrong).await.json();
    assert_eq!(status["code"], 422);
    let fields: Vec<&str> = status["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["field"].as_str().unwrap())
        .collect();
    assert!(fields.contains(&"metadata.name") && fields.contains(&"spec.parallelism"), "{fields:?}");
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_dropped_as_asked() {
    let api = Api::new().await;
    let mut wanted = job("a");
    wanted["spec"]["bogus"] = json!(1);
    let strict = api.post(&format!("{JOBS}?fieldValidation=Strict"), wanted.clone()).await;
    assert_eq!(strict.code, 400);
    assert_eq!(
        strict.message(),
        "Job in version \"v1\" cannot be handled as a Job: strict decoding error: unknown field \"spec.bogus\""
    );
    let ignored = api.post(&format!("{JOBS}?fieldValidation=Ignore&dryRun=All"), wanted.clone()).await;
    assert_eq!((ignored.code, ignored.warnings().len()), (201, 0));
    let warned = api.post(JOBS, wanted).await;
    assert_eq!(warned.warnings(), ["299 - \"unknown field \\\"spec.bogus\\\"\""]);
    assert_eq!(warned.json()["spec"]["bogus"], Value::Null);
    assert_eq!(api.post(&format!("{JOBS}?fieldValidation=Loud"), job("b")).await.code, 422);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let api = Api::new().await;
    api.make(JOBS, job("there")).await;
    let before = api.registry.store.revision();
    assert_eq!(api.post(&format!("{JOBS}?dryRun=All"), job("new")).await.code, 201);
    assert_eq!(api.post(&format!("{JOBS}?dryRun=All"), job("there")).await.code, 409);
    let patched = api.merge(&format!("{JOBS}/there?dryRun=All"), json!({"spec": {"parallelism": 4}})).await;
    assert_eq!(patched.json()["spec"]["parallelism"], 4);
    assert_eq!(api.delete(&format!("{JOBS}/there?dryRun=All&propagationPolicy=Background")).await.code, 200);
    assert_eq!(api.get(&format!("{JOBS}/new")).await.code, 404);
    assert_eq!(api.get(&format!("{JOBS}/there")).await.json()["spec"]["parallelism"], 1);
    assert_eq!(api.registry.store.revision(), before);
    assert_eq!(api.post(&format!("{JOBS}?dryRun=Some"), job("new")).await.code, 422);
}

#[tokio::test]
async fn bodies_come_as_json_or_yaml_and_nothing_else() {
    let api = Api::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\ndata: {a: b}\n";
    let answer = api.call(Method::POST, CONFIG_MAPS, "application/yaml", yaml).await;
    assert_eq!(answer.code, 201, "{answer:?}");
    let json = config_map("j", json!({})).to_string();
    assert_eq!(api.call(Method::POST, CONFIG_MAPS, "application/json; charset=utf-8", json).await.code, 201);
    let answer = api.call(Method::POST, CONFIG_MAPS, "text/plain", "x").await;
    assert_eq!((answer.code, answer.json()["reason"].clone()), (415, json!("UnsupportedMediaType")));
    assert_eq!(api.call(Method::POST, CONFIG_MAPS, "application/json", "{").await.code, 400);
    assert_eq!(
        api.call(Method::POST, CONFIG_MAPS, "application/vnd.kubernetes.protobuf", "junk").await.code,
        400
    );
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(api.call(Method::POST, CONFIG_MAPS, "application/json", long).await.code, 413);
}

#[tokio::test]
async fn an_update_needs_the_newest_revision_or_none() {
    let api = Api::new().await;
    let path = format!("{CONFIG_MAPS}/c");
    let first = api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let mut second = first.clone();
    second["data"]["a"] = json!("2");
    assert_eq!(api.put(&path, second.clone()).await.code, 200);
    let stale = api.put(&path, second.clone()).await;
    assert_eq!(stale.code, 409);
    assert_eq!(
        stale.message(),
        "Operation cannot be fulfilled on configmaps \"c\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let mut third = config_map("c", json!({}));
    third["data"]["a"] = json!("3");
    let stored = api.put(&path, third).await.json();
    assert_eq!(stored["data"]["a"], "3");
    assert_eq!(stored["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(stored["metadata"]["creationTimestamp"], first["metadata"]["creationTimestamp"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let api = Api::new().await;
    let made = api.make(JOBS, job("pi")).await;
    let path = format!("{JOBS}/pi");
    assert_eq!(api.put(&path, made.clone()).await.json(), made);
    assert_eq!(api.merge(&path, json!({"spec": {"parallelism": 1}})).await.json(), made);
    assert_eq!(api.merge(&format!("{path}/status"), json!({"spec": {"parallelism": 9}})).await.json(), made);
}

#[tokio::test]
async fn an_amount_that_no_unit_divides_comes_back_unchanged() {
    let api = Api::new().await;
    let mut wanted = job("pi");
    wanted["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"limits": {"memory": "312.5Ki"}});
    let made = api.make(JOBS, wanted).await;
    let path = format!("{JOBS}/pi");
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"], "320k");
    assert_eq!(api.put(&path, made.clone()).await.json(), made);
}

#[tokio::test]
async fn generation_counts_changes_of_the_spec_alone() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let path = format!("{JOBS}/pi");
    let labelled = api.merge(&path, json!({"metadata": {"labels": {"a": "b"}}})).await.json();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let status = api.merge(&format!("{path}/status"), json!({"status": {"active": 1}})).await.json();
    assert_eq!((&status["metadata"]["generation"], &status["status"]["active"]), (&json!(1), &json!(1)));
    let changed = api.merge(&path, json!({"spec": {"parallelism": 2}, "status": {"active": 5}})).await.json();
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_eq!(changed["status"]["active"], 1);
}

#[tokio::test]
async fn identity_cannot_be_changed() {
    let api = Api::new().await;
    let made = api.make(JOBS, job("pi")).await;
    let path = format!("{JOBS}/pi");
    let other = json!({"metadata": {"uid": "other"}});
    let uid = api.merge(&path, other.clone()).await;
    let immutable = "metadata.uid: Invalid value: \"other\": field is immutable";
    assert_eq!((uid.code, uid.message().contains(immutable)), (422, true), "{}", uid.message());
    api.make(CONFIG_MAPS, config_map("m", json!({}))).await;
    let uid = api.merge(&format!("{CONFIG_MAPS}/m"), other).await;
    assert_eq!(uid.message(), format!("ConfigMap \"m\" is invalid: {immutable}"));
    // A replacement means the object of that uid.
    let mut replacement = made.clone();
    replacement["metadata"]["uid"] = json!("other");
    let uid = api.put(&path, replacement).await;
    assert_eq!((uid.code, uid.json()["reason"].clone()), (409, json!("Conflict")));
    let words = format!(
        "Operation cannot be fulfilled on jobs.batch \"pi\": StorageError: invalid object, Code: 4, \
         Key: /registry/jobs/default/pi, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         UID in precondition: other, UID in object meta: {}",
        made["metadata"]["uid"].as_str().unwrap()
    );
    assert_eq!(uid.message(), words);
    let name = api.merge(&path, json!({"metadata": {"name": "other"}})).await;
    assert_eq!(name.message(), "the name of the object (other) does not match the name on the URL (pi)");
    assert_eq!(api.put(&format!("{JOBS}/absent"), job("absent")).await.code, 404);
}

#[tokio::test]
async fn finalizers_of_an_update_are_looked_at_as_those_of_a_create() {
    let api = Api::new().await;
    api.make(JOBS, job("pi")).await;
    let path = format!("{JOBS}/pi");
    for door in ["", "/status"] {
        let refused =
            api.merge(&format!("{path}{door}"), json!({"metadata": {"finalizers": ["A b!"]}})).await;
        assert_eq!(refused.code, 422);
        let fields: Vec<_> = refused.json()["details"]["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["field"].clone())
            .collect();
        assert_eq!(fields, ["metadata.finalizers", "metadata.finalizers[0]"]);
    }
    assert_eq!(api.merge(&path, json!({"metadata": {"finalizers": ["a.b/c"]}})).await.code, 200);
}

#[tokio::test]
async fn another_time_of_creation_is_passed_over() {
    let api = Api::new().await;
    let made = api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let path = format!("{CONFIG_MAPS}/c");
    let other = json!({"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}});
    let mut whole = made.clone();
    whole["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    let mut applied = config_map("c", json!({"a": "b"}));
    applied["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    let apply_path = format!("{path}?fieldManager=me&force=true");
    let apply = api.call(Method::PATCH, &apply_path, "application/apply-patch+yaml", applied.to_string());
    for answer in [api.put(&path, whole).await, api.merge(&path, other.clone()).await, apply.await] {
        assert_eq!(answer.code, 200, "{answer:?}");
        assert_eq!(answer.json()["metadata"]["creationTimestamp"], made["metadata"]["creationTimestamp"]);
    }
    api.make(PODS, pod("p")).await;
    assert_eq!(api.merge(&format!("{PODS}/p/status"), other).await.code, 200);
}

#[tokio::test]
async fn nobody_but_the_server_marks_an_object_as_deleted() {
    let api = Api::new().await;
    let mut wanted = config_map("c", json!({}));
    wanted["metadata"]["finalizers"] = json!(["example.com/held"]);
    api.make(CONFIG_MAPS, wanted).await;
    api.make(PODS, pod("p")).await;
    let (path, status) = (format!("{CONFIG_MAPS}/c"), format!("{PODS}/p/status"));
    let time = json!({"metadata": {"deletionTimestamp": "2027-01-01T00:00:00Z"}});
    let grace = json!({"metadata": {"deletionGracePeriodSeconds": 5}});
    let refused = api.merge(&path, time.clone()).await;
    assert_eq!(
        (refused.code, refused.message().as_str()),
        (
            422,
            "ConfigMap \"c\" is invalid: metadata.deletionTimestamp: Invalid value: \"2027-01-01T00:00:00Z\": field is immutable"
        )
    );
    let refused = api.merge(&path, grace.clone()).await;
    assert_eq!(
        refused.message(),
        "ConfigMap \"c\" is invalid: metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable"
    );
    assert_eq!(api.merge(&status, grace.clone()).await.code, 422);
    let passed_over = api.merge(&status, time.clone()).await;
    assert_eq!((passed_over.code, &passed_over.json()["metadata"]["deletionTimestamp"]), (200, &Value::Null));

    let leaving = api.delete(&path).await.json();
    for change in [time, json!({"metadata": {"deletionTimestamp": null, "deletionGracePeriodSeconds": null}})]
    {
        let kept = api.merge(&path, change).await;
        assert_eq!((kept.code, kept.json()), (200, leaving.clone()));
    }
    assert_eq!(api.merge(&path, grace).await.code, 422);
}

#[tokio::test]
async fn kinds_that_are_only_listed_read_empty_and_refuse_writes() {
    let api = Api::new().await;
    let path = "/apis/apps/v1/namespaces/default/replicasets";
    let list = api.get(path).await.json();
    assert_eq!((&list["kind"], &list["items"]), (&json!("ReplicaSetList"), &json!([])));
    let answer = api.post(path, json!({"metadata": {"name": "x"}})).await;
    assert_eq!((answer.code, answer.json()["reason"].clone()), (405, json!("MethodNotAllowed")));
    assert!(!answer.message().is_empty());
    assert_eq!(api.get(&format!("{path}/x")).await.code, 404);
    assert_eq!(api.delete(&format!("{path}/x")).await.code, 405);
}

#[tokio::test]
async fn writers_that_race_both_win_when_they_say_nothing_of_revisions() {
    let api = Api::new().await;
    api.make(CONFIG_MAPS, config_map("c", json!({}))).await;
    let path = format!("{CONFIG_MAPS}/c");
    let writers = (0..20).map(|n| {
        let (api, path) = (&api, &path);
        async move { api.merge(path, json!({"data": {format!("k{n}"): "v"}})).await.code }
    });
    let codes = futures::future::join_all(writers).await;
    assert!(codes.iter().all(|c| *c == 200), "{codes:?}");
    assert_eq!(api.get(&path).await.json()["data"].as_object().unwrap().len(), 21);
}

#[tokio::test]
async fn the_engine_commits_many_objects_at_once_or_none() {
    let api = Api::new().await;
    let (pods, jobs) = (kind("v1", "Pod"), kind("batch/v1", "Job"));
    let made = api.make(JOBS, job("pi")).await;
    let mut transaction = api.registry.transaction();
    let mut wanted = pod("");
    wanted["metadata"] = json!({"generateName": "pi-", "namespace": "default"});
    let child = api.registry.prepare(pods, wanted).unwrap();
    let name = child["metadata"]["name"].as_str().unwrap().to_owned();
    let (pod_key, job_key) =
        (pods.key(Some("default"), &name).into(), jobs.key(Some("default"), "pi").into());
    transaction.insert(pods, &pod_key, &child.into());
    let mut counted = Object::from(made.clone());
    counted["status"]["active"] = json!(1);
    transaction.replace(jobs, &job_key, &counted);
    let committed = transaction.commit().await.unwrap();
    assert_eq!(committed.entries.len(), 2);
    assert_eq!(api.get(&format!("{PODS}/{name}")).await.code, 200);

    let mut transaction = api.registry.transaction();
    transaction.remove(&pod_key, &api.get(&format!("{PODS}/{name}")).await.json().into());
    transaction.replace(jobs, &job_key, &counted); // its resource version is old by now
    assert!(transaction.commit().await.is_err());
    assert_eq!(api.get(&format!("{PODS}/{name}")).await.code, 200);
}

#[tokio::test]
async fn the_engines_door_changes_spec_and_status_together() {
    let api = Api::new().await;
    api.make(PODS, pod("p")).await;
    let change = Arc::new(|old: &Value| {
        let mut new = old.clone();
        new["spec"]["nodeName"] = json!("here");
        new["status"]["phase"] = json!("Running");
        Ok(new)
    });
    let pods = kind("v1", "Pod");
    let stored = api.registry.update(pods, Some("default"), "p", Door::Engine, false, change).await.unwrap();
    assert_eq!(
        (&stored["spec"]["nodeName"], &stored["status"]["phase"]),
        (&json!("here"), &json!("Running"))
    );
    let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let gone = api.registry.delete(pods, Some("default"), "p", &options).await.unwrap();
    assert!(matches!(gone, Deleted::Gone(_)));
}
