//! Why a job waits: what is found out, when it is given up, and what outlives its payload.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use windlass::manifest::{Base, Cause, Outlook, Phase, Right, make};
use windlass::model::{JobRequest, Place};
use windlass::{FollowEvent, LogEvent, LogOptions, SubmitOptions};

use crate::support::{
    End, JOBS, PODS, Reply, Server, event, failed, job, list, merge, pod, refusal, running,
};

const GET_JOB: &str = "GET /apis/batch/v1/namespaces/lab/jobs/train";
const EVENTS: &str = "GET /api/v1/namespaces/lab/events";
const NODES: &str = "GET /api/v1/nodes";

/// A server where job `train` has this status and this pod, and nothing changes.
fn still(job: Value, pods: &[Value]) -> Server {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job.clone()));
    server.on(&format!("GET {JOBS}"), list(1, &[job]));
    server.on(&format!("GET {JOBS}?watch"), Reply::Watch(Vec::new(), End::Hang));
    server.on(&format!("GET {PODS}"), list(1, pods));
    server.on(&format!("GET {PODS}?watch"), Reply::Watch(Vec::new(), End::Hang));
    server
}

fn without_secret() -> Value {
    pod(
        1,
        "Pending",
        json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "secret \"key\" not found" } }),
    )
}

fn unscheduled(message: &str) -> Value {
    let mut pod = pod(1, "Pending", json!({}));
    let condition =
        json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message });
    merge(&mut pod, json!({ "status": { "conditions": [condition], "containerStatuses": [] } }));
    pod["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "64" } });
    pod
}

fn warning(kind: &str, uid: &str, reason: &str, message: &str) -> Value {
    json!({ "metadata": {}, "involvedObject": { "kind": kind, "uid": uid }, "type": "Warning", "reason": reason, "message": message })
}

