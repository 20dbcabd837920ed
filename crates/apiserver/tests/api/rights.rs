//! Roles and tokens as a client meets them: over TLS, with a token and nothing else.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use jiff::SignedDuration;
use serde_json::{Value, json};
use windlass_apiserver::rights::{Accounts, Role, User};
use windlass_apiserver::world::World;

use crate::support::{Answer, Api, CONFIG_MAPS, JOBS, PODS, TOKEN, config_map, job, pod};
use crate::tls::ask;

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// Somebody with a token.
struct Client<'a> {
    api: &'a Api,
    token: String,
    headers: Vec<(&'static str, String)>,
}

impl Client<'_> {
    async fn call(&self, method: Method, path: &str, media: &str, body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        request = request.header("authorization", format!("Bearer {}", self.token));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.header("content-type", media).body(Body::from(text)).unwrap();
        let (parts, body) = ask(self.api, b"http/1.1", request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { code: parts.status.as_u16(), headers: parts.headers, bytes }
    }
    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "application/json", Value::Null).await
    }
    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, "application/json", body).await
    }
    async fn merge(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, "application/merge-patch+json", body).await
    }
    async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, "application/json", Value::Null).await
    }
}

fn holder(api: &Api, token: impl Into<String>) -> Client<'_> {
    Client { api, token: token.into(), headers: Vec::new() }
}

async fn token(api: &Api, account: &str, spec: Value) -> String {
    let made = api.make(&format!("{ACCOUNTS}/{account}/token"), json!({"spec": spec})).await;
    made["status"]["token"].as_str().unwrap().to_owned()
}

/// Somebody with the token of a service account that carries a role; none for "".
async fn with_role<'a>(api: &'a Api, role: &str) -> Client<'a> {
    let labels = if role.is_empty() { json!({}) } else { json!({"windlass.dev/role": role}) };
    let name = format!("holder-{role}x");
    api.make(ACCOUNTS, json!({"metadata": {"name": name, "labels": labels}})).await;
    holder(api, token(api, &name, json!({})).await)
}

fn host(mut job: Value) -> Value {
    job["spec"]["template"]["spec"]["runtimeClassName"] = "windlass-host".into();
    job
}

/// The class of host processes, and an administrator's job and pod of it.
async fn host_work(api: &Api) {
    let class = json!({"metadata": {"name": "windlass-host"}, "handler": "windlass-host"});
    api.make("/apis/node.k8s.io/v1/runtimeclasses", class).await;
    api.make(JOBS, host(job("owners"))).await;
    let mut own = pod("owners");
    own["spec"]["runtimeClassName"] = "windlass-host".into();
    api.make(PODS, own).await;
}

#[tokio::test]
async fn a_reader_looks_at_everything_but_secrets_and_changes_nothing() {
    let api = Api::new().await;
    api.make(SECRETS, json!({"metadata": {"name": "hidden"}, "stringData": {"word": "herring"}})).await;
    api.make(PODS, pod("p")).await;
    let reader = with_role(&api, "read").await;
    for path in [JOBS, PODS, CONFIG_MAPS, "/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces/default"] {
        assert_eq!(reader.get(path).await.code, 200, "{path}");
    }
    assert_eq!(reader.get(&format!("{PODS}/p/log")).await.code, 200);
    for path in ["", "/hidden", "?watch=true", "?fieldSelector=metadata.name=hidden"] {
        let refused = reader.get(&format!("{SECRETS}{path}")).await;
        assert_eq!(refused.code, 403, "{path}");
        assert!(!String::from_utf8_lossy(&refused.bytes).contains("herring"));
    }
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let shaped = Client { headers: vec![("accept", table.to_owned())], ..holder(&api, &*reader.token) };
    assert_eq!(shaped.get(SECRETS).await.code, 403);
    for (path, body) in [(JOBS, job("j")), (PODS, pod("q")), (CONFIG_MAPS, config_map("c", json!({})))] {
        assert_eq!(reader.post(path, body).await.code, 403, "{path}");
    }
    for part in ["attach", "exec", "portforward"] {
        let refused = reader.get(&format!("{PODS}/p/{part}?command=sh")).await;
        assert_eq!(refused.code, 403, "{part}");
    }
    assert_eq!(
        reader.merge(&format!("{PODS}/p"), json!({"metadata": {"labels": {"a": "b"}}})).await.code,
        403
    );
    assert_eq!(reader.delete(&format!("{PODS}/p")).await.code, 403);
    assert_eq!(reader.delete(PODS).await.code, 403);
    assert_eq!(api.get(&format!("{PODS}/p")).await.code, 200);
}

