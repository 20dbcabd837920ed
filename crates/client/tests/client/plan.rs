//! What a cluster is asked before a job is submitted, and what its answers come to.

use serde_json::{Value, json};
use windlass::manifest::{Base, Manifest, make};
use windlass::{Check, Standing};

use crate::support::{JOBS, Reply, Server, job, list, refusal};

fn manifest() -> Manifest {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "train" },
        "spec": { "template": { "spec": { "restartPolicy": "Never", "containers": [{
            "name": "main", "image": "fit:1", "resources": { "requests": { "cpu": "4" } },
            "env": [{ "name": "P", "valueFrom": { "secretKeyRef": { "name": "db", "key": "password" } } }],
        }] } } },
    });
    make(&Base::Manifest(job), &[]).unwrap()
}

/// A cluster that has all that the job needs.
fn server() -> Server {
    let server = Server::new();
    server.on(
        "GET /version",
        Reply::Json(200, json!({ "major": "1", "minor": "36", "gitVersion": "v1.36.0" })),
    );
    server.on("GET /api/v1/namespaces/lab", Reply::Json(200, json!({ "status": { "phase": "Active" } })));
    let allowed = json!({ "status": { "allowed": true } });
    server.on("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Reply::Json(201, allowed));
    server.on("GET /api/v1/namespaces/lab/serviceaccounts/default", Reply::Json(200, json!({})));
    server
}

fn rest(server: &Server) {
    server.on(
        "GET /api/v1/namespaces/lab/secrets/db",
        Reply::Json(200, json!({ "data": { "password": "eA==" } })),
    );
    server.on("GET /api/v1/namespaces/lab/resourcequotas", list(1, &[]));
    let node = json!({ "metadata": { "name": "n" }, "status": { "allocatable": { "cpu": "8" } } });
    server.on("GET /api/v1/nodes", list(1, &[node]));
    server.on(&format!("POST {JOBS}"), Reply::Json(201, job(1, json!({}))));
}

fn of<'a>(checks: &'a [Check], what: &str) -> &'a Check {
    checks.iter().find(|check| check.what == what).unwrap_or_else(|| panic!("no {what} in {checks:?}"))
}

#[tokio::test]
async fn a_cluster_that_has_everything_is_only_read_and_tried() {
    let server = server();
    rest(&server);
    let checks = server.manager().preflight(&manifest(), None).await.unwrap();
    assert!(checks.iter().all(|check| check.standing == Standing::Ok), "{checks:?}");
    let changes: Vec<_> = server.seen().into_iter().filter(|seen| !seen.route.starts_with("GET ")).collect();
    for change in changes {
        let is_question = change.route.contains("selfsubjectaccessreviews");
        assert!(is_question || change.query.get("dryRun").is_some_and(|what| what == "All"), "{change:?}");
    }
}

#[tokio::test]
async fn what_is_short_is_a_problem_with_its_numbers() {
    let server = server();
    server
        .on("GET /api/v1/namespaces/lab/secrets/db", Reply::Json(200, json!({ "data": { "user": "eA==" } })));
    let quota = json!({ "metadata": { "name": "team" }, "spec": {},
        "status": { "hard": { "requests.cpu": "6" }, "used": { "requests.cpu": "3" } } });
    server.on("GET /api/v1/namespaces/lab/resourcequotas", list(1, &[quota]));
    let node = |cpu: &str| json!({ "status": { "allocatable": { "cpu": cpu } } });
    server.on("GET /api/v1/nodes", list(1, &[node("2"), node("2"), node("3900m")]));
    server.on(&format!("POST {JOBS}"), refusal(403, "Forbidden", "exceeded quota: team"));
    let checks = server.manager().preflight(&manifest(), None).await.unwrap();
    for (what, text) in [
        ("secret db", "has no key password"),
        ("quota team", "requests.cpu: 3 of 6 are used"),
        ("a node that is large enough", "none of 3 (2: has cpu 2; 1: has cpu 3900m)"),
        ("the server's own trial", "exceeded quota: team"),
    ] {
        let check = of(&checks, what);
        assert!(check.standing == Standing::Problem && check.text.contains(text), "{check:?}");
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_unknown_and_names_the_right() {
    let server = server();
    server.on("GET /api/v1/namespaces/lab/secrets/db", refusal(403, "Forbidden", "no"));
    server.on("GET /api/v1/namespaces/lab/resourcequotas", refusal(403, "Forbidden", "no"));
    server.on("GET /api/v1/nodes", refusal(403, "Forbidden", "no"));
    server.on(&format!("POST {JOBS}"), Reply::Json(201, job(1, json!({}))));
    let checks = server.manager().preflight(&manifest(), None).await.unwrap();
    for (what, right) in [
        ("secret db", "get secrets"),
        ("quota", "list resourcequotas"),
        ("a node that is large enough", "list nodes"),
    ] {
        let check = of(&checks, what);
        assert!(check.standing == Standing::Unknown && check.text.ends_with(right), "{check:?}");
    }
}

#[tokio::test]
async fn in_a_namespace_that_is_not_there_nothing_else_is_looked_for() {
    let server = Server::new();
    server.on("GET /version", Reply::Json(200, json!({ "major": "1", "minor": "36" })));
    let checks = server.manager().preflight(&manifest(), None).await.unwrap();
    assert_eq!(of(&checks, "namespace lab").standing, Standing::Problem);
    assert!(!checks.iter().any(|check| check.what.starts_with("secret")), "{checks:?}");
    let silent = Server::new();
    silent.on("GET /version", Reply::Lost);
    assert!(silent.manager().preflight(&manifest(), None).await.is_err());
}

#[tokio::test]
async fn the_job_of_that_name_is_found_and_a_clock_is_compared() {
    let server = server();
    server.on(&format!("GET {JOBS}/train"), Reply::Json(200, job(1, json!({}))));
    let there: Option<Value> = server.manager().namesake(&manifest()).await.unwrap();
    assert_eq!(there.unwrap()["metadata"]["uid"], "j1");
    let facts = server.manager().facts().await.unwrap();
    assert_eq!((facts.version.as_str(), facts.skew_s), ("v1.36.0", None));
}

#[tokio::test]
async fn a_job_with_tasks_or_files_also_needs_the_rights_to_their_config_map() {
    use windlass::manifest::{Array, Edit};
    use windlass::model::{JobRequest, Place};
    let request = JobRequest::new(vec!["fit".into(), "{}".into()], Place::Image("fit:1".into()));
    let array = Array::of_lines(b"a\nb").unwrap().array;
    let array = make(&Base::Request(Box::new(request)), &[Edit::Tasks(array)]).unwrap();
    let server = Server::new();
    server.on("GET /version", Reply::Json(200, json!({ "major": "1", "minor": "36" })));
    let of_jobs_only = |seen: &crate::support::Seen| {
        let resource = &seen.body["spec"]["resourceAttributes"]["resource"];
        Reply::Json(201, json!({ "status": { "allowed": resource != "configmaps" } }))
    };
    let reviews = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    server.on(reviews, Reply::Of(Box::new(of_jobs_only)));
    let checks = server.manager().preflight(&array, None).await.unwrap();
    assert_eq!(of(&checks, "right to create configmaps").standing, Standing::Problem);
    for verb in ["get", "patch"] {
        assert_eq!(of(&checks, &format!("right to {verb} configmaps")).standing, Standing::Unknown);
    }
    let checks = server.manager().preflight(&manifest(), None).await.unwrap();
    assert!(!checks.iter().any(|check| check.what.contains("configmaps")), "{checks:?}");
}