/// What comes until the first event that is neither a status nor a log.
async fn next_of(server: &Server, patience: Option<Duration>) -> (FollowEvent, Duration) {
    let begin = Instant::now();
    let manager = server.manager();
    let manager = patience.map_or(manager.clone(), |patience| manager.giving_up_after(patience));
    let mut events = manager.follow("train", LogOptions::default());
    loop {
        match events.next().await.unwrap().unwrap() {
            FollowEvent::Status(_) | FollowEvent::Log(_) => {}
            event => return (event, begin.elapsed()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_resolves_itself_is_given_up_after_thirty_seconds() {
    let server = still(job(1, running()), &[without_secret()]);
    server.on(EVENTS, list(1, &[]));
    let (event, after) = next_of(&server, None).await;
    let FollowEvent::Stuck(status) = event else { panic!("{event:?}") };
    assert_eq!(status.verdict.text, "blocked by secret \"key\", which is not there");
    assert_eq!(after.as_secs(), 30);
    assert!(!server.seen().iter().any(|seen| seen.route.starts_with("PATCH")), "nothing is done about it");
}

#[tokio::test(start_paused = true)]
async fn another_patience_holds() {
    let server = still(job(1, running()), &[without_secret()]);
    let (event, after) = next_of(&server, Some(Duration::from_secs(5))).await;
    assert!(matches!(event, FollowEvent::Stuck(_)));
    assert_eq!(after.as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_was_mended_in_time_is_not_given_up() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(&format!("GET {JOBS}"), list(1, &[job(1, running())]));
    let (end, ends) = futures::channel::oneshot::channel();
    server.on(&format!("GET {JOBS}?watch"), Reply::Watch(Vec::new(), End::Hang));
    server.on(&format!("GET {PODS}"), list(1, &[without_secret()]));
    // The watch breaks off when somebody has made the secret; the next one tells that the pod runs.
    server.on(&format!("GET {PODS}?watch"), Reply::Watch(Vec::new(), End::When(ends)));
    let runs = pod(2, "Running", json!({ "running": {} }));
    server.on(&format!("GET {PODS}?watch"), Reply::Watch(vec![event("MODIFIED", &runs)], End::Hang));
    let mut events = server.manager().follow("train", LogOptions::default());
    let mut end = Some(end);
    loop {
        let Ok(event) = tokio::time::timeout(Duration::from_secs(60), events.next()).await else { break };
        match event.unwrap().unwrap() {
            FollowEvent::Stuck(status) => panic!("{status:?}"),
            FollowEvent::Status(status) if status.phase == Phase::Pending => {
                tokio::time::sleep(Duration::from_secs(20)).await;
                end.take().map(|end| end.send(()));
            }
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_pods_are_slow_to_come_is_not_told_without_them() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    server.on(&format!("GET {JOBS}"), list(1, &[job(1, running())]));
    let (end, ends) = futures::channel::oneshot::channel();
    server.on(&format!("GET {JOBS}?watch"), Reply::Watch(Vec::new(), End::When(ends)));
    server.on(
        &format!("GET {JOBS}?watch"),
        Reply::Watch(vec![event("MODIFIED", &job(2, failed()))], End::Hang),
    );
    server.on(&format!("GET {PODS}"), list(1, &[unscheduled("0/1 nodes are available")]));
    // The pods are asked for once more when the job has ended: no answer, until a look at what waited is long due.
    server.on(&format!("GET {PODS}"), Reply::Text("", End::Hang));
    let code = json!({ "terminated": { "exitCode": 3, "startedAt": "2026-11-20T10:00:00Z" } });
    let ended = pod(3, "Failed", code);
    server.on(&format!("GET {PODS}"), list(3, &[ended]));
    server.on(&format!("GET {PODS}?watch"), Reply::Watch(Vec::new(), End::Hang));
    server.on(
        &format!("GET {PODS}/train-0/log"),
        Reply::Text("2026-11-20T10:00:30Z its last words\n", End::Close),
    );
    let mut events = server.manager().follow("train", LogOptions::default());
    let (mut end, mut text) = (Some(end), Vec::new());
    loop {
        match events.next().await.unwrap().unwrap() {
            FollowEvent::Status(_) => drop(end.take().map(|end| end.send(()))),
            FollowEvent::Log(LogEvent::Chunk(chunk)) => text.extend(chunk.bytes),
            FollowEvent::Ended(outcome) => {
                assert_eq!(outcome.exit.code(), 3, "{outcome:?}");
                break;
            }
            _ => {}
        }
    }
    assert_eq!(String::from_utf8(text).unwrap(), "its last words\n");
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_refused_are_found_out_by_looking_at_events() {
    let none = json!({ "status": { "startTime": "2026-11-20T10:00:00Z" } });
    let server = still(job(1, none), &[]);
    let message = "Error creating: pods \"train-\" is forbidden: error looking up service account lab/bot: \
                   serviceaccount \"bot\" not found";
    server.on(EVENTS, list(1, &[warning("Job", "j1", "FailedCreate", message)]));
    let (event, after) = next_of(&server, None).await;
    let FollowEvent::Stuck(status) = event else { panic!("{event:?}") };
    assert_eq!(status.verdict.text, "blocked by service account \"bot\", which is not there");
    assert_eq!(after.as_secs(), 32, "two seconds until somebody looked");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_outlived_is_told_after_ten_seconds_and_waited_for_no_longer() {
    let mut outlived = pod(1, "Running", json!({ "terminated": { "exitCode": 7 } }));
    let second = json!({ "name": "proxy", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": { "running": {} } });
    outlived["status"]["containerStatuses"].as_array_mut().unwrap().push(second);
    outlived["spec"]["containers"].as_array_mut().unwrap().push(json!({ "name": "proxy" }));
    let mut of_two = job(1, running());
    of_two["spec"]["template"]["spec"]["containers"] = json!([{ "name": "main" }, { "name": "proxy" }]);
    let server = still(of_two, &[outlived]);
    let (event, after) = next_of(&server, None).await;
    let FollowEvent::Outlived(end) = event else { panic!("{event:?}") };
    assert_eq!((end.exit.code(), after.as_secs()), (7, 10));
    assert_eq!(end.status.phase, Phase::Running);
    let end = server.manager().wait("train", None).await.unwrap();
    assert_eq!(end.exit.code(), 7);
    assert_eq!(end.status.payload.unwrap().still_running, ["proxy"]);
}

#[tokio::test(start_paused = true)]
async fn the_largest_node_is_named_where_nodes_may_be_read() {
    let message = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is not \
                   helpful for scheduling.";
    let node =
        |cpu: &str| json!({ "metadata": { "name": cpu }, "status": { "allocatable": { "cpu": cpu } } });
    let server = still(job(1, running()), &[unscheduled(message)]);
    server.on(EVENTS, list(1, &[]));
    server.on(NODES, list(1, &[node("8"), node("15500m")]));
    let view = server.manager().get("train").await.unwrap();
    let text = "blocked by its size: no node has room for cpu 64, even empty (it asks for cpu 64, the largest node has 15500m \
                in all)";
    assert_eq!(
        (view.status.verdict.text.as_str(), view.status.verdict.outlook),
        (text, Outlook::NeedsAction)
    );

    let server = still(job(1, running()), &[unscheduled(message)]);
    server.on(EVENTS, refusal(403, "Forbidden", "no"));
    server.on(NODES, refusal(403, "Forbidden", "no"));
    let view = server.manager().get("train").await.unwrap();
    assert_eq!(view.status.verdict.missing, [Right::Events, Right::Nodes]);
    assert!(view.status.verdict.text.contains("2 Insufficient cpu"), "{:?}", view.status.verdict);
}

#[tokio::test(start_paused = true)]
async fn the_last_lines_of_what_failed_are_read() {
    let over = pod(1, "Failed", json!({ "terminated": { "exitCode": 3 } }));
    let server = still(job(1, failed()), std::slice::from_ref(&over));
    server.on(EVENTS, list(1, &[]));
    server.on(&format!("GET {PODS}/train-0/log"), Reply::Text("one\n\ntwo\n", End::Close));
    let view = server.manager().get("train").await.unwrap();
    assert_eq!(view.status.verdict.last_lines, ["one", "two"]);
    let asked = &server.asked(&format!("GET {PODS}/train-0/log"))[0].query;
    assert_eq!((asked["container"].as_str(), asked["tailLines"].as_str()), ("main", "10"));

    let server = still(job(1, failed()), &[over]);
    server.on(EVENTS, list(1, &[]));
    server.on(&format!("GET {PODS}/train-0/log"), refusal(403, "Forbidden", "no"));
    let view = server.manager().get("train").await.unwrap();
    assert_eq!((view.status.verdict.missing, view.status.cause.is_some()), (vec![Right::Logs], true));
}

#[tokio::test(start_paused = true)]
async fn kueues_workload_is_read_in_the_version_that_there_is() {
    let suspended = json!({ "metadata": { "labels": { "kueue.x-k8s.io/queue-name": "lab-queue" } }, "spec": { "suspend": true } });
    let server = still(job(1, suspended), &[]);
    server.on(EVENTS, list(1, &[]));
    let told = "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor default, 2 more needed";
    let condition =
        json!({ "type": "QuotaReserved", "status": "False", "reason": "Pending", "message": told });
    let workload =
        json!({ "metadata": { "name": "job-train" }, "spec": {}, "status": { "conditions": [condition] } });
    server.on("GET /apis/kueue.x-k8s.io/v1beta1/namespaces/lab/workloads", list(1, &[workload]));
    let view = server.manager().get("train").await.unwrap();
    assert_eq!(view.status.verdict.text, format!("waiting for room in queue \"lab-queue\" of Kueue: {told}"));
    assert_eq!(view.status.verdict.outlook, Outlook::ResolvesItself);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_takes_too_long_to_say_more_is_not_waited_for() {
    let server = still(job(1, running()), &[unscheduled("0/2 nodes are available: 2 Insufficient cpu.")]);
    server.on(EVENTS, list(1, &[]));
    server.on(NODES, refusal(503, "ServiceUnavailable", "later"));
    let begin = Instant::now();
    let view = server.manager().get("train").await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert!(
        view.status.verdict.text.starts_with("waiting for a node with room"),
        "{:?}",
        view.status.verdict
    );
}

/// A pod with a payload that is done and a sidecar that runs.
fn outlived() -> (Value, windlass::manifest::PayloadEnd) {
    let end = windlass::manifest::PayloadEnd {
        cause: Cause::Succeeded,
        pod: "train-0".into(),
        container: "main".into(),
        still_running: vec!["proxy".into()],
    };
    (pod(1, "Running", json!({ "terminated": { "exitCode": 0 } })), end)
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_with_an_endpoint_is_asked_there_and_the_payload_never_runs_again() {
    let (mut pod, payload) = outlived();
    pod["metadata"]["annotations"] = json!({ "windlass.dev/quit.proxy": "9901/quitquitquit" });
    let mut retried = job(1, running());
    retried["spec"]["backoffLimit"] = json!(6);
    let server = still(retried.clone(), &[]);
    server.on(&format!("GET {PODS}/train-0"), Reply::Json(200, pod));
    server.on(&format!("PATCH {JOBS}/train"), Reply::Json(200, retried));
    let quit = format!("POST {PODS}/train-0:9901/proxy/quitquitquit");
    server.on(&quit, Reply::Json(200, json!({})));
    let stops = server.manager().stop_sidecars("train", &payload).await.unwrap();
    assert!(stops[0].asked.is_ok(), "{stops:?}");
    assert_eq!(server.asked(&quit).len(), 1);
    assert_eq!(
        server.asked(&format!("PATCH {JOBS}/train"))[0].body,
        json!({ "spec": { "backoffLimit": 0 } })
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_host_is_signalled_and_nothing_changed() {
    let (mut pod, payload) = outlived();
    pod["spec"]["hostPID"] = json!(true);
    let server = still(job(1, running()), &[]);
    server.on(&format!("GET {PODS}/train-0"), Reply::Json(200, pod));
    let stops = server.manager().stop_sidecars("train", &payload).await.unwrap();
    assert!(stops[0].asked.as_ref().is_err_and(|why| why.contains("host")), "{stops:?}");
    assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
}

#[tokio::test(start_paused = true)]
async fn on_the_host_only_the_containers_own_process_is_signalled() {
    let of_class = |pod: &mut Value| pod["spec"]["runtimeClassName"] = json!("windlass-host");
    let of_engine =
        |pod: &mut Value| pod["status"]["containerStatuses"][0]["containerID"] = json!("windlass://u/main/0");
    for change in [of_class as fn(&mut Value), of_engine] {
        let (mut pod, payload) = outlived();
        change(&mut pod);
        let server = still(job(1, running()), &[]);
        server.on(&format!("GET {PODS}/train-0"), Reply::Json(200, pod));
        server.on(&format!("PATCH {JOBS}/train"), Reply::Json(200, job(1, running())));
        let exec = format!("GET {PODS}/train-0/exec");
        server.on(&exec, refusal(500, "InternalError", "it does not work"));
        let stops = server.manager().stop_sidecars("train", &payload).await.unwrap();
        assert!(stops[0].asked.is_err(), "{stops:?}");
        let asked = server.asked(&exec);
        let commands: Vec<_> = asked.iter().map(|seen| seen.query["command"].as_str()).collect();
        assert_eq!(commands, ["kill -TERM \"${WINDLASS_PID:?}\""]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_a_full_disk_keeps_from_its_start_is_given_up_with_that_reason() {
    let server = still(job(1, json!({})), &[]);
    server.on(EVENTS, list(1, &[]));
    let pressure =
        json!({ "type": "DiskPressure", "status": "True", "message": "/home/store: no space left" });
    let ready = json!({ "type": "Ready", "status": "True" });
    let node = json!({ "metadata": { "name": "lab" }, "status": { "conditions": [ready, pressure] } });
    server.on(NODES, list(1, std::slice::from_ref(&node)));
    let (event, after) = next_of(&server, None).await;
    let FollowEvent::Stuck(status) = event else { panic!("{event:?}") };
    let text = "blocked by the disk of node \"lab\", which is full: /home/store: no space left";
    assert_eq!((status.verdict.text.as_str(), after.as_secs()), (text, 32));
    assert_eq!(status.verdict.next_step.as_deref(), Some("make room there; the job goes on by itself then"));

    // One that runs goes on, and whoever follows it is told why nothing more is heard of it.
    let mut runs = pod(1, "Running", json!({ "running": {} }));
    runs["spec"]["nodeName"] = json!("lab");
    let server = still(job(1, running()), &[runs]);
    server.on(EVENTS, list(1, &[]));
    server.on(&format!("{NODES}/lab"), Reply::Json(200, node.clone()));
    let told = "running; the disk of node \"lab\" is full, and what becomes of it there may be told only when there is \
                room: /home/store: no space left";
    assert_eq!(server.manager().get("train").await.unwrap().status.verdict.text, told);
    let begin = Instant::now();
    let mut events = server.manager().follow("train", LogOptions::default());
    let status = loop {
        match events.next().await.unwrap().unwrap() {
            FollowEvent::Status(status) if status.verdict.text == told => break status,
            FollowEvent::Status(_) | FollowEvent::Log(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(status.verdict.outlook, Outlook::ResolvesItself);
    assert_eq!(begin.elapsed().as_secs(), 60);

    // Of one that has just been submitted nothing is listed, and its watches bring nothing.
    let server = Server::new();
    server.on(&format!("POST {JOBS}"), Reply::Json(201, job(1, json!({}))));
    server.on(&format!("GET {JOBS}?watch"), Reply::Watch(Vec::new(), End::Hang));
    server.on(&format!("GET {PODS}?watch"), Reply::Watch(Vec::new(), End::Hang));
    server.on(EVENTS, list(1, &[]));
    server.on(NODES, list(1, &[node]));
    let manager = server.manager();
    let request = JobRequest::new(vec!["train".to_owned()], Place::Image("busybox".to_owned()));
    let manifest = make(&Base::Request(Box::new(request)), &[]).unwrap();
    let submitted = manager.submit(&manifest, &SubmitOptions::default()).await.unwrap();
    let begin = Instant::now();
    let mut events = manager.follow_submitted(&submitted, LogOptions::default());
    let status = loop {
        match events.next().await.unwrap().unwrap() {
            FollowEvent::Stuck(status) => break status,
            FollowEvent::Status(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((status.verdict.text.as_str(), begin.elapsed().as_secs()), (text, 32));
    assert!(
        server.asked(&format!("GET {JOBS}")).is_empty() && server.asked(&format!("GET {PODS}")).is_empty()
    );

    let server = still(job(1, json!({})), &[]);
    server.on(EVENTS, list(1, &[]));
    server.on(NODES, refusal(403, "Forbidden", "no"));
    let verdict = server.manager().get("train").await.unwrap().status.verdict;
    assert_eq!((verdict.text.as_str(), verdict.missing.len()), ("waiting for its first pod to be made", 0));
}
