//! Jobs that run, fail, wait and are deleted: `test/e2e/apps/job.go`.

use anyhow::{Result, ensure};
use kube::api::{DeleteParams, DynamicObject};
use serde_json::json;

use super::case::{Case, Need};
use super::stage::{JOB, NODE, POD, Stage};
use super::template::{self, Does, job, on_node, scripted, with_volume};
use super::wait::{Look, Which, count, of_job};

const GROUP: &str = "Job";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 1,
        name: "should run a job to completion when tasks succeed",
        needs: &[],
        run: |stage| Box::pin(all_succeed(stage)),
    },
    Case {
        group: GROUP,
        number: 5,
        name: "should not create pods when created in suspend state",
        needs: &[],
        run: |stage| Box::pin(created_suspended(stage)),
    },
    Case {
        group: GROUP,
        number: 6,
        name: "should delete pods when suspended",
        needs: &[],
        run: |stage| Box::pin(suspended_later(stage)),
    },
    Case {
        group: GROUP,
        number: 7,
        name: "should recreate pods only after they have failed if pod replacement policy is set to Failed",
        needs: &[],
        run: |stage| Box::pin(replaced_after_failure(stage)),
    },
    Case {
        group: GROUP,
        number: 16,
        name: "should remove pods when job is deleted",
        needs: &[Need::GarbageCollection],
        run: |stage| Box::pin(pods_go_with_the_job(stage)),
    },
    Case {
        group: GROUP,
        number: 17,
        name: "should run a job to completion when tasks sometimes fail and are locally restarted",
        needs: &[Need::Volumes],
        run: |stage| Box::pin(restarted_in_place(stage)),
    },
    Case {
        group: GROUP,
        number: 18,
        name: "should run a job to completion when tasks sometimes fail and are not locally restarted",
        needs: &[Need::Node, Need::HostPath, Need::Volumes],
        run: |stage| Box::pin(replaced_by_new_pods(stage)),
    },
    Case {
        group: GROUP,
        number: 19,
        name: "should fail when exceeds active deadline",
        needs: &[],
        run: |stage| Box::pin(past_its_deadline(stage)),
    },
    Case {
        group: GROUP,
        number: 20,
        name: "should delete a job",
        needs: &[Need::GarbageCollection],
        run: |stage| Box::pin(deleted(stage)),
    },
    Case {
        group: GROUP,
        number: 22,
        name: "should fail to exceed backoffLimit",
        needs: &[],
        run: |stage| Box::pin(past_its_backoff_limit(stage)),
    },
    Case {
        group: GROUP,
        number: 23,
        name: "should run a job to completion with CPU requests",
        needs: &[Need::Node],
        run: |stage| Box::pin(more_than_the_node_holds(stage)),
    },
];

/// The label by which pods choose a node, of one that is ready and takes pods, and its allocatable CPU in millicores.
pub(super) async fn ready_node(stage: &Stage) -> Result<(String, i64)> {
    let nodes = stage.list(NODE, "kubernetes.io/hostname").await?;
    let is_ready = |node: &&DynamicObject| {
        super::wait::holds(node, "Ready").is_some() && node.data["spec"]["unschedulable"] != true
    };
    let Some(node) = nodes.iter().find(is_ready) else { anyhow::bail!("no node is Ready and has the label") };
    let label = node.metadata.labels.iter().flatten().find(|(key, _)| *key == "kubernetes.io/hostname");
    let cpu = node.data["status"]["allocatable"]["cpu"].as_str().unwrap_or_default();
    let millicores = match cpu.strip_suffix('m') {
        Some(digits) => digits.parse::<i64>(),
        None => cpu.parse::<i64>().map(|whole| whole * 1000),
    };
    let millicores = millicores.map_err(|_| anyhow::anyhow!("the node's allocatable cpu is {cpu:?}"))?;
    Ok((label.map(|(_, value)| value.clone()).unwrap_or_default(), millicores))
}

