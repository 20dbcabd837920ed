//! Jobs that go a while after they have finished: `test/e2e/apps/ttl_after_finished.go`.

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde_json::json;

use super::case::{Case, Need};
use super::stage::{JOB, Stage};
use super::template::{Does, job};
use super::wait::{Look, holds};

const FINALIZER: &str = "windlass.dev/dummy-finalizer";
const TTL_SECONDS: i64 = 5;

pub(super) const CASES: &[Case] = &[Case {
    group: "TTLAfterFinished",
    number: 1,
    name: "job should be deleted once it finishes after TTL seconds",
    needs: &[Need::GarbageCollection],
    run: |stage| Box::pin(goes_when_its_time_is_up(stage)),
}];

/// Upstream's Job succeeds or fails by chance; here one does and one does not.
async fn goes_when_its_time_is_up(stage: &Stage) -> Result<()> {
    futures::try_join!(
        goes(stage, "good", Does::Succeed, "Complete"),
        goes(stage, "bad", Does::Fail, "Failed")
    )?;
    Ok(())
}

async fn goes(stage: &Stage, name: &str, does: Does, end: &str) -> Result<()> {
    let mut wish = job(name, does, 1, 1);
    wish["metadata"]["finalizers"] = json!([FINALIZER]);
    wish["spec"]["backoffLimit"] = 0.into();
    wish["spec"]["ttlSecondsAfterFinished"] = TTL_SECONDS.into();
    stage.create(wish).await?;
    let doomed = stage.object_until(JOB, name, |job| {
        if job.metadata.deletion_timestamp.is_some() {
            return Look::Done(job.clone());
        }
        Look::NotYet(format!("nobody deletes it: {}", job.data["status"]))
    });
    let doomed = doomed.await?;
    ensure_in_time(&doomed, end)?;

    stage
        .update(JOB, name, |job| {
            job.metadata.finalizers.get_or_insert_default().retain(|one| one != FINALIZER);
        })
        .await?;
    stage.gone(JOB, name).await?;
    stage.pods_gone(name).await
}

fn ensure_in_time(job: &DynamicObject, end: &str) -> Result<()> {
    let ended =
        holds(job, end).with_context(|| format!("it is deleted and not {end}: {}", job.data["status"]))?;
    let ended = ended["lastTransitionTime"].as_str().unwrap_or_default();
    let ended: k8s_openapi::jiff::Timestamp = ended.parse().with_context(|| format!("a time: {ended:?}"))?;
    let deleted = job.metadata.deletion_timestamp.as_ref().context("no deletionTimestamp")?.0;
    let seconds = deleted.as_second() - ended.as_second();
    ensure!(seconds >= TTL_SECONDS, "it was deleted {seconds} s after its end");
    Ok(())
}
