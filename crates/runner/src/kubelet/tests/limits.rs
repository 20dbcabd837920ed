//! Limits: what the status says of those that are not enforced, and of those that ended a container.

use super::*;
use crate::cgroup::Reason;
use crate::runtime::Unlimited;

fn unlimited() -> Option<Unlimited> {
    Some(Unlimited { reason: Reason::NotDelegated, message: "the memory limit is not enforced".to_owned() })
}

#[test]
fn limits_that_are_not_enforced_are_told_once_and_stay_told() {
    let mut pod = pod(json!({}));
    step(&mut pod, &Facts::default(), 0);
    let running = Facts { unlimited: unlimited(), ..facts(vec![running("main", 0, 1)]) };
    let made = step(&mut pod, &running, 1);
    let told: Vec<_> = made.events.iter().filter(|event| event.reason == "LimitsNotEnforced").collect();
    assert_eq!(told.len(), 1);
    let said = condition(&pod, LIMITS_ENFORCED).clone();
    assert_eq!((&said["status"], &said["reason"]), (&json!("False"), &json!("NotDelegated")));
    assert_eq!(said["message"], "the memory limit is not enforced");
    // Another engine hears of the same run, and later of its end.
    let made = step(&mut pod, &facts(vec![ended("main", 0, 0, 1, 9)]), 9);
    assert!(made.events.iter().all(|event| event.reason != "LimitsNotEnforced"));
    assert_eq!(condition(&pod, LIMITS_ENFORCED), &said);
    assert_eq!(pod["status"]["phase"], "Succeeded");
}

#[test]
fn run_that_was_over_before_anything_was_told_has_the_condition_too() {
    let mut pod = pod(json!({}));
    let over = Facts { unlimited: unlimited(), ..facts(vec![ended("main", 0, 0, 1, 2)]) };
    let made = step(&mut pod, &over, 2);
    assert_eq!(condition(&pod, LIMITS_ENFORCED)["reason"], "NotDelegated");
    assert_eq!(made.events.iter().filter(|event| event.reason == "LimitsNotEnforced").count(), 1);
}

#[test]
fn pod_whose_limits_are_enforced_has_no_condition_of_them() {
    let mut pod = pod(json!({}));
    step(&mut pod, &facts(vec![ended("main", 0, 0, 1, 2)]), 2);
    assert_eq!(condition(&pod, LIMITS_ENFORCED), &Value::Null);
}

#[test]
fn pods_limit_that_its_containers_may_exceed_together_is_told() {
    let reason = |inits: Value, limits: &[Value]| {
        let apps = limits.iter().enumerate();
        let apps = apps.map(|(n, limits)| json!({"name": format!("c{n}"), "resources": {"limits": limits}}));
        let apps: Vec<Value> = apps.collect();
        let whole = json!({"limits": {"memory": "1Gi", "cpu": "2"}});
        let mut pod = pod(json!({"initContainers": inits, "containers": apps, "resources": whole}));
        step(&mut pod, &facts(vec![running("c0", 0, 1)]), 1);
        let told = condition(&pod, LIMITS_ENFORCED);
        (told["reason"].clone(), told["message"].as_str().unwrap_or("").to_owned())
    };
    let (none, half) = (json!({}), json!({"memory": "512Mi", "cpu": 1}));
    let is_told = |told: (Value, String), what: &str| {
        assert_eq!(told.0, "EachContainer");
        assert!(told.1.starts_with(&format!("the pod's limit of {what} holds each")), "{}", told.1);
    };
    is_told(reason(json!([]), &[none.clone(), none.clone()]), "cpu and memory");
    is_told(reason(json!([]), &[half.clone(), json!({"memory": "1Gi", "cpu": "1"})]), "memory");
    is_told(
        reason(json!([{"name": "s", "restartPolicy": "Always"}]), std::slice::from_ref(&half)),
        "cpu and memory",
    );
    for limits in [vec![none.clone()], vec![half.clone(), half]] {
        assert_eq!(
            reason(json!([{"name": "i"}]), &limits).0,
            Value::Null,
            "one after the other, or within it"
        );
    }
}

#[test]
fn only_what_the_kernel_killed_for_lack_of_memory_was_out_of_memory() {
    for (code, out_of_memory, reason) in [
        (137, true, "OOMKilled"),
        (137, false, "Error"),
        (1, true, "OOMKilled"),
        (0, true, "OOMKilled"),
        (0, false, "Completed"),
    ] {
        let mut pod = pod(json!({}));
        let mut run = ended("main", 0, code, 1, 2);
        if let RunState::Ended { used, .. } = &mut run.state {
            used.out_of_memory = out_of_memory;
        }
        step(&mut pod, &facts(vec![run]), 2);
        let terminated = &state(&pod)["terminated"];
        assert_eq!((&terminated["reason"], &terminated["exitCode"]), (&json!(reason), &json!(code)));
    }
}
