//! What the status says of resources and users that were asked for.

use super::*;
use crate::cgroup::Reason;
use crate::runtime::Unlimited;

fn asking(resources: Value) -> Value {
    pod(json!({"containers": [{"name": "main", "image": "host", "resources": resources}]}))
}

fn told(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

#[test]
fn pod_that_asks_for_nothing_is_told_nothing_of_resources_and_users() {
    for mut pod in [pod(json!({})), asking(json!({})), asking(json!({"limits": {}, "requests": {}}))] {
        step(&mut pod, &Facts::default(), 0);
        step(&mut pod, &facts(vec![running("main", 0, 1)]), 1);
        for field in ["resources", "allocatedResources", "user"] {
            assert_eq!(told(&pod).get(field).filter(|said| **said != json!({})), None, "{field}");
        }
    }
}

#[test]
fn resources_are_told_from_the_beginning_of_the_process_to_its_end() {
    let asked = json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}});
    let mut pod = asking(asked.clone());
    step(&mut pod, &Facts::default(), 0);
    assert_eq!(told(&pod).get("resources"), None, "there is no process yet");
    for run in [running("main", 0, 1), ended("main", 0, 0, 1, 9)] {
        step(&mut pod, &facts(vec![run]), 9);
        assert_eq!(told(&pod)["resources"], asked);
        assert_eq!(told(&pod)["allocatedResources"], asked["requests"]);
    }
}

#[test]
fn limits_that_hold_nobody_are_not_told_also_by_the_next_engine() {
    let limits = json!({"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"});
    let mut pod = asking(json!({"limits": limits, "requests": {"cpu": "1"}}));
    step(&mut pod, &Facts::default(), 0);
    let unlimited = Some(Unlimited { reason: Reason::ReadOnly, message: "none is enforced".to_owned() });
    let heard = Facts { unlimited, ..facts(vec![running("main", 0, 1)]) };
    for known in [heard, facts(vec![running("main", 0, 1)]), facts(vec![ended("main", 0, 0, 1, 9)])] {
        step(&mut pod, &known, 9);
        let enacted = json!({"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "1"}});
        assert_eq!(told(&pod)["resources"], enacted);
    }
    let mut only = asking(json!({"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}));
    let unlimited = Some(Unlimited { reason: Reason::ReadOnly, message: String::new() });
    step(&mut only, &Facts { unlimited, ..facts(vec![running("main", 0, 1)]) }, 1);
    assert_eq!(told(&only)["resources"], json!({"requests": {"memory": "1Gi"}}));
}

#[test]
fn user_that_was_asked_for_is_told_and_stays_whoever_the_next_engine_is() {
    let user = |uid| Some(User { uid, gid: 100, groups: vec![100, 4000] });
    let said = |uid: u32| json!({"linux": {"uid": uid, "gid": 100, "supplementalGroups": [100, 4000]}});
    let mut pod = pod(json!({"restartPolicy": "Always"}));
    step(&mut pod, &Facts { user: user(7), ..Facts::default() }, 0);
    assert_eq!(told(&pod).get("user"), None, "there is no process yet");
    step(&mut pod, &Facts { user: user(7), ..facts(vec![running("main", 0, 1)]) }, 1);
    assert_eq!(told(&pod)["user"], said(7));
    step(&mut pod, &Facts { user: user(8), ..facts(vec![running("main", 0, 1)]) }, 2);
    assert_eq!(told(&pod)["user"], said(7), "of this process");
    step(
        &mut pod,
        &Facts { user: user(8), ..facts(vec![ended("main", 0, 0, 1, 900), running("main", 1, 900)]) },
        900,
    );
    assert_eq!(told(&pod)["user"], said(8), "of the next");
}
