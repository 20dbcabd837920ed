//! Situations of a namespace.

use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn deleted() -> (Meta, Value) {
    let meta = json!({"name": "n", "deletionTimestamp": at(1)});
    let object =
        json!({"metadata": meta, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    (serde_json::from_value(meta).unwrap(), object)
}

fn pods(objects: usize, untouched: usize) -> Remaining {
    let finalizers = BTreeMap::from([("batch.kubernetes.io/job-tracking".to_owned(), objects)]);
    Remaining { resource: "pods".into(), objects, untouched, finalizers, ..Remaining::default() }
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    status["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == kind).unwrap()
}

#[test]
fn every_namespace_is_given_a_service_account_and_the_authority() {
    let [account, authority] = given("n", "PEM");
    assert_eq!(
        (&account["kind"], &account["metadata"]["name"]),
        (&json!("ServiceAccount"), &json!("default"))
    );
    assert_eq!(authority["metadata"]["name"], "kube-root-ca.crt");
    assert_eq!(authority["data"], json!({"ca.crt": "PEM"}));
    assert!([account, authority].iter().all(|object| object["metadata"]["namespace"] == "n"));
}

#[test]
fn namespace_that_lives_is_left_alone() {
    let (mut meta, object) = deleted();
    meta.deletion_timestamp = None;
    assert_eq!(plan(&meta, &object, &[pods(3, 3)], at(5)), Plan::default());
}

#[test]
fn deleted_namespace_empties_itself_says_what_remains_and_goes() {
    let (meta, mut object) = deleted();
    let jobs = Remaining { resource: "jobs".into(), group: "batch".into(), ..Remaining::default() };
    let first = plan(&meta, &object, &[pods(3, 2), jobs.clone()], at(5));
    assert_eq!(first.delete, [("pods".to_owned(), String::new())]);
    assert!(!first.finalize);
    let status = first.status.unwrap();
    assert_eq!(status["phase"], "Terminating");
    assert_eq!(
        *condition(&status, "NamespaceContentRemaining"),
        json!({
            "type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain",
            "message": "Some resources are remaining: pods. has 3 resource instances", "lastTransitionTime": at(5),
        })
    );
    assert_eq!(
        condition(&status, "NamespaceFinalizersRemaining")["message"],
        "Some content in the namespace has finalizers remaining: \
         batch.kubernetes.io/job-tracking in 3 resource instances"
    );
    assert_eq!(condition(&status, "NamespaceDeletionContentFailure")["status"], "False");

    object["status"] = status;
    let waits = plan(&meta, &object, &[pods(3, 0), jobs.clone()], at(9));
    assert_eq!(waits, Plan::default(), "all is being deleted, and nothing new is to be said");

    let last = plan(&meta, &object, &[pods(0, 0), jobs], at(12));
    assert!(last.finalize && last.delete.is_empty());
    let status = last.status.unwrap();
    assert_eq!(condition(&status, "NamespaceContentRemaining")["status"], "False");
    assert_eq!(condition(&status, "NamespaceDeletionContentFailure")["lastTransitionTime"], json!(at(5)));
}

#[test]
fn namespace_without_the_finalizer_is_not_finalized_again() {
    let (meta, mut object) = deleted();
    object["spec"]["finalizers"] = json!(["example.com/other"]);
    assert_eq!(plan(&meta, &object, &[], at(5)), Plan::default());
}
