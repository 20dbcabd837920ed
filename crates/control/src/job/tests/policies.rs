//! podFailurePolicy, backoffLimitPerIndex and successPolicy.

use serde_json::{Value, json};

use crate::job::sim::{World, at};
use crate::view::PodCondition;

fn indexed(parallelism: i32, completions: i32, more: Value) -> World {
    let mut spec =
        json!({"parallelism": parallelism, "completions": completions, "completionMode": "Indexed"});
    let Value::Object(more) = more else { panic!("not an object: {more}") };
    spec.as_object_mut().unwrap().extend(more);
    World::with(spec)
}

fn on_codes(action: &str, operator: &str, values: &[i32]) -> Value {
    json!({"action": action, "onExitCodes": {"operator": operator, "values": values}})
}

#[test]
fn exit_code_of_the_policy_fails_the_job_at_once() {
    let rules = json!([on_codes("Ignore", "In", &[1]), on_codes("FailJob", "In", &[42])]);
    let mut world = World::with(
        json!({"parallelism": 2, "completions": 2, "backoffLimit": 6, "podFailurePolicy": {"rules": rules}}),
    );
    world.settle().run("p0").end("p1", 42).settle();
    assert_eq!(world.conditions(), ["FailureTarget"]);
    let condition = &world.status().conditions[0];
    assert_eq!(condition.reason, "PodFailurePolicy");
    assert_eq!(
        condition.message,
        "Container c for pod n/j-00001 failed with exit code 42 matching FailJob rule at index 1"
    );
    world.reap().settle();
    assert!(world.is_finished());
    assert_eq!(world.events.last().unwrap().0, "PodFailurePolicy");
}

#[test]
fn ignored_failure_is_replaced_and_not_counted() {
    let rules = json!([on_codes("Ignore", "NotIn", &[1])]);
    let mut world =
        World::with(json!({"completions": 1, "backoffLimit": 0, "podFailurePolicy": {"rules": rules}}));
    world.settle().end("p0", 42).settle();
    assert_eq!(
        (world.status().failed, world.wake_at),
        (0, Some(at(10))),
        "it holds its replacement back all the same"
    );
    world.advance(10);
    world.end("p1", 1).settle();
    assert_eq!(world.status().failed, 1);
    assert!(world.is_finished());
}

#[test]
fn condition_of_the_policy_decides() {
    let rules = json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]);
    let mut world =
        World::with(json!({"completions": 1, "backoffLimit": 0, "podFailurePolicy": {"rules": rules}}));
    world.settle().run("p0");
    let evicted =
        PodCondition { kind: "DisruptionTarget".into(), status: "True".into(), last_transition_time: None };
    world.pod("p0").status.conditions.push(evicted.clone());
    world.delete("p0").settle();
    assert_eq!(
        (world.status().active, world.status().terminating),
        (0, Some(1)),
        "replaced only after its end"
    );
    world.end("p0", 137);
    world.pod("p0").status.conditions.push(evicted);
    world.settle().advance(10);
    assert_eq!((world.status().failed, world.status().active, world.made), (0, 1, 2));
    assert!(
        !world.uids(|pod| pod.metadata.uid == "p0").contains(&"p0".to_owned()),
        "the evicted pod has gone"
    );
}

#[test]
fn policy_may_name_a_container() {
    let rules = json!([{"action": "FailJob", "onExitCodes": {"containerName": "other", "operator": "In", "values": [1]}}]);
    let mut world =
        World::with(json!({"completions": 1, "backoffLimit": 3, "podFailurePolicy": {"rules": rules}}));
    world.settle().end("p0", 1).settle();
    assert!(world.conditions().is_empty());
    assert_eq!(world.status().failed, 1);
}

#[test]
fn every_index_has_failures_and_back_off_of_its_own() {
    let mut world = indexed(4, 4, json!({"backoffLimitPerIndex": 1, "backoffLimit": i32::MAX}));
    world.settle();
    assert_eq!(world.status().failed_indexes.as_deref(), Some(""));
    world.end("p0", 0).end("p1", 1).end("p2", 0).end("p3", 1).settle();
    assert_eq!(world.wake_at, Some(at(10)));
    assert!(
        world.uids(|pod| !pod.metadata.finalizers.is_empty()).contains(&"p1".to_owned()),
        "held for its count"
    );
    world.advance(10);
    let again = world.active_uids();
    assert_eq!((again.len(), world.status().failed), (2, 2));
    assert!(again.iter().all(|uid| world.pod(uid).metadata.annotations[FAILURES] == "1"));
    for uid in again {
        world.end(&uid, 1);
    }
    world.settle();
    let status = world.status();
    assert_eq!((status.failed, status.succeeded), (4, 2));
    assert_eq!(
        (status.failed_indexes.as_deref(), status.completed_indexes.as_deref()),
        (Some("1,3"), Some("0,2"))
    );
    assert_eq!(world.conditions(), ["FailureTarget", "Failed"]);
    assert_eq!(world.status().conditions[1].reason, "FailedIndexes");
}

const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

