//! Jobs on the engine, seen by a plain Kubernetes client: real processes, through every layer.

use crate::support::{Cluster, finished, has_condition, job, reason};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::conditions;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_shot_job_runs_to_completion() {
    let cluster = Cluster::start().await;
    cluster.create(job("hello", &["sh", "-c", "echo hello; echo there"])).await;
    let done = cluster.wait_job("hello", finished()).await;
    let status = done.status.as_ref().expect("a status");
    assert_eq!((status.succeeded, status.failed, status.active), (Some(1), None, None));
    assert_eq!(reason(&done, "SuccessCriteriaMet"), "CompletionsReached");
    assert_eq!(reason(&done, "Complete"), "CompletionsReached");
    let pods = cluster.pods_of("hello").await;
    assert_eq!(pods.len(), 1);
    let pod = &pods[0];
    assert_eq!(pod.metadata.finalizers, None, "the pod is counted");
    assert_eq!(cluster.log(pod.metadata.name.as_deref().expect("a name")).await, "hello\nthere\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_job_is_not_retried_and_keeps_its_exit_code() {
    let cluster = Cluster::start().await;
    cluster.create(job("seven", &["sh", "-c", "exit 7"])).await;
    let done = cluster.wait_job("seven", finished()).await;
    assert_eq!(reason(&done, "Failed"), "BackoffLimitExceeded");
    let pods = cluster.pods_of("seven").await;
    assert_eq!(pods.len(), 1, "a back-off limit of 0 starts no second pod");
    let states = pods[0].status.as_ref().and_then(|s| s.container_statuses.as_ref()).expect("containers");
    let ended = states[0].state.as_ref().and_then(|s| s.terminated.as_ref()).expect("it terminated");
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (7, Some("Error")));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_program_is_a_start_error_whose_message_says_so() {
    let cluster = Cluster::start().await;
    cluster.create(job("missing", &["/no/such/program"])).await;
    cluster.wait_job("missing", has_condition("Failed")).await;
    let pods = cluster.pods_of("missing").await;
    let states = pods[0].status.as_ref().and_then(|s| s.container_statuses.as_ref()).expect("containers");
    let ended = states[0].state.as_ref().and_then(|s| s.terminated.as_ref()).expect("it terminated");
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (128, Some("StartError")));
    let message = "exec: \"/no/such/program\": stat /no/such/program: no such file or directory";
    assert_eq!(ended.message.as_deref(), Some(message));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_is_128_and_its_number() {
    let cluster = Cluster::start().await;
    cluster.create(job("killed", &["sh", "-c", "kill -TERM $$$$"])).await;
    cluster.wait_job("killed", has_condition("Failed")).await;
    let pods = cluster.pods_of("killed").await;
    let states = pods[0].status.as_ref().and_then(|s| s.container_statuses.as_ref()).expect("containers");
    assert_eq!(states[0].state.as_ref().and_then(|s| s.terminated.as_ref()).map(|t| t.exit_code), Some(143));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_job_never_exceeds_its_parallelism() {
    let cluster = Cluster::start().await;
    // Kubernetes reads `$$` as an escaped `$`. Each pod counts those that run beside it: a directory a pod, listed while it lives.
    let script =
        "mkdir -p $TMPDIR/run; mkdir $TMPDIR/run/$$$$; ls $TMPDIR/run | wc -l; rmdir $TMPDIR/run/$$$$";
    let mut spec = job("parallel", &["sh", "-c", script]);
    spec["spec"]["completions"] = json!(10);
    spec["spec"]["parallelism"] = json!(3);
    cluster.create(spec).await;
    let done = cluster.wait_job("parallel", finished()).await;
    assert_eq!(done.status.and_then(|s| s.succeeded), Some(10));
    let pods = cluster.pods_of("parallel").await;
    assert_eq!(pods.len(), 10);
    for pod in pods {
        let together: u32 =
            cluster.log(&pod.metadata.name.expect("a name")).await.trim().parse().expect("a count");
        assert!((1..=3).contains(&together), "{together} pods ran at once");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_queue_ends_with_the_first_success() {
    let cluster = Cluster::start().await;
    let mut spec = job("queue", &["true"]);
    spec["spec"]["parallelism"] = json!(4);
    cluster.create(spec).await;
    let done = cluster.wait_job("queue", finished()).await;
    assert_eq!(done.spec.and_then(|s| s.completions), None);
    assert_eq!(done.status.and_then(|s| s.succeeded), Some(4));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_job_runs_every_index_once() {
    let cluster = Cluster::start().await;
    let mut spec = job("indexed", &["sh", "-c", "echo $JOB_COMPLETION_INDEX"]);
    spec["spec"]["completionMode"] = json!("Indexed");
    spec["spec"]["completions"] = json!(40);
    spec["spec"]["parallelism"] = json!(8);
    cluster.create(spec).await;
    let done = cluster.wait_job("indexed", finished()).await;
    let status = done.status.expect("a status");
    assert_eq!(status.completed_indexes.as_deref(), Some("0-39"));
    let mut indexes = Vec::new();
    for pod in cluster.pods_of("indexed").await {
        indexes.push(
            cluster.log(&pod.metadata.name.expect("a name")).await.trim().parse::<u32>().expect("an index"),
        );
    }
    indexes.sort_unstable();
    assert_eq!(indexes, (0..40).collect::<Vec<_>>());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadline_ends_a_job_that_runs_too_long() {
    let cluster = Cluster::start().await;
    let mut spec = job("late", &["sleep", "1000"]);
    spec["spec"]["activeDeadlineSeconds"] = json!(1);
    spec["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    cluster.create(spec).await;
    let done = cluster.wait_job("late", has_condition("Failed")).await;
    assert_eq!(reason(&done, "Failed"), "DeadlineExceeded");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_failure_restarts_in_place() {
    let cluster = Cluster::start().await;
    let script = "test -e $TMPDIR/marker && exit 0; touch $TMPDIR/marker; exit 1";
    let mut spec = job("again", &["sh", "-c", script]);
    spec["spec"]["backoffLimit"] = json!(3);
    spec["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    cluster.create(spec).await;
    cluster.wait_job("again", has_condition("Complete")).await;
    let pods = cluster.pods_of("again").await;
    assert_eq!(pods.len(), 1, "the pod is the same");
    let states = pods[0].status.as_ref().and_then(|s| s.container_statuses.as_ref()).expect("containers");
    assert_eq!(states[0].restart_count, 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_job_starts_when_resumed() {
    let cluster = Cluster::start().await;
    let mut spec = job("held", &["true"]);
    spec["spec"]["suspend"] = json!(true);
    cluster.create(spec).await;
    cluster.wait_job("held", has_condition("Suspended")).await;
    assert!(cluster.pods_of("held").await.is_empty());
    let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
    cluster.jobs().patch("held", &PatchParams::default(), &resume).await.expect("a patch");
    cluster.wait_job("held", has_condition("Complete")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_job_with_ttl_goes_with_its_pods() {
    let cluster = Cluster::start().await;
    let mut spec = job("brief", &["true"]);
    spec["spec"]["ttlSecondsAfterFinished"] = json!(0);
    let created = cluster.create(spec).await;
    let uid = created.metadata.uid.expect("a uid");
    let gone = kube::runtime::wait::await_condition(cluster.jobs(), "brief", conditions::is_deleted(&uid));
    tokio::time::timeout(crate::support::PATIENCE, gone).await.expect("it goes").expect("a watch");
    assert!(cluster.pods_of("brief").await.is_empty(), "foreground deletion takes the pods first");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_comes_from_every_source() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let map = json!({"metadata": {"name": "settings"}, "data": {"colour": "red", "SIZE": "9"}});
    maps.create(&PostParams::default(), &serde_json::from_value(map).expect("a ConfigMap"))
        .await
        .expect("created");
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), "default");
    let secret = json!({"metadata": {"name": "key"}, "stringData": {"token": "s3cret"}});
    secrets
        .create(&PostParams::default(), &serde_json::from_value(secret).expect("a Secret"))
        .await
        .expect("created");
    let mut spec = job("env", &["sh", "-c", "echo $PLAIN $COLOUR $TOKEN $MY_SIZE $POD $CPU $TWICE"]);
    spec["spec"]["template"]["metadata"] = json!({"labels": {"team": "one"}});
    spec["spec"]["template"]["spec"]["containers"][0]["env"] = json!([
        {"name": "PLAIN", "value": "plain"},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
        {"name": "TWICE", "value": "$(PLAIN)-$(PLAIN)"},
    ]);
    spec["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"prefix": "MY_", "configMapRef": {"name": "settings"}}]);
    spec["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    cluster.create(spec).await;
    cluster.wait_job("env", has_condition("Complete")).await;
    let pods = cluster.pods_of("env").await;
    let log = cluster.log(pods[0].metadata.name.as_deref().expect("a name")).await;
    assert_eq!(log, "plain red s3cret 9 one 1 plain-plain\n");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_waits_for_its_config_map_and_then_runs() {
    let cluster = Cluster::start().await;
    let mut spec = job("waits", &["sh", "-c", "echo $COLOUR"]);
    spec["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"configMapRef": {"name": "later"}}]);
    cluster.create(spec).await;
    let waiting = |job: Option<&Job>| job.and_then(|j| j.status.as_ref()).and_then(|s| s.active) == Some(1);
    cluster.wait_job("waits", waiting).await;
    let pods = cluster.pods_of("waits").await;
    let states = pods[0].status.as_ref().and_then(|s| s.container_statuses.as_ref()).expect("containers");
    let why = states[0].state.as_ref().and_then(|s| s.waiting.as_ref()).expect("it waits");
    assert_eq!(why.reason.as_deref(), Some("CreateContainerConfigError"));
    assert_eq!(why.message.as_deref(), Some("configmap \"later\" not found"));
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let map = json!({"metadata": {"name": "later"}, "data": {"COLOUR": "blue"}});
    maps.create(&PostParams::default(), &serde_json::from_value(map).expect("a ConfigMap"))
        .await
        .expect("created");
    cluster.wait_job("waits", has_condition("Complete")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_job_in_the_background_takes_its_pods() {
    let cluster = Cluster::start().await;
    cluster.create(job("long", &["sleep", "1000"])).await;
    let running = |job: Option<&Job>| job.and_then(|j| j.status.as_ref()).and_then(|s| s.ready) == Some(1);
    cluster.wait_job("long", running).await;
    let pod = cluster.pods_of("long").await.remove(0).metadata;
    let background = DeleteParams::background().grace_period(0);
    cluster.jobs().delete("long", &background).await.expect("deleted");
    let (name, uid) = (pod.name.expect("a name"), pod.uid.expect("a uid"));
    let gone = kube::runtime::wait::await_condition(cluster.pods(), &name, conditions::is_deleted(&uid));
    tokio::time::timeout(crate::support::PATIENCE, gone).await.expect("it goes").expect("a watch");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_with_an_image_waits_and_says_what_to_do() {
    let cluster = Cluster::start().await;
    let mut spec = job("image", &["true"]);
    spec["spec"]["template"]["spec"].as_object_mut().expect("a spec").remove("runtimeClassName");
    cluster.create(spec).await;
    let active = |job: Option<&Job>| job.and_then(|j| j.status.as_ref()).and_then(|s| s.active) == Some(1);
    cluster.wait_job("image", active).await;
    let pods = cluster.pods_of("image").await;
    let conditions = pods[0].status.as_ref().and_then(|s| s.conditions.as_ref()).expect("conditions");
    let scheduled =
        conditions.iter().find(|c| c.type_ == "PodScheduled").expect("it says whether it is scheduled");
    assert_eq!((scheduled.status.as_str(), scheduled.reason.as_deref()), ("False", Some("Unschedulable")));
    let message = scheduled.message.as_deref().expect("a message");
    assert!(message.contains("windlass-host") && message.contains("--images=host"), "{message}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_on_host_run_their_command_with_a_warning() {
    let cluster = Cluster::images_on_host().await;
    let mut spec = job("image", &["sh", "-c", "echo ran"]);
    spec["spec"]["template"]["spec"].as_object_mut().expect("a spec").remove("runtimeClassName");
    cluster.create(spec).await;
    cluster.wait_job("image", has_condition("Complete")).await;
    let pod = cluster.pods_of("image").await.remove(0).metadata.name.expect("a name");
    assert_eq!(cluster.log(&pod).await, "ran\n");
    let events = cluster.events_about(&pod).await;
    assert!(events.iter().any(|e| e.type_.as_deref() == Some("Warning")), "{events:#?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_replaces_a_pod_that_left_its_selector() {
    let cluster = Cluster::start().await;
    let mut held = job("held", &["true"]);
    held["spec"]["template"]["spec"]["schedulingGates"] = serde_json::json!([{"name": "example.com/held"}]);
    cluster.create(held).await;
    let active = |job: Option<&Job>| job.and_then(|j| j.status.as_ref()).and_then(|s| s.active) == Some(1);
    cluster.wait_job("held", active).await;
    let first = cluster.pods_of("held").await.remove(0).metadata.name.expect("a name");
    let events: kube::Api<k8s_openapi::api::core::v1::Event> =
        kube::Api::namespaced(cluster.client.clone(), "default");
    let leave =
        serde_json::json!({"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "another"}}});
    let patch = kube::api::Patch::Merge(leave);
    cluster.pods().patch(&first, &kube::api::PatchParams::default(), &patch).await.expect("patched");
    let created = |event: &k8s_openapi::api::core::v1::Event| {
        event.message.as_deref().is_some_and(|m| m.starts_with("Created pod: ") && !m.ends_with(&first))
    };
    let told = kube::runtime::watcher(events, kube::runtime::watcher::Config::default());
    let told = kube::runtime::WatchStreamExt::applied_objects(told);
    let second =
        futures::StreamExt::filter(told, |event| std::future::ready(event.as_ref().is_ok_and(created)));
    let second =
        tokio::time::timeout(crate::support::PATIENCE, futures::StreamExt::next(&mut Box::pin(second))).await;
    assert!(second.expect("another pod is created").is_some());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_what_happened_to_job_and_pod() {
    let cluster = Cluster::start().await;
    cluster.create(job("told", &["true"])).await;
    cluster.wait_job("told", has_condition("Complete")).await;
    let reasons = |events: Vec<k8s_openapi::api::core::v1::Event>| -> Vec<String> {
        events.into_iter().filter_map(|e| e.reason).collect()
    };
    let about_job = reasons(cluster.events_about("told").await);
    assert!(about_job.contains(&"SuccessfulCreate".to_owned()), "{about_job:?}");
    assert!(about_job.contains(&"Completed".to_owned()), "{about_job:?}");
    let pod = cluster.pods_of("told").await.remove(0).metadata.name.expect("a name");
    let about_pod = reasons(cluster.events_about(&pod).await);
    assert!(about_pod.contains(&"Scheduled".to_owned()), "{about_pod:?}");
    assert!(about_pod.contains(&"Started".to_owned()), "{about_pod:?}");
    cluster.stop().await;
}
