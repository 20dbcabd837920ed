//! Pods that use more than they may.

use super::*;

fn evicted(runs: Vec<Run>, since: i64) -> Facts {
    let eviction = Eviction { message: "too much".to_owned(), at: at(since), is_disruption: false };
    Facts { runs, evicted: Some(eviction), ..Facts::default() }
}

#[test]
fn evicted_pod_has_two_seconds_to_end_and_fails_however_it_ends() {
    let mut pod = pod(json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 60}));
    step(&mut pod, &facts(vec![running("main", 0, 0)]), 0);
    let made = step(&mut pod, &evicted(vec![running("main", 0, 0)], 10), 10);
    assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(12))));
    assert_eq!((&pod["status"]["phase"], &pod["status"]["reason"]), (&json!("Running"), &Value::Null));
    assert_eq!(step(&mut pod, &evicted(vec![running("main", 0, 0)], 10), 12).actions, [signal("main", 0, 9)]);
    let made = step(&mut pod, &evicted(vec![ended("main", 0, 0, 0, 11)], 10), 11);
    let event = News::warning("Evicted", "too much");
    assert!(made.events.contains(&event), "{:?}", made.events);
    assert_eq!((&pod["status"]["phase"], &pod["status"]["reason"]), (&json!("Failed"), &json!("Evicted")));
    assert_eq!(pod["status"]["message"], "too much");
}

#[test]
fn pod_that_is_evicted_because_its_node_is_short_says_so_in_a_condition() {
    let mut pod = pod(json!({"restartPolicy": "Never"}));
    step(&mut pod, &facts(vec![running("main", 0, 0)]), 0);
    let mut facts = evicted(vec![ended("main", 0, 143, 0, 11)], 10);
    facts.evicted.as_mut().unwrap().is_disruption = true;
    step(&mut pod, &facts, 11);
    let told = condition(&pod, "DisruptionTarget");
    assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("TerminationByKubelet")));
    assert_eq!((&told["message"], &pod["status"]["reason"]), (&json!("too much"), &json!("Evicted")));
}
