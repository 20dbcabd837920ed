//! Arrays: their ConfigMap is there before the Job, is the Job's from then on, and is made once.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use windlass::manifest::{Array, Base, Edit, JobEdit, Manifest, make};
use windlass::model::{JobRequest, Place, SubmissionId};
use windlass::{Error, JobManager, Known, SubmitOptions};

use crate::support::{JOBS, Reply, Server, list, refusal};

const MAPS: &str = "/api/v1/namespaces/lab/configmaps";
const ID: &str = "nightly";

fn lines(text: &str) -> Manifest {
    let request = JobRequest::new(vec!["fit".into(), "{}".into()], Place::Image("fit:1".into()));
    let array = Array::of_lines(text.as_bytes()).unwrap().array;
    make(&Base::Request(Box::new(request)), &[Edit::Tasks(array)]).unwrap()
}

fn id() -> SubmissionId {
    SubmissionId::parse(ID).unwrap()
}

fn with_id() -> SubmitOptions {
    SubmitOptions { id: Some(id()), ..SubmitOptions::default() }
}

fn manager(server: &Server) -> JobManager {
    server.manager().knowing(Known { version: Some((1, 36)), has_answered: true, ..Known::default() })
}

fn name(attempt: u32) -> String {
    lines("a").name_for(&id(), attempt).to_string()
}

/// The routes of the one ConfigMap.
fn map(verb: &str) -> String {
    format!("{verb} {MAPS}/{}-tasks", name(0))
}

fn made(object: &Value, uid: &str) -> Reply {
    let mut object = object.clone();
    object["metadata"]["uid"] = uid.into();
    object["metadata"]["resourceVersion"] = "7".into();
    Reply::Json(201, object)
}

/// A server that makes what it is sent, and has no job yet.
fn making() -> Server {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    for (path, uid) in [(MAPS, "map-1"), (JOBS, "job-1")] {
        server.on(&format!("POST {path}"), Reply::Of(Box::new(move |seen| made(&seen.body, uid))));
    }
    server.on(&map("PATCH"), Reply::Json(200, json!({})));
    server
}

fn routes(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.route).collect()
}

#[tokio::test]
async fn the_values_are_there_before_the_job_and_are_its_own_after() {
    let server = making();
    let submitted = manager(&server).submit(&lines("a\nb"), &with_id()).await.unwrap();
    assert_eq!(submitted.warnings, Vec::<String>::new());
    let expected = [format!("GET {JOBS}"), format!("POST {MAPS}"), format!("POST {JOBS}"), map("PATCH")];
    assert_eq!(routes(&server), expected);
    let changed = &server.asked(&map("PATCH"))[0].body["metadata"];
    assert_eq!((&changed["uid"], &changed["resourceVersion"]), (&json!("map-1"), &json!("7")));
    let owner = &changed["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["name"], &owner["uid"]),
        (&json!("Job"), &json!(name(0)), &json!("job-1"))
    );
}

#[tokio::test(start_paused = true)]
async fn answers_that_were_lost_double_nothing() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    let kept: Arc<Mutex<[Value; 2]>> = Arc::default();
    for (place, path) in [MAPS, JOBS].into_iter().enumerate() {
        let sent = kept.clone();
        let lose = move |seen: &crate::support::Seen| {
            let object = &mut sent.lock().unwrap()[place];
            if object.is_null() {
                *object = seen.body.clone();
                return Reply::Lost;
            }
            refusal(409, "AlreadyExists", "already exists")
        };
        server.on(&format!("POST {path}"), Reply::Of(Box::new(lose)));
        let sent = kept.clone();
        let path = if path == MAPS { map("GET") } else { format!("GET {JOBS}/{}", name(0)) };
        let there = move |_: &crate::support::Seen| match &sent.lock().unwrap()[place] {
            Value::Null => refusal(404, "NotFound", "not found"),
            object => Reply::Json(200, object.clone()),
        };
        server.on(&path, Reply::Of(Box::new(there)));
    }
    server.on(&map("PATCH"), Reply::Lost).on(&map("PATCH"), Reply::Json(200, json!({})));
    let submitted = manager(&server).submit(&lines("a\nb"), &with_id()).await.unwrap();
    assert_eq!(submitted.name, name(0));
    assert_eq!(submitted.warnings, Vec::<String>::new());
    assert_eq!(
        (server.asked(&format!("POST {MAPS}")).len(), server.asked(&format!("POST {JOBS}")).len()),
        (2, 2)
    );
}

