//! Failures: back-off, limits, deadlines, deleted pods, and the way to Failed.

use serde_json::json;

use crate::job::sim::{World, at};
use crate::job::{Action, Past, forgettable};

#[test]
fn failed_pod_is_replaced_after_ten_seconds() {
    let mut world = World::with(json!({"completions": 1, "backoffLimit": 6}));
    world.settle();
    world.end("p0", 1).settle();
    assert_eq!((world.status().failed, world.status().active), (1, 0));
    assert_eq!(world.wake_at, Some(at(10)));
    world.advance(9);
    assert_eq!(world.made, 1);
    world.advance(1);
    assert_eq!(world.made, 2);
}

#[test]
fn back_off_doubles_up_to_ten_minutes_and_forgets_after_a_success() {
    let mut world = World::with(json!({"parallelism": 1, "completions": 9, "backoffLimit": 100}));
    world.settle().end("p0", 0).advance(1); // So that the failures since then are what counts.
    let mut delays = Vec::new();
    for _ in 0..9 {
        let (failed, now) = (world.active_uids()[0].clone(), world.now);
        world.end(&failed, 1).settle();
        let wake_at = world.wake_at.unwrap();
        delays.push(wake_at.duration_since(now).as_secs());
        world.now = wake_at;
        world.settle();
    }
    assert_eq!(delays, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
    let succeeds = world.active_uids()[0].clone();
    world.now += jiff::SignedDuration::from_secs(5);
    world.end(&succeeds, 0).settle();
    let fails = world.active_uids()[0].clone();
    world.now += jiff::SignedDuration::from_secs(5);
    let now = world.now;
    world.end(&fails, 1).settle();
    assert_eq!(world.wake_at.unwrap().duration_since(now).as_secs(), 10);
}

#[test]
fn back_off_survives_a_restart_as_far_as_the_failed_pods_are_there() {
    let mut world = World::with(json!({"completions": 1, "backoffLimit": 10}));
    world.settle().end("p0", 1).advance(10);
    world.end("p1", 1).settle();
    assert_eq!(world.wake_at, Some(at(30)));
    world.past = Past::default();
    world.settle();
    assert_eq!(world.wake_at, Some(at(30)), "both are there");
    world.past = Past::default();
    world.pods.retain(|pod| pod.metadata.uid == "p1");
    world.settle();
    assert_eq!(world.wake_at, Some(at(30)), "the counter knows of the first failure");
    world.past = Past::default();
    world.pods.clear();
    world.settle();
    assert_eq!(world.made, 3, "nobody knows when it last failed");
}

#[test]
fn back_off_grows_though_each_failed_pod_is_deleted() {
    let mut world = World::with(json!({"completions": 1, "backoffLimit": 100}));
    world.settle();
    let mut delays = Vec::new();
    for round in 0..9 {
        let (failed, now) = (world.active_uids()[0].clone(), world.now);
        world.end(&failed, 1).settle().delete(&failed).settle();
        assert!(world.pods.is_empty(), "it is gone");
        let wake_at = world.wake_at.unwrap();
        delays.push(wake_at.duration_since(now).as_secs());
        world.now = wake_at;
        world.settle();
        assert_eq!(world.made, round + 2);
    }
    assert_eq!(delays, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
}

#[test]
fn failures_that_are_ignored_delay_their_replacement_also_when_they_are_gone() {
    let ignore = json!([{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}}]);
    let mut world = World::with(json!({"completions": 1, "podFailurePolicy": {"rules": ignore}}));
    world.settle();
    for (pod, delay) in [("p0", 10), ("p1", 20), ("p2", 40)] {
        let now = world.now;
        world.run(pod).delete(pod).end(pod, 3).settle();
        assert!(world.pods.is_empty() && world.status().failed == 0);
        assert_eq!(world.wake_at, Some(now + jiff::SignedDuration::from_secs(delay)));
        world.advance(delay);
    }
    assert_eq!(world.made, 4);
}

#[test]
fn success_ends_back_off_also_when_its_pod_is_gone() {
    let mut world = World::with(json!({"parallelism": 2, "completions": 9}));
    world.settle().end("p0", 1);
    world.now = at(1);
    world.end("p1", 0).settle();
    assert_eq!(world.made, 4, "both are replaced");
    world.delete("p1").settle();
    world.now = at(2);
    world.end("p2", 1).settle();
    assert_eq!(world.wake_at, Some(at(12)), "one failure since");
}

#[test]
fn pods_that_a_job_itself_ends_delay_nothing() {
    let mut world = World::with(json!({"parallelism": 2, "completions": 2}));
    world.settle().run("p0").run("p1");
    world.job.spec.suspend = Some(true);
    world.settle().reap().settle();
    world.job.spec.suspend = Some(false);
    world.settle();
    assert_eq!((world.made, world.status().failed), (4, 0));
}

#[test]
fn back_off_begins_with_the_end_of_the_last_sidecar() {
    let ended = |name: &str, second: i64| crate::view::ContainerStatus {
        name: name.into(),
        state: crate::view::ContainerState {
            terminated: Some(crate::view::Terminated { exit_code: 1, finished_at: Some(at(second)) }),
        },
        ..Default::default()
    };
    // Of init containers only those count that run beside the others.
    for (main, init, finished) in [
        (Some(4), Some(7), 7),
        (Some(7), Some(4), 7),
        (None, Some(6), 6),
        (Some(4), None, 0), // It stopped being ready at 0.
    ] {
        let status = |name: &str, end: Option<i64>| match end {
            Some(second) => ended(name, second),
            None => crate::view::ContainerStatus { name: name.into(), ..Default::default() },
        };
        let mut world = World::with(json!({"completions": 1}));
        world.settle().end("p0", 1);
        let pod = world.pod("p0");
        pod.status.conditions = vec![crate::view::PodCondition {
            kind: "Ready".into(),
            status: "False".into(),
            last_transition_time: Some(at(0)),
        }];
        let mut spec = (*pod.spec).clone();
        spec.sidecars = vec!["s".into()];
        pod.spec = spec.into();
        pod.status.container_statuses = vec![status("c", main)];
        pod.status.init_container_statuses = vec![ended("once", 100), status("s", init)];
        world.settle();
        assert_eq!(world.wake_at, Some(at(finished + 10)), "{main:?} {init:?}");
    }
}

#[test]
fn job_that_fails_too_often_is_failed_in_two_steps() {
    let mut world = World::with(json!({"completions": 1, "backoffLimit": 1}));
    world.settle().end("p0", 1).advance(10);
    world.end("p1", 1);
    world.step();
    assert_eq!(world.conditions(), ["FailureTarget"]);
    assert_eq!(world.status().failed, 2);
    world.step();
    assert_eq!(world.conditions(), ["FailureTarget", "Failed"]);
    let failed = &world.status().conditions[1];
    assert_eq!(
        (failed.reason.as_str(), failed.message.as_str()),
        ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    );
    assert_eq!(world.status().completion_time, None);
    assert_eq!(world.pods.len(), 2, "failed pods are kept");
    assert_eq!(world.events.last().unwrap().0, "BackoffLimitExceeded");
    assert!(world.step().is_quiet());
}

#[test]
fn limit_zero_allows_no_failure() {
    let mut world = World::with(json!({"completions": 1, "backoffLimit": 0}));
    world.settle().end("p0", 3).settle();
    assert_eq!((world.conditions(), world.made), (vec!["FailureTarget".to_owned(), "Failed".to_owned()], 1));
}

#[test]
fn failing_job_deletes_its_other_pods_counts_them_and_waits_for_their_end() {
    let mut world = World::with(json!({"parallelism": 3, "completions": 3, "backoffLimit": 0}));
    world.settle().run("p0").run("p1").end("p2", 1).settle();
    assert_eq!(world.conditions(), ["FailureTarget"]);
    let status = world.status();
    assert_eq!((status.active, status.failed, status.terminating, status.ready), (0, 3, Some(2), Some(0)));
    world.reap().settle();
    assert_eq!(world.conditions(), ["FailureTarget", "Failed"]);
    assert_eq!((world.status().failed, world.status().terminating), (3, Some(0)));
}

#[test]
fn deadline_fails_the_job_at_its_time() {
    let mut world = World::with(json!({"completions": 1, "activeDeadlineSeconds": 30}));
    world.settle().run("p0").settle();
    assert_eq!(world.wake_at, Some(at(30)));
    world.advance(29);
    assert!(world.conditions().is_empty());
    world.advance(1);
    assert_eq!(world.conditions(), ["FailureTarget"]);
    let condition = &world.status().conditions[0];
    assert_eq!(condition.reason, "DeadlineExceeded");
    assert_eq!(condition.message, "Job was active longer than specified deadline");
    world.reap().settle();
    assert!(world.is_finished());
}

#[test]
fn the_earlier_of_deadline_and_back_off_wakes() {
    let mut world = World::with(json!({"completions": 1, "activeDeadlineSeconds": 7}));
    world.settle().end("p0", 1).settle();
    assert_eq!(world.wake_at, Some(at(7)));
    world.advance(7);
    assert!(world.is_finished());
}

#[test]
fn restarts_in_place_count_towards_the_limit() {
    let mut spec = json!({"completions": 1, "backoffLimit": 3, "template": crate::job::sim::template()});
    spec["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    let mut world = World::with(spec);
    world.settle().run("p0");
    let restarted = |world: &mut World, count| {
        let container = crate::view::ContainerStatus { restart_count: count, ..Default::default() };
        world.pod("p0").status.container_statuses = vec![container];
        world.settle();
    };
    restarted(&mut world, 2);
    assert!(world.conditions().is_empty());
    restarted(&mut world, 3);
    assert_eq!(world.conditions(), ["FailureTarget"]);
    assert_eq!(world.status().conditions[0].reason, "BackoffLimitExceeded");
}

#[test]
fn restarts_in_place_do_not_matter_where_pods_are_never_restarted() {
    let mut world = World::with(json!({"completions": 1, "backoffLimit": 0}));
    world.settle().run("p0");
    world.pod("p0").status.container_statuses =
        vec![crate::view::ContainerStatus { restart_count: 9, ..Default::default() }];
    world.settle();
    assert!(world.conditions().is_empty());
}

#[test]
fn deleted_pod_counts_as_failed_at_once_and_is_replaced_after_ten_seconds() {
    let mut world = World::with(json!({"completions": 1, "podReplacementPolicy": "TerminatingOrFailed"}));
    world.settle().run("p0").delete("p0").settle();
    let status = world.status();
    assert_eq!((status.active, status.failed, status.terminating), (0, 1, Some(1)));
    assert_eq!(world.wake_at, Some(at(10)), "from when its deletion was asked for");
    world.advance(10);
    assert_eq!((world.status().active, world.status().terminating), (1, Some(1)));
    world.reap().settle();
    assert_eq!((world.status().failed, world.status().terminating, world.made), (1, Some(0), 2));
}

#[test]
fn deleted_pod_is_replaced_only_after_its_end_if_only_failed_ones_are() {
    let mut world = World::with(json!({"completions": 1, "podReplacementPolicy": "Failed"}));
    world.settle().run("p0").delete("p0").settle();
    let status = world.status();
    assert_eq!((status.active, status.failed, status.terminating), (0, 0, Some(1)));
    world.advance(20).reap().settle();
    let status = world.status();
    assert_eq!((status.active, status.failed, status.terminating), (0, 1, Some(0)));
    assert_eq!(world.wake_at, Some(at(30)), "from its end");
    world.advance(10);
    assert_eq!((world.status().active, world.made), (1, 2));
}

#[test]
fn deleted_pod_that_succeeds_in_time_is_a_success() {
    let mut world = World::with(json!({"completions": 1, "podReplacementPolicy": "Failed"}));
    world.settle().run("p0").delete("p0").settle();
    world.end("p0", 0).settle();
    assert_eq!((world.status().succeeded, world.status().failed, world.made), (1, 0, 1));
    assert!(world.is_finished());
}

#[test]
fn pods_that_another_controller_left_uncounted_are_counted_once() {
    let mut world = World::with(json!({"parallelism": 4, "completions": 9, "backoffLimit": 9}));
    world.settle();
    world.end("p0", 0).end("p1", 1);
    world.job.status.uncounted_terminated_pods =
        Some(json!({"succeeded": ["p0", "gone"], "failed": ["p1", "also-gone", "also-gone"]}));
    let plan = world.step();
    assert_eq!((world.status().succeeded, world.status().failed), (2, 2));
    assert_eq!(plan.actions.iter().filter(|action| matches!(action, Action::Release { .. })).count(), 2);
    world.job.status.failed = 2;
    world.settle();
    assert_eq!((world.status().succeeded, world.status().failed), (2, 2));
}

#[test]
fn pod_that_runs_on_though_it_is_listed_as_uncounted_is_counted_with_its_end() {
    for (list, code, expect) in
        [("failed", 1, (0, 1)), ("failed", 0, (0, 1)), ("succeeded", 0, (1, 0)), ("succeeded", 1, (1, 1))]
    {
        let mut world = World::with(json!({"parallelism": 2, "completions": 9, "backoffLimit": 9}));
        world.settle().run("p0");
        world.job.status.uncounted_terminated_pods = Some(json!({list: ["p0", "gone"]}));
        world.settle();
        let counted = |world: &World| (world.status().succeeded, world.status().failed);
        let gone = if list == "failed" { (0, 1) } else { (1, 0) };
        assert_eq!(counted(&world), gone, "{list}: only the one that is gone");
        assert_eq!(world.status().uncounted_terminated_pods, Some(json!({list: ["p0"]})));
        world.end("p0", code).settle();
        assert_eq!(counted(&world), (expect.0 + gone.0, expect.1 + gone.1), "{list}, exit code {code}");
        assert_eq!(world.status().uncounted_terminated_pods, Some(json!({})));
    }
}

#[test]
fn listed_pods_of_a_job_that_fails_are_counted_once() {
    let mut world = World::with(json!({"parallelism": 3, "completions": 3, "backoffLimit": 0}));
    world.settle().run("p0").run("p1");
    world.job.status.uncounted_terminated_pods = Some(json!({"failed": ["p0"]}));
    world.end("p2", 1).settle().reap().settle();
    assert_eq!(world.conditions(), ["FailureTarget", "Failed"]);
    assert_eq!(world.status().failed, 3);
}

#[test]
fn pods_left_uncounted_are_released_at_once_however_many_they_are() {
    let mut world = World::with(json!({"parallelism": 700, "completions": 5000, "backoffLimit": 5000}));
    world.settle();
    let uids = world.active_uids();
    for uid in &uids {
        world.end(uid, 0);
    }
    world.job.status.uncounted_terminated_pods = Some(json!({"succeeded": uids[50..650]}));
    let plan = world.step();
    assert_eq!(world.status().succeeded, 600);
    assert_eq!(plan.actions.iter().filter(|action| matches!(action, Action::Release { .. })).count(), 600);
    world.settle();
    assert_eq!(world.status().succeeded, 700);
}

#[test]
fn finished_and_counted_pods_may_be_left_out() {
    let mut world = World::with(json!({"parallelism": 2, "completions": 50, "backoffLimit": 50}));
    world.settle();
    for round in 0..30 {
        for uid in world.active_uids() {
            world.end(&uid, i32::from(round % 3 == 0));
        }
        world.advance(601); // The simulation compares plans with and without those pods at every step.
    }
    let left = world.pods.len() - forgettable(&world.job, &world.pods).len();
    assert!(left <= 2, "{left} pods are needed");
}
