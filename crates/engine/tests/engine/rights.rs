//! Roles on a whole engine: the credentials that it gives, kubectl with them, and what its controllers do with the work
//! of those who may not start processes of the host.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Cluster, has_condition, job, pod_phase};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use windlass_engine::{Home, Images, Role};

/// A token of the engine's own service account of a role.
async fn token(cluster: &Cluster, role: Role) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), Role::NAMESPACE);
    let request = TokenRequest { spec: Some(TokenRequestSpec::default()), ..TokenRequest::default() };
    let issued = accounts.create_token_request(&role.account(), &PostParams::default(), &request).await;
    issued.expect("a token").status.and_then(|status| status.token).expect("a token in it")
}

/// The owner's kubeconfig with another token, in a file.
fn kubeconfig(cluster: &Cluster, token: &str) -> PathBuf {
    let place = Home::at(cluster.home.path().join("home")).kubeconfig();
    let text = std::fs::read_to_string(place).expect("the owner's kubeconfig");
    let mut config: Value = serde_saphyr::from_str(&text).expect("YAML");
    config["users"][0]["user"]["token"] = token.into();
    let place = cluster.home.path().join("role.kubeconfig");
    std::fs::write(&place, config.to_string()).expect("a file");
    place
}

/// A client over TLS with a token.
async fn client(cluster: &Cluster, token: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Kubeconfig::read_from(kubeconfig(cluster, token)).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a configuration")).expect("a client")
}

#[track_caller]
fn forbidden<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> String {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 403 => status.message,
        other => panic!("not forbidden: {other:?}"),
    }
}

