//! Situations of jobs, and what is said of them.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};
use windlass_manifest::{Cause, JobStatus, Outlook, Phase, Right, Seen, observe, observe_gone};

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}

fn job(more: Value) -> Job {
    let mut job = json!({
        "metadata": { "name": "train-x7k2p", "namespace": "lab", "uid": "j1", "creationTimestamp": "2026-11-20T10:00:00Z" },
        "spec": { "backoffLimit": 0, "completions": 1, "parallelism": 1, "template": { "spec": { "containers": [] } } },
        "status": {},
    });
    merge(&mut job, more);
    serde_json::from_value(job).unwrap()
}

fn pod(more: Value) -> Pod {
    let mut pod =
        json!({ "metadata": { "name": "train-x7k2p-abcde", "uid": "p1" }, "spec": {}, "status": {} });
    merge(&mut pod, more);
    serde_json::from_value(pod).unwrap()
}

fn failed_with(terminated: Value) -> Pod {
    let mut state = json!({});
    state["terminated"] = terminated;
    pod(json!({ "status": { "phase": "Failed", "containerStatuses": [container(state)] } }))
}

fn container(state: Value) -> Value {
    let mut container =
        json!({ "name": "main", "image": "host", "imageID": "", "ready": false, "restartCount": 0 });
    container["state"] = state;
    container
}

fn failed(reason: &str, message: &str) -> Value {
    let condition = json!({
        "type": "Failed", "status": "True", "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-20T10:01:00Z",
    });
    json!({ "status": { "startTime": "2026-11-20T10:00:00Z", "failed": 1, "conditions": [condition] } })
}

fn cancelled(more: Value) -> Value {
    let record = json!({ "who": "ada", "when": "2026-11-20T10:00:30Z", "why": "wrong data" }).to_string();
    let mut job = json!({ "metadata": { "annotations": { "windlass.dev/cancel": record } } });
    merge(&mut job, more);
    job
}

fn see(job: &Job, pods: &[Pod]) -> JobStatus {
    observe(job, Seen::All(pods), Seen::NotAsked)
}

#[track_caller]
fn ends(job: Value, pod: Pod, exit_code: u8, text: &str) -> JobStatus {
    let status = see(&self::job(job), &[pod]);
    assert_eq!(status.exit_code, Some(exit_code), "{status:?}");
    assert_eq!(status.verdict.text, text);
    assert_eq!(status.verdict.outlook, Outlook::Final);
    assert!(status.phase.is_final());
    status
}

#[track_caller]
fn stands(job: Value, pods: &[Pod], phase: Phase, outlook: Outlook, text: &str) -> JobStatus {
    let status = see(&self::job(job), pods);
    assert_eq!((status.phase, status.verdict.outlook), (phase, outlook), "{status:?}");
    assert_eq!(status.verdict.text, text);
    assert_eq!((status.exit_code, &status.cause), (None, &None));
    status
}

const LIMIT: (&str, &str) = ("BackoffLimitExceeded", "Job has reached the specified backoff limit");

#[test]
fn a_command_that_fails_gives_its_own_code() {
    let pod = failed_with(json!({ "exitCode": 3, "reason": "Error" }));
    let status = ends(
        failed(LIMIT.0, LIMIT.1),
        pod,
        3,
        "failed because its command ended with code 3 (pod train-x7k2p-abcde)",
    );
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(status.verdict.next_step.as_deref(), Some("windlass logs train-x7k2p"));
    assert_eq!(status.times.finished.unwrap().to_string(), "2026-11-20T10:01:00Z");
}

#[test]
fn a_signal_is_named() {
    let text = "failed because signal 9 (SIGKILL) ended its command (pod train-x7k2p-abcde)";
    ends(failed(LIMIT.0, LIMIT.1), failed_with(json!({ "exitCode": 137 })), 137, text);
    let text = "failed because signal 15 (SIGTERM) ended its command (pod train-x7k2p-abcde)";
    ends(failed(LIMIT.0, LIMIT.1), failed_with(json!({ "exitCode": 143, "signal": 15 })), 143, text);
}