#[tokio::test]
async fn what_is_forbidden_is_said_in_upstreams_words_with_the_reason() {
    let api = Api::new().await;
    let reader = with_role(&api, "read").await;
    let refused = reader.post(JOBS, job("j")).await;
    assert_eq!(
        refused.message(),
        "jobs.batch is forbidden: User \"system:serviceaccount:default:holder-readx\" cannot create resource \"jobs\" \
         in API group \"batch\" in the namespace \"default\": the role \"read\" may not, the role \"submit\" may"
    );
    let status = refused.json();
    assert_eq!(
        (&status["reason"], &status["details"]),
        (&json!("Forbidden"), &json!({"group": "batch", "kind": "jobs"}))
    );
    let refused = reader.delete("/api/v1/nodes/n").await;
    assert_eq!(
        refused.message(),
        "nodes \"n\" is forbidden: User \"system:serviceaccount:default:holder-readx\" cannot delete resource \"nodes\" \
         in API group \"\" at the cluster scope: the role \"read\" may not, the role \"admin\" may"
    );
}

#[tokio::test]
async fn a_submitter_runs_jobs_and_no_process_of_the_host() {
    let api = Api::new().await;
    host_work(&api).await;
    let submitter = with_role(&api, "submit").await;
    assert_eq!(submitter.post(JOBS, job("j")).await.code, 201);
    assert_eq!(submitter.post(PODS, pod("p")).await.code, 201);
    let refused = submitter.post(JOBS, host(job("h"))).await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.message(),
        "jobs.batch \"h\" is forbidden: User \"system:serviceaccount:default:holder-submitx\" has the role \"submit\", \
         and only \"admin\" may use: processes of the host (spec.template.spec.runtimeClassName: windlass-host)"
    );
    assert_eq!(submitter.post(&format!("{JOBS}?dryRun=All"), host(job("h"))).await.code, 403);
    for (field, value) in [
        ("runtimeClassName", json!("windlass-host")),
        ("hostNetwork", json!(true)),
        ("hostPID", json!(true)),
        ("volumes", json!([{"name": "root", "hostPath": {"path": "/"}}])),
    ] {
        let mut spec = pod("bad");
        spec["spec"][field] = value;
        assert_eq!(submitter.post(PODS, spec).await.code, 403, "{field}");
    }
    let mut privileged = pod("bad");
    privileged["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    assert_eq!(submitter.post(PODS, privileged).await.code, 403);
    assert_eq!(api.get(&format!("{PODS}/bad")).await.code, 404);
}

#[tokio::test]
async fn a_submitter_changes_no_work_of_the_host() {
    let api = Api::new().await;
    host_work(&api).await;
    let submitter = with_role(&api, "submit").await;
    assert_eq!(submitter.post(JOBS, job("own")).await.code, 201);
    let template =
        json!({"spec": {"suspend": true, "template": {"spec": {"runtimeClassName": "windlass-host"}}}});
    let (own, owners) = (format!("{JOBS}/own"), format!("{JOBS}/owners"));
    assert_eq!(submitter.merge(&own, template.clone()).await.code, 403, "its own job into one of the host");
    let strategic = "application/strategic-merge-patch+json";
    assert_eq!(submitter.call(Method::PATCH, &own, strategic, template).await.code, 403);
    let operation = json!([{"op": "add", "path": "/spec/template/spec/hostPID", "value": true}]);
    assert_eq!(submitter.call(Method::PATCH, &own, "application/json-patch+json", operation).await.code, 403);
    // More of what the administrator began would be more processes of the host.
    assert_eq!(submitter.merge(&owners, json!({"spec": {"parallelism": 9}})).await.code, 403);
    let mut whole = api.get(&owners).await.json();
    whole["spec"]["template"]["spec"].as_object_mut().unwrap().remove("runtimeClassName");
    whole["spec"]["parallelism"] = 9.into();
    assert_eq!(submitter.call(Method::PUT, &owners, "application/json", whole).await.code, 403);
    for part in ["attach", "exec", "portforward"] {
        let path = format!("{PODS}/owners/{part}");
        let answer = submitter.post(&path, Value::Null).await;
        assert!(matches!(answer.code, 403..=405), "{part}: {answer:?}");
    }
    assert_eq!(api.get(&owners).await.json()["spec"]["parallelism"], 1);
    assert_eq!(submitter.merge(&own, json!({"spec": {"parallelism": 2}})).await.code, 200);
    assert_eq!(submitter.delete(&format!("{own}?propagationPolicy=Background")).await.code, 200);
}