fn typed(job: Value) -> Job {
    serde_json::from_value(job).expect("a Job")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitter_starts_no_process_of_the_host_by_any_way() {
    let cluster = Cluster::start().await;
    let marker = cluster.home.path().join("ran");
    let touch = ["touch", &marker.display().to_string()];
    let submitter = client(&cluster, &token(&cluster, Role::Submit).await).await;
    let (jobs, pods): (Api<Job>, Api<Pod>) =
        (Api::namespaced(submitter.clone(), "default"), Api::namespaced(submitter.clone(), "default"));
    let create = PostParams::default();
    forbidden(jobs.create(&create, &typed(job("direct", &touch))).await);
    let mut waiting = job("waiting", &touch);
    waiting["spec"]["suspend"] = true.into();
    waiting["spec"]["template"]["spec"].as_object_mut().expect("a spec").remove("runtimeClassName");
    jobs.create(&create, &typed(waiting)).await.expect("a job of an image may be submitted");
    let template = json!({"spec": {"template": {"spec": {"runtimeClassName": "windlass-host"}}}});
    forbidden(jobs.patch("waiting", &PatchParams::default(), &Patch::Strategic(template)).await);
    // The owner's own suspended job is not begun by a submitter.
    let mut owners = job("owners", &touch);
    owners["spec"]["suspend"] = true.into();
    cluster.create(owners).await;
    let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
    forbidden(jobs.patch("owners", &PatchParams::default(), &resume).await);
    // A pod that says whose it is, is nobody's but its writer's.
    let uid = cluster.jobs().get("owners").await.expect("a job").metadata.uid.expect("a uid");
    let owner =
        json!({"apiVersion": "batch/v1", "kind": "Job", "name": "owners", "uid": uid, "controller": true});
    let pod = json!({"metadata": {"name": "child", "ownerReferences": [owner]},
        "spec": {"runtimeClassName": "windlass-host", "containers": [{"name": "c", "image": "host", "command": touch}]}});
    forbidden(pods.create(&create, &serde_json::from_value(pod).expect("a pod")).await);
    // What it may submit waits, and other work goes on.
    let resume = Patch::Merge(json!({"spec": {"suspend": false}}));
    jobs.patch("waiting", &PatchParams::default(), &resume).await.expect("its own");
    cluster.create(job("well", &["true"])).await;
    cluster.wait_job("well", has_condition("Complete")).await;
    assert!(!marker.exists());
    jobs.delete("waiting", &DeleteParams::background()).await.expect("its own");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_images_run_on_the_host_the_administrator_alone_starts_them() {
    let cluster = Cluster::with(|config| config.images = Images::Host).await;
    let submitter = client(&cluster, &token(&cluster, Role::Submit).await).await;
    let jobs: Api<Job> = Api::namespaced(submitter, "default");
    let mut image = job("image", &["true"]);
    image["spec"]["template"]["spec"].as_object_mut().expect("a spec").remove("runtimeClassName");
    let said = forbidden(jobs.create(&PostParams::default(), &typed(image.clone())).await);
    assert!(said.contains("runs the commands of images on the host"), "{said}");
    cluster.create(image).await;
    cluster.wait_job("image", has_condition("Complete")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_jobs_and_logs_and_no_secret() {
    let cluster = Cluster::start().await;
    let hidden = json!({"metadata": {"name": "hidden"}, "stringData": {"word": "herring"}});
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), "default");
    let hidden = serde_json::from_value(hidden).expect("a secret");
    secrets.create(&PostParams::default(), &hidden).await.expect("created");
    cluster.create(job("speak", &["echo", "hello"])).await;
    cluster.wait_job("speak", has_condition("Complete")).await;
    let name = cluster.pods_of("speak").await[0].metadata.name.clone().expect("a name");
    let reader = client(&cluster, &token(&cluster, Role::Read).await).await;
    let pods: Api<Pod> = Api::namespaced(reader.clone(), "default");
    assert_eq!(pods.logs(&name, &LogParams::default()).await.expect("a log"), "hello\n");
    let secrets: Api<Secret> = Api::namespaced(reader.clone(), "default");
    forbidden(secrets.get("hidden").await);
    forbidden(secrets.list(&ListParams::default()).await);
    let jobs: Api<Job> = Api::namespaced(reader, "default");
    assert_eq!(jobs.list(&ListParams::default()).await.expect("a list").items.len(), 1);
    forbidden(jobs.delete("speak", &DeleteParams::default()).await);
    forbidden(jobs.create(&PostParams::default(), &typed(job("mine", &["true"]))).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_asks_for_tokens_and_says_who_it_is_and_what_it_may() {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        return;
    }
    let cluster = Cluster::start().await;
    let owners = Home::at(cluster.home.path().join("home")).kubeconfig();
    let kubectl = |kubeconfig: &PathBuf, line: &str| {
        let mut command = Command::new("kubectl");
        command.args(line.split_whitespace()).env("KUBECONFIG", kubeconfig).env("HOME", cluster.home.path());
        let output = command.output().expect("kubectl starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    assert!(kubectl(&owners, "create serviceaccount ci").0);
    assert!(kubectl(&owners, "label serviceaccount ci windlass.dev/role=submit").0);
    let (made, token, _) = kubectl(&owners, "create token ci --duration=1h");
    assert!(made && token.split('.').count() == 3, "{token}");
    let ci = kubeconfig(&cluster, &token);
    let (_, who, _) = kubectl(&ci, "auth whoami");
    assert!(who.contains("system:serviceaccount:default:ci"), "{who}");
    assert_eq!(kubectl(&ci, "auth can-i create jobs").1, "yes");
    assert!(kubectl(&ci, "auth can-i get secrets").1.starts_with("no"));
    let (_, rules, _) = kubectl(&ci, "auth can-i --list");
    assert!(rules.contains("jobs.batch"), "{rules}");
    let (made, said, told) = kubectl(&ci, "create job hello --image=busybox -- echo hello");
    assert!(made, "{said}{told}");
    let (made, _, told) = kubectl(&ci, "create token ci");
    assert!(!made && told.contains("is forbidden"), "{told}");
    assert!(kubectl(&owners, "label serviceaccount ci windlass.dev/role-").0);
    assert!(!kubectl(&ci, "get jobs").0);
    assert!(kubectl(&owners, "delete serviceaccount ci").0);
    let (_, _, told) = kubectl(&ci, "get jobs");
    assert!(told.contains("logged in") || told.contains("Unauthorized"), "{told}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_silent_clients_keeps_no_pod_from_its_start() {
    let cluster = Cluster::start().await;
    let address = cluster.engine.as_ref().expect("an engine").address();
    let mut silent = Vec::new();
    for _ in 0..1500 {
        silent.push(tokio::net::TcpStream::connect(address).await.expect("the kernel takes it"));
    }
    let owner = Home::at(cluster.home.path().join("home")).kubeconfig();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Kubeconfig::read_from(owner).expect("a kubeconfig");
    let mut config =
        Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.expect("its client");
    config.connect_timeout = Some(crate::support::PATIENCE);
    let outside = Client::try_from(config).expect("a client");
    let jobs: Api<Job> = Api::namespaced(outside, "default");
    let mut work = job("work", &["true"]);
    work["spec"]["completions"] = 20.into();
    work["spec"]["parallelism"] = 20.into();
    jobs.create(&PostParams::default(), &typed(work)).await.expect("created from outside");
    cluster.wait_job("work", has_condition("Complete")).await;
    drop(silent);
    let pod = json!({"metadata": {"name": "bare"}, "spec": {"runtimeClassName": "windlass-host", "restartPolicy": "Never",
        "containers": [{"name": "c", "image": "host", "command": ["true"]}]}});
    let pod = serde_json::from_value(pod).expect("a pod");
    cluster.pods().create(&PostParams::default(), &pod).await.expect("created");
    cluster.wait_pod("bare", pod_phase("Succeeded")).await;
    cluster.stop().await;
}
