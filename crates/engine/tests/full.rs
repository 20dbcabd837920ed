//! A full disk under the engine's store, for real: a small file system in memory. It takes root to mount one; without,
//! this is said, and the store's own tests tell how it is with the store alone.
#![expect(clippy::print_stderr, reason = "what is not tested is said")]

#[path = "engine/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::FutureExt;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;
use support::{Cluster, PATIENCE, has_condition, job, pod_phase};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use windlass_engine::{StopPods, StoreKind};

/// A file system of some megabytes.
struct Small(PathBuf);

impl Small {
    fn mount(place: &Path) -> Option<Small> {
        fs::create_dir_all(place).expect("a directory");
        let mut mount = Command::new("mount");
        let mount =
            mount.args(["-t", "tmpfs", "-o", "size=24m", "windlass-test"]).arg(place).output().ok()?;
        mount.status.success().then(|| Small(place.to_owned()))
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).expect("a file");
        while ballast.write_all(&[0x55; 4096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).expect("removed");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// What the engine says in its log.
struct Lines(UnboundedSender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> UnboundedReceiver<String> {
    let (send, lines) = unbounded_channel();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || Lines(send.clone())).init();
    lines
}

const SAYS_FULL: &str = "the disk is full; what is to be written waits";
const SAYS_ROOM: &str = "there is room on the disk again";

/// Waits for a line, and counts how often the disk was said to be full until then.
async fn until(lines: &mut UnboundedReceiver<String>, wanted: &str) -> usize {
    let mut full = 0;
    let heard = async {
        loop {
            let line = lines.recv().await.expect("the log goes on");
            full += usize::from(line.contains(SAYS_FULL));
            if line.contains(wanted) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("it is said");
    full
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_on_a_full_disk_reads_says_so_once_and_writes_what_it_wanted_when_there_is_room() {
    let mut lines = log();
    let mut small = None;
    let mut cluster = Cluster::with(|config| {
        small = Small::mount(&config.home.root().join("store"));
        config.store = StoreKind::Durable;
    })
    .await;
    let Some(small) = small else {
        eprintln!("SKIPPED: no file system could be mounted (that takes root), so a full disk was not tried");
        return cluster.stop().await;
    };
    let signal = cluster.home.path().join("signal");
    assert!(Command::new("mkfifo").arg(&signal).status().expect("mkfifo").success());
    cluster.create(job("waits", &["cat", &signal.display().to_string()])).await;
    cluster.wait_job("waits", is_ready).await;

    small.fill();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let many =
        (0..1000).map(|n| json!({"metadata": {"name": format!("m-{n}")}, "data": {"x": "y".repeat(9000)}}));
    let mut refused = None;
    for map in many {
        let map = serde_json::from_value(map).expect("a ConfigMap");
        if let Err(kube::Error::Api(status)) = maps.create(&PostParams::default(), &map).await {
            refused = Some(status);
            break;
        }
    }
    let refused = refused.expect("the disk is full");
    assert_eq!((refused.code, refused.reason.as_str()), (507, "InsufficientStorage"));
    assert!(refused.message.contains("nothing can be written until there is room"), "{}", refused.message);
    let place = cluster.home.path().join("home/store").display().to_string();
    assert!(refused.message.contains(&place), "{}", refused.message);

    // The job ends, and nobody can write it down.
    fs::write(&signal, "").expect("the job reads");
    assert_eq!(until(&mut lines, SAYS_FULL).await, 1);
    let engine = cluster.engine.as_ref().expect("it runs");
    assert!(engine.stopped().now_or_never().is_none());
    assert!(disk_pressure(&cluster).await.is_some_and(|told| told.contains(&place)), "its node tells it");
    let shown = cluster.jobs().get("waits").await.expect("reads go on");
    assert!(is_ready(Some(&shown)), "what is read is what was written last");
    small.empty();
    assert_eq!(until(&mut lines, SAYS_ROOM).await, 0, "it is said once");
    let done = cluster.wait_job("waits", has_condition("Complete")).await;
    assert_eq!(disk_pressure(&cluster).await, None);
    assert_eq!(done.status.and_then(|status| status.succeeded), Some(1));
    let pod = cluster.pods_of("waits").await.remove(0).metadata.name.expect("a name");
    let events = cluster.events_about(&pod).await;
    assert!(events.iter().all(|event| event.count == Some(1)), "{events:#?}");
    cluster.create(job("well", &["true"])).await;
    cluster.wait_job("well", has_condition("Complete")).await;

    // It can be stopped while the disk is full, too.
    cluster.create(job("long", &["sleep", "1000"])).await;
    cluster.wait_job("long", is_ready).await;
    let name = cluster.pods_of("long").await.remove(0).metadata.name.expect("a name");
    cluster.wait_pod(&name, pod_phase("Running")).await;
    small.fill();
    let engine = cluster.engine.take().expect("it runs");
    tokio::time::timeout(PATIENCE, engine.stop(StopPods::End)).await.expect("it stops");
}

/// What the node says of a full disk.
async fn disk_pressure(cluster: &Cluster) -> Option<String> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let node = nodes.list(&ListParams::default()).await.expect("reads go on").items.remove(0);
    let mut told = node.status?.conditions?.into_iter();
    told.find(|told| told.type_ == "DiskPressure" && told.status == "True")?.message
}

fn is_ready(job: Option<&k8s_openapi::api::batch::v1::Job>) -> bool {
    job.and_then(|j| j.status.as_ref()).and_then(|s| s.ready).is_some_and(|n| n > 0)
}