#[test]
fn too_much_memory_is_told_from_a_plain_kill() {
    let text =
        "failed because its command used more memory than its limit and was killed (pod train-x7k2p-abcde)";
    ends(failed(LIMIT.0, LIMIT.1), failed_with(json!({ "exitCode": 137, "reason": "OOMKilled" })), 137, text);
}

#[test]
fn a_command_that_is_not_there_is_127_whatever_the_runtime_says() {
    let message = "exec: \"nope\": executable file not found in $PATH";
    let text = format!("failed because its command was not found: {message}");
    for code in [127, 128] {
        let end = json!({ "exitCode": code, "reason": "StartError", "message": message });
        ends(failed(LIMIT.0, LIMIT.1), failed_with(end), 127, &text);
    }
}

#[test]
fn a_command_that_may_not_be_executed_is_126() {
    let end = json!({ "exitCode": 128, "reason": "StartError", "message": "exec: \"x\": permission denied" });
    let text = "failed because its command could not be executed: exec: \"x\": permission denied";
    ends(failed(LIMIT.0, LIMIT.1), failed_with(end), 126, text);
}

#[test]
fn the_deadline_is_124_though_its_pod_was_killed() {
    let mut late = failed("DeadlineExceeded", "Job was active longer than specified deadline");
    merge(&mut late, json!({ "spec": { "activeDeadlineSeconds": 60 } }));
    ends(late, failed_with(json!({ "exitCode": 143 })), 124, "failed because its deadline of 60 s passed");
}

#[test]
fn the_code_of_a_job_without_pods_is_not_guessed() {
    let status = see(&job(failed(LIMIT.0, LIMIT.1)), &[]);
    assert_eq!(status.exit_code, Some(125));
    let gone = "failed because its pod failed or was deleted, and is no longer there to tell";
    assert_eq!(status.verdict.text, gone);
    // A listing does not look at pods.
    let listed = observe(&job(failed(LIMIT.0, LIMIT.1)), Seen::NotAsked, Seen::NotAsked);
    assert_eq!(listed.verdict.text, format!("failed because of {}: {}", LIMIT.0, LIMIT.1));
}

#[test]
fn what_nobody_knows_is_not_guessed() {
    let end = json!({ "exitCode": 137, "reason": "ContainerStatusUnknown", "message": "the node restarted" });
    let text = "failed because of ContainerStatusUnknown: the node restarted";
    ends(failed(LIMIT.0, LIMIT.1), failed_with(end), 125, text);
}

#[test]
fn an_evicted_pod_tells_its_own_reason() {
    let evicted = pod(
        json!({ "status": { "phase": "Failed", "reason": "Evicted", "message": "node is low on disk" } }),
    );
    ends(failed(LIMIT.0, LIMIT.1), evicted, 125, "failed because its pod was evicted: node is low on disk");
}

#[test]
fn of_several_attempts_the_last_gives_the_code() {
    let attempt = |name: &str, code: i32, second: u32| {
        let end = json!({ "exitCode": code, "finishedAt": format!("2026-11-20T10:00:{second:02}Z") });
        let mut pod = failed_with(end);
        pod.metadata.name = Some(name.to_owned());
        pod
    };
    let mut twice = failed(LIMIT.0, LIMIT.1);
    merge(&mut twice, json!({ "spec": { "backoffLimit": 1 }, "status": { "failed": 2 } }));
    let status = see(&job(twice), &[attempt("second", 2, 40), attempt("first", 1, 10)]);
    assert_eq!(status.exit_code, Some(2));
    let text = "failed because its command ended with code 2 (pod second), the last of 2 failed attempts (back-off limit 1)";
    assert_eq!(status.verdict.text, text);
}

