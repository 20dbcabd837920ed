//! Indexed Jobs: which index runs, which is done, and resizing.

use serde_json::json;

use crate::job::indexed::{Indexes, index_of};
use crate::job::sim::World;

fn world(parallelism: i32, completions: i32) -> World {
    World::with(json!({"parallelism": parallelism, "completions": completions, "completionMode": "Indexed"}))
}

fn running(world: &World) -> Vec<u32> {
    let mut indexes: Vec<u32> = world.active().iter().filter_map(|pod| index_of(pod)).collect();
    indexes.sort_unstable();
    indexes
}

#[test]
fn lowest_free_indexes_run_first() {
    let mut world = world(3, 6);
    world.settle();
    assert_eq!(running(&world), [0, 1, 2]);
    world.end("p1", 0).settle();
    assert_eq!(running(&world), [0, 2, 3]);
    assert_eq!(world.status().completed_indexes.as_deref(), Some("1"));
}

#[test]
fn failed_index_is_tried_again() {
    let mut world = world(2, 3);
    world.settle().end("p0", 1).advance(10);
    assert_eq!(running(&world), [0, 1]);
    assert_eq!(world.status().completed_indexes, None);
    assert_eq!(world.status().failed, 1);
}

#[test]
fn job_is_complete_when_every_index_is() {
    let mut world = world(4, 4);
    world.settle();
    for uid in ["p3", "p0", "p2", "p1"] {
        world.end(uid, 0).settle();
    }
    assert_eq!(world.status().completed_indexes.as_deref(), Some("0-3"));
    assert_eq!((world.status().succeeded, world.made), (4, 4));
    assert!(world.is_finished());
}

#[test]
fn two_successes_of_one_index_are_one() {
    let mut world = world(2, 4);
    world.settle();
    world.pod("p1").metadata.annotations.insert(crate::job::COMPLETION_INDEX.into(), "0".into());
    world.end("p0", 0).end("p1", 0).settle();
    assert_eq!(world.status().completed_indexes.as_deref(), Some("0"));
    assert_eq!(world.status().succeeded, 1);
}

#[test]
fn pod_without_a_place_is_deleted_and_not_counted() {
    let mut world = world(2, 2);
    world.settle();
    world.pod("p0").metadata.annotations.clear();
    world.pod("p1").metadata.annotations.insert(crate::job::COMPLETION_INDEX.into(), "7".into());
    world.settle();
    assert_eq!((running(&world), world.status().failed), (vec![0, 1], 0));
    assert_eq!(world.made, 4);
}

#[test]
fn finished_pod_without_a_place_is_released_and_not_counted() {
    let mut world = world(2, 2);
    world.settle();
    world.pod("p0").metadata.annotations.clear();
    world.end("p0", 0);
    world.pod("p1").metadata.annotations.clear();
    world.end("p1", 1).settle();
    assert_eq!((world.status().succeeded, world.status().failed), (0, 0));
    assert_eq!(running(&world), [0, 1]);
}

#[test]
fn shrinking_cuts_completed_indexes_and_deletes_surplus_pods() {
    let mut world = world(6, 6);
    world.settle().end("p0", 0).end("p4", 0).end("p5", 0).settle();
    assert_eq!(world.status().completed_indexes.as_deref(), Some("0,4,5"));
    world.job.spec.completions = Some(3);
    world.job.spec.parallelism = Some(3);
    world.settle();
    assert_eq!(world.status().completed_indexes.as_deref(), Some("0"));
    assert_eq!((world.status().succeeded, running(&world)), (1, vec![1, 2]));
    assert_eq!(world.status().failed, 0);
}

#[test]
fn growing_runs_the_new_indexes() {
    let mut world = world(2, 2);
    world.settle().end("p0", 0).settle();
    world.job.spec.completions = Some(4);
    world.job.spec.parallelism = Some(4);
    world.settle();
    assert_eq!(running(&world), [1, 2, 3]);
}

#[test]
fn terminating_index_waits_for_its_end_if_only_failed_pods_are_replaced() {
    let mut world = World::with(json!({
        "parallelism": 3, "completions": 4, "completionMode": "Indexed", "podReplacementPolicy": "Failed",
    }));
    world.settle();
    for uid in ["p0", "p1", "p2"] {
        world.run(uid);
    }
    world.delete("p1").settle();
    assert_eq!(running(&world), [0, 2], "no other index takes its place either");
    world.reap().settle();
    assert_eq!(world.status().failed, 1);
    world.advance(10);
    assert_eq!(running(&world), [0, 1, 2]);
}

#[test]
fn indexes_are_written_in_upstreams_form() {
    let form = |text: &str, completions| Indexes::parse(text, completions).to_string();
    for text in ["", "0", "0,1", "0-2", "1,3-5,7", "0,2,4,5,7-9"] {
        assert_eq!(form(text, 100), text);
    }
    assert_eq!(form("3,1,2", 100), "1-3", "any order");
    assert_eq!(form("0-9", 5), "0-4", "cut at completions");
    assert_eq!(form("7,9-12", 5), "");
    assert_eq!(form("x,1,2-y,-3,5-4,3", 100), "1,3", "what cannot be read is left out");
    assert_eq!(form("0-3,2-8", 100), "0-8");
    assert_eq!(form("0-4294967295", u32::MAX), "0-4294967294");
}

#[test]
fn sets_of_indexes_agree_with_plain_sets() {
    use std::collections::BTreeSet;
    for (a, b) in
        [(0b1011_0110_u32, 0b0101_0011_u32), (0, 0b1), (u32::MAX >> 20, 0b1111), (0b1010_1010, 0b0101_0101)]
    {
        let set = |bits: u32| (0..32).filter(|bit| bits & (1 << bit) != 0).collect::<BTreeSet<u32>>();
        let (one, other) = (Indexes::singles(&set(a)), Indexes::singles(&set(b)));
        assert_eq!(one.union(&other), Indexes::singles(&set(a | b)));
        assert_eq!(one.in_common(&other), i32::try_from((a & b).count_ones()).unwrap());
        assert_eq!(one.total(), i32::try_from(a.count_ones()).unwrap());
        assert_eq!(
            one.lowest_free(5, 20),
            (0..20).filter(|bit| a & (1 << bit) == 0).take(5).collect::<Vec<_>>()
        );
        assert!((0..32).all(|bit| one.has(bit) == (a & (1 << bit) != 0)));
    }
}
