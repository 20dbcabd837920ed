//! A job that has ended, submitted again.

use serde_json::{Value, json};
use windlass_manifest::marks::{self, Cancellation, Signature};
use windlass_manifest::{Base, CancelPlan, JobEdit, again, cancel, make};
use windlass_model::{JobRequest, Place, SubmissionId};

/// What a server and a controller make of a Job.
fn served(mut job: Value) -> Value {
    let name = job["metadata"]["name"].clone();
    job["metadata"]["uid"] = "u".into();
    job["metadata"]["resourceVersion"] = "7".into();
    job["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    job["spec"]["selector"] = json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": "u" } });
    let labels = &mut job["spec"]["template"]["metadata"]["labels"];
    labels["batch.kubernetes.io/controller-uid"] = "u".into();
    labels["job-name"] = name;
    job["status"] = json!({ "failed": 1 });
    job
}

fn sealed(base: &Base, id: &str) -> Value {
    let by = Signature { who: Some("ada"), when: None };
    make(base, &[]).unwrap().sealed(&SubmissionId::parse(id).unwrap(), by, 0)
}

fn command() -> Base {
    let mut request = JobRequest::new(vec!["make".into(), "all".into()], Place::Image("i".into()));
    request.labels.insert("team".into(), "vision".into());
    request.deadline = Some(std::time::Duration::from_secs(60));
    Base::Request(Box::new(request))
}

#[test]
fn a_job_is_submitted_again_as_it_was_first() {
    let first = sealed(&command(), "one");
    let base = again(&served(first.clone())).unwrap();
    assert_eq!(sealed(&base, "one"), first, "nothing of the server's is left");
    let next = sealed(&base, "two");
    assert_ne!(next["metadata"]["name"], first["metadata"]["name"]);
    assert!(next["metadata"]["name"].as_str().unwrap().starts_with("make-"), "{next}");
}

#[test]
fn a_chosen_name_becomes_the_beginning_of_the_next() {
    let named = make(&command(), &[windlass_manifest::Edit::Job(JobEdit::Name("nightly".into()))]).unwrap();
    let job = named.sealed(&SubmissionId::parse("one").unwrap(), Signature::default(), 0);
    let next = sealed(&again(&served(job)).unwrap(), "two");
    assert!(next["metadata"]["name"].as_str().unwrap().starts_with("nightly-"), "{next}");
}

#[test]
fn what_cancelling_took_is_given_back() {
    let mut job = served(sealed(&command(), "one"));
    let record = Cancellation { who: "ada".into(), when: "2026-01-01T00:00:00Z".parse().unwrap(), why: None };
    let CancelPlan::NeverStart(patch) = cancel(&serde_json::from_value(job.clone()).unwrap(), &record) else {
        panic!("it has not started")
    };
    for (field, value) in patch["spec"].as_object().unwrap() {
        job["spec"][field] = value.clone();
    }
    for (key, value) in patch["metadata"]["annotations"].as_object().unwrap() {
        job["metadata"]["annotations"][key] = value.clone();
    }
    assert!(job["metadata"]["annotations"][marks::BEFORE_CANCEL].is_string());
    let next = sealed(&again(&job).unwrap(), "two");
    assert_eq!(next["spec"], sealed(&command(), "two")["spec"]);
    assert_eq!(next["metadata"]["annotations"].get(marks::CANCEL), None);
}

#[test]
fn a_selector_of_ones_own_stays() {
    let mut job = served(sealed(&command(), "one"));
    job["spec"]["manualSelector"] = true.into();
    let next = sealed(&again(&job).unwrap(), "two");
    assert!(next["spec"]["selector"].is_object(), "{next}");
}