#[tokio::test]
async fn the_values_of_a_refused_job_are_taken_away() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-1"))));
    server.on(&format!("POST {JOBS}"), refusal(403, "Forbidden", "exceeded quota: q"));
    server.on(&map("DELETE"), Reply::Json(200, json!({})));
    let error = manager(&server).submit(&lines("a"), &with_id()).await.unwrap_err();
    assert!(matches!(error, Error::OverQuota { .. }), "{error}");
    let body = &server.asked(&map("DELETE"))[0].body;
    assert_eq!(body["preconditions"], json!({ "uid": "map-1", "resourceVersion": "7" }));
}

#[tokio::test]
async fn values_that_somebody_else_made_are_not_taken_away() {
    let server = Server::new();
    let there = lines("a").companion(&id(), 0).unwrap();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&map("GET"), Reply::Json(200, there));
    server.on(&format!("POST {JOBS}"), refusal(403, "Forbidden", "exceeded quota: q"));
    manager(&server).submit(&lines("a"), &with_id()).await.unwrap_err();
    assert_eq!(server.asked(&map("DELETE")).len(), 0);
}

#[tokio::test]
async fn other_values_under_the_same_id_are_a_conflict() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&map("GET"), Reply::Json(200, lines("other").companion(&id(), 0).unwrap()));
    let error = manager(&server).submit(&lines("a"), &with_id()).await.unwrap_err();
    assert!(error.to_string().contains("exists already with other tasks"), "{error}");
    assert_eq!(server.asked(&format!("POST {JOBS}")).len(), 0);
}

#[tokio::test]
async fn a_name_whose_values_are_a_strangers_is_given_up_for_another() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-1"))));
    server.on(&map("GET"), Reply::Json(200, json!({ "metadata": { "name": "x" }, "data": {} })));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| made(&seen.body, "job-1"))));
    server.on(&format!("PATCH {MAPS}/{}-tasks", name(1)), Reply::Json(200, json!({})));
    let submitted = manager(&server).submit(&lines("a"), &with_id()).await.unwrap();
    assert_eq!(submitted.name, name(1));
}

/// A server that has the job of a first sending.
async fn with_the_job_there() -> Server {
    let server = making();
    manager(&server).submit(&lines("a"), &with_id()).await.unwrap();
    let mut job = server.asked(&format!("POST {JOBS}"))[0].body.clone();
    job["metadata"]["uid"] = "job-1".into();
    let again = Server::new();
    again.on(&format!("GET {JOBS}"), list(1, &[job]));
    again
}

#[tokio::test]
async fn a_repetition_mends_what_the_first_did_not_come_to() {
    let again = with_the_job_there().await;
    again.on(&map("PATCH"), refusal(404, "NotFound", "configmaps not found"));
    again.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-2"))));
    let submitted = manager(&again).submit(&lines("a"), &with_id()).await.unwrap();
    assert!(!submitted.created && submitted.warnings.is_empty(), "{:?}", submitted.warnings);
    let map = &again.asked(&format!("POST {MAPS}"))[0].body;
    assert_eq!(map["metadata"]["ownerReferences"][0]["uid"], "job-1");
}

