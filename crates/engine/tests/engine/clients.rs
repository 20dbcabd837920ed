//! Clients of other languages, unmodified: Python's from PyPI and Go's, where they are at hand.
//!
//! `tests/clients/prepare FOLDER` makes them ready and says which variables name them; what is not there is skipped
//! aloud. kube-rs, the third, is what the other tests here speak through.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use windlass_engine::{Engine, StopPods, StoreKind};

use crate::support::{Ahead, Cluster, PATIENCE, config};

#[expect(clippy::disallowed_methods, reason = "a test's one look at its environment")]
fn named(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

/// The program that a variable names; says so if none is named.
pub(crate) fn prepared(variable: &str, what: &str) -> Option<PathBuf> {
    let program = named(variable).map(PathBuf::from);
    if program.is_none() {
        skipped(&format!("{variable} names no {what}; tests/clients/prepare makes one"));
    }
    program
}

/// Not captured by the test runner: what is skipped is said.
pub(crate) fn skipped(what: &str) {
    let _ = std::io::stderr().write_all(format!("SKIPPED: {what}\n").as_bytes());
}

/// A client's program, pointed at an engine by a kubeconfig, with a home of its own. It goes with the test.
pub(crate) fn client(program: &Path, cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null());
    command.env("HOME", cluster.home.path()).env("KUBECONFIG", cluster.home.path().join("home/kubeconfig"));
    command.kill_on_drop(true);
    command
}

/// Runs a client whose output says `ok` of each situation and how many there were.
async fn passes(mut command: Command, situations: usize) {
    let output = tokio::time::timeout(4 * PATIENCE, command.output()).await.expect("it ends in time");
    let output = output.expect("the client starts");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{wrong}", output.status);
    assert!(said.ends_with(&format!("{situations} situations\n")), "{said}\n{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_makes_every_call() {
    let Some(python) = prepared("WINDLASS_TEST_PYTHON", "Python with the package kubernetes") else { return };
    let cluster = Cluster::images_on_host().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/python/matrix.py");
    let script = script.display().to_string();
    passes(client(&python, &cluster, &["-B", &script]), 38).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_client_makes_every_call() {
    let Some(program) = prepared("WINDLASS_TEST_GO", "program of tests/clients/go") else { return };
    let cluster = Cluster::images_on_host().await;
    passes(client(&program, &cluster, &[]), 10).await;
    // Informers of older releases list before they watch.
    let mut listing = client(&program, &cluster, &["informer", "metadata"]);
    listing.env("KUBE_FEATURE_WatchListClient", "false");
    passes(listing, 2).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn informers_find_out_what_changed_while_the_engine_was_away() {
    let Some(program) = prepared("WINDLASS_TEST_GO", "program of tests/clients/go") else { return };
    let mut cluster = Cluster::with(|config| config.store = StoreKind::Durable).await;
    let door = Door::open().await;
    let kubeconfig = door.kubeconfig(&cluster);
    door.lead_to(&cluster);
    let mut command = client(&program, &cluster, &["outage"]);
    let wrong = cluster.home.path().join("stderr");
    command.env("KUBECONFIG", kubeconfig).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(std::fs::File::create(&wrong).expect("a file"));
    let mut child = command.spawn().expect("the client starts");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let story = async {
        let mut line = String::new();
        said.read_line(&mut line).await.expect("it speaks");
        assert_eq!(line, "outage\n");
        door.close();
        restart(&mut cluster, 0).await;
        change(&cluster).await;
        // An hour later nobody can tell what was missed.
        restart(&mut cluster, 3600).await;
        door.lead_to(&cluster);
        stdin.write_all(b"back\n").await.expect("it waits");
        let mut rest = String::new();
        said.read_to_string(&mut rest).await.expect("it speaks");
        (rest, child.wait().await.expect("it ends"))
    };
    let (rest, status) = tokio::time::timeout(4 * PATIENCE, story).await.expect("it ends in time");
    let wrong = std::fs::read_to_string(wrong).expect("a file");
    assert!(status.success(), "{rest}\n{wrong}");
    assert_eq!(rest, "ok outage\n1 situations\n", "{wrong}");
    cluster.stop().await;
}

/// An address that stays while engines come and go behind it.
struct Door {
    address: SocketAddr,
    behind: Arc<Mutex<Option<SocketAddr>>>,
}

impl Door {
    async fn open() -> Door {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let behind = Arc::new(Mutex::new(None::<SocketAddr>));
        let asked = Arc::clone(&behind);
        tokio::spawn(async move {
            while let Ok((mut outside, _)) = listener.accept().await {
                let to = *asked.lock().expect("nobody panics with it");
                // Where nobody is behind it, whoever came is sent away.
                let Some(to) = to else { continue };
                tokio::spawn(async move {
                    let mut inside = TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Door { address, behind }
    }

    fn lead_to(&self, cluster: &Cluster) {
        let engine = cluster.engine.as_ref().expect("an engine");
        *self.behind.lock().expect("nobody panics with it") = Some(engine.address());
    }

    fn close(&self) {
        *self.behind.lock().expect("nobody panics with it") = None;
    }

    /// The engine's kubeconfig, but for this address.
    fn kubeconfig(&self, cluster: &Cluster) -> PathBuf {
        let text =
            std::fs::read_to_string(cluster.home.path().join("home/kubeconfig")).expect("a kubeconfig");
        let engine = cluster.engine.as_ref().expect("an engine").address().to_string();
        assert!(text.contains(&engine), "{text}");
        let path = cluster.home.path().join("door.kubeconfig");
        std::fs::write(&path, text.replace(&engine, &self.address.to_string())).expect("a file");
        path
    }
}

/// Stops the engine and starts another on its home.
async fn restart(cluster: &mut Cluster, later_s: i64) {
    cluster.engine.take().expect("an engine").stop(StopPods::Leave).await;
    let mut config = config(&cluster.home);
    config.store = StoreKind::Durable;
    config.world = Arc::new(Ahead(AtomicI64::new(later_s)));
    let engine = Engine::start(config).await.expect("the engine starts again");
    cluster.client = engine.client();
    cluster.engine = Some(engine);
}

async fn change(cluster: &Cluster) {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    maps.delete("goes", &DeleteParams::default()).await.expect("it goes");
    let patch = Patch::Merge(json!({"data": {"a": "after"}}));
    maps.patch("changes", &PatchParams::default(), &patch).await.expect("it changes");
    let new = json!({"metadata": {"name": "comes"}, "data": {"a": "after"}});
    let new = serde_json::from_value(new).expect("a ConfigMap");
    maps.create(&PostParams::default(), &new).await.expect("it comes");
}
