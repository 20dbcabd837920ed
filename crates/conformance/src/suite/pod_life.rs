//! What clients do to pods: `test/e2e/common/node/pods.go`.

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;

use super::case::Case;
use super::pods::{condition, phase, pod};
use super::stage::{POD, Stage};
use super::template::STAY;
use super::wait::{Look, Which};

const GROUP: &str = "Pods";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 1,
        name: "should get a host IP",
        needs: &[],
        run: |stage| Box::pin(host_ip(stage)),
    },
    Case {
        group: GROUP,
        number: 2,
        name: "should be submitted and removed",
        needs: &[],
        run: |stage| Box::pin(submitted_and_removed(stage)),
    },
    Case {
        group: GROUP,
        number: 3,
        name: "should be updated",
        needs: &[],
        run: |stage| Box::pin(updated(stage)),
    },
    Case {
        group: GROUP,
        number: 4,
        name: "should allow activeDeadlineSeconds to be updated",
        needs: &[],
        run: |stage| Box::pin(deadline(stage)),
    },
    Case {
        group: GROUP,
        number: 5,
        name: "should support pod readiness gates",
        needs: &[],
        run: |stage| Box::pin(gates(stage)),
    },
    Case {
        group: GROUP,
        number: 6,
        name: "should delete a collection of pods",
        needs: &[],
        run: |stage| Box::pin(collection(stage)),
    },
    Case {
        group: GROUP,
        number: 7,
        name: "should patch a pod status",
        needs: &[],
        run: |stage| Box::pin(status(stage)),
    },
    Case {
        group: GROUP,
        number: 8,
        name: "should support remote command execution over websockets",
        needs: &[],
        run: |stage| Box::pin(exec(stage)),
    },
];

async fn running(stage: &Stage, name: &str) -> Result<DynamicObject> {
    stage.pod_until(name, "it runs", |pod| phase(pod) == "Running").await
}

async fn host_ip(stage: &Stage) -> Result<()> {
    stage.create(pod("hosted", STAY)).await?;
    let pod = running(stage, "hosted").await?;
    let status = &pod.data["status"];
    let address = status["hostIP"].as_str().unwrap_or_default();
    address.parse::<std::net::IpAddr>().with_context(|| format!("hostIP is {address:?}"))?;
    ensure!(status["hostIPs"][0]["ip"] == address, "hostIPs is {}", status["hostIPs"]);
    Ok(())
}

async fn submitted_and_removed(stage: &Stage) -> Result<()> {
    let label = "time=now";
    let listed = stage.api(POD).list(&ListParams::default().labels(label)).await?;
    ensure!(listed.items.is_empty(), "there are pods before any was made");
    let since = listed.metadata.resource_version.context("a list without a resourceVersion")?;
    let mut wish = pod("short", STAY);
    wish["metadata"]["labels"] = json!({"time": "now"});
    stage.create(wish).await?;
    stage.event_from(POD, label, since, |what, _| what == "ADDED").await.context("the creation's event")?;
    let running = running(stage, "short").await?;
    stage.api(POD).delete("short", &DeleteParams::default().grace_period(30)).await?;
    let since = running.metadata.resource_version.unwrap_or_default();
    let gone = stage.event_from(POD, label, since, |what, _| what == "DELETED").await;
    let gone = gone.context("the deletion's event")?;
    ensure!(gone.metadata.deletion_timestamp.is_some(), "it has no deletionTimestamp");
    ensure!(gone.metadata.deletion_grace_period_seconds.is_some(), "it has no deletionGracePeriodSeconds");
    let left = stage.list(POD, label).await?;
    ensure!(left.is_empty(), "it is listed after its end");
    Ok(())
}

async fn updated(stage: &Stage) -> Result<()> {
    stage.create(pod("labelled", STAY)).await?;
    running(stage, "labelled").await?;
    let update = stage.update(POD, "labelled", |pod| {
        pod.metadata.labels.get_or_insert_default().insert("time".to_owned(), "later".to_owned());
    });
    update.await?;
    let found = stage.list(POD, "time=later").await?;
    ensure!(found.len() == 1, "{} pods have the label", found.len());
    Ok(())
}