#[tokio::test]
async fn values_that_wait_for_their_deletion_are_not_used_again() {
    let server = Server::new();
    let mut left = lines("a").companion(&id(), 0).unwrap();
    left["metadata"]["ownerReferences"] = json!([{ "kind": "Job", "name": name(0), "uid": "job-0" }]);
    left["metadata"]["uid"] = "map-0".into();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-1"))));
    server.on(&map("GET"), Reply::Json(200, left));
    server.on(&map("DELETE"), Reply::Json(200, json!({})));
    server.on(&map("PATCH"), Reply::Json(200, json!({})));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| made(&seen.body, "job-1"))));
    manager(&server).submit(&lines("a"), &with_id()).await.unwrap();
    assert_eq!(server.asked(&map("DELETE"))[0].body["preconditions"], json!({ "uid": "map-0" }));
    assert_eq!(server.asked(&format!("POST {MAPS}")).len(), 2);
}

#[tokio::test]
async fn whoever_may_not_change_config_maps_is_told_what_stays() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-1"))));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| made(&seen.body, "job-1"))));
    server.on(&map("PATCH"), refusal(403, "Forbidden", "configmaps is forbidden: cannot patch"));
    let submitted = manager(&server).submit(&lines("a"), &with_id()).await.unwrap();
    assert!(submitted.warnings[0].contains("will not be deleted with it"), "{:?}", submitted.warnings);
}

#[tokio::test]
async fn a_cluster_that_is_too_old_for_arrays_is_refused() {
    let server = making();
    let manager = server.manager().knowing(Known { version: Some((1, 27)), ..Known::default() });
    let error = manager.submit(&lines("a"), &with_id()).await.unwrap_err();
    assert!(matches!(error, Error::NoArrays { major: 1, minor: 27, .. }), "{error}");
    assert_eq!(server.seen().len(), 0);
}

/// An array under a chosen name.
fn named(text: &str) -> Manifest {
    let request = JobRequest::new(vec!["fit".into(), "{}".into()], Place::Image("fit:1".into()));
    let array = Array::of_lines(text.as_bytes()).unwrap().array;
    let edits = [Edit::Job(JobEdit::Name("fit".into())), Edit::Tasks(array)];
    make(&Base::Request(Box::new(request)), &edits).unwrap()
}

/// The ConfigMap of the array `fit`, whose job another submission made.
fn of_another() -> Value {
    let mut map = named("other").companion(&SubmissionId::parse("another").unwrap(), 0).unwrap();
    map["metadata"]["uid"] = "map-0".into();
    map["metadata"]["ownerReferences"] = json!([{ "kind": "Job", "name": "fit", "uid": "job-0" }]);
    map
}

#[tokio::test]
async fn a_chosen_name_that_another_array_has_is_a_conflict_about_the_job() {
    let (server, another) = (Server::new(), SubmissionId::parse("another").unwrap());
    let job = named("other").sealed(&another, windlass::manifest::marks::Signature::default(), 0);
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&format!("GET {MAPS}/fit-tasks"), Reply::Json(200, of_another()));
    server.on(&format!("GET {JOBS}/fit"), Reply::Json(200, job));
    for options in [with_id(), SubmitOptions::default()] {
        let error = manager(&server).submit(&named("a"), &options).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict { job, .. } if job == "fit"), "{error}");
        assert!(!error.to_string().contains("ConfigMap"), "{error}");
    }
    assert!(routes(&server).iter().all(|route| !route.starts_with("DELETE") && !route.starts_with("PATCH")));
}

#[tokio::test]
async fn a_chosen_name_is_free_as_soon_as_its_job_is_gone() {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-1"))));
    server.on(&format!("GET {MAPS}/fit-tasks"), Reply::Json(200, of_another()));
    server.on(&format!("DELETE {MAPS}/fit-tasks"), Reply::Json(200, json!({})));
    server.on(&format!("PATCH {MAPS}/fit-tasks"), Reply::Json(200, json!({})));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| made(&seen.body, "job-1"))));
    let submitted = manager(&server).submit(&named("a"), &with_id()).await.unwrap();
    assert_eq!((submitted.name.as_str(), submitted.warnings.len()), ("fit", 0));
    let removed = server.asked(&format!("DELETE {MAPS}/fit-tasks"));
    assert_eq!((removed.len(), &removed[0].body["preconditions"]), (1, &json!({ "uid": "map-0" })));
}

