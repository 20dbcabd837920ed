//! Adoption, release of pods whose labels changed, and orphans.

use serde_json::json;

use crate::job::sim::{World, at};
use crate::job::{Action, TRACKING_FINALIZER, orphans, plan};
use crate::view::Owner;

#[test]
fn orphan_that_matches_is_adopted_before_anything_else_and_counts_as_a_pod() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 1}));
    world.settle();
    world.pod("p0").metadata.owner_references.clear();
    world.pod("p0").metadata.finalizers.clear();
    let plan = world.step();
    assert_eq!(plan.actions, [Action::Adopt { name: "j-00000".into(), uid: "p0".into() }]);
    assert_eq!(plan.status, None);
    world.settle();
    assert_eq!((world.made, world.status().active), (1, 1));
    world.end("p0", 0).settle();
    assert_eq!(world.status().succeeded, 1);
}

#[test]
fn pod_whose_labels_no_longer_match_is_let_go_and_replaced() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 1}));
    world.settle();
    world.pod("p0").metadata.labels.insert("job".into(), "another".into());
    assert_eq!(world.step().actions, [Action::Disown { name: "j-00000".into(), uid: "p0".into() }]);
    world.settle();
    assert_eq!((world.made, world.status().active, world.status().failed), (2, 1, 0));
}

#[test]
fn pods_of_others_and_pods_that_go_are_not_adopted() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 1}));
    world.settle();
    let mut foreign = world.pods[0].clone();
    foreign.metadata.uid = "foreign".into();
    foreign.metadata.owner_references[0].uid = "another-job".into();
    let mut leaving = world.pods[0].clone();
    leaving.metadata.uid = "leaving".into();
    leaving.metadata.owner_references.clear();
    leaving.metadata.deletion_timestamp = Some(at(1));
    let pods = [world.pods[0].clone(), foreign, leaving];
    assert!(plan(&world.job, &pods, &world.past, at(0)).is_quiet());
}

#[test]
fn expressions_of_the_selector_hold_too() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 1}));
    world.job.spec.selector = serde_json::from_value(json!({"matchExpressions": [
        {"key": "job", "operator": "In", "values": ["i", "j"]},
        {"key": "job", "operator": "NotIn", "values": ["x"]},
        {"key": "job", "operator": "Exists"},
        {"key": "left", "operator": "DoesNotExist"},
    ]}))
    .unwrap();
    world.settle();
    assert_eq!(world.active().len(), 1);
    world.pod("p0").metadata.labels.insert("left".into(), String::new());
    assert!(matches!(world.step().actions[..], [Action::Disown { .. }]));
}

#[test]
fn pods_that_no_job_will_count_lose_the_finalizer() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 1}));
    world.settle();
    let pods = world.pods.clone();
    let release = [Action::Release { name: "j-00000".into(), uid: "p0".into() }];
    assert_eq!(orphans(&pods, |_: &Owner| Some(&world.job)), [], "its Job counts it");
    assert_eq!(orphans(&pods, |_: &Owner| None), release, "its Job is gone");

    let mut abandoned = pods.clone();
    abandoned[0].metadata.owner_references.clear();
    assert_eq!(orphans(&abandoned, |_: &Owner| None), release);

    let mut foreign = pods.clone();
    foreign[0].metadata.owner_references[0].kind = "Other".into();
    assert_eq!(orphans(&foreign, |_: &Owner| None), [], "another kind's");

    let mut elsewhere = world.job.clone();
    elsewhere.spec.managed_by = Some("example.com/other".into());
    assert_eq!(orphans(&pods, |_: &Owner| Some(&elsewhere)), []);

    world.end("p0", 0).settle();
    let mut late = pods.clone();
    assert_eq!(orphans(&late, |_: &Owner| Some(&world.job)), release, "its Job has finished");
    late[0].metadata.finalizers.retain(|finalizer| finalizer != TRACKING_FINALIZER);
    assert_eq!(orphans(&late, |_: &Owner| None), []);
}
