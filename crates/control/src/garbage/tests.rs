//! Situations of owners and dependents.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::*;

fn node(kind: &str, uid: &str, owners: &[(&str, bool)]) -> Node {
    let references = owners.iter().map(|(owner, blocks)| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": owner, "controller": true,
            "blockOwnerDeletion": blocks})
    });
    let references: Vec<Value> = references.collect();
    let meta = json!({"name": uid, "uid": uid, "finalizers": ["x"], "ownerReferences": references});
    Node { api_version: "v1".into(), kind: kind.into(), meta: serde_json::from_value(meta).unwrap() }
}

fn deleted(mut node: Node, finalizer: &str) -> Node {
    node.meta.deletion_timestamp = Some(Timestamp::UNIX_EPOCH);
    node.meta.finalizers.push(finalizer.into());
    node
}

/// What becomes of a pod whose owners are in these states; owners not named are gone.
fn decide(node: &Node, dependents: &[Node], owners: &[(&str, OwnerState)]) -> Option<Action> {
    let owners: BTreeMap<&str, OwnerState> = owners.iter().copied().collect();
    dependent(node, dependents, |owner| owners.get(owner.uid.as_str()).copied())
}

use OwnerState::{Solid, WaitsForDependents};

#[test]
fn object_without_owners_or_with_living_ones_stays() {
    assert_eq!(decide(&node("Pod", "p", &[]), &[], &[]), None);
    assert_eq!(decide(&node("Pod", "p", &[("a", true)]), &[], &[("a", Solid)]), None);
}

#[test]
fn object_whose_owners_are_all_gone_is_deleted() {
    let pod = node("Pod", "p", &[("a", true), ("b", false)]);
    assert_eq!(decide(&pod, &[], &[]), Some(Action::Delete { foreground: false }));
}

#[test]
fn object_that_is_being_deleted_is_left_to_it() {
    let pod = deleted(node("Pod", "p", &[("a", true)]), "x");
    assert_eq!(decide(&pod, &[], &[]), None);
}

#[test]
fn object_with_one_living_owner_forgets_the_others() {
    let pod = node("Pod", "p", &[("gone", true), ("waits", true), ("lives", false)]);
    let action = decide(&pod, &[], &[("waits", WaitsForDependents), ("lives", Solid)]);
    let kept =
        json!({"apiVersion": "batch/v1", "kind": "Job", "name": "lives", "uid": "lives", "controller": true});
    assert_eq!(action, Some(Action::Edit { owner_references: vec![kept], finalizers: vec!["x".into()] }));
}

#[test]
fn what_was_edited_is_not_edited_again() {
    let mut pod = node("Pod", "p", &[("gone", true), ("lives", false)]);
    let Some(Action::Edit { owner_references, finalizers }) = decide(&pod, &[], &[("lives", Solid)]) else {
        panic!("nothing is edited")
    };
    pod.meta.owner_references = serde_json::from_value(owner_references.into()).unwrap();
    pod.meta.finalizers = finalizers;
    assert_eq!(decide(&pod, &[], &[("lives", Solid)]), None);
}

#[test]
fn object_whose_owner_waits_for_it_is_deleted_with_its_own_dependents_first() {
    let job = node("Job", "j", &[("cron", true)]);
    let waits = [("cron", WaitsForDependents)];
    assert_eq!(decide(&job, &[], &waits), Some(Action::Delete { foreground: false }), "it has none");
    let pods = [node("Pod", "p", &[("j", true)])];
    assert_eq!(decide(&job, &pods, &waits), Some(Action::Delete { foreground: true }));
}

#[test]
fn objects_that_own_each_other_do_not_wait_for_ever() {
    let one = node("Job", "one", &[("other", true)]);
    let other = deleted(node("Job", "other", &[("one", true)]), FOREGROUND_FINALIZER);
    let waits = [("other", WaitsForDependents)];
    let Some(Action::Edit { owner_references, .. }) = decide(&one, std::slice::from_ref(&other), &waits)
    else {
        panic!("it is not freed first")
    };
    assert_eq!(owner_references[0].get("blockOwnerDeletion"), None);
    let freed = node("Job", "one", &[("other", false)]);
    assert_eq!(decide(&freed, &[other], &waits), Some(Action::Delete { foreground: true }));
}

#[test]
fn owner_in_foreground_deletion_keeps_its_finalizer_until_no_dependent_blocks_it() {
    let job = deleted(node("Job", "j", &[]), FOREGROUND_FINALIZER);
    let pods = [node("Pod", "p", &[("j", true)]), deleted(node("Pod", "q", &[("j", true)]), "y")];
    let plan = owner(&job, &pods);
    assert_eq!((plan.finalizers, plan.visit, plan.edits), (None, vec!["p".to_owned()], vec![]));

    let lax = [node("Pod", "p", &[("j", false)])];
    let plan = owner(&job, &lax);
    assert_eq!((plan.finalizers, plan.visit), (Some(vec!["x".to_owned()]), vec!["p".to_owned()]));

    assert_eq!(owner(&job, &[]).finalizers, Some(vec!["x".to_owned()]));
}

#[test]
fn orphaning_owner_is_forgotten_by_its_dependents_and_then_goes() {
    let job = deleted(node("Job", "j", &[]), ORPHAN_FINALIZER);
    let pods = [node("Pod", "p", &[("j", true), ("other", false)]), node("Pod", "stranger", &[])];
    let plan = owner(&job, &pods);
    assert_eq!(plan.finalizers, Some(vec!["x".to_owned()]));
    let [(uid, Action::Edit { owner_references, finalizers })] = &plan.edits[..] else { panic!("{plan:?}") };
    assert_eq!((uid.as_str(), owner_references.len(), finalizers), ("p", 1, &vec!["x".to_owned()]));
    assert_eq!(owner_references[0]["uid"], "other");
}

#[test]
fn orphaning_many_dependents_takes_several_plans() {
    let job = deleted(node("Job", "j", &[]), ORPHAN_FINALIZER);
    let mut pods: Vec<Node> =
        (0..=MAX_EDITS).map(|n| node("Pod", &format!("p{n}"), &[("j", true)])).collect();
    let first = owner(&job, &pods);
    assert_eq!((first.edits.len(), first.finalizers), (MAX_EDITS, None));
    pods.drain(..MAX_EDITS);
    let second = owner(&job, &pods);
    assert_eq!((second.edits.len(), second.finalizers), (1, Some(vec!["x".to_owned()])));
}

#[test]
fn owner_that_is_not_deleted_asks_for_nothing() {
    let mut job = node("Job", "j", &[]);
    job.meta.finalizers.push(FOREGROUND_FINALIZER.into());
    assert_eq!(owner(&job, &[node("Pod", "p", &[("j", true)])]), OwnerPlan::default());
    assert_eq!(OwnerState::of(&job.meta), Solid);
    assert_eq!(OwnerState::of(&deleted(job, "x").meta), WaitsForDependents);
}