/// All is over and counted: `ready` and `terminating` are there, and 0.
pub(super) fn ensure_settled(job: &DynamicObject) -> Result<()> {
    let status = &job.data["status"];
    ensure!(count(job, "active") == 0, "active is {}", status["active"]);
    ensure!(status["ready"] == 0, "ready is {}, not 0", status["ready"]);
    ensure!(status["terminating"] == 0, "terminating is {}, not 0", status["terminating"]);
    Ok(())
}

/// Every pod of a Job is in the phase, and there are so many.
async fn ensure_pods(stage: &Stage, job: &str, phase: &str, wanted: usize) -> Result<()> {
    let pods = stage.list(POD, &format!("job={job}")).await?;
    let phases: Vec<_> = pods.iter().map(|pod| &pod.data["status"]["phase"]).collect();
    ensure!(phases.len() == wanted && phases.iter().all(|one| **one == phase), "the pods are {phases:?}");
    Ok(())
}

async fn all_succeed(stage: &Stage) -> Result<()> {
    stage.create(job("all-succeed", Does::Succeed, 2, 4)).await?;
    stage.condition("all-succeed", "SuccessCriteriaMet", "CompletionsReached").await?;
    stage.complete("all-succeed", "CompletionsReached", 4).await?;
    ensure_pods(stage, "all-succeed", "Succeeded", 4).await
}

async fn created_suspended(stage: &Stage) -> Result<()> {
    let mut wish = job("suspended", Does::Succeed, 2, 4);
    wish["spec"]["suspend"] = true.into();
    stage.create(wish).await?;
    stage.condition("suspended", "Suspended", "JobSuspended").await?;
    let pods = stage.list(POD, "job=suspended").await?;
    ensure!(pods.is_empty(), "a suspended Job has {} pods", pods.len());
    stage.update(JOB, "suspended", |job| job.data["spec"]["suspend"] = false.into()).await?;
    stage.complete("suspended", "CompletionsReached", 4).await?;
    Ok(())
}

async fn suspended_later(stage: &Stage) -> Result<()> {
    stage.create(job("to-suspend", Does::Stay, 2, 4)).await?;
    stage.pods_in_phase("to-suspend", "Running", 2).await?;
    stage.update(JOB, "to-suspend", |job| job.data["spec"]["suspend"] = true.into()).await?;
    stage.pods_gone("to-suspend").await?;
    let job = stage.condition("to-suspend", "Suspended", "JobSuspended").await?;
    ensure!(count(&job, "failed") == 0, "pods that a suspension ended are counted failed");
    Ok(())
}

async fn replaced_after_failure(stage: &Stage) -> Result<()> {
    // Long enough to be seen by a controller that stands still for a while, and within its grace.
    let script = "end() { sleep 15; exit 143; }; trap end TERM; while true; do sleep 1; done";
    let mut wish = scripted("replaced", script, 1, 1);
    wish["spec"]["backoffLimit"] = 1.into();
    wish["spec"]["podReplacementPolicy"] = "Failed".into();
    stage.create(wish).await?;
    stage.pods_in_phase("replaced", "Running", 1).await?;
    let delete = async {
        for pod in stage.list(POD, "job=replaced").await? {
            let name = pod.metadata.name.unwrap_or_default();
            stage.api(POD).delete(&name, &DeleteParams::default().grace_period(30)).await?;
        }
        Ok(())
    };
    let mut states = [[0, 0, 1], [1, 1, 0]].into_iter().peekable();
    let seen = stage.until_after(JOB, Which::Name("replaced"), delete, |jobs| {
        let Some(job) = jobs.first() else { return Look::Never("it is gone".to_owned()) };
        let found = ["active", "failed", "terminating"].map(|counter| count(job, counter));
        states.next_if_eq(&found);
        match states.peek() {
            None => Look::Done(()),
            Some(next) => Look::NotYet(format!("active, failed and terminating are {found:?}, not {next:?}")),
        }
    });
    seen.await
}

async fn pods_go_with_the_job(stage: &Stage) -> Result<()> {
    stage.create(job("to-delete", Does::Stay, 2, 4)).await?;
    stage.pods_in_phase("to-delete", "Running", 2).await?;
    stage.delete(JOB, "to-delete").await?;
    stage.pods_gone("to-delete").await
}

