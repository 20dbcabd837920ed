//! A full disk under a whole engine: clients are told in words, nothing is lost, and all goes on when there is room. The
//! disk is a small one in memory, which takes root to mount; without, the store's fault tests alone tell of it.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use support::{Cluster, has_condition, job, pod_phase};
use windlass_engine::StoreKind;

/// A file system of a few megabytes, mounted as long as this lives.
struct Small(PathBuf);

impl Small {
    fn mount(place: &Path) -> Option<Small> {
        std::fs::create_dir_all(place).expect("a directory");
        let mut mount = Command::new("mount");
        let mount =
            mount.args(["-t", "tmpfs", "-o", "size=6m,mode=700", "windlass-test"]).arg(place).output();
        mount.is_ok_and(|mount| mount.status.success()).then(|| Small(place.to_owned()))
    }

    /// Takes all the room that there is.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        for size in [1 << 20, 1 << 12] {
            let taken = || {
                let mut file = std::fs::File::options().create(true).append(true).open(&ballast)?;
                std::io::Write::write_all(&mut file, &vec![0x55; size])
            };
            while taken().is_ok() {}
        }
        ballast
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A map that takes some room, however well it is packed.
fn large(name: &str) -> ConfigMap {
    let mut state = 1_u64;
    let letters = (0..200_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 56) % 90).expect("below 90"))
    });
    let data = json!({"data": letters.collect::<String>()});
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).expect("a ConfigMap")
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_is_told_to_clients_by_its_place_and_the_engine_goes_on_when_there_is_room() {
    let mut small = None;
    let cluster = Cluster::with(|config| {
        config.store = StoreKind::Durable;
        small = Small::mount(config.home.root());
    })
    .await;
    let Some(small) = small else { return cluster.stop().await };
    let may_end = cluster.home.path().join("may-end");
    let script = format!("while ! test -e {}; do sleep 0.05; done", may_end.display());
    cluster.create(job("running", &["sh", "-c", &script])).await;
    cluster
        .wait_job("running", |job: Option<&k8s_openapi::api::batch::v1::Job>| {
            job.and_then(|job| job.status.as_ref()).and_then(|status| status.ready) == Some(1)
        })
        .await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let ballast = small.fill();
    let said = match maps.create(&PostParams::default(), &large("refused")).await {
        Err(kube::Error::Api(status)) => status,
        other => panic!("a full disk took it: {:?}", other.map(|map| map.metadata)),
    };
    assert_eq!((said.code, said.reason.as_str()), (500, "InternalError"));
    let place = small.0.join("store").display().to_string();
    assert!(
        said.message.contains(&place) && said.message.contains("no space is left on its disk"),
        "{said:?}"
    );
    assert!(said.message.contains("free some"), "it names the way out: {said:?}");
    // It ends now, and that cannot be written.
    std::fs::write(&may_end, "").expect("written");
    assert!(maps.get("refused").await.is_err());
    let pods = cluster.pods_of("running").await;
    assert_eq!(pods.len(), 1, "what was acknowledged is there");
    std::fs::remove_file(ballast).expect("removed");
    cluster.wait_job("running", has_condition("Complete")).await;
    let name = pods[0].metadata.name.clone().expect("a name");
    cluster.wait_pod(&name, pod_phase("Succeeded")).await;
    maps.create(&PostParams::default(), &large("taken")).await.expect("there is room");
    cluster.stop().await;
    drop(small);
}
