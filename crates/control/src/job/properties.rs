//! What must hold for every Job, whatever its pods do: random lives of Jobs in the simulated cluster.

use proptest::prelude::*;
use serde_json::json;

use super::count::{is_indexed, is_terminal};
use super::sim::{IGNORED_CODE, World};

/// Something that happens. Numbers choose among the pods there are.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Runs(usize),
    Succeeds(usize),
    Fails(usize),
    FailsIgnored(usize),
    /// Its labels no longer match.
    IsRelabelled(usize),
    /// It loses its owner and its finalizer, as when a Job of the same selector is deleted and its pods orphaned.
    IsOrphaned(usize),
    IsDeleted(usize),
    Reap,
    Time(i64),
    Suspend(bool),
    Parallelism(i32),
    /// An Indexed Job is made larger or smaller.
    Size(i32),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        4 => any::<usize>().prop_map(Runs),
        6 => any::<usize>().prop_map(Succeeds),
        3 => any::<usize>().prop_map(Fails),
        2 => any::<usize>().prop_map(FailsIgnored),
        1 => any::<usize>().prop_map(IsRelabelled),
        1 => any::<usize>().prop_map(IsOrphaned),
        1 => any::<usize>().prop_map(IsDeleted),
        2 => Just(Reap),
        3 => (1..700_i64).prop_map(Time),
        1 => any::<bool>().prop_map(Suspend),
        1 => (0..6).prop_map(Parallelism),
        1 => (1..9).prop_map(Size),
    ]
}

/// A Job's spec: fixed completions, a work queue, Indexed, Indexed with a limit for each index.
fn spec() -> impl Strategy<Value = serde_json::Value> {
    let kind = 0..6_u8;
    let deadline = proptest::option::of(1..900_i64);
    (kind, 0..6_i32, 0..9_i32, 0..5_i32, any::<bool>(), any::<bool>(), deadline).prop_map(
        |(kind, parallelism, completions, limit, only_failed, ignores, deadline)| {
            let mut spec = json!({
                "parallelism": parallelism, "completions": completions, "backoffLimit": limit,
                "podReplacementPolicy": if only_failed { "Failed" } else { "TerminatingOrFailed" },
            });
            if let Some(deadline) = deadline {
                spec["activeDeadlineSeconds"] = deadline.into();
            }
            match kind {
                0 => _ = spec.as_object_mut().unwrap().remove("completions"),
                1 => spec["completionMode"] = "Indexed".into(),
                2 => {
                    spec["completionMode"] = "Indexed".into();
                    spec["backoffLimitPerIndex"] = (limit / 2).into();
                    spec["backoffLimit"] = i32::MAX.into();
                }
                3 => {
                    let rules =
                        json!([{"succeededIndexes": "1,3-4", "succeededCount": 2}, {"succeededCount": 5}]);
                    spec["completionMode"] = "Indexed".into();
                    spec["successPolicy"] = json!({ "rules": rules });
                }
                _ => {}
            }
            if ignores {
                let codes = json!({"operator": "In", "values": [IGNORED_CODE]});
                spec["podFailurePolicy"] = json!({"rules": [{"action": "Ignore", "onExitCodes": codes}]});
            }
            spec
        },
    )
}