#[test]
fn failed_pod_is_not_held_while_its_index_runs_and_of_two_the_last_is_replaced() {
    let mut world = indexed(2, 2, json!({"backoffLimitPerIndex": 3, "backoffLimit": i32::MAX}));
    world.settle();
    let place = |world: &mut World, uid: &str, failures: &str| {
        let annotations = &mut world.pod(uid).metadata.annotations;
        annotations.insert(crate::job::COMPLETION_INDEX.into(), "0".into());
        annotations.insert(FAILURES.into(), failures.into());
    };
    place(&mut world, "p1", "0");
    world.end("p1", 1).settle();
    assert_eq!(world.status().failed, 1, "another pod of the index carries its count on");
    let other = world.active_uids().into_iter().find(|uid| uid != "p0").unwrap();
    place(&mut world, "p0", "2");
    place(&mut world, &other, "1");
    world.end("p0", 1).end(&other, 1).advance(40);
    let again: Vec<_> = world.active().iter().map(|pod| pod.metadata.annotations[FAILURES].clone()).collect();
    assert!(again.contains(&"3".to_owned()), "{again:?}");
}

#[test]
fn failed_index_is_not_tried_again_while_others_go_on() {
    let mut world = indexed(1, 3, json!({"backoffLimitPerIndex": 0, "backoffLimit": i32::MAX}));
    world.settle().end("p0", 1).advance(700);
    assert_eq!((world.status().failed_indexes.as_deref(), world.made), (Some("0"), 2));
    world.end("p1", 0).settle().end("p2", 0).settle();
    assert_eq!((world.made, world.is_finished()), (3, true));
}

#[test]
fn index_in_back_off_does_not_delay_another() {
    let mut world = indexed(3, 5, json!({"backoffLimitPerIndex": 2, "backoffLimit": i32::MAX}));
    world.settle().end("p0", 1).settle();
    world.end("p1", 0).settle();
    // Two places are free: the index in back-off keeps its turn, the other is taken at once.
    assert_eq!((world.active().len(), world.wake_at), (2, Some(at(10))));
    world.advance(10);
    assert_eq!(world.active().len(), 3);
}

#[test]
fn too_many_failed_indexes_end_the_job() {
    let mut world =
        indexed(2, 8, json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 0, "backoffLimit": i32::MAX}));
    world.settle().run("p1").end("p0", 1).settle();
    assert_eq!(world.conditions(), ["FailureTarget"]);
    world.reap().settle();
    assert_eq!(world.status().conditions[1].reason, "MaxFailedIndexesExceeded");
    assert_eq!(world.status().failed_indexes.as_deref(), Some("0"));
}

#[test]
fn policy_fails_an_index_at_once() {
    let more = json!({
        "backoffLimitPerIndex": 5, "backoffLimit": i32::MAX,
        "podFailurePolicy": {"rules": [on_codes("FailIndex", "In", &[42])]},
    });
    let mut world = indexed(2, 2, more);
    world.settle().end("p0", 42).end("p1", 0).settle();
    assert_eq!(world.status().failed_indexes.as_deref(), Some("0"));
    assert_eq!((world.status().failed, world.is_finished()), (1, true));
}

#[test]
fn ignored_failures_of_an_index_are_carried_on_apart() {
    let more = json!({
        "backoffLimitPerIndex": 0, "backoffLimit": i32::MAX,
        "podFailurePolicy": {"rules": [on_codes("Ignore", "In", &[42])]},
    });
    let mut world = indexed(1, 1, more);
    world.settle().end("p0", 42).advance(10);
    let pod = world.active()[0];
    assert_eq!(
        (pod.metadata.annotations[FAILURES].as_str(), pod.metadata.annotations[IGNORED].as_str()),
        ("0", "1")
    );
    assert_eq!(world.status().failed, 0);
    world.end("p1", 42).settle();
    assert_eq!(world.wake_at, Some(at(30)), "the second failure in a row");
}

#[test]
fn success_policy_ends_the_job_while_indexes_remain() {
    let mut world = indexed(2, 5, json!({"successPolicy": {"rules": [{"succeededCount": 1}]}}));
    world.settle().run("p1").end("p0", 0);
    world.step();
    assert_eq!(world.conditions(), ["SuccessCriteriaMet"]);
    assert_eq!(world.status().conditions[0].reason, "SuccessPolicy");
    assert_eq!(world.status().conditions[0].message, "Matched rules at index 0");
    world.settle();
    assert!(!world.is_finished(), "a pod has not ended");
    world.reap().settle();
    let status = world.status();
    assert_eq!((status.active, status.ready, status.terminating, status.failed), (0, Some(0), Some(0), 0));
    assert_eq!((status.completed_indexes.as_deref(), world.made), (Some("0"), 2));
    assert!(world.is_finished());
}

#[test]
fn success_policy_needs_a_success_whatever_it_says() {
    let mut world = indexed(1, 2, json!({"successPolicy": {"rules": [{"succeededCount": 0}]}}));
    world.settle();
    assert!(world.conditions().is_empty());
    world.end("p0", 0).settle();
    assert!(world.is_finished());
}

#[test]
fn success_policy_may_want_certain_indexes() {
    let rules = json!([{"succeededIndexes": "3-4"}, {"succeededIndexes": "0,2", "succeededCount": 1}]);
    let mut world = indexed(5, 5, json!({"successPolicy": {"rules": rules}}));
    world.settle().end("p1", 0).end("p3", 0).settle();
    assert!(world.conditions().is_empty());
    world.end("p2", 0).settle();
    assert_eq!(world.status().conditions[0].message, "Matched rules at index 1");
}
