//! Situations, and the laws that every history keeps.

#![expect(clippy::needless_pass_by_value, reason = "situations read better with their values in place")]

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;

mod enacted;
mod ending;
mod evicted;
mod hooks;
mod laws;
mod limits;
mod probes;
mod restarts;

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + seconds, 0).unwrap()
}

fn pod(spec: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": "p", "namespace": "default", "uid": "u1", "generation": 1},
        "spec": {"nodeName": "here", "restartPolicy": "Never", "containers": [{"name": "main", "image": "host"}]},
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    });
    for (name, value) in spec.as_object().unwrap() {
        pod["spec"][name] = value.clone();
    }
    pod
}

fn running(container: &str, attempt: u32, since: i64) -> Run {
    let state = RunState::Running { pid: 7, started_at: at(since) };
    Run { container: container.to_owned(), attempt, state }
}

fn ended(container: &str, attempt: u32, code: i32, from: i64, to: i64) -> Run {
    let ended = if code > 128 { Ended::Signal(code - 128) } else { Ended::Code(code) };
    let (started_at, finished_at) = (at(from), at(to));
    let state =
        RunState::Ended { ended, started_at, finished_at, used: Used::default(), message: String::new() };
    Run { container: container.to_owned(), attempt, state }
}

fn facts(runs: Vec<Run>) -> Facts {
    Facts { runs, ..Facts::default() }
}

fn start(container: &str, attempt: u32) -> Action {
    Action::Start { container: container.to_owned(), attempt }
}

fn signal(container: &str, attempt: u32, signal: i32) -> Action {
    Action::Signal { container: container.to_owned(), attempt, signal }
}

/// As it is marked that has so many seconds to end from then on.
fn delete(pod: &mut Value, now: i64, seconds: i64) {
    pod["metadata"]["deletionTimestamp"] = json!(super::standing::time(at(now + seconds)));
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(seconds);
}