fn apply(world: &mut World, happening: Happening) {
    let living = world.uids(|pod| !is_terminal(pod));
    let all = world.uids(|_| true);
    let one = |uids: Vec<String>, number: usize| uids.get(number % uids.len().max(1)).cloned().into_iter();
    match happening {
        Happening::Runs(number) => one(living, number).for_each(|uid| _ = world.run(&uid)),
        Happening::Succeeds(number) => one(living, number).for_each(|uid| _ = world.end(&uid, 0)),
        Happening::Fails(number) => one(living, number).for_each(|uid| _ = world.end(&uid, 1)),
        Happening::FailsIgnored(number) => {
            one(living, number).for_each(|uid| _ = world.end(&uid, IGNORED_CODE));
        }
        Happening::IsRelabelled(number) => one(all, number).for_each(|uid| {
            world.pod(&uid).metadata.labels.insert("job".into(), "another".into());
        }),
        Happening::IsOrphaned(number) => one(living, number).for_each(|uid| {
            let pod = world.pod(&uid);
            pod.metadata.owner_references.clear();
            pod.metadata.finalizers.clear();
        }),
        Happening::IsDeleted(number) => one(all, number).for_each(|uid| _ = world.delete(&uid)),
        Happening::Reap => _ = world.reap(),
        Happening::Time(seconds) => world.now += jiff::SignedDuration::from_secs(seconds),
        Happening::Suspend(held) => world.job.spec.suspend = Some(held),
        Happening::Size(size) if is_indexed(&world.job) => {
            world.job.spec.parallelism = Some(size);
            world.job.spec.completions = Some(size);
        }
        Happening::Size(_) => {}
        Happening::Parallelism(parallelism) => world.job.spec.parallelism = Some(parallelism),
    }
}

/// What must hold at rest, besides what the simulation checks at every plan.
fn check_at_rest(world: &World) {
    let status = world.status();
    let (active, job) = (world.active().len(), &world.job);
    assert_eq!(usize::try_from(status.active).unwrap(), active);
    if !world.is_finished() {
        let most = usize::try_from(job.spec.parallelism.unwrap_or(1)).unwrap();
        // A work queue that has had a success lets finish what runs, whatever its parallelism is now.
        let winding_down = job.spec.completions.is_none() && status.succeeded > 0;
        assert!(active <= most || winding_down, "{active} pods, at most {most} wanted");
        if job.spec.suspend == Some(true) {
            assert_eq!(active, 0, "a suspended Job has pods");
        }
        if let Some(completions) = job.spec.completions {
            let rest = usize::try_from((completions - status.succeeded).max(0)).unwrap();
            assert!(active <= rest, "{active} pods for {rest} completions");
        }
    }
    if is_indexed(job) {
        let done =
            super::indexed::Indexes::parse(status.completed_indexes.as_deref().unwrap_or(""), u32::MAX);
        assert_eq!(done.total(), status.succeeded);
        assert!(world.is_finished() || status.succeeded <= job.spec.completions.unwrap());
    } else {
        assert_eq!(status.succeeded, world.expected.0, "successes are counted once");
    }
    if !world.conditions().iter().any(|condition| condition == "FailureTarget")
        && job.spec.backoff_limit_per_index.is_none()
    {
        let lingering =
            i32::from(world.conditions().iter().any(|condition| condition == "SuccessCriteriaMet"));
        assert!(status.failed <= world.expected.1, "more failures than there were");
        assert!(lingering == 1 || status.failed == world.expected.1, "failures are counted once");
    }
}

/// Everything now goes well: the Job must come to its end.
fn bring_to_an_end(world: &mut World) {
    world.job.spec.suspend = Some(false);
    world.job.spec.parallelism = Some(world.job.spec.parallelism.unwrap_or(1).max(1));
    for _ in 0..60 {
        world.settle();
        check_at_rest(world);
        if world.is_finished() {
            return;
        }
        world.reap();
        for uid in world.active_uids() {
            world.end(&uid, 0);
        }
        world.settle();
        if let (Some(wake_at), true) = (world.wake_at, world.active().is_empty()) {
            world.now = wake_at;
        }
    }
    panic!("never ends: {:?}", world.status());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_job_keeps_its_word_and_ends(
        spec in spec(),
        happenings in proptest::collection::vec(happening(), 0..60),
    ) {
        let queue = spec["completions"].is_null();
        let mut world = World::with(spec);
        world.settle();
        for happening in happenings {
            let (made, won) = (world.made, world.status().succeeded > 0);
            apply(&mut world, happening);
            world.settle();
            check_at_rest(&world);
            prop_assert!(!(queue && won) || world.made == made, "a work queue with a success starts pods");
        }
        bring_to_an_end(&mut world);
        let (events, made) = (world.events.len(), world.made);
        world.reap().advance(10_000);
        prop_assert_eq!((world.events.len(), world.made), (events, made), "a finished Job rests");
    }
}