#[test]
fn of_several_indexes_the_first_failed_one_gives_the_code() {
    let attempt = |index: u32, code: i32, second: u32| {
        let end = json!({ "exitCode": code, "finishedAt": format!("2026-11-20T10:00:{second:02}Z") });
        let mut pod = failed_with(end);
        let index = index.to_string();
        pod.metadata.annotations =
            Some([("batch.kubernetes.io/job-completion-index".to_owned(), index)].into());
        pod
    };
    let mut indexed = failed("FailedIndexes", "Job has failed indexes");
    merge(
        &mut indexed,
        json!({ "spec": { "completions": 20, "completionMode": "Indexed" },
                "status": { "completedIndexes": "0,2-4", "failedIndexes": "5,9", "failed": 4 } }),
    );
    // Index 2 failed once and succeeded later; index 5 failed twice.
    let pods = [attempt(9, 9, 50), attempt(2, 22, 5), attempt(5, 51, 10), attempt(5, 52, 30)];
    let status = see(&job(indexed), &pods);
    assert_eq!(status.exit_code, Some(52));
    let text = "failed because 2 of 20 tasks failed: 1 ended with code 52 (5); 1 ended with code 9 (9)";
    assert_eq!(status.verdict.text, text);
}

#[test]
fn a_failed_init_container_gives_the_code() {
    let pod = pod(json!({ "status": { "phase": "Failed",
        "initContainerStatuses": [container(json!({ "terminated": { "exitCode": 7 } }))],
        "containerStatuses": [container(json!({ "waiting": { "reason": "PodInitializing" } }))] } }));
    ends(
        failed(LIMIT.0, LIMIT.1),
        pod,
        7,
        "failed because its init container \"main\" ended with code 7 (pod train-x7k2p-abcde)",
    );
}

#[test]
fn success_is_short() {
    let complete =
        json!({ "type": "Complete", "status": "True", "lastTransitionTime": "2026-11-20T10:01:00Z" });
    let done = json!({ "status": { "succeeded": 1, "completionTime": "2026-11-20T10:01:00Z", "conditions": [complete] } });
    let status = see(&job(done.clone()), &[]);
    assert_eq!((status.phase, status.exit_code), (Phase::Succeeded, Some(0)));
    assert_eq!(status.verdict.text, "succeeded");
    assert_eq!(status.cause, Some(Cause::Succeeded));
    // A cancellation that came too late changes nothing.
    assert_eq!(see(&job(cancelled(done)), &[]).phase, Phase::Succeeded);
}

#[test]
fn a_cancelled_job_says_by_whom_and_why() {
    let late = failed("DeadlineExceeded", "Job was active longer than specified deadline");
    let text = "cancelled by ada at 2026-11-20T10:00:30Z: wrong data";
    let status = ends(cancelled(late), failed_with(json!({ "exitCode": 143 })), 130, text);
    assert_eq!(status.phase, Phase::Cancelled);
}

#[test]
fn a_cancelled_job_whose_pods_fail_first_is_cancelled_too() {
    let status = see(&job(cancelled(failed(LIMIT.0, LIMIT.1))), &[failed_with(json!({ "exitCode": 137 }))]);
    assert_eq!(status.phase, Phase::Cancelled);
}

#[test]
fn a_job_that_failed_before_it_was_cancelled_has_failed() {
    let mut early = failed(LIMIT.0, LIMIT.1);
    early["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-11-20T10:00:29Z");
    let status = see(&job(cancelled(early)), &[failed_with(json!({ "exitCode": 3 }))]);
    assert_eq!((status.phase, status.exit_code), (Phase::Failed, Some(3)));
}

#[test]
fn a_job_that_was_cancelled_before_it_started_is_over() {
    let status = see(&job(cancelled(json!({ "spec": { "suspend": true, "parallelism": 0 } }))), &[]);
    assert_eq!((status.phase, status.exit_code), (Phase::Cancelled, Some(130)));
    assert_eq!(status.times.finished.unwrap().to_string(), "2026-11-20T10:00:30Z");
}