async fn restarted_in_place(stage: &Stage) -> Result<()> {
    let wish = scripted("in-place", template::FAIL_ONCE, 2, 4);
    let mut wish = with_volume(wish, json!({"name": "data", "emptyDir": {}}));
    wish["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure".into();
    stage.create(wish).await?;
    stage.complete("in-place", "CompletionsReached", 4).await?;
    let pods = stage.list(POD, "job=in-place").await?;
    let restarts = pods.iter().map(|pod| &pod.data["status"]["containerStatuses"][0]["restartCount"]);
    let restarts: Vec<_> = restarts.collect();
    ensure!(restarts.len() == 4 && restarts.iter().all(|one| **one == 1), "the restarts are {restarts:?}");
    Ok(())
}

async fn replaced_by_new_pods(stage: &Stage) -> Result<()> {
    let (node, _) = ready_node(stage).await?;
    stage.create(on_node(stage, scripted("new-pods", template::FAIL_ONCE, 2, 4), &node)).await?;
    stage.condition("new-pods", "SuccessCriteriaMet", "CompletionsReached").await?;
    let job = stage.complete("new-pods", "CompletionsReached", 4).await?;
    ensure!(count(&job, "failed") > 0, "no pod failed");
    ensure_settled(&job)
}

async fn past_its_deadline(stage: &Stage) -> Result<()> {
    // Its pods go on for a while when they are told to end: that they were not waited for is to be seen.
    let script = "trap 'sleep 2; exit 0' TERM; sleep 1000000 & wait";
    let mut wish = scripted("too-long", script, 2, 4);
    wish["spec"]["activeDeadlineSeconds"] = 1.into();
    stage.create(wish).await?;
    stage.condition("too-long", "FailureTarget", "DeadlineExceeded").await?;
    let job = stage.condition("too-long", "Failed", "DeadlineExceeded").await?;
    ensure_settled(&job)
}

async fn deleted(stage: &Stage) -> Result<()> {
    stage.create(job("foo", Does::Stay, 2, 4)).await?;
    stage.pods_in_phase("foo", "Running", 2).await?;
    stage.delete(JOB, "foo").await?;
    let found = stage.api(JOB).get_opt("foo").await?;
    ensure!(found.is_none(), "the Job is still there");
    Ok(())
}

async fn past_its_backoff_limit(stage: &Stage) -> Result<()> {
    let mut wish = job("too-often", Does::Fail, 1, 1);
    wish["spec"]["backoffLimit"] = 1.into();
    stage.create(wish).await?;
    stage.condition("too-often", "FailureTarget", "BackoffLimitExceeded").await?;
    let job = stage.condition("too-often", "Failed", "BackoffLimitExceeded").await?;
    ensure_pods(stage, "too-often", "Failed", 2).await?;
    ensure_settled(&job)
}

async fn more_than_the_node_holds(stage: &Stage) -> Result<()> {
    let (node, millicores) = ready_node(stage).await?;
    let mut wish = job("crowd", Does::Succeed, 90, 90);
    wish["spec"]["backoffLimit"] = 0.into();
    let pod = &mut wish["spec"]["template"]["spec"];
    pod["nodeSelector"] = json!({"kubernetes.io/hostname": node});
    pod["containers"][0]["resources"] = json!({"requests": {"cpu": format!("{}m", millicores / 5)}});
    // At some time pods that do not fit have waited, and none has failed for it.
    let create = async { stage.create(wish).await.map(drop) };
    let waited = stage.until_after(POD, of_job("crowd"), create, |pods| {
        let unschedulable = |pod: &&&DynamicObject| {
            let conditions = pod.data["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|one| one["reason"] == "Unschedulable")
        };
        match pods.iter().find(unschedulable) {
            Some(pod) if pod.data["status"]["phase"] == "Pending" => Look::Done(()),
            Some(pod) => Look::Never(format!("a pod that does not fit is {}", pod.data["status"]["phase"])),
            None => Look::NotYet("no pod waits".to_owned()),
        }
    });
    waited.await?;
    stage.complete("crowd", "CompletionsReached", 90).await?;
    ensure_pods(stage, "crowd", "Succeeded", 90).await
}
