//! Starting, running, completing, being suspended and resized.

use serde_json::json;

use crate::job::sim::{World, at, job};
use crate::job::{Action, MAX_PODS_PER_PLAN, Past, Plan, is_finished, plan};
use crate::view::Pod;

fn created(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| matches!(action, Action::CreatePod { .. })).count()
}

#[test]
fn one_shot_job_runs_one_pod_and_completes_in_two_steps() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 1}));
    world.settle();
    let status = world.status();
    assert_eq!((status.active, status.ready, status.terminating), (1, Some(0), Some(0)));
    assert_eq!(status.start_time, Some(at(0)));
    assert_eq!(status.uncounted_terminated_pods, Some(json!({})));

    world.run("p0").settle();
    assert_eq!(world.status().ready, Some(1));

    world.now = at(5);
    world.end("p0", 0);
    let first = world.step();
    assert_eq!(first.actions, [Action::Release { name: "j-00000".into(), uid: "p0".into() }]);
    assert_eq!(world.conditions(), ["SuccessCriteriaMet"]);
    assert_eq!((world.status().succeeded, world.status().active, world.status().ready), (1, 0, Some(0)));
    assert_eq!(world.status().completion_time, None);

    let second = world.step();
    assert_eq!(second.actions, []);
    assert_eq!(world.conditions(), ["SuccessCriteriaMet", "Complete"]);
    let complete = &world.status().conditions[1];
    assert_eq!(complete.reason, "CompletionsReached");
    assert_eq!(complete.message, "Reached expected number of succeeded pods");
    assert_eq!(world.status().completion_time, Some(at(5)));
    assert!(world.step().is_quiet());
    assert_eq!(world.reasons(), ["SuccessfulCreate", "Completed"]);
    assert_eq!(world.pods.len(), 1, "the finished pod is kept");
}

#[test]
fn large_pods_are_made_counted_and_deleted_a_few_at_a_time() {
    let mut template = crate::job::sim::template();
    template["metadata"]["annotations"] = json!({"pad": "x".repeat(2 << 20)});
    let mut world = World::with(json!({"parallelism": 30, "completions": 40, "template": template}));
    assert_eq!(created(&world.step()), 7, "16 MiB of them");
    world.settle();
    assert_eq!(world.status().active, 30);
    for uid in world.active_uids() {
        world.end(&uid, 0);
    }
    let counted = world.step();
    assert_eq!(counted.actions.len(), 7 + created(&counted), "{:?}", counted.actions.len());
    world.settle();
    assert_eq!((world.status().succeeded, world.status().active), (30, 10));
    world.job.spec.suspend = Some(true);
    assert_eq!(world.step().actions.len(), 7);
    world.settle();
    assert_eq!(world.status().active, 0);
}

#[test]
fn status_times_have_whole_seconds() {
    let mut world = World::with(json!({"completions": 1}));
    world.now = at(3) + jiff::SignedDuration::from_millis(900);
    world.settle();
    assert_eq!(world.status().start_time, Some(at(3)));
}

#[test]
fn parallel_job_keeps_its_number_of_pods_until_few_are_left() {
    let mut world = World::with(json!({"parallelism": 3, "completions": 5}));
    world.settle();
    assert_eq!(world.active_uids(), ["p0", "p1", "p2"]);
    world.end("p1", 0).settle();
    assert_eq!(world.active_uids(), ["p0", "p2", "p3"]);
    world.end("p0", 0).end("p2", 0).settle();
    assert_eq!(world.active_uids(), ["p3", "p4"]);
    world.end("p3", 0).end("p4", 0).settle();
    assert_eq!((world.status().succeeded, world.made), (5, 5));
    assert!(world.is_finished());
}

#[test]
fn job_without_completions_wanted_is_complete_at_once() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 0}));
    world.settle();
    assert_eq!(world.conditions(), ["SuccessCriteriaMet", "Complete"]);
    assert_eq!(world.made, 0);
}

