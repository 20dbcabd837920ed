//! Situations of a node that fills up and empties, and the order in which those who wait come in.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "made by json! where it is used")]
fn amounts(list: Value) -> Amounts {
    Amounts::read(&list)
}

fn room(cpu: &str) -> Room {
    let mut room = Room::default();
    room.offer(amounts(json!({"cpu": cpu, "memory": "1Gi", "pods": "5"})));
    room
}

fn cpu(cpu: &str) -> Amounts {
    amounts(json!({ "cpu": cpu }))
}

/// Places all that fit, and returns their keys in order.
fn fill(room: &mut Room) -> Vec<String> {
    let mut placed = Vec::new();
    while let Some((key, request)) = room.next_fit() {
        room.leave(&key);
        room.take(&key, request, 0);
        placed.push(key.to_string());
    }
    placed
}

#[test]
fn requests_are_summed_as_upstream_does() {
    let with = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
    let sidecar = |cpu: &str| json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
    for (spec, milli) in [
        (json!({"containers": [{}]}), 0),
        (json!({"containers": [with("1"), with("500m")]}), 1500),
        (json!({"containers": [with("1")], "initContainers": [with("3"), with("2")]}), 3000),
        (json!({"containers": [with("1")], "initContainers": [sidecar("1"), with("3")]}), 4000),
        (json!({"containers": [with("1")], "initContainers": [with("3"), sidecar("1")]}), 3000),
        (json!({"containers": [with("1")], "overhead": {"cpu": "250m"}}), 1250),
        (json!({"containers": [with("1")], "resources": {"requests": {"cpu": "4"}}}), 4000),
        (json!({"containers": [with("0.0001")]}), 1),
    ] {
        assert_eq!(Amounts::requested(&spec).of("cpu"), milli, "{spec}");
    }
    let read =
        amounts(json!({"memory": "1.5Ki", "ephemeral-storage": "1e3", "nvidia.com/gpu": 2, "cpu": "0"}));
    assert_eq!(
        read.iter().collect::<Vec<_>>(),
        [("ephemeral-storage", 1000), ("memory", 1536), ("nvidia.com/gpu", 2)]
    );
    for (text, value) in [("64Mi", 64 << 20), ("1G", 1_000_000_000), ("2Ti", 2 << 40), ("1E", 10_i64.pow(18))]
    {
        assert_eq!(amounts(json!({ "memory": text })).of("memory"), value, "{text}");
    }
}

#[test]
fn one_that_does_not_fit_is_passed_by_and_comes_in_when_there_is_room() {
    let mut room = room("2");
    room.take("a", cpu("1"), 0);
    room.wait(&"big".into(), cpu("2"), 0, "1");
    room.wait(&"small".into(), cpu("1"), 0, "2");
    assert_eq!(fill(&mut room), ["small"]);
    assert_eq!(room.lacks(&cpu("2")), [Lack { resource: "cpu".into(), is_hopeless: false }]);
    assert!(room.lacks(&cpu("3"))[0].is_hopeless);
    room.free("a");
    assert_eq!(fill(&mut room), Vec::<String>::new());
    room.free("small");
    assert_eq!(fill(&mut room), ["big"]);
}

#[test]
fn pod_that_nobody_scheduled_is_told_the_first_thing_that_is_short() {
    let mut room = room("2");
    room.take("a", cpu("500m"), 0);
    let reason = |room: &Room, list: Value| room.shortage(&amounts(list)).map(|short| short.reason());
    assert_eq!(reason(&room, json!({"cpu": "1500m", "memory": "1Gi"})), None);
    assert_eq!(reason(&room, json!({"cpu": "1501m", "memory": "2Gi"})).as_deref(), Some("OutOfcpu"));
    assert_eq!(
        reason(&room, json!({"ephemeral-storage": "1", "memory": "2Gi"})).as_deref(),
        Some("OutOfmemory")
    );
    assert_eq!(reason(&room, json!({"nvidia.com/gpu": "1"})), None, "of it the node knows nothing");
    assert_eq!(
        room.shortage(&cpu("2")).map(|short| short.message()).as_deref(),
        Some("Node didn't have enough resource: cpu, requested: 2000, used: 500, capacity: 2000")
    );
    for uid in ["b", "c", "d", "e"] {
        room.take(uid, Amounts::default(), 0);
    }
    assert_eq!(reason(&room, json!({})).as_deref(), Some("OutOfpods"));
}

#[test]
fn priority_comes_first_then_age() {
    let mut room = room("1");
    for (key, priority, created) in [("late", 0, "2"), ("early", 0, "1"), ("high", 7, "3"), ("again", 0, "1")]
    {
        room.wait(&key.into(), cpu("1"), priority, created);
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        let placed = fill(&mut room);
        placed.iter().for_each(|key| room.free(key));
        order.extend(placed);
    }
    assert_eq!(order, ["high", "early", "again", "late"]);
}