#[test]
fn a_job_that_is_being_cancelled_waits_for_its_pods() {
    let text = "being cancelled by ada at 2026-11-20T10:00:30Z: wrong data; waiting for its pod to end";
    let active = cancelled(json!({ "status": { "startTime": "2026-11-20T10:00:00Z", "active": 1 } }));
    stands(active, &[], Phase::Ending, Outlook::ResolvesItself, text);
}

#[test]
fn a_damaged_record_of_cancelling_is_none() {
    let mut bad = json!({ "metadata": { "annotations": { "windlass.dev/cancel": "{" } } });
    merge(&mut bad, failed("DeadlineExceeded", ""));
    assert_eq!(see(&job(bad), &[]).exit_code, Some(124));
}

#[test]
fn a_failing_job_says_why_before_its_pods_have_ended() {
    let mut failing = failed(LIMIT.0, LIMIT.1);
    failing["status"]["conditions"][0]["type"] = json!("FailureTarget");
    failing["status"]["terminating"] = json!(2);
    let text =
        "failing because its command ended with code 3 (pod train-x7k2p-abcde); waiting for 2 pods to end";
    stands(failing, &[failed_with(json!({ "exitCode": 3 }))], Phase::Ending, Outlook::ResolvesItself, text);
}

#[test]
fn a_deleted_job_keeps_the_end_it_had() {
    let gone = observe_gone(&job(json!({})), Seen::NotAsked);
    assert_eq!((gone.cause, gone.exit_code), (Some(Cause::Deleted), Some(125)));
    let gone = observe_gone(&job(failed("DeadlineExceeded", "")), Seen::NotAsked);
    assert_eq!(gone.exit_code, Some(124));
    let gone = observe_gone(&job(cancelled(json!({}))), Seen::NotAsked);
    assert_eq!((gone.phase, gone.exit_code), (Phase::Cancelled, Some(130)));
}