#[tokio::test]
async fn a_dry_run_removes_nothing() {
    let server = Server::new();
    server.on(&format!("POST {MAPS}"), refusal(409, "AlreadyExists", "already exists"));
    server.on(&format!("GET {MAPS}/fit-tasks"), Reply::Json(200, of_another()));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| made(&seen.body, "job-1"))));
    let options = SubmitOptions { dry_run: true, ..SubmitOptions::default() };
    manager(&server).submit(&named("a"), &options).await.unwrap();
    let expected = [
        format!("POST {MAPS}"),
        format!("GET {MAPS}/fit-tasks"),
        format!("GET {JOBS}/fit"),
        format!("POST {JOBS}"),
    ];
    assert_eq!(routes(&server), expected);
}

#[tokio::test]
async fn a_config_map_that_somebody_else_put_in_the_place_is_left_as_it_is() {
    let again = with_the_job_there().await;
    again.on(&map("GET"), Reply::Json(200, json!({ "metadata": { "name": "x" }, "data": { "mine": "1" } })));
    let submitted = manager(&again).submit(&lines("a"), &with_id()).await.unwrap();
    assert!(submitted.warnings[0].contains("is another one"), "{:?}", submitted.warnings);
    assert_eq!(routes(&again), [format!("GET {JOBS}"), map("GET")]);
}

#[tokio::test]
async fn values_that_were_changed_meanwhile_are_looked_at_before_they_get_their_owner() {
    let server = Server::new();
    let mut there = lines("a").companion(&id(), 0).unwrap();
    (there["metadata"]["uid"], there["metadata"]["resourceVersion"]) = ("map-1".into(), "9".into());
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-1"))));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| made(&seen.body, "job-1"))));
    server.on(&map("PATCH"), refusal(409, "Conflict", "the object has been modified"));
    server.on(&map("PATCH"), Reply::Json(200, json!({})));
    server.on(&map("GET"), Reply::Json(200, there));
    let submitted = manager(&server).submit(&lines("a"), &with_id()).await.unwrap();
    assert_eq!(submitted.warnings, Vec::<String>::new());
    assert_eq!(server.asked(&map("PATCH"))[1].body["metadata"]["resourceVersion"], "9");
}

#[tokio::test(start_paused = true)]
async fn the_values_of_a_job_that_is_not_there_are_taken_away_whatever_the_server_said() {
    for (code, reason) in [
        (500, "InternalError"),
        (429, "TooManyRequests"),
        (503, "ServiceUnavailable"),
        (404, "NotFound"),
        (504, "Timeout"),
    ] {
        for is_there in [false, true] {
            let server = Server::new();
            server.on(&format!("GET {JOBS}"), list(1, &[]));
            server.on(&format!("POST {MAPS}"), Reply::Of(Box::new(|seen| made(&seen.body, "map-1"))));
            server.on(&format!("POST {JOBS}"), refusal(code, reason, "not now"));
            server.on(&map("DELETE"), Reply::Json(200, json!({})));
            if is_there {
                server.on(&format!("GET {JOBS}/{}", name(0)), Reply::Json(200, json!({})));
            }
            manager(&server).submit(&lines("a"), &with_id()).await.unwrap_err();
            assert_eq!(server.asked(&map("DELETE")).len(), usize::from(!is_there), "{code}");
        }
    }
}

#[tokio::test]
async fn whoever_may_not_read_config_maps_is_told_that_nothing_is_known_of_it() {
    let server = making();
    manager(&server).submit(&lines("a"), &with_id()).await.unwrap();
    let job = server.asked(&format!("POST {JOBS}"))[0].body.clone();
    let again = Server::new();
    again.on(&format!("GET {JOBS}"), list(1, &[job]));
    again.on(&map("GET"), refusal(403, "Forbidden", "configmaps is forbidden: cannot get"));
    let submitted = manager(&again).submit(&lines("a"), &with_id()).await.unwrap();
    assert!(submitted.warnings[0].contains("is not known"), "{:?}", submitted.warnings);
}