#[test]
fn node_has_slots_for_so_many_pods_whatever_they_ask_for() {
    let mut room = room("8");
    for uid in ["a", "b", "c", "d", "e"] {
        assert!(room.is_open());
        room.take(uid, Amounts::default(), 0);
    }
    assert!(room.is_full() && !room.is_open());
    assert_eq!(room.lacks(&Amounts::default())[0].resource, "pods");
    room.wait(&"f".into(), Amounts::default(), 0, "1");
    assert_eq!(fill(&mut room), Vec::<String>::new());
    room.free("c");
    assert!(!room.is_open(), "who waits is before who comes");
    assert_eq!(fill(&mut room), ["f"]);
}

#[test]
fn what_the_node_does_not_have_is_hopeless_until_it_offers_it() {
    let mut room = room("8");
    let gpu = amounts(json!({"nvidia.com/gpu": "1"}));
    assert_eq!(room.lacks(&gpu), [Lack { resource: "nvidia.com/gpu".into(), is_hopeless: true }]);
    room.wait(&"p".into(), gpu, 0, "1");
    assert_eq!(fill(&mut room), Vec::<String>::new());
    room.offer(amounts(json!({"cpu": "8", "pods": "5", "nvidia.com/gpu": "1"})));
    assert_eq!(fill(&mut room), ["p"]);
}

#[test]
fn draft_that_is_thrown_away_leaves_nothing_behind() {
    let mut room = room("1");
    room.wait(&"p".into(), cpu("1"), 0, "1");
    room.keep();
    assert_eq!(fill(&mut room), ["p"]);
    room.take_back();
    assert_eq!(room.waits_for("p"), Some(&cpu("1")));
    assert_eq!(fill(&mut room), ["p"]);
    room.keep();
    room.take_back();
    assert_eq!(room.waits_for("p"), None);
    assert!(!room.lacks(&cpu("1")).is_empty());
}

#[test]
fn pod_that_others_of_lower_priority_keep_out_is_told_apart_from_one_that_never_fits() {
    let mut room = room("4");
    room.take("low", cpu("2"), -1);
    room.take("same", cpu("2"), 5);
    assert!(room.would_fit_alone(&cpu("2"), 5));
    assert!(!room.would_fit_alone(&cpu("3"), 5), "the equal one stays");
    assert!(room.would_fit_alone(&cpu("4"), 6));
    assert!(!room.would_fit_alone(&cpu("5"), 6) && !room.would_fit_alone(&cpu("1"), -1));
    room.free("low");
    assert!(!room.would_fit_alone(&cpu("2"), 5), "nobody lower is there");
    room.take_back();
    assert!(room.levels.is_empty() && !room.would_fit_alone(&Amounts::default(), 9));
}

#[test]
fn devices_come_with_the_room_and_go_back_with_it() {
    let mut room = room("8");
    room.offer(amounts(json!({"cpu": "8", "pods": "5", "nvidia.com/gpu": "2"})));
    room.equip(Devices::new([("nvidia.com/gpu".to_owned(), vec!["0".to_owned(), "1".to_owned()])].into()));
    let one = || amounts(json!({"nvidia.com/gpu": "1"}));
    let of = |room: &Room, uid: &str| room.granted(uid).map(ToString::to_string);
    let grant = Grant::read("nvidia.com/gpu=0");
    room.observe("old", Some(|| Held { request: one(), priority: 0, grant }));
    room.take("a", one(), 0);
    room.keep();
    assert_eq!(of(&room, "a").as_deref(), Some("nvidia.com/gpu=1"), "what an earlier engine gave is given");
    room.free("old");
    room.take("b", one(), 0);
    assert_eq!(of(&room, "b").as_deref(), Some("nvidia.com/gpu=0"));
    assert_eq!(room.unpromised("nvidia.com/gpu").count(), 0);
    room.take_back();
    assert_eq!((of(&room, "old").as_deref(), of(&room, "b")), (Some("nvidia.com/gpu=0"), None));
    room.free("a");
    assert_eq!(room.unpromised("nvidia.com/gpu").collect::<Vec<_>>(), ["1"]);
}

proptest! {
    /// Whatever comes, waits and goes: never more is held than there is, and nobody who fits is left waiting.
    #[test]
    fn room_is_never_exceeded_and_never_idle(steps in prop::collection::vec((0..12_usize, 0..5_i64, 0..3_i64, any::<bool>()), 1..60)) {
        let mut room = room("4");
        for (pod, cpus, priority, goes) in steps {
            let key: Arc<str> = format!("p{pod}").into();
            if goes {
                room.free(&key);
                room.leave(&key);
            } else if !room.holders.contains_key(&*key) {
                room.wait(&key, cpu(&cpus.to_string()), priority, "1");
            }
            fill(&mut room);
            prop_assert!(room.held.of("cpu") <= 4000 && room.holders.len() <= 5);
            prop_assert_eq!(room.held.of("cpu"), room.holders.values().map(|(held, _)| held.of("cpu")).sum::<i64>());
            prop_assert!(room.waiting.keys().all(|request| !room.lacks(request).is_empty()));
        }
    }
}