#[test]
fn a_pod_that_no_node_takes_waits_with_the_schedulers_words() {
    let pod = |message: &str| {
        pod(json!({ "status": { "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message } ] } }))
    };
    let room = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are \
                available: 1 No preemption victims found for incoming pod.";
    let text = "waiting for a node with room (0/1 nodes are available: 1 Insufficient cpu)".to_owned();
    stands(
        json!({ "status": { "active": 1 } }),
        &[pod(room)],
        Phase::Pending,
        Outlook::ResolvesItself,
        &text,
    );
    let mut large = pod(
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 nodes are available: \
         1 Preemption is not helpful for scheduling.",
    );
    let requests = json!({ "requests": { "cpu": "64", "memory": "1Ti" } });
    large.spec =
        serde_json::from_value(json!({ "containers": [{ "name": "main", "resources": requests }] })).unwrap();
    stands(
        json!({ "status": { "active": 1 } }),
        &[large],
        Phase::Pending,
        Outlook::NeedsAction,
        "blocked by its size: no node has room for cpu 64, memory 1Ti, even empty (0/1 nodes are available: \
         1 Insufficient cpu, 1 Insufficient memory)",
    );
    let never = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
    let text = "blocked by its choice of nodes: the only node does not match its node selector or affinity";
    let status = stands(
        json!({ "status": { "active": 1 } }),
        &[pod(never)],
        Phase::Pending,
        Outlook::NeedsAction,
        text,
    );
    assert!(status.verdict.next_step.is_some());
}

#[test]
fn a_missing_secret_blocks_and_says_which() {
    let waiting = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "secret \"key\" not found" } });
    let pod = pod(json!({ "status": { "phase": "Pending", "containerStatuses": [container(waiting)],
        "conditions": [{ "type": "PodScheduled", "status": "True" }] } }));
    let text = "blocked by secret \"key\", which is not there";
    stands(json!({ "status": { "active": 1 } }), &[pod], Phase::Pending, Outlook::NeedsAction, text);
}

#[test]
fn a_container_in_the_making_is_no_trouble() {
    let waiting = json!({ "waiting": { "reason": "ContainerCreating" } });
    let pod = pod(
        json!({ "spec": { "nodeName": "n" }, "status": { "phase": "Pending", "containerStatuses": [container(waiting)] } }),
    );
    let text = "waiting for the container to be created";
    stands(json!({ "status": { "active": 1 } }), &[pod], Phase::Pending, Outlook::ResolvesItself, text);
}

#[test]
fn a_running_job_says_so() {
    let running = || {
        pod(
            json!({ "status": { "phase": "Running", "containerStatuses": [container(json!({ "running": {} }))] } }),
        )
    };
    stands(json!({ "status": { "active": 1 } }), &[running()], Phase::Running, Outlook::Proceeds, "running");
    let many = json!({ "spec": { "completions": 4, "backoffLimit": 6 }, "status": { "active": 1, "succeeded": 2, "failed": 1 } });
    let text = "running: 2 of 4 succeeded, 1 active, 1 failed (back-off limit 6)";
    stands(many, &[running()], Phase::Running, Outlook::Proceeds, text);
}

#[test]
fn a_pod_that_has_ended_and_is_not_counted_yet_is_no_pending_one() {
    let over = pod(json!({ "status": { "phase": "Succeeded", "containerStatuses": [
        container(json!({ "terminated": { "exitCode": 0 } }))] } }));
    let text = "its pod has ended; waiting for the cluster to record it";
    stands(json!({ "status": { "active": 1 } }), &[over], Phase::Running, Outlook::Proceeds, text);
}

#[test]
fn a_suspended_job_needs_somebody() {
    let text = "suspended: nothing starts until it is resumed";
    stands(json!({ "spec": { "suspend": true } }), &[], Phase::Suspended, Outlook::NeedsAction, text);
}

#[test]
fn a_job_between_two_attempts_says_so() {
    let between = json!({ "spec": { "backoffLimit": 3 }, "status": { "failed": 1 } });
    let text = "waiting for the next attempt after 1 failed (back-off limit 3), the last because its command ended with code 1 \
                (pod train-x7k2p-abcde)";
    stands(between, &[failed_with(json!({ "exitCode": 1 }))], Phase::Pending, Outlook::ResolvesItself, text);
}

#[test]
fn a_job_of_another_controller_names_it() {
    let text = "waiting for the controller example.com/queue, which manages this job";
    stands(
        json!({ "spec": { "managedBy": "example.com/queue" } }),
        &[],
        Phase::Pending,
        Outlook::ResolvesItself,
        text,
    );
}

#[test]
fn a_refused_pod_is_told_from_the_jobs_events() {
    let event = |uid: &str, message: &str| -> Event {
        serde_json::from_value(
            json!({ "metadata": {}, "type": "Warning", "reason": "FailedCreate", "message": message,
            "involvedObject": { "kind": "Job", "name": "train-x7k2p", "uid": uid } }),
        )
        .unwrap()
    };
    let events = [event("j1", "no pods on Sundays"), event("another", "not of this job")];
    let status = observe(&job(json!({})), Seen::All(&[]), Seen::All(&events));
    assert_eq!(status.verdict.text, "blocked by the cluster, which refuses its pods: no pods on Sundays");
    assert_eq!(status.verdict.outlook, Outlook::NeedsAction);
}

#[test]
fn a_missing_right_shortens_the_verdict_and_is_named() {
    let active = job(json!({ "status": { "active": 1, "ready": 0 } }));
    let status = observe(&active, Seen::Forbidden, Seen::Forbidden);
    assert_eq!(status.verdict.missing, [Right::Pods, Right::Events]);
    assert_eq!(
        (status.phase, status.verdict.text.as_str()),
        (Phase::Pending, "waiting for its pod to start")
    );
}

#[test]
fn a_listing_tells_running_from_pending_by_ready_pods() {
    let phase =
        |status: Value| observe(&job(json!({ "status": status })), Seen::NotAsked, Seen::NotAsked).phase;
    assert_eq!(phase(json!({ "active": 1, "ready": 1 })), Phase::Running);
    assert_eq!(phase(json!({ "active": 1, "ready": 0 })), Phase::Pending);
    assert_eq!(phase(json!({ "active": 1 })), Phase::Running, "a cluster that does not count the ready ones");
    assert_eq!(phase(json!({})), Phase::Pending);
}

#[test]
fn an_empty_job_is_pending_and_no_panic() {
    let status = observe(&Job::default(), Seen::NotAsked, Seen::NotAsked);
    assert_eq!(status.phase, Phase::Pending);
    assert_eq!(status.name, "");
}

#[test]
fn time_in_the_queue_to_start_and_running_are_told_apart() {
    let at = |text: &str| format!("2026-11-20T10:{text}Z").parse::<jiff::Timestamp>().unwrap();
    let times = |job: Value, pods: &[Pod], now: &str| {
        let status = see(&self::job(job), pods);
        let seconds = [status.queued(at(now)), status.starting(at(now)), status.ran(at(now))];
        seconds.map(|time| time.map(|time| time.as_secs()))
    };
    let placed =
        json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-20T10:01:00Z" });
    let active = || json!({ "status": { "startTime": "2026-11-20T10:00:00Z", "active": 1 } });
    let starting =
        pod(json!({ "status": { "phase": "Pending", "conditions": [placed.clone()], "containerStatuses": [
        container(json!({ "waiting": { "reason": "ContainerCreating" } }))] } }));
    let ended = pod(json!({ "status": { "phase": "Failed", "conditions": [placed], "containerStatuses": [
        container(json!({ "terminated": { "exitCode": 1, "startedAt": "2026-11-20T10:01:10Z" } }))] } }));
    assert_eq!(times(active(), &[], "00:30"), [Some(30), None, None]);
    assert_eq!(times(active(), &[starting], "01:05"), [Some(60), Some(5), None]);
    let mut over = failed(LIMIT.0, LIMIT.1);
    over["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-11-20T10:03:00Z");
    assert_eq!(times(over.clone(), &[ended], "59:00"), [Some(60), Some(10), Some(110)]);
    assert_eq!(times(over, &[], "59:00"), [None, None, None], "pods that are gone tell nothing");
    let never = json!({ "terminated": { "exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z" } });
    let never = pod(json!({ "status": { "phase": "Failed", "containerStatuses": [container(never)] } }));
    assert_eq!(
        times(failed(LIMIT.0, LIMIT.1), &[never], "59:00")[2],
        None,
        "one that did not start did not run"
    );
}

#[test]
fn a_job_runs_as_long_as_one_pod_does_whatever_another_waits_for() {
    let many = job(json!({ "spec": { "completions": 3, "parallelism": 3 },
        "status": { "startTime": "2026-11-20T10:00:00Z", "active": 2, "ready": 1, "succeeded": 1 } }));
    let of = |state: Value, phase: &str| {
        pod(json!({ "status": { "phase": phase, "containerStatuses": [container(state)] } }))
    };
    let blocked = || of(json!({ "waiting": { "reason": "InvalidImageName", "message": "no" } }), "Pending");
    let running = of(json!({ "running": {} }), "Running");
    let over = || of(json!({ "terminated": { "exitCode": 0 } }), "Succeeded");
    let status = observe(&many, Seen::All(&[blocked(), running, over()]), Seen::NotAsked);
    assert_eq!((status.runs, status.verdict.outlook), (true, Outlook::NeedsAction));
    assert!(status.verdict.text.contains("1 pod: blocked by"), "{}", status.verdict.text);
    let status = observe(&many, Seen::All(&[blocked(), over()]), Seen::NotAsked);
    assert_eq!((status.runs, status.verdict.outlook), (false, Outlook::NeedsAction));
}