#[tokio::test]
async fn a_submitter_borrows_no_account_with_more_rights() {
    let api = Api::new().await;
    let submitter = with_role(&api, "submit").await;
    with_role(&api, "admin").await;
    with_role(&api, "read").await;
    for (account, code) in [("holder-adminx", 403), ("holder-submitx", 201), ("holder-readx", 201)] {
        for field in ["serviceAccountName", "serviceAccount"] {
            let mut borrowed = job(&format!("{account}-{}", field.to_lowercase()));
            borrowed["spec"]["template"]["spec"][field] = account.into();
            assert_eq!(submitter.post(JOBS, borrowed).await.code, code, "{account} as {field}");
        }
    }
    assert_eq!(submitter.post(&format!("{ACCOUNTS}/holder-adminx/token"), json!({})).await.code, 403);
    let labels = json!({"metadata": {"labels": {"windlass.dev/role": "admin"}}});
    assert_eq!(submitter.merge(&format!("{ACCOUNTS}/holder-submitx"), labels).await.code, 403);
    assert_eq!(submitter.post(ACCOUNTS, json!({"metadata": {"name": "new"}})).await.code, 403);
}

#[tokio::test]
async fn a_submitter_gives_secrets_and_reads_none() {
    let api = Api::new().await;
    let submitter = with_role(&api, "submit").await;
    let secret = json!({"metadata": {"name": "mine"}, "stringData": {"word": "herring"}});
    assert_eq!(submitter.post(SECRETS, secret).await.code, 201);
    let path = format!("{SECRETS}/mine");
    assert_eq!(submitter.get(&path).await.code, 403);
    assert_eq!(submitter.merge(&path, json!({"metadata": {"labels": {"a": "b"}}})).await.code, 403);
    assert_eq!(submitter.delete(&path).await.code, 403);
    assert_eq!(submitter.delete(SECRETS).await.code, 403);
}

