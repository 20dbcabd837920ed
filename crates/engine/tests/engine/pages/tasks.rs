//! tasks/job: queues of work, static indexes, pods that know each other, one manifest an item.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use super::{Reader, documents, pairs, read};
use crate::support::has_condition;
use crate::volumes;

/// Fills a queue: a directory that items are moved out of.
fn fill(reader: &Reader, queue: &str) {
    let (queue, taken) = (reader.place(queue), reader.place("taken"));
    std::fs::create_dir(&queue).expect("a directory");
    std::fs::create_dir(taken).expect("a directory");
    for fruit in ["apple", "banana", "cherry", "date", "fig", "grape", "lemon", "melon"] {
        std::fs::write(queue.join(fruit), fruit).expect("an item");
    }
}

fn taken(reader: &Reader) -> usize {
    std::fs::read_dir(reader.place("taken")).expect("a directory").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pod_takes_one_item_of_a_queue() {
    let reader = Reader::start().await;
    fill(&reader, "job1");
    let (_, status) = reader.run("coarse").await;
    assert_eq!((status.succeeded, status.failed), (Some(8), None));
    assert_eq!(taken(&reader), 8);
    let said = reader.said("job-wq-1").await;
    assert_eq!(said[""].lines().filter(|line| line.starts_with("took ")).count(), 8, "{said:?}");
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_take_items_until_the_queue_is_empty_and_no_more_are_made() {
    let reader = Reader::start().await;
    fill(&reader, "job2");
    let (job, status) = reader.run("fine").await;
    assert_eq!((status.succeeded, status.failed), (Some(2), None));
    assert_eq!(job.spec.expect("a spec").completions, None);
    assert_eq!(taken(&reader), 8);
    assert_eq!(reader.cluster.pods_of("job-wq-2").await.len(), 2);
    reader.cluster.stop().await;
}

/// The servers of those queues are for something else to run: it is said, not swallowed.
async fn refuses_service(reader: &Reader, service: Value) {
    let service: Service = serde_json::from_value(service).expect("a Service");
    let services: Api<Service> = Api::namespaced(reader.cluster.client.clone(), "default");
    let refused = services.create(&PostParams::default(), &service).await.expect_err("no Services here");
    let kube::Error::Api(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.code, 405);
    assert!(refused.message.contains("services are listed only"), "{}", refused.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_of_a_queue_is_refused_clearly() {
    let reader = Reader::start().await;
    for service in read("queue-service") {
        refuses_service(&reader, service).await;
    }
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_are_to_find_each_other_have_the_names_and_no_service() {
    let reader = Reader::start().await;
    let [service, job] = <[Value; 2]>::try_from(read("pod-to-pod")).expect("two objects");
    refuses_service(&reader, service).await;
    reader.cluster.create(job).await;
    let (_, status) = reader.finish("example-job").await;
    assert_eq!(status.succeeded, Some(3));
    let hosts = |pod: Pod| {
        let spec = pod.spec.expect("a spec");
        (spec.hostname.unwrap_or_default(), spec.subdomain.unwrap_or_default())
    };
    let mut names: Vec<_> = reader.cluster.pods_of("example-job").await.into_iter().map(hosts).collect();
    names.sort();
    let wanted = ["0", "1", "2"].map(|n| (format!("example-job-{n}"), "headless-svc".to_owned()));
    assert_eq!(names, wanted);
    reader.cluster.stop().await;
}

/// Whether pods may have volumes here: mounts are not everybody's right. What is left out is said.
async fn may_mount(reader: &Reader) -> bool {
    let mounts = json!([{"name": "v", "mountPath": "/windlass-mounts"}]);
    let container = volumes::container("main", "true", mounts);
    let pod = volumes::pod("mounts", json!([{"name": "v", "emptyDir": {}}]), json!([container]));
    volumes::make(&reader.cluster, pod).await;
    volumes::runs(&reader.cluster, "mounts").await
}

#[tokio::test(flavor = "multi_thread")]
async fn init_container_chooses_the_work_by_the_index() {
    let reader = Reader::start().await;
    if !may_mount(&reader).await {
        return;
    }
    let (_, status) = reader.run("indexed").await;
    assert_eq!((status.succeeded, status.completed_indexes.as_deref()), (Some(5), Some("0-4")));
    let wanted = pairs([("0", "FOO\n"), ("1", "BAR\n"), ("2", "BAZ\n"), ("3", "QUX\n"), ("4", "XYZ\n")]);
    assert_eq!(reader.said("indexed-job").await, wanted);
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn index_is_a_file_and_a_variable_of_the_downward_api() {
    let reader = Reader::start().await;
    if !may_mount(&reader).await {
        return;
    }
    reader.run("indexed-volume").await;
    let wanted = pairs([("0", "0 0\n"), ("1", "1 1\n"), ("2", "2 2\n")]);
    assert_eq!(reader.said("indexed-volume").await, wanted);
    reader.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_manifest_an_item_is_a_group_by_its_label() {
    let reader = Reader::start().await;
    let text = read("expansion").remove(0).to_string();
    for item in ["apple", "banana", "cherry"] {
        let [job] = <[Value; 1]>::try_from(documents(&text.replace("$ITEM", item))).expect("one");
        reader.cluster.create(job).await;
    }
    let group = ListParams::default().labels("jobgroup=jobexample");
    let jobs = reader.cluster.jobs().list(&group).await.expect("a list").items;
    assert_eq!(jobs.len(), 3);
    for item in ["apple", "banana", "cherry"] {
        reader.cluster.wait_job(&format!("process-item-{item}"), has_condition("Complete")).await;
        let said = reader.said(&format!("process-item-{item}")).await;
        assert_eq!(said[""], format!("Processing item {item}\n"));
    }
    assert_eq!(reader.cluster.pods().list(&group).await.expect("a list").items.len(), 3);
    let background =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..Default::default() };
    reader.cluster.jobs().delete_collection(&background, &group).await.expect("they are deleted");
    for job in &jobs {
        reader.until_gone(job).await;
    }
    reader.cluster.stop().await;
}