/// Plans and applies the status.
fn step(pod: &mut Value, facts: &Facts, now: i64) -> Plan {
    let made = plan(&*pod, facts, at(now));
    if let Some(status) = &made.status {
        pod["status"] = status.clone();
    }
    let mut facts = facts.clone();
    facts.announced.extend(made.announced.clone());
    let again = plan(&*pod, &facts, at(now));
    assert_eq!(again.status, None, "a plan applied twice changes nothing the second time");
    assert_eq!(again.actions, made.actions);
    assert_eq!(again.events, []);
    made
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

#[test]
fn pod_that_is_deleted_before_it_has_a_node_has_failed_if_a_finalizer_keeps_it() {
    let mut pod = pod(json!({"nodeName": ""}));
    assert_eq!(plan(&pod, &Facts::default(), at(0)), Plan::default());
    pod["metadata"]["deletionTimestamp"] = json!(at(0));
    assert_eq!(plan(&pod, &Facts::default(), at(0)).actions, [Action::Remove]);

    pod["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let made = step(&mut pod, &Facts::default(), 0);
    assert_eq!(
        (&pod["status"]["phase"], &pod["status"]["observedGeneration"]),
        (&json!("Failed"), &json!(1))
    );
    assert!(made.actions.is_empty());
    assert_eq!(plan(&pod, &Facts::default(), at(1)), Plan::default());
}

#[test]
fn unscheduled_pod_is_left_alone() {
    let mut pod = pod(json!({}));
    pod["spec"].as_object_mut().unwrap().remove("nodeName");
    assert_eq!(plan(&pod, &Facts::default(), at(0)), Plan::default());
}

#[test]
fn new_pod_is_started_and_waits_for_its_containers() {
    let mut pod = pod(json!({}));
    let made = step(&mut pod, &Facts::default(), 0);
    assert_eq!(made.actions, [start("main", 0)]);
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(pod["status"]["qosClass"], "BestEffort");
    assert_eq!(pod["status"]["hostIP"], "127.0.0.1");
    assert_eq!(state(&pod), &json!({"waiting": {"reason": "ContainerCreating"}}));
    assert_eq!(condition(&pod, "Initialized")["status"], "True");
    assert_eq!(condition(&pod, "Ready")["message"], "containers with unready status: [main]");
}

#[test]
fn start_that_was_not_heard_of_is_not_asked_for_again() {
    let mut pod = pod(json!({}));
    let asked = Run { container: "main".to_owned(), attempt: 0, state: RunState::Starting };
    assert_eq!(step(&mut pod, &facts(vec![asked]), 0).actions, []);
}

#[test]
fn running_container_makes_the_pod_ready() {
    let mut pod = pod(json!({}));
    step(&mut pod, &Facts::default(), 0);
    let made = step(&mut pod, &facts(vec![running("main", 0, 1)]), 1);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["status"]["containerStatuses"][0]["containerID"], "windlass://u1/main/0");
    assert_eq!(condition(&pod, "Ready")["status"], "True");
    let told = [News::normal("Created", "Container created"), News::normal("Started", "Container started")];
    assert_eq!(made.events, told.map(|news| news.of("main")));
    assert_eq!(made.events[0].field_path(&pod).as_deref(), Some("spec.containers{main}"));
}

#[test]
fn container_that_ended_well_completes_the_pod() {
    let mut pod = pod(json!({}));
    let made = step(&mut pod, &facts(vec![ended("main", 0, 0, 1, 2)]), 2);
    assert_eq!(pod["status"]["phase"], "Succeeded");
    assert_eq!(state(&pod)["terminated"]["reason"], "Completed");
    assert_eq!(condition(&pod, "Ready")["reason"], "PodCompleted");
    assert_eq!(condition(&pod, "Initialized")["reason"], "PodCompleted");
    assert_eq!((made.actions, made.wake_at), (vec![], None));
}

#[test]
fn message_that_a_container_left_is_in_its_status() {
    let mut pod = pod(json!({}));
    let mut run = ended("main", 0, 3, 1, 2);
    if let RunState::Ended { message, .. } = &mut run.state {
        "no more disk".clone_into(message);
    }
    step(&mut pod, &facts(vec![run]), 2);
    assert_eq!(state(&pod)["terminated"]["message"], "no more disk");
    assert_eq!([0, 1, 3, 4, 12].map(message_limit), [4096, 4096, 4096, 3072, 1024]);
}

#[test]
fn what_a_container_mounts_is_in_its_status() {
    let mounts = json!([
        {"name": "v", "mountPath": "/v", "subPath": "x"}, {"name": "w", "mountPath": "/w", "readOnly": true},
    ]);
    let mut pod = pod(json!({"containers": [{"name": "main", "volumeMounts": mounts}, {"name": "other"}]}));
    step(&mut pod, &Facts::default(), 0);
    let told = json!([
        {"name": "v", "mountPath": "/v"},
        {"name": "w", "mountPath": "/w", "readOnly": true, "recursiveReadOnly": "Disabled"},
    ]);
    let statuses = &pod["status"]["containerStatuses"];
    assert_eq!((&statuses[0]["volumeMounts"], &statuses[1]["volumeMounts"]), (&told, &Value::Null));
}

#[test]
fn pod_whose_volumes_are_not_there_is_not_ready_to_start_containers() {
    let ready = |pod: &Value| condition(pod, "PodReadyToStartContainers")["status"].clone();
    for (reason, is_ready) in [("ContainerCreating", "False"), ("CreateContainerConfigError", "True")] {
        let mut pod = pod(json!({"restartPolicy": "Always"}));
        let blocked = vec![("main".to_owned(), reason, "x".to_owned())];
        step(&mut pod, &Facts { blocked: blocked.clone(), ..Facts::default() }, 0);
        assert_eq!(ready(&pod), is_ready);
        step(&mut pod, &facts(vec![running("main", 0, 1)]), 1);
        assert_eq!(ready(&pod), "True");
        // What has begun once has its sandbox.
        step(&mut pod, &Facts { blocked, ..facts(vec![ended("main", 0, 1, 1, 2)]) }, 2);
        assert_eq!(ready(&pod), "True");
    }
}

#[test]
fn signal_counts_as_128_and_its_number() {
    let mut pod = pod(json!({}));
    step(&mut pod, &facts(vec![ended("main", 0, 143, 1, 2)]), 2);
    assert_eq!(pod["status"]["phase"], "Failed");
    assert_eq!(state(&pod)["terminated"]["exitCode"], 143);
    assert_eq!(state(&pod)["terminated"]["signal"], Value::Null, "as upstream, whose runtimes tell none");
    assert_eq!(condition(&pod, "Ready")["reason"], "PodFailed");
}

#[test]
fn pod_runs_until_its_last_container_has_ended() {
    let mut pod = pod(json!({"containers": [{"name": "a"}, {"name": "b"}]}));
    step(&mut pod, &facts(vec![ended("a", 0, 1, 1, 2), running("b", 0, 1)]), 2);
    assert_eq!(pod["status"]["phase"], "Running");
    step(&mut pod, &facts(vec![ended("a", 0, 1, 1, 2), ended("b", 0, 0, 1, 3)]), 3);
    assert_eq!(pod["status"]["phase"], "Failed");
}

#[test]
fn program_that_is_missing_is_a_start_error_of_128_and_its_message_says_so() {
    let mut pod = pod(json!({}));
    let state = RunState::Failed {
        failure: StartFailure::NotFound,
        message: "exec: \"x\": not found".to_owned(),
        at: at(1),
    };
    let run = Run { container: "main".to_owned(), attempt: 0, state };
    let made = step(&mut pod, &facts(vec![run]), 1);
    assert_eq!(pod["status"]["phase"], "Failed");
    let terminated = &self::state(&pod)["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(128), &json!("StartError")));
    assert_eq!(made.events, [News::warning("Failed", "Error: exec: \"x\": not found").of("main")]);
}

#[test]
fn lost_container_is_of_unknown_status_never_a_guess() {
    let mut pod = pod(json!({}));
    step(&mut pod, &facts(vec![running("main", 0, 1)]), 1);
    let state = RunState::Lost { message: "the machine was restarted".to_owned(), at: at(9) };
    step(&mut pod, &facts(vec![Run { container: "main".to_owned(), attempt: 0, state }]), 9);
    let terminated = &self::state(&pod)["terminated"];
    assert_eq!(
        (&terminated["exitCode"], &terminated["reason"]),
        (&json!(137), &json!("ContainerStatusUnknown"))
    );
    assert_eq!(terminated["startedAt"], super::standing::time(at(1)));
    assert_eq!(pod["status"]["phase"], "Failed");
}

#[test]
fn container_that_runs_by_the_status_alone_is_lost() {
    let mut pod = pod(json!({}));
    step(&mut pod, &facts(vec![running("main", 0, 1)]), 1);
    step(&mut pod, &Facts::default(), 5);
    assert_eq!(state(&pod)["terminated"]["reason"], "ContainerStatusUnknown");
    assert_eq!(pod["status"]["phase"], "Failed");
}

#[test]
fn restart_that_was_decided_before_the_engine_died_keeps_its_attempt() {
    let mut pod = pod(json!({"restartPolicy": "OnFailure"}));
    step(&mut pod, &facts(vec![ended("main", 0, 1, 0, 1)]), 1);
    assert_eq!(step(&mut pod, &Facts::default(), 2).actions, [start("main", 1)]);
    assert_eq!(step(&mut pod, &facts(vec![running("main", 1, 2)]), 3).actions, []);
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1);
}

#[test]
fn deleted_pod_is_terminated_then_killed_then_removed() {
    let mut pod = pod(json!({"restartPolicy": "Always"}));
    let alive = facts(vec![running("main", 0, 0)]);
    step(&mut pod, &alive, 0);
    delete(&mut pod, 10, 30);
    let made = step(&mut pod, &alive, 10);
    assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(41))));
    assert_eq!(made.events, [News::normal("Killing", "Stopping container main").of("main")]);
    assert_eq!(pod["status"]["phase"], "Running");
    let made = step(&mut pod, &alive, 41);
    assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 9)], None));
    let made = step(&mut pod, &facts(vec![ended("main", 0, 137, 0, 41)]), 41);
    assert_eq!((made.actions, made.events), (vec![Action::Remove], vec![]));
    assert_eq!(pod["status"]["phase"], "Failed");
}