#[tokio::test]
async fn a_pods_token_reviews_itself_and_nothing_else() {
    let api = Api::new().await;
    host_work(&api).await;
    api.make(ACCOUNTS, json!({"metadata": {"name": "plain"}})).await;
    let mut with = pod("p");
    with["spec"]["serviceAccountName"] = "plain".into();
    let uid = api.make(PODS, with).await["metadata"]["uid"].clone();
    let bound = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}});
    let holder = holder(&api, token(&api, "plain", bound).await);
    let me = holder.post(WHOAMI, json!({})).await;
    assert_eq!(me.code, 201);
    let info = &me.json()["status"]["userInfo"];
    assert_eq!(info["username"], "system:serviceaccount:default:plain");
    assert_eq!(info["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]));
    let can = json!({"spec": {"resourceAttributes": {"verb": "create", "group": "batch", "resource": "jobs", "namespace": "default"}}});
    let can = holder.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", can).await;
    assert_eq!((can.code, &can.json()["status"]["allowed"]), (201, &json!(false)));
    assert_eq!(holder.get("/api/v1").await.code, 200, "what every cluster tells of itself");
    for path in [PODS, JOBS, SECRETS, CONFIG_MAPS, "/api/v1/nodes", &format!("{PODS}/p"), "/metrics"] {
        assert_eq!(holder.get(path).await.code, 403, "{path}");
    }
    for body in [job("j"), host(job("h"))] {
        assert_eq!(holder.post(JOBS, body).await.code, 403);
    }
    let review = json!({"spec": {"token": TOKEN}});
    assert_eq!(holder.post("/apis/authentication.k8s.io/v1/tokenreviews", review).await.code, 403);
    assert_eq!(api.delete(&format!("{PODS}/p?gracePeriodSeconds=0")).await.code, 200);
    assert_eq!(holder.post(WHOAMI, json!({})).await.code, 401, "it ends with its pod");
}

#[tokio::test]
async fn tokens_end_with_their_time_and_their_account() {
    let api = Api::new().await;
    let reader = with_role(&api, "read").await;
    assert_eq!(reader.get(PODS).await.code, 200);
    api.world.seconds.fetch_add(3599, Ordering::SeqCst);
    assert_eq!(reader.get(PODS).await.code, 200);
    api.world.seconds.fetch_add(1, Ordering::SeqCst);
    let late = reader.get(PODS).await;
    assert_eq!((late.code, late.message()), (401, "Unauthorized".to_owned()));
    let reader = holder(&api, token(&api, "holder-readx", json!({})).await);
    assert_eq!(reader.get(PODS).await.code, 200);
    // Taking the label takes the role, making the account anew takes the tokens.
    let path = format!("{ACCOUNTS}/holder-readx");
    let no_role = json!({"metadata": {"labels": {"windlass.dev/role": null}}});
    assert_eq!(api.merge(&path, no_role).await.code, 200);
    assert_eq!(reader.get(PODS).await.code, 403);
    assert_eq!(api.delete(&path).await.code, 200);
    assert_eq!(reader.get(PODS).await.code, 401);
    let labels = json!({"windlass.dev/role": "read"});
    api.make(ACCOUNTS, json!({"metadata": {"name": "holder-readx", "labels": labels}})).await;
    assert_eq!(reader.get(PODS).await.code, 401, "one of the same name is another");
}

#[tokio::test]
async fn who_has_lost_a_role_or_an_account_is_not_known_any_more() {
    let api = Api::new().await;
    with_role(&api, "read").await;
    let accounts = Accounts::new(api.registry.clone(), &[7; 32]);
    let path = format!("{ACCOUNTS}/holder-readx");
    let uid = api.get(&path).await.json()["metadata"]["uid"].as_str().unwrap().to_owned();
    let holder = |uid: &str, role| User::account("default", "holder-readx", uid, role);
    assert!(accounts.still(&User::owner()));
    assert!(accounts.still(&holder(&uid, Role::Read)) && accounts.still(&holder("", Role::Read)));
    let until = |seconds| User {
        expires: Some(api.world.now() + SignedDuration::from_secs(seconds)),
        ..holder("", Role::Read)
    };
    assert!(
        accounts.still(&until(1)) && !accounts.still(&until(0)),
        "its token ends with its time, however that passes"
    );
    assert!(!accounts.still(&holder("other", Role::Read)) && !accounts.still(&holder(&uid, Role::Submit)));
    api.delete(&path).await;
    assert!(!accounts.still(&holder(&uid, Role::Read)));
}

#[tokio::test]
async fn a_watch_ends_with_its_credential() {
    let api = Api::new().await;
    let reader = with_role(&api, "read").await;
    api.world.seconds.fetch_add(3599, Ordering::SeqCst);
    // It has a second left; the watch asks for an hour.
    let seen = reader.get(&format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=3600")).await;
    assert_eq!((seen.code, seen.bytes.len()), (200, 0));
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_refused() {
    use base64::Engine as _;
    let api = Api::new().await;
    let reader = with_role(&api, "read").await;
    let mut with = pod("p");
    with["spec"]["serviceAccountName"] = "holder-readx".into();
    let with = api.make(PODS, with).await;
    // Of the same account, with another home's key.
    let others = Accounts::new(api.registry.clone(), &[8; 32]);
    let theirs = others.issue_for_pod(&with, None, 600).unwrap().token;
    let ours = Accounts::new(api.registry.clone(), &[7; 32]).issue_for_pod(&with, None, 600).unwrap().token;
    assert_eq!(holder(&api, ours).get(PODS).await.code, 200);
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let parts: Vec<&str> = reader.token.split('.').collect();
    let none = format!("{}.{}.", encode(r#"{"alg":"none"}"#), parts[1]);
    let symmetric = format!("{}.{}.{}", encode(r#"{"alg":"HS256"}"#), parts[1], parts[2]);
    let raised =
        format!("{}.{}.{}", parts[0], encode(r#"{"sub":"system:serviceaccount:default:root"}"#), parts[2]);
    let elsewhere = token(&api, "holder-readx", json!({"audiences": ["https://vault.example"]})).await;
    let long = "a".repeat(60_000);
    for bad in [&*none, &symmetric, &raised, &elsewhere, &theirs, "a.b.c", "..", ".", &long[..20_000]] {
        assert_eq!(holder(&api, bad).get(PODS).await.code, 401, "{bad:.60}");
    }
    assert_eq!(reader.get(PODS).await.code, 200);
}

#[tokio::test]
async fn reviews_tell_whom_a_token_means_and_what_they_may() {
    let api = Api::new().await;
    let submitter = with_role(&api, "submit").await;
    let review = |token: &str| json!({"spec": {"token": token}});
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let known = api.make(path, review(&submitter.token)).await;
    assert_eq!(
        api.post(path, review(&"x".repeat(100 << 10))).await.code,
        413,
        "whoever is known may ask this"
    );
    assert_eq!(known["status"]["user"]["username"], "system:serviceaccount:default:holder-submitx");
    assert_eq!(known["status"]["authenticated"], true);
    let unknown = api.make(path, review("nobody's")).await;
    assert!(unknown["status"].get("authenticated").is_none_or(|known| known == false), "{unknown}");
    assert_eq!(api.post(path, json!({"spec": {}})).await.code, 400);

    let own = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let may = |verb: &str, resource: &str| json!({"spec": {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": "default"}}});
    for (verb, resource, allowed) in [("create", "pods", true), ("get", "secrets", false), ("*", "*", false)]
    {
        let answer = submitter.post(own, may(verb, resource)).await.json();
        assert_eq!(answer["status"]["allowed"], allowed, "{verb} {resource}: {answer}");
        assert_eq!(api.make(own, may(verb, resource)).await["status"]["allowed"], true);
    }
    let both =
        json!({"spec": {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/"}}});
    assert_eq!(submitter.post(own, both).await.code, 422);
    assert_eq!(submitter.post(own, json!({"spec": {}})).await.code, 422);

    let others = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let mut asked = may("create", "pods");
    asked["spec"]["user"] = "system:serviceaccount:default:holder-submitx".into();
    assert_eq!(submitter.post(others, asked.clone()).await.code, 403);
    assert_eq!(api.make(others, asked).await["status"]["allowed"], true);
    let rules = json!({"spec": {"namespace": "default"}});
    let rules = submitter.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", rules).await.json();
    assert_eq!(rules["status"]["incomplete"], false);
    assert_eq!(api.get(own).await.code, 405);
    assert_eq!(api.get(&format!("{own}/x")).await.code, 404);
}

#[tokio::test]
async fn the_administrator_acts_as_another_with_that_ones_rights() {
    let api = Api::new().await;
    let reader = with_role(&api, "read").await;
    let name = "system:serviceaccount:default:holder-readx".to_owned();
    let acting = Client { headers: vec![("impersonate-user", name.clone())], ..holder(&api, TOKEN) };
    assert_eq!(acting.get(PODS).await.code, 200);
    assert_eq!(acting.get(SECRETS).await.code, 403);
    assert_eq!(acting.post(WHOAMI, json!({})).await.json()["status"]["userInfo"]["username"], name);
    let nobody = Client { headers: vec![("impersonate-user", "jane".to_owned())], ..holder(&api, TOKEN) };
    assert_eq!(nobody.get(PODS).await.code, 403);
    let master = ("impersonate-group", "system:masters".to_owned());
    let up = vec![("impersonate-user", "jane".to_owned()), master];
    assert_eq!(Client { headers: up.clone(), ..holder(&api, TOKEN) }.get(SECRETS).await.code, 200);
    let climbing = Client { headers: up, ..holder(&api, &*reader.token) };
    let refused = climbing.get(PODS).await;
    assert_eq!(refused.code, 403);
    assert!(refused.message().contains("cannot impersonate resource \"users\""), "{}", refused.message());
    let stray = vec![("impersonate-group", "system:masters".to_owned())];
    assert_eq!(Client { headers: stray, ..holder(&api, TOKEN) }.get(PODS).await.code, 400);
}

#[tokio::test]
async fn a_token_is_asked_for_within_bounds_and_bound_to_what_is_there() {
    let api = Api::new().await;
    api.make(ACCOUNTS, json!({"metadata": {"name": "a"}})).await;
    let path = format!("{ACCOUNTS}/a/token");
    for (spec, code) in [
        (json!({"expirationSeconds": 599}), 422),
        (json!({"expirationSeconds": 4_294_967_297_i64}), 422),
        (json!({"expirationSeconds": 600}), 201),
        (json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "none"}}), 404),
        (json!({"boundObjectRef": {"apiVersion": "batch/v1", "kind": "Job", "name": "none"}}), 400),
    ] {
        assert_eq!(api.post(&path, json!({"spec": spec})).await.code, code, "{spec}");
    }
    api.make(PODS, pod("p")).await;
    let other = json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}}});
    assert_eq!(api.post(&path, other).await.code, 400, "a pod of another account");
    assert_eq!(api.post(&format!("{ACCOUNTS}/none/token"), json!({})).await.code, 404);
    assert_eq!(api.post(&path, json!({"metadata": {"name": "b"}})).await.code, 422);
    let made = api.make(&path, json!({})).await;
    assert_eq!((&made["kind"], &made["spec"]["expirationSeconds"]), (&json!("TokenRequest"), &json!(3600)));
    assert_eq!(api.get(&path).await.code, 405);
}
