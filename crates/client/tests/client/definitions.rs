//! Jobs from definitions: what is created, listed, told and deleted under a signature.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use windlass::definitions::{
    DefinitionFilter, DefinitionManager, Definitions, JOB_DEFINITIONS_CONFIG_PATH, JOB_NAMESPACE,
    JOB_SIGNATURE, JobManagerFactory, JobState, LINES,
};
use windlass::manifest::formats::definition::Arguments;
use windlass::model::SubmissionId;
use windlass::world::World;
use windlass::{Error, SubmitOptions};

use crate::support::{
    End, JOBS, PODS, Reply, Server, complete, failed, job, list, merge, pod, refusal, running,
};

const GET_JOB: &str = "GET /apis/batch/v1/namespaces/lab/jobs/train";

const TEMPLATE: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hello\nspec:\n  parallelism: {{ count }}\n  \
                        template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - {name: main, \
                        image: busybox}\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A definition `hello` with its template in a file beside it, and one in a ConfigMap.
    fn definitions(&self) -> PathBuf {
        self.write("hello.yaml", TEMPLATE);
        self.write(
            "definitions.yaml",
            "- name: hello\n  spec_path: hello.yaml\n- name: remote\n  spec_config_map_name: remote\n  \
             spec_config_map_namespace: shared\n",
        )
    }
}

fn manager(server: &Server, path: &Path) -> DefinitionManager {
    JobManagerFactory::from_vars("ci", "lab", path).unwrap().manager(&server.manager())
}

fn count(value: Value) -> Arguments {
    [("count".to_owned(), value)].into()
}

fn echoing() -> Server {
    let server = Server::new();
    server.on(&format!("GET {JOBS}"), list(1, &[]));
    server.on(&format!("POST {JOBS}"), Reply::Of(Box::new(|seen| Reply::Json(201, seen.body.clone()))));
    server
}