async fn deadline(stage: &Stage) -> Result<()> {
    stage.create(pod("late", STAY)).await?;
    running(stage, "late").await?;
    stage.update(POD, "late", |pod| pod.data["spec"]["activeDeadlineSeconds"] = 1.into()).await?;
    let pod = stage.ends("late", "Failed").await?;
    let reason = &pod.data["status"]["reason"];
    ensure!(reason == "DeadlineExceeded", "its reason is {reason}");
    Ok(())
}

async fn gates(stage: &Stage) -> Result<()> {
    const GATES: [&str; 2] = ["k8s.io/test-condition1", "k8s.io/test-condition2"];
    let mut wish = pod("gated", STAY);
    wish["spec"]["readinessGates"] = json!([{"conditionType": GATES[0]}, {"conditionType": GATES[1]}]);
    stage.create(wish).await?;
    let is_ready = |pod: &DynamicObject| condition(pod, "Ready")["status"] == "True";
    let ready = stage.pod_until("gated", "its containers are ready", |pod| {
        condition(pod, "ContainersReady")["status"] == "True"
    });
    ensure!(!is_ready(&ready.await?), "it is Ready before its gates are");
    let set = |gate: &str, status: &str| {
        let patch = json!({"status": {"conditions": [{"type": gate, "status": status}]}});
        async move {
            stage.api(POD).patch_status("gated", &PatchParams::default(), &Patch::Strategic(patch)).await
        }
    };
    set(GATES[0], "True").await?;
    set(GATES[1], "True").await?;
    stage.pod_until("gated", "it is Ready", is_ready).await?;
    set(GATES[0], "False").await?;
    let unready = stage.pod_until("gated", "it is not Ready", |pod| !is_ready(pod)).await?;
    let reason = &condition(&unready, "Ready")["reason"];
    ensure!(reason == "ReadinessGatesNotReady", "Ready has the reason {reason}");
    Ok(())
}

async fn collection(stage: &Stage) -> Result<()> {
    let label = "type=testing";
    for name in ["one", "two", "three"] {
        let mut wish = pod(name, STAY);
        wish["metadata"]["labels"] = json!({"type": "testing"});
        stage.create(wish).await?;
    }
    let list = ListParams::default().labels(label);
    stage.api(POD).delete_collection(&DeleteParams::default().grace_period(1), &list).await?;
    let gone = stage.until(POD, Which::Labels(label.to_owned()), |pods| {
        if pods.is_empty() { Look::Done(()) } else { Look::NotYet(format!("{} pods are there", pods.len())) }
    });
    gone.await
}

async fn status(stage: &Stage) -> Result<()> {
    stage.create(pod("patched", STAY)).await?;
    running(stage, "patched").await?;
    let patch = json!({
        "metadata": {"labels": {"status": "patched"}}, "status": {"message": "Patched by a client", "reason": "Test"},
    });
    let patched =
        stage.api(POD).patch_status("patched", &PatchParams::default(), &Patch::Strategic(patch)).await?;
    let status = &patched.data["status"];
    ensure!(
        status["message"] == "Patched by a client" && status["reason"] == "Test",
        "the status is {status}"
    );
    Ok(())
}

async fn exec(stage: &Stage) -> Result<()> {
    stage.create(pod("remote", STAY)).await?;
    running(stage, "remote").await?;
    let (said, status) = stage.exec("remote", "c", &["/bin/sh", "-c", "echo remote; echo command"]).await?;
    ensure!(said == "remote\ncommand\n", "it said {said:?}");
    ensure!(status["status"] == "Success", "its Status is {status}");
    let (_, status) = stage.exec("remote", "c", &["/bin/sh", "-c", "exit 3"]).await?;
    let code = &status["details"]["causes"][0];
    let is_told =
        status["reason"] == "NonZeroExitCode" && code["reason"] == "ExitCode" && code["message"] == "3";
    ensure!(is_told, "the Status of a command that fails is {status}");
    Ok(())
}