#[test]
fn parallelism_zero_starts_nothing_and_waits() {
    let mut world = World::with(json!({"parallelism": 0, "completions": 2}));
    world.settle();
    assert_eq!((world.made, world.conditions()), (0, vec![]));
    world.job.spec.parallelism = Some(1);
    world.settle();
    assert_eq!(world.made, 1);
}

#[test]
fn work_queue_starts_nothing_after_its_first_success_and_lets_the_others_finish() {
    let mut world = World::with(json!({"parallelism": 3}));
    world.settle();
    world.end("p0", 0).settle();
    assert_eq!(world.active_uids(), ["p1", "p2"]);
    assert!(world.conditions().is_empty());
    world.end("p1", 1).settle();
    assert_eq!(world.active_uids(), ["p2"], "a failure is not replaced any more");
    world.end("p2", 0).settle();
    assert_eq!(world.conditions(), ["SuccessCriteriaMet", "Complete"]);
    assert_eq!((world.status().succeeded, world.status().failed, world.made), (2, 1, 3));
    assert!(!world.reasons().contains(&"TooManySucceededPods"));
}

#[test]
fn creations_are_bounded_and_the_next_plan_goes_on() {
    let mut world = World::with(json!({"parallelism": 1200, "completions": 5000}));
    assert_eq!(created(&world.step()), MAX_PODS_PER_PLAN);
    assert_eq!(created(&world.step()), MAX_PODS_PER_PLAN);
    assert_eq!(created(&world.step()), 200);
    assert!(world.step().is_quiet());
}

#[test]
fn counting_is_bounded_and_the_job_ends_only_when_all_is_counted() {
    let mut world = World::with(json!({"parallelism": 600, "completions": 600}));
    world.settle();
    for uid in world.active_uids() {
        world.end(&uid, 0);
    }
    world.step();
    assert_eq!(world.status().succeeded, 500);
    assert_eq!(world.conditions(), ["SuccessCriteriaMet"]);
    world.step();
    assert_eq!((world.status().succeeded, world.is_finished()), (600, false));
    world.settle();
    assert!(world.is_finished());
}

#[test]
fn fewer_pods_wanted_deletes_those_whose_end_loses_least() {
    let mut world = World::with(json!({"parallelism": 4, "completions": 10}));
    world.settle();
    world.run("p0").run("p2").settle();
    world.job.spec.parallelism = Some(2);
    world.settle();
    assert_eq!(world.active_uids(), ["p0", "p2"]);
    assert_eq!(world.status().failed, 0, "surplus is not a failure");
    assert_eq!(world.reasons().iter().filter(|reason| **reason == "SuccessfulDelete").count(), 2);
}

#[test]
fn deletion_and_creation_are_never_in_one_plan() {
    let mut world = World::with(json!({"parallelism": 3, "completions": 3, "completionMode": "Indexed"}));
    world.settle();
    // Someone changed indexes by hand: one is doubled, so another is free.
    for uid in ["p1", "p2"] {
        world.pod(uid).metadata.annotations.insert(crate::job::COMPLETION_INDEX.into(), "0".into());
    }
    let plan = world.step();
    assert_eq!(plan.actions.len(), 2);
    assert!(plan.actions.iter().all(|action| matches!(action, Action::DeletePod { release: true, .. })));
    world.settle();
    assert_eq!(world.active().len(), 3);
}

#[test]
fn job_created_suspended_starts_nothing_and_says_so_once() {
    let mut world = World::with(json!({"parallelism": 2, "completions": 2, "suspend": true}));
    world.settle();
    assert_eq!(world.made, 0);
    assert_eq!(world.status().start_time, None);
    assert_eq!(world.conditions(), ["Suspended"]);
    assert_eq!(world.events, [("Suspended", "Job suspended".to_owned())]);
    world.advance(1000);
    assert_eq!(world.events.len(), 1);
}