#[tokio::test]
async fn a_job_is_made_of_a_definition_with_arguments_and_signed() {
    let (server, folder) = (echoing(), Folder::new());
    let manager = manager(&server, &folder.definitions());
    let submitted = manager
        .create_job("hello", &count(json!("3")), |job| {
            job["metadata"]["annotations"] = json!({ "by": "hook" });
        })
        .await
        .unwrap();
    let sent = &server.asked(&format!("POST {JOBS}"))[0].body;
    assert_eq!(sent["spec"]["parallelism"], 3);
    assert_eq!(sent["metadata"]["labels"]["app.kubernetes.io/managed-by"], "ci");
    assert_eq!(sent["metadata"]["labels"]["job_definition_name"], "hello");
    assert_eq!(sent["metadata"]["labels"]["windlass.dev/managed-by"], "windlass");
    assert_eq!(sent["metadata"]["annotations"]["by"], "hook");
    assert!(sent["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"].is_null());
    let digits = submitted.name.strip_prefix("hello-").unwrap();
    assert!(digits.len() == 24 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{}", submitted.name);
}

#[tokio::test]
async fn a_hook_cannot_take_the_signature_away() {
    let (server, folder) = (echoing(), Folder::new());
    let manager = manager(&server, &folder.definitions());
    let hook = |job: &mut Value| {
        job["metadata"]["labels"] =
            json!({ "app.kubernetes.io/managed-by": "eve", "job_definition_name": "x" });
    };
    manager.create_job("hello", &count(json!(1)), hook).await.unwrap();
    let sent = &server.asked(&format!("POST {JOBS}"))[0].body;
    assert_eq!(sent["metadata"]["labels"]["app.kubernetes.io/managed-by"], "ci");
    assert_eq!(sent["metadata"]["labels"]["job_definition_name"], "hello");
}

#[tokio::test]
async fn the_same_id_is_the_same_job() {
    let (server, folder) = (echoing(), Folder::new());
    let manager = manager(&server, &folder.definitions());
    let options = SubmitOptions { id: Some(SubmissionId::parse("n1").unwrap()), ..SubmitOptions::default() };
    let first = manager.create_job_with("hello", &count(json!(1)), |_| (), options.clone()).await.unwrap();
    let again = manager.create_job_with("hello", &count(json!(1)), |_| (), options).await.unwrap();
    assert_eq!(first.name, again.name);
}

#[tokio::test]
async fn nothing_is_sent_for_what_is_wrong() {
    let (server, folder) = (Server::new(), Folder::new());
    let manager = manager(&server, &folder.definitions());
    let create = |name: &'static str, arguments: Arguments| {
        let manager = manager.clone();
        async move { manager.create_job(name, &arguments, |_| ()).await.unwrap_err().to_string() }
    };
    let error = create("hullo", Arguments::new()).await;
    assert!(error.contains("has no definition \"hullo\"; it has: hello, remote"), "{error}");
    let error = create("hello", Arguments::new()).await;
    assert!(error.contains("hello.yaml:6: the argument \"count\" is missing"), "{error}");
    let mut two = count(json!(1));
    two.insert("colour".into(), json!("red"));
    let error = create("hello", two).await;
    assert!(
        error.contains("definitions.yaml:1: definition \"hello\" does not use the argument \"colour\""),
        "{error}"
    );
    let other = |job: &mut Value| job["metadata"]["namespace"] = "other".into();
    let error = manager.create_job("hello", &count(json!(1)), other).await.unwrap_err();
    assert!(error.to_string().contains("the jobs of this manager are in \"lab\""), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_template_in_a_config_map_is_fetched_each_time() {
    let (server, folder) = (echoing(), Folder::new());
    let map = "GET /api/v1/namespaces/shared/configmaps/remote";
    server.on(map, Reply::Json(200, json!({ "data": { "remote": TEMPLATE } })));
    server.on(map, Reply::Json(200, json!({ "data": { "other": "x" } })));
    server.on(map, refusal(404, "NotFound", "configmaps \"remote\" not found"));
    let manager = manager(&server, &folder.definitions());
    assert!(manager.create_job("remote", &count(json!(1)), |_| ()).await.is_ok());
    for words in
        ["ConfigMap shared/remote: has no key \"remote\", its own name; it has: other", "is not there"]
    {
        let error = manager.create_job("remote", &count(json!(1)), |_| ()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn every_page_is_selected_by_the_whole_filter() {
    let server = Server::new();
    let page = json!({ "metadata": { "continue": "more" }, "items": [job(1, complete())] });
    server.on(&format!("GET {JOBS}"), Reply::Json(200, page));
    server.on(&format!("GET {JOBS}"), list(1, &[job(2, failed())]));
    let manager = manager(&server, Path::new("none"));
    let filter = DefinitionFilter {
        definition: Some("hello".into()),
        labels: [("team".to_owned(), "a".to_owned())].into(),
        ..DefinitionFilter::default()
    };
    let jobs = manager.fetch_jobs(&filter).await.unwrap();
    let states: Vec<JobState> = jobs.iter().map(|(job, _)| JobState::of(job)).collect();
    assert_eq!(states, [JobState::Complete, JobState::Failed]);
    let asked = server.seen();
    assert_eq!(asked.len(), 2);
    for seen in &asked {
        assert_eq!(
            seen.query["labelSelector"],
            "app.kubernetes.io/managed-by=ci,job_definition_name=hello,team=a"
        );
    }
    assert_eq!(asked[1].query["continue"], "more");
    manager
        .list_jobs(&DefinitionFilter { continue_token: Some("x".into()), ..filter.clone() })
        .await
        .unwrap();
    assert_eq!(server.seen()[2].query["labelSelector"], asked[0].query["labelSelector"]);
    let bad = DefinitionFilter { labels: [("a".to_owned(), "b,c=d".to_owned())].into(), ..filter };
    assert!(manager.list_jobs(&bad).await.is_err());
}

#[tokio::test]
async fn a_job_is_running_complete_or_failed() {
    let suspended = json!({ "status": { "conditions": [{ "type": "Suspended", "status": "True" }] } });
    let undone = json!({ "status": { "conditions": [{ "type": "Complete", "status": "False" }] } });
    for (more, state) in [
        (json!({}), JobState::Running),
        (running(), JobState::Running),
        (suspended, JobState::Running),
        (undone, JobState::Running),
        (complete(), JobState::Complete),
        (failed(), JobState::Failed),
    ] {
        let job = serde_json::from_value(job(1, more)).unwrap();
        assert_eq!(JobState::of(&job), state);
    }
}

#[tokio::test]
async fn logs_come_by_pod_and_container_with_init_containers_and_waiting_ones() {
    let server = Server::new();
    server.on(GET_JOB, Reply::Json(200, job(1, running())));
    let mut running = pod(1, "Running", json!({ "running": {} }));
    merge(&mut running, json!({ "spec": { "initContainers": [{ "name": "fetch" }] } }));
    let mut waiting = pod(1, "Pending", json!({ "waiting": {} }));
    merge(&mut waiting, json!({ "metadata": { "name": "train-1" } }));
    server.on(&format!("GET {PODS}"), list(1, &[running, waiting]));
    server.on(&format!("GET {PODS}/train-0/log"), Reply::Text("one\ntwo\n", End::Close));
    let words = "container \"main\" in pod \"train-1\" is waiting to start: ContainerCreating";
    server.on(&format!("GET {PODS}/train-1/log"), refusal(400, "BadRequest", words));
    let logs = manager(&server, Path::new("none")).job_logs("train", LINES).await.unwrap();
    assert_eq!(logs["train-0"]["fetch"], ["one", "two"]);
    assert_eq!(logs["train-0"]["main"], ["one", "two"]);
    assert_eq!(logs["train-1"]["main"], ["ContainerCreating"]);
    let asked = &server.asked(&format!("GET {PODS}/train-0/log"))[0];
    assert_eq!((asked.query["tailLines"].as_str(), asked.query["container"].as_str()), ("200", "fetch"));
}

#[tokio::test]
async fn the_logs_of_a_job_that_is_not_there_are_not_found() {
    let error = manager(&Server::new(), Path::new("none")).job_logs("train", LINES).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn only_signed_jobs_are_deleted_and_their_pods_first() {
    let server = Server::new();
    let signed = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": "ci" } } });
    server.on(GET_JOB, Reply::Json(200, job(1, json!({}))));
    server.on(GET_JOB, Reply::Json(200, job(1, signed)));
    server.on(&format!("DELETE {JOBS}/train"), Reply::Json(200, json!({})));
    let manager = manager(&server, Path::new("none"));
    assert!(matches!(manager.delete_job("train").await, Err(Error::NotFound { .. })));
    assert!(server.asked(&format!("DELETE {JOBS}/train")).is_empty());
    manager.delete_job("train").await.unwrap();
    let sent = &server.asked(&format!("DELETE {JOBS}/train"))[0].body;
    assert_eq!(*sent, json!({ "propagationPolicy": "Foreground", "preconditions": { "uid": "j1" } }));
}

#[test]
fn definitions_are_read_again_when_they_change_and_the_last_good_version_is_kept() {
    let folder = Folder::new();
    let path = folder.definitions();
    let faults: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = faults.clone();
    let definitions =
        Definitions::of_file(&path).on_fault(move |error| heard.lock().unwrap().push(error.to_string()));
    let names = || definitions.all().unwrap().into_iter().map(|all| all.name).collect::<Vec<_>>();
    assert_eq!(names(), ["hello", "remote"]);
    folder.write("definitions.yaml", "- name: broken\n  spec_paht: x\n");
    for _ in 0..3 {
        assert_eq!(names(), ["hello", "remote"]);
    }
    assert_eq!(faults.lock().unwrap().len(), 1, "a fault is told once");
    assert!(definitions.fault().unwrap().contains("did you mean spec_path?"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(names(), ["hello", "remote"]);
    assert_eq!(faults.lock().unwrap().len(), 2);
    // Replaced by a rename, as a ConfigMap's volume is.
    let next = folder.write("next", "- name: other\n  spec_path: hello.yaml\n");
    std::fs::rename(next, &path).unwrap();
    assert_eq!(names(), ["other"]);
    assert_eq!(definitions.fault(), None);
}

#[test]
fn a_template_that_is_broken_meanwhile_is_used_as_it_was() {
    let folder = Folder::new();
    let definitions = Definitions::of_file(folder.definitions());
    let hello = definitions.get("hello").unwrap();
    let text = || definitions.template(&hello).unwrap().unwrap().text;
    assert_eq!(text(), TEMPLATE);
    folder.write("hello.yaml", "{{ broken");
    assert_eq!(text(), TEMPLATE);
    folder.write("hello.yaml", "{{ whole }}");
    assert_eq!(text(), "{{ whole }}");
}

#[test]
fn a_file_that_never_was_good_is_an_error_each_time() {
    let folder = Folder::new();
    let definitions = Definitions::of_file(folder.0.path().join("nothing.yaml"));
    for _ in 0..2 {
        assert!(matches!(definitions.all(), Err(Error::File { .. })));
    }
    folder.write("nothing.yaml", "- name: a\n  spec_path: gone.yaml\n");
    let error = definitions.template(&definitions.get("a").unwrap()).unwrap_err();
    assert!(error.to_string().contains("gone.yaml"), "{error}");
}

struct Variables(&'static [(&'static str, &'static str)]);

impl World for Variables {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn sleep(&self, _: std::time::Duration) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(futures::future::pending())
    }

    fn random(&self, _: &mut [u8]) {}

    fn variable(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }
}

#[test]
fn a_factory_of_the_environment_names_all_that_is_missing() {
    let all = [(JOB_SIGNATURE, "ci"), (JOB_NAMESPACE, "lab"), (JOB_DEFINITIONS_CONFIG_PATH, "d.yaml")];
    static ALL: [(&str, &str); 3] =
        [("JOB_SIGNATURE", "ci"), ("JOB_NAMESPACE", "lab"), ("JOB_DEFINITIONS_CONFIG_PATH", "d.yaml")];
    assert_eq!(all, ALL);
    assert!(JobManagerFactory::from_world(&Variables(&ALL)).is_ok());
    let error =
        JobManagerFactory::from_world(&Variables(&[("JOB_SIGNATURE", "")])).err().unwrap().to_string();
    for (name, _) in ALL {
        assert!(error.contains(name), "{error}");
    }
    assert!(JobManagerFactory::from_vars("no signature", "lab", "d").is_err());
}