impl Plan {
    fn is_nothing(&self) -> bool {
        *self == Plan::default()
    }
}

#[test]
fn deleted_pod_with_finalizers_becomes_terminal_and_stays() {
    let mut pod = pod(json!({}));
    delete(&mut pod, 0, 0);
    pod["metadata"]["finalizers"] = json!(["batch.kubernetes.io/job-tracking"]);
    assert_eq!(step(&mut pod, &Facts::default(), 1).actions, []);
    assert_eq!(pod["status"]["phase"], "Failed");
    assert_eq!(state(&pod)["terminated"]["reason"], "ContainerStatusUnknown");
    assert!(plan(&pod, &Facts::default(), at(2)).is_nothing());
    pod["metadata"]["finalizers"] = json!([]);
    assert_eq!(plan(&pod, &Facts::default(), at(3)).actions, [Action::Remove]);
}

#[test]
fn pod_that_ended_well_while_it_was_deleted_succeeded() {
    let mut pod = pod(json!({}));
    delete(&mut pod, 0, 30);
    step(&mut pod, &facts(vec![ended("main", 0, 0, 0, 1)]), 1);
    assert_eq!(pod["status"]["phase"], "Succeeded");
}

#[test]
fn pod_beyond_its_deadline_is_stopped_and_failed() {
    let mut pod = pod(json!({"activeDeadlineSeconds": 60, "terminationGracePeriodSeconds": 5}));
    let alive = facts(vec![running("main", 0, 0)]);
    assert_eq!(step(&mut pod, &alive, 0).wake_at, Some(at(60)));
    let made = step(&mut pod, &alive, 60);
    assert_eq!((made.actions, made.wake_at), (vec![signal("main", 0, 15)], Some(at(65))));
    let told = [
        News::normal("Killing", "Stopping container main").of("main"),
        News::normal("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
    ];
    assert_eq!(made.events, told);
    assert_eq!(pod["status"]["reason"], Value::Null);
    assert_eq!(step(&mut pod, &alive, 65).actions, [signal("main", 0, 9)]);
    step(&mut pod, &facts(vec![ended("main", 0, 0, 0, 66)]), 66);
    assert_eq!(
        (&pod["status"]["phase"], &pod["status"]["reason"]),
        (&json!("Failed"), &json!("DeadlineExceeded"))
    );
}

#[test]
fn init_containers_run_one_after_the_other() {
    let mut pod = pod(json!({"initContainers": [{"name": "a"}, {"name": "b"}]}));
    assert_eq!(step(&mut pod, &Facts::default(), 0).actions, [start("a", 0)]);
    assert_eq!(state(&pod)["waiting"]["reason"], "PodInitializing");
    assert_eq!(condition(&pod, "Initialized")["message"], "containers with incomplete status: [a b]");
    let mut runs = vec![ended("a", 0, 0, 0, 1)];
    assert_eq!(step(&mut pod, &facts(runs.clone()), 1).actions, [start("b", 0)]);
    runs.push(ended("b", 0, 0, 1, 2));
    assert_eq!(step(&mut pod, &facts(runs), 2).actions, [start("main", 0)]);
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(condition(&pod, "Initialized")["status"], "True");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["ready"], true);
}

