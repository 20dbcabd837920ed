//! What ends with its pod, in which order, and how long it is given.

use super::*;

const TERM: i32 = 15;
const KILL: i32 = 9;

/// Two sidecars beside two containers.
fn accompanied(seconds: i64) -> Value {
    let sidecar = |name: &str| json!({"name": name, "restartPolicy": "Always"});
    pod(json!({
        "restartPolicy": "Always", "terminationGracePeriodSeconds": seconds,
        "initContainers": [sidecar("first"), sidecar("second")], "containers": [{"name": "a"}, {"name": "b"}],
    }))
}

fn all() -> Vec<Run> {
    ["first", "second", "a", "b"].map(|name| running(name, 0, 0)).to_vec()
}

/// The runs where these have ended: name and time.
fn but(gone: &[(&str, i64)]) -> Vec<Run> {
    let run = |run: Run| match gone.iter().find(|(name, _)| *name == run.container) {
        Some((name, at)) => ended(name, 0, 143, 0, *at),
        None => run,
    };
    all().into_iter().map(run).collect()
}

#[test]
fn sidecars_of_a_deleted_pod_end_after_its_containers_and_the_last_one_first() {
    let mut pod = accompanied(30);
    step(&mut pod, &facts(all()), 1);
    delete(&mut pod, 10, 30);
    let made = step(&mut pod, &facts(all()), 10);
    assert_eq!(made.actions, [signal("a", 0, TERM), signal("b", 0, TERM)]);
    assert_eq!(made.wake_at, Some(at(41)));
    let killed: Vec<_> = made.events.iter().map(|news| (news.reason, news.container.as_deref())).collect();
    let names = ["first", "second", "a", "b"].map(|name| ("Killing", Some(name)));
    assert_eq!(killed, names, "of all it is told at once");
    assert_eq!(made.events[0].field_path(&pod).as_deref(), Some("spec.initContainers{first}"));

    let actions = |gone: &[(&str, i64)], now| plan(&pod, &facts(but(gone)), at(now)).actions;
    assert_eq!(actions(&[("a", 12)], 12), [signal("b", 0, TERM)]);
    assert_eq!(actions(&[("a", 12), ("b", 13)], 13), [signal("second", 0, TERM)]);
    assert_eq!(actions(&[("a", 12), ("b", 13), ("second", 14)], 14), [signal("first", 0, TERM)]);
    let all = [("a", 12), ("b", 13), ("second", 14), ("first", 15)];
    assert_eq!(actions(&all, 15), [Action::Remove]);
}

#[test]
fn sidecars_that_never_had_their_turn_have_two_seconds_after_the_others_time() {
    let mut pod = accompanied(30);
    step(&mut pod, &facts(all()), 1);
    delete(&mut pod, 10, 30);
    let made = step(&mut pod, &facts(all()), 41);
    let expected =
        [signal("first", 0, TERM), signal("second", 0, TERM), signal("a", 0, KILL), signal("b", 0, KILL)];
    assert_eq!((made.actions.as_slice(), made.wake_at), (expected.as_slice(), Some(at(43))));
    // What had its turn late has the two seconds too.
    let late = facts(but(&[("a", 11), ("b", 40)]));
    let made = step(&mut pod, &late, 41);
    assert_eq!(made.actions, [signal("first", 0, TERM), signal("second", 0, TERM)]);
    assert_eq!(made.wake_at, Some(at(42)));
    assert_eq!(step(&mut pod, &late, 43).actions, [signal("first", 0, KILL), signal("second", 0, KILL)]);
}

#[test]
fn sidecars_wait_for_the_others_whatever_ends_the_pod() {
    let eviction = Eviction { message: "too much".to_owned(), at: at(10), is_disruption: false };
    for (facts, deadline, wake) in [
        (Facts { evicted: Some(eviction), ..facts(all()) }, None, 11),
        (Facts { ending: Some(at(10)), ..facts(all()) }, None, 30),
        (facts(all()), Some(10), 30),
    ] {
        let mut pod = accompanied(20);
        step(&mut pod, &super::facts(all()), 0);
        if let Some(deadline) = deadline {
            pod["spec"]["activeDeadlineSeconds"] = json!(deadline);
        }
        let made = step(&mut pod, &facts, 10);
        assert_eq!(made.actions, [signal("a", 0, TERM), signal("b", 0, TERM)]);
        assert_eq!(made.wake_at, Some(at(wake)));
    }
}

#[test]
fn sidecars_of_a_pod_that_is_over_end_one_after_the_other_and_are_told_of() {
    let mut pod = accompanied(30);
    pod["spec"]["restartPolicy"] = json!("Never");
    let mut facts = facts(but(&[("a", 4), ("b", 5)]));
    let made = step(&mut pod, &facts, 5);
    assert_eq!((made.actions, made.wake_at), (vec![signal("second", 0, TERM)], Some(at(35))));
    let killed = made.events.iter().filter(|news| news.reason == "Killing");
    let names: Vec<_> = killed.filter_map(|news| news.container.as_deref()).collect();
    assert_eq!(names, ["first", "second"]);
    facts.runs = but(&[("a", 4), ("b", 5), ("second", 6)]);
    assert_eq!(step(&mut pod, &facts, 6).actions, [signal("first", 0, TERM)]);
    facts.runs = but(&[("a", 4), ("b", 5), ("second", 6), ("first", 7)]);
    step(&mut pod, &facts, 7);
    assert_eq!(pod["status"]["phase"], "Failed");
}

#[test]
fn sidecar_does_not_wait_for_an_init_container_that_runs_after_it() {
    let inits = json!([{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]);
    let mut pod = pod(json!({"initContainers": inits}));
    let facts = facts(vec![running("s", 0, 0), running("i", 0, 1)]);
    step(&mut pod, &facts, 1);
    delete(&mut pod, 2, 30);
    assert_eq!(step(&mut pod, &facts, 2).actions, [signal("s", 0, TERM), signal("i", 0, TERM)]);
}

#[test]
fn hooks_of_sidecars_begin_with_the_others_and_only_the_signal_waits() {
    let mut pod = accompanied(30);
    pod["spec"]["initContainers"][1]["lifecycle"] = json!({"preStop": {"exec": {"command": ["true"]}}});
    let mut facts = facts(all());
    step(&mut pod, &facts, 1);
    delete(&mut pod, 10, 30);
    let hook = Action::Hook { container: "second".to_owned(), attempt: 0, hook: Hook::PreStop };
    assert_eq!(step(&mut pod, &facts, 10).actions, [hook, signal("a", 0, TERM), signal("b", 0, TERM)]);
    facts.note_hook("second", 0, Hook::PreStop);
    facts.note_hook_end("second", 0, Hook::PreStop, &Answer::Success, at(11));
    assert_eq!(step(&mut pod, &facts, 11).actions, [signal("a", 0, TERM), signal("b", 0, TERM)]);
    facts.runs = but(&[("a", 12), ("b", 12)]);
    assert_eq!(step(&mut pod, &facts, 12).actions, [signal("second", 0, TERM)]);
}

#[test]
fn whoever_is_given_no_time_has_two_seconds_all_the_same() {
    for seconds in [0, 1, 2] {
        let mut pod = pod(json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": seconds}));
        let alive = facts(vec![running("main", 0, 0)]);
        step(&mut pod, &alive, 0);
        delete(&mut pod, 10, seconds);
        // The second in which it was deleted is not counted.
        let made = step(&mut pod, &alive, 10);
        assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, TERM)], Some(at(13))));
        assert_eq!(step(&mut pod, &alive, 13).actions, [signal("main", 0, KILL)]);
    }
}