#[test]
fn suspension_deletes_pods_without_counting_and_resumption_starts_anew() {
    let mut world = World::with(json!({"parallelism": 2, "completions": 2, "activeDeadlineSeconds": 100}));
    world.settle();
    world.run("p0").run("p1").settle();
    world.job.spec.suspend = Some(true);
    world.settle();
    let status = world.status();
    assert_eq!((status.active, status.failed, status.terminating), (0, 0, Some(2)));
    assert_eq!(status.start_time, None);
    world.reap().settle();
    assert_eq!((world.status().failed, world.status().terminating, world.pods.len()), (0, Some(0), 0));

    world.advance(500);
    world.job.spec.suspend = Some(false);
    world.settle();
    assert_eq!(world.status().start_time, Some(at(500)), "the deadline counts from the resumption");
    assert_eq!(world.active().len(), 2);
    let suspended = &world.status().conditions[0];
    assert_eq!((suspended.status.as_str(), suspended.reason.as_str()), ("False", "JobResumed"));
    assert!(world.reasons().contains(&"Resumed"));
}

#[test]
fn job_that_was_resumed_does_not_fail_by_the_time_before() {
    let mut world = World::with(json!({"completions": 1, "activeDeadlineSeconds": 10, "suspend": true}));
    world.settle();
    // An older controller kept the start time while it was suspended.
    world.job.status.start_time = Some(at(0));
    world.now = at(60);
    world.job.spec.suspend = Some(false);
    world.settle();
    assert_eq!((world.status().start_time, world.active().len()), (Some(at(60)), 1));
}

#[test]
fn job_managed_by_another_controller_is_left_alone() {
    let managed = job(json!({"completions": 1, "managedBy": "example.com/other"}));
    assert_eq!(plan(&managed, &[] as &[Pod], &Past::default(), at(0)), Plan::default());
    let ours = job(json!({"completions": 1, "managedBy": "kubernetes.io/job-controller"}));
    assert_eq!(created(&plan(&ours, &[] as &[Pod], &Past::default(), at(0))), 1);
}

#[test]
fn foreign_conditions_and_fields_of_the_status_are_kept() {
    let mut world = World::with(json!({"completions": 1}));
    world.job.status = serde_json::from_value(json!({
        "conditions": [{"type": "CustomConditionType", "status": "True", "x": 1}], "observed": {"by": "someone"},
    }))
    .unwrap();
    world.settle().end("p0", 0).settle();
    let written = serde_json::to_value(world.status()).unwrap();
    let kept = json!({"type": "CustomConditionType", "status": "True", "x": 1, "lastProbeTime": null,
        "lastTransitionTime": null});
    assert_eq!(written["conditions"][0], kept);
    assert_eq!(written["observed"]["by"], "someone");
    assert_eq!(world.conditions(), ["CustomConditionType", "SuccessCriteriaMet", "Complete"]);
}

#[test]
fn finished_job_asks_for_nothing_even_if_its_spec_changes() {
    let mut world = World::with(json!({"completions": 1}));
    world.settle().end("p0", 0).settle();
    assert!(is_finished(world.status()));
    world.job.spec.suspend = Some(true);
    world.job.spec.parallelism = Some(9);
    assert_eq!(plan(&world.job, &world.pods, &world.past, at(99_999)), Plan::default());
}

#[test]
fn job_that_is_being_deleted_starts_nothing_and_lets_its_pods_go() {
    let mut world = World::with(json!({"parallelism": 2, "completions": 4}));
    world.settle().run("p0").end("p1", 0);
    world.job.metadata.deletion_timestamp = Some(at(0));
    world.settle();
    assert_eq!(world.made, 2);
    assert!(world.pods.iter().all(|pod| pod.metadata.finalizers.is_empty()));
    assert_eq!((world.status().succeeded, world.status().failed), (1, 0));
}

#[test]
fn unknown_completion_mode_is_told_once_and_nothing_is_done() {
    let mut world = World::with(json!({"completions": 1, "completionMode": "Striped"}));
    world.settle();
    assert_eq!((world.made, world.reasons()), (0, vec!["UnknownCompletionMode"]));
}