#[test]
fn failed_init_container_fails_a_pod_that_never_restarts() {
    let mut pod = pod(json!({"initContainers": [{"name": "a"}]}));
    assert_eq!(step(&mut pod, &facts(vec![ended("a", 0, 3, 0, 1)]), 1).actions, []);
    assert_eq!(pod["status"]["phase"], "Failed");
    assert_eq!(state(&pod)["waiting"]["reason"], "PodInitializing");
}

#[test]
fn sidecar_runs_beside_and_is_stopped_after_the_others() {
    let mut pod = pod(json!({"initContainers": [{"name": "s", "restartPolicy": "Always"}]}));
    assert_eq!(step(&mut pod, &Facts::default(), 0).actions, [start("s", 0)]);
    assert_eq!(step(&mut pod, &facts(vec![running("s", 0, 0)]), 1).actions, [start("main", 0)]);
    let made = step(&mut pod, &facts(vec![running("s", 0, 0), ended("main", 0, 0, 1, 5)]), 5);
    assert_eq!((made.actions, made.wake_at), (vec![signal("s", 0, 15)], Some(at(35))));
    assert_eq!(pod["status"]["phase"], "Running");
    step(&mut pod, &facts(vec![ended("s", 0, 143, 0, 6), ended("main", 0, 0, 1, 5)]), 6);
    assert_eq!(pod["status"]["phase"], "Succeeded");
}

#[test]
fn blocked_container_waits_with_the_reason_and_is_not_started() {
    let mut pod = pod(json!({}));
    let mut blocked = Facts::default();
    blocked.blocked.push((
        "main".to_owned(),
        "CreateContainerConfigError",
        "configmap \"x\" not found".to_owned(),
    ));
    let made = step(&mut pod, &blocked, 0);
    assert_eq!(made.actions, []);
    assert_eq!(state(&pod)["waiting"]["message"], "configmap \"x\" not found");
    assert_eq!(made.events, [News::warning("Failed", "Error: configmap \"x\" not found").of("main")]);
    assert_eq!(step(&mut pod, &Facts::default(), 1).actions, [start("main", 0)]);
}

#[test]
fn restart_rules_of_the_container_come_before_the_pods_policy() {
    let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    let main = json!({"name": "main", "restartPolicy": "Never", "restartPolicyRules": rules});
    let mut pod = pod(json!({"containers": [main]}));
    assert_eq!(step(&mut pod, &facts(vec![ended("main", 0, 42, 0, 1)]), 1).actions, [start("main", 1)]);
    step(&mut pod, &facts(vec![ended("main", 1, 1, 1, 2)]), 2);
    assert_eq!(pod["status"]["phase"], "Failed");
}

#[test]
fn conditions_of_others_are_kept() {
    let mut pod = pod(json!({}));
    let theirs = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"});
    pod["status"]["conditions"] = json!([theirs]);
    step(&mut pod, &Facts::default(), 0);
    assert_eq!(condition(&pod, "DisruptionTarget"), &theirs);
}

#[test]
fn pod_that_was_failed_by_another_hand_is_killed() {
    let mut pod = pod(json!({}));
    pod["status"]["phase"] = json!("Failed");
    let made = plan(&pod, &facts(vec![running("main", 0, 0)]), at(1));
    assert_eq!((made.status, made.actions), (None, vec![signal("main", 0, 9)]));
}
