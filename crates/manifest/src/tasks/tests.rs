//! Tasks from Jobs and pods in every order and state.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn job(status: &Value, per_index: bool) -> Job {
    let mut job = json!({ "metadata": { "name": "fit" }, "status": status, "spec": { "completions": 6,
        "completionMode": "Indexed", "template": { "spec": { "containers": [{ "name": "main" }] } } } });
    if per_index {
        job["spec"]["backoffLimitPerIndex"] = 1.into();
    }
    serde_json::from_value(job).unwrap()
}

/// A pod of an index: `state` is its container's.
fn pod(name: &str, index: u32, before: Option<u32>, phase: &str, state: &Value) -> Pod {
    let mut pod = json!({
        "metadata": { "name": name, "creationTimestamp": "2026-11-20T10:00:00Z",
            "annotations": { "batch.kubernetes.io/job-completion-index": index.to_string() } },
        "spec": { "containers": [{ "name": "main" }] },
        "status": { "phase": phase, "containerStatuses": [{ "name": "main", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": state }] } });
    if let Some(before) = before {
        pod["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] =
            before.to_string().into();
    }
    serde_json::from_value(pod).unwrap()
}

fn ended(code: i32) -> Value {
    json!({ "terminated": { "exitCode": code, "startedAt": "2026-11-20T10:00:01Z", "finishedAt": "2026-11-20T10:00:04Z" } })
}

fn tasks(job: &Job, pods: &[Pod]) -> Vec<Task> {
    let mut table = TaskTable::new(job);
    pods.iter().for_each(|pod| table.see(pod));
    table.tasks(&Numbering::of(job), |_| Vec::new())
}

fn states(tasks: &[Task]) -> Vec<TaskState> {
    tasks.iter().map(|task| task.state).collect()
}

#[test]
fn a_running_job_has_tasks_in_every_state() {
    use TaskState::{Failed, Running, Succeeded, Waiting};
    let job =
        job(&json!({ "completedIndexes": "0", "failedIndexes": "1", "succeeded": 1, "failed": 3 }), true);
    let pods = [
        pod("a", 0, Some(0), "Succeeded", &ended(0)),
        pod("b", 1, Some(0), "Failed", &ended(3)),
        pod("c", 1, Some(1), "Failed", &ended(4)),
        pod("d", 2, Some(0), "Running", &json!({ "running": { "startedAt": "2026-11-20T10:00:01Z" } })),
        pod("e", 3, Some(0), "Failed", &ended(5)),
        pod("f", 4, Some(0), "Pending", &json!({ "waiting": {} })),
    ];
    let told = tasks(&job, &pods);
    assert_eq!(states(&told), [Succeeded, Failed, Running, Waiting, Waiting, Waiting]);
    let attempts: Vec<_> = told.iter().map(|task| task.attempts).collect();
    assert_eq!(attempts, [Some(1), Some(2), Some(1), Some(1), Some(0), Some(0)]);
    let codes: Vec<_> = told.iter().map(|task| task.exit_code).collect();
    assert_eq!(codes, [Some(0), Some(4), None, Some(5), None, None]);
    assert_eq!(told[1].pod.as_deref(), Some("c"));
    assert_eq!(told[1].duration(Timestamp::UNIX_EPOCH).map(|time| time.as_secs()), Some(3));
}

#[test]
fn what_pods_that_are_gone_would_tell_is_unknown() {
    let job =
        job(&json!({ "completedIndexes": "0-2", "failedIndexes": "3", "succeeded": 3, "failed": 2 }), true);
    let told = tasks(&job, &[]);
    assert_eq!(told[0].exit_code, Some(0));
    assert_eq!((told[3].state, told[3].exit_code, told[3].attempts), (TaskState::Failed, None, None));
    assert_eq!((told[0].attempts, told[5].attempts, told[0].started), (None, None, None));
}

#[test]
fn attempts_of_a_job_that_does_not_count_by_index_are_its_pods_if_all_are_there() {
    let pods = [pod("a", 1, None, "Failed", &ended(1)), pod("b", 1, None, "Failed", &ended(2))];
    for (failed, attempts) in [(2, Some(2)), (3, None)] {
        let job =
            job(&json!({ "failed": failed, "conditions": [{ "type": "Failed", "status": "True" }] }), false);
        let told = tasks(&job, &pods);
        assert_eq!((told[1].state, told[1].attempts), (TaskState::Failed, attempts), "{failed}");
        assert_eq!(told[0].state, TaskState::Unfinished);
    }
}

#[test]
fn a_pod_that_its_jobs_end_took_away_has_not_failed() {
    let mut pod = pod("a", 0, None, "Failed", &ended(143));
    pod.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
    let job = job(&json!({ "failed": 1, "conditions": [{ "type": "Failed", "status": "True" }] }), false);
    assert_eq!(tasks(&job, &[pod])[0].state, TaskState::Unfinished);
}

#[test]
fn strange_jobs_and_pods_have_no_tasks_or_short_ones() {
    assert!(tasks(&Job::default(), &[Pod::default()]).is_empty());
    let job = job(&json!({ "completedIndexes": "7-,x,,-", "failedIndexes": "0-99999999999" }), true);
    assert!(tasks(&job, &[Pod::default()]).iter().all(|task| task.state == TaskState::Waiting));
}

proptest! {
    #[test]
    fn the_order_in_which_pods_are_told_changes_nothing(
        kinds in prop::collection::vec((0u32..6, 0usize..4), 0..12),
        order in any::<prop::sample::Index>(),
    ) {
        let mut befores = [0; 6];
        let pods: Vec<Pod> = kinds.iter().enumerate().map(|(at, (index, kind))| {
            let before = befores[*index as usize];
            befores[*index as usize] += 1;
            let (phase, state) = [
                ("Succeeded", ended(0)), ("Failed", ended(3)), ("Pending", json!({})),
                ("Running", json!({ "running": { "startedAt": "2026-11-20T10:00:01Z" } })),
            ][*kind].clone();
            pod(&format!("p{at}"), *index, Some(before), phase, &state)
        }).collect();
        let job = job(&json!({ "completedIndexes": "1", "failedIndexes": "2" }), true);
        let mut turned = pods.clone();
        if !turned.is_empty() {
            let middle = order.index(turned.len());
            turned.rotate_left(middle);
            turned.reverse();
        }
        let told = tasks(&job, &pods);
        prop_assert_eq!(&told, &tasks(&job, &turned));
        prop_assert_eq!(told.len(), 6);
        prop_assert_eq!((told[1].state, told[2].state), (TaskState::Succeeded, TaskState::Failed));
    }
}

/// The numbers of each cause's tasks, of five that failed with code 3 after these lines, each with its value.
fn grouped(lines: [&str; 5], values: [&str; 5]) -> Vec<String> {
    let pods: Vec<Pod> =
        (0..5).map(|index| pod(&format!("p{index}"), index, Some(0), "Failed", &ended(3))).collect();
    let evidence = TaskEvidence {
        lines: (0..5).map(|at| (format!("p{at}"), vec!["before".to_owned(), lines[at].to_owned()])).collect(),
        values: (0..5).map(|at| (at as u32, vec![values[at].to_owned()])).collect(),
    };
    let job = job(&json!({ "failedIndexes": "0-4", "failed": 5 }), true);
    let failures = Failures::of(&job, &pods, Some(&evidence)).unwrap();
    failures.groups.into_iter().map(|group| group.tasks).collect()
}

#[test]
fn lines_that_name_their_task_are_one_cause() {
    let values = ["d/a.csv", "d/b.csv", "x", "4", ""];
    let lines = ["d/a.csv: empty", "d/b.csv: empty", "x: empty", "4: empty", "4: empty"];
    // The last one's index is 4: its number counts as a blank of another kind than a value.
    assert_eq!(grouped(lines, values), ["0-3", "4"]);
    // A short value is a blank only as a word.
    assert_eq!(grouped(["no x here", "axb", "no x here", "axb", "axb"], ["x"; 5]), ["1, 3, 4", "0, 2"]);
}

#[test]
fn many_causes_become_fewer_by_their_numbers_and_then_by_their_lines() {
    let job: Job = {
        let mut value =
            serde_json::to_value(job(&json!({ "failedIndexes": "0-19", "failed": 20 }), true)).unwrap();
        value["spec"]["completions"] = 20.into();
        serde_json::from_value(value).unwrap()
    };
    let pods: Vec<Pod> =
        (0..20).map(|index| pod(&format!("p{index}"), index, Some(0), "Failed", &ended(3))).collect();
    let of = |line: &dyn Fn(u32) -> String| {
        let lines = (0..20).map(|index| (format!("p{index}"), vec![line(index)])).collect();
        let evidence = TaskEvidence { lines, values: BTreeMap::new() };
        Failures::of(&job, &pods, Some(&evidence)).unwrap().groups.len()
    };
    assert_eq!(of(&|index| format!("12:03:{:02} bad", index * 2)), 1);
    assert_eq!(of(&|index| format!("{} bad", "x".repeat(index as usize))), 1);
    assert_eq!(of(&|index| if index < 3 { "a".into() } else { "b".into() }), 2);
}
