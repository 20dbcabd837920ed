//! Pod failure policies: `test/e2e/apps/job.go`.

use anyhow::{Context, Result, ensure};
use kube::api::PostParams;
use serde_json::json;

use super::case::{Case, Need};
use super::jobs::ready_node;
use super::stage::{JOB, POD, Stage};
use super::template::{self, indexed, on_node, scripted};
use super::wait::{Look, count};

const GROUP: &str = "Job";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 2,
        name: "should allow to use the pod failure policy on exit code to fail the job early",
        needs: &[Need::Node, Need::HostPath, Need::Volumes],
        run: |stage| Box::pin(fails_early(stage)),
    },
    Case {
        group: GROUP,
        number: 3,
        name: "should allow to use a pod failure policy to ignore failure matching on exit code",
        needs: &[Need::Node, Need::HostPath, Need::Indexed, Need::Volumes],
        run: |stage| Box::pin(ignores_an_exit_code(stage)),
    },
    Case {
        group: GROUP,
        number: 4,
        name: "should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition",
        needs: &[Need::Node, Need::HostPath, Need::Eviction, Need::Indexed, Need::Volumes],
        run: |stage| Box::pin(ignores_an_eviction(stage)),
    },
];

async fn fails_early(stage: &Stage) -> Result<()> {
    let (node, _) = ready_node(stage).await?;
    let mut wish = on_node(stage, scripted("fail-job", template::FAIL_ONCE, 2, 4), &node);
    wish["spec"]["podFailurePolicy"] =
        json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]});
    stage.create(wish).await?;
    stage.condition("fail-job", "Failed", "PodFailurePolicy").await?;
    Ok(())
}

async fn ignores_an_exit_code(stage: &Stage) -> Result<()> {
    let (node, _) = ready_node(stage).await?;
    let wish = indexed(scripted("ignore-code", template::FAIL_ONCE_PER_INDEX, 3, 3));
    let mut wish = on_node(stage, wish, &node);
    wish["spec"]["backoffLimit"] = 2.into();
    wish["spec"]["podFailurePolicy"] =
        json!({"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}]});
    stage.create(wish).await?;
    let job = stage.complete("ignore-code", "CompletionsReached", 3).await?;
    ensure!(
        count(&job, "failed") == 0,
        "{} failures are counted that were to be ignored",
        count(&job, "failed")
    );
    Ok(())
}

async fn ignores_an_eviction(stage: &Stage) -> Result<()> {
    let (node, _) = ready_node(stage).await?;
    let wish = indexed(scripted("ignore-eviction", template::STAY_ONCE_PER_INDEX, 3, 3));
    let mut wish = on_node(stage, wish, &node);
    wish["spec"]["backoffLimit"] = 2.into();
    wish["spec"]["podFailurePolicy"] = json!({"rules": [{
        "action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }]});
    let pod = &mut wish["spec"]["template"]["spec"];
    pod["terminationGracePeriodSeconds"] = 1.into();
    // Ready says that the mark is made: only then the next pod of the index ends by itself.
    pod["containers"][0]["readinessProbe"] = json!({
        "periodSeconds": 1, "timeoutSeconds": 60,
        "exec": {"command": ["/bin/sh", "-c", "cat /data/done-$JOB_COMPLETION_INDEX"]},
    });
    stage.create(wish).await?;
    let ready = |job: &kube::api::DynamicObject| {
        let status = &job.data["status"];
        if status["ready"] == 3 {
            Look::Done(())
        } else {
            Look::NotYet(format!("ready is {}", status["ready"]))
        }
    };
    stage.object_until(JOB, "ignore-eviction", ready).await?;
    let pods = stage.list(POD, "job=ignore-eviction").await?;
    let running = pods.iter().filter(|pod| pod.data["status"]["phase"] == "Running");
    let names: Vec<String> = running.filter_map(|pod| pod.metadata.name.clone()).collect();
    ensure!(names.len() == 3, "{} pods run, not 3", names.len());
    let evictions = names.iter().map(|name| evict(stage, name));
    futures::future::try_join_all(evictions).await?;
    stage.complete("ignore-eviction", "CompletionsReached", 3).await?;
    Ok(())
}

/// Evicts a pod and waits until it is gone.
async fn evict(stage: &Stage, pod: &str) -> Result<()> {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": stage.namespace},
    });
    let asked: serde_json::Value = stage
        .api(POD)
        .create_subresource("eviction", pod, &PostParams::default(), &eviction)
        .await
        .with_context(|| format!("evicting {pod}"))?;
    ensure!(asked["status"] == "Success", "the eviction's answer is {asked}");
    stage.gone(POD, pod).await
}
