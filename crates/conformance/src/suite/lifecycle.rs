//! What clients do to Jobs and what others may do in their place: `test/e2e/apps/job.go`.

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::stage::{JOB, POD, Stage};
use super::template::{Does, job};
use super::wait::{Look, count};

const GROUP: &str = "Job";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 21,
        name: "should adopt matching orphans and release non-matching pods",
        needs: &[],
        run: |stage| Box::pin(adopts_and_releases(stage)),
    },
    Case {
        group: GROUP,
        number: 24,
        name: "should apply changes to a job status",
        needs: &[],
        run: |stage| Box::pin(status_writes(stage)),
    },
    Case {
        group: GROUP,
        number: 25,
        name: "should manage the lifecycle of a job",
        needs: &[Need::GarbageCollection],
        run: |stage| Box::pin(a_whole_life(stage)),
    },
    Case {
        group: GROUP,
        number: 26,
        name: "should update the status ready field",
        needs: &[],
        run: |stage| Box::pin(ready_counts(stage)),
    },
    Case {
        group: GROUP,
        number: 27,
        name: "should allow to delegate reconciliation to external controller",
        needs: &[],
        run: |stage| Box::pin(managed_by_another(stage)),
    },
    Case {
        group: GROUP,
        number: 30,
        name: "should allow updating pod resources for a suspended job",
        needs: &[],
        run: |stage| Box::pin(resources_before_the_start(stage)),
    },
    Case {
        group: GROUP,
        number: 31,
        name: "should allow updating pod resources for a job that started and then was suspended",
        needs: &[],
        run: |stage| Box::pin(resources_after_a_start(stage)),
    },
];

/// The owner that controls an object.
fn controller(object: &DynamicObject) -> Option<(String, String)> {
    let owners = object.metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    Some((owner.name.clone(), owner.uid.clone()))
}

async fn adopts_and_releases(stage: &Stage) -> Result<()> {
    let job = stage.create(job("adopts", Does::Stay, 2, 4)).await?;
    let uid = job.metadata.uid.context("a Job without a uid")?;
    stage.pods_in_phase("adopts", "Running", 2).await?;
    let pods = stage.list(POD, "job=adopts").await?;
    ensure!(pods.len() == 2, "{} pods, not 2", pods.len());
    let name = pods[0].metadata.name.clone().context("a pod without a name")?;

    stage.update(POD, &name, |pod| pod.metadata.owner_references = None).await?;
    let adopted = stage.object_until(POD, &name, |pod| match controller(pod) {
        None => Look::NotYet("nobody has adopted it".to_owned()),
        Some(found) if found == ("adopts".to_owned(), uid.clone()) => Look::Done(()),
        Some(found) => Look::Never(format!("its controller is {found:?}")),
    });
    adopted.await?;

    stage.update(POD, &name, |pod| pod.metadata.labels = None).await?;
    let released = stage.object_until(POD, &name, |pod| match controller(pod) {
        None => Look::Done(()),
        Some(found) => Look::NotYet(format!("its controller is {found:?}")),
    });
    released.await?;
    // Another took its place.
    stage.pods_in_phase("adopts", "Running", 2).await
}

const OURS: &str = "CustomConditionType";

fn ours(job: &DynamicObject) -> Option<&Value> {
    job.data["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == OURS)
}

fn ensure_ours(job: &DynamicObject, time: &str) -> Result<()> {
    let ours = ours(job).with_context(|| format!("no condition {OURS}: {}", job.data["status"]))?;
    ensure!(ours["lastTransitionTime"] == time, "its lastTransitionTime is {}", ours["lastTransitionTime"]);
    Ok(())
}

async fn status_writes(stage: &Stage) -> Result<()> {
    let made = stage.create(job("status", Does::Stay, 2, 4)).await?;
    stage.pods_in_phase("status", "Running", 2).await?;
    let (first, second) = ("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z");
    let patch = json!({
        "metadata": {"annotations": {"patchedstatus": "true"}},
        "status": {"conditions": [{"type": OURS, "status": "True", "lastTransitionTime": first}]},
    });
    let patched = stage.api(JOB).patch_status("status", &PatchParams::default(), &Patch::Merge(patch)).await;
    let patched = patched.context("patching the status")?;
    ensure_ours(&patched, first)?;
    let annotations = patched.metadata.annotations.unwrap_or_default();
    ensure!(annotations.get("patchedstatus").is_some_and(|v| v == "true"), "no annotation: {annotations:?}");

    let updated = stage.update_status(JOB, "status", |job| {
        let conditions = job.data["status"]["conditions"].as_array_mut();
        if let Some(ours) = conditions.into_iter().flatten().find(|one| one["type"] == OURS) {
            ours["lastTransitionTime"] = second.into();
        }
    });
    ensure_ours(&updated.await?, second)?;
    let got = stage.api(JOB).get_status("status").await.context("getting the status")?;
    ensure!(got.metadata.uid == made.metadata.uid, "the status is of another Job");

    // The controller's own writes leave it where it is.
    stage.merge(JOB, "status", json!({"spec": {"parallelism": 1}})).await?;
    let written = stage.object_until(JOB, "status", |job| match count(job, "active") {
        1 => Look::Done(job.clone()),
        active => Look::NotYet(format!("active is {active}")),
    });
    ensure_ours(&written.await?, second)
}

/// Revisions of one resource are decimal numbers that grow.
fn revision(object: &DynamicObject) -> Result<u128> {
    let text = object.metadata.resource_version.as_deref().unwrap_or_default();
    ensure!(!text.starts_with('0'), "the resourceVersion is {text:?}");
    text.parse().with_context(|| format!("the resourceVersion is {text:?}"))
}

async fn a_whole_life(stage: &Stage) -> Result<()> {
    let label = format!("windlass-suite={}", stage.namespace);
    let list = ListParams::default().labels(&label);
    let listed = stage.api(JOB).list(&list).await?;
    let start = listed.metadata.resource_version.context("a list without a resourceVersion")?;
    let mut wish = job("life", Does::Succeed, 2, 4);
    wish["metadata"]["labels"] = json!({"windlass-suite": stage.namespace});
    wish["spec"]["suspend"] = true.into();
    let made = stage.create(wish).await?;
    let patch = Patch::Strategic(json!({"metadata": {"labels": {"life": "patched"}}}));
    let patched = stage.api(JOB).patch("life", &PatchParams::default(), &patch).await?;
    ensure!(revision(&made)? < revision(&patched)?, "the resourceVersion did not grow");
    let is_patched = |what: &str, job: &DynamicObject| {
        what == "MODIFIED" && job.metadata.labels.iter().flatten().any(|(k, v)| k == "life" && v == "patched")
    };
    stage.event_from(JOB, &label, start, is_patched).await.context("the patch's event")?;

    let updated = stage.update(JOB, "life", |job| {
        job.data["spec"]["suspend"] = false.into();
        job.metadata.annotations.get_or_insert_default().insert("updated".to_owned(), "true".to_owned());
    });
    let updated = updated.await?;
    let is_updated = |what: &str, job: &DynamicObject| {
        let annotations = job.metadata.annotations.iter().flatten();
        what == "MODIFIED" && annotations.into_iter().any(|(k, v)| k == "updated" && v == "true")
    };
    let since = patched.metadata.resource_version.unwrap_or_default();
    stage.event_from(JOB, &label, since, is_updated).await.context("the update's event")?;
    let everywhere = stage.everywhere(JOB).list(&list).await?;
    ensure!(everywhere.items.len() == 1, "{} Jobs of all namespaces have the label", everywhere.items.len());

    stage.complete("life", "CompletionsReached", 4).await?;
    stage.api(JOB).delete_collection(&DeleteParams::background(), &list).await?;
    let since = updated.metadata.resource_version.unwrap_or_default();
    let is_deleted = |what: &str, _: &DynamicObject| what == "DELETED";
    stage.event_from(JOB, &label, since, is_deleted).await.context("the deletion's event")?;
    let left = stage.everywhere(JOB).list(&list).await?;
    ensure!(left.items.is_empty(), "the Job is listed after it was deleted");
    Ok(())
}

async fn ready_counts(stage: &Stage) -> Result<()> {
    let mut wish = job("ready", Does::Stay, 2, 4);
    wish["spec"]["suspend"] = true.into();
    stage.create(wish).await?;
    for (suspend, wanted) in [(None, 0), (Some(false), 2), (Some(true), 0)] {
        if let Some(suspend) = suspend {
            stage.update(JOB, "ready", |job| job.data["spec"]["suspend"] = suspend.into()).await?;
        }
        let seen = stage.object_until(JOB, "ready", |job| match &job.data["status"]["ready"] {
            found if *found == wanted => Look::Done(()),
            found => Look::NotYet(format!("ready is {found}, not {wanted}")),
        });
        seen.await?;
    }
    Ok(())
}

async fn managed_by_another(stage: &Stage) -> Result<()> {
    let mut wish = job("managed", Does::Succeed, 2, 4);
    wish["spec"]["managedBy"] = "example.com/custom-job-controller".into();
    stage.create(wish).await?;
    // A Job that came later has been run by then.
    stage.create(job("witness", Does::Succeed, 1, 1)).await?;
    stage.complete("witness", "CompletionsReached", 1).await?;
    let job = stage.get(JOB, "managed").await?;
    let status = &job.data["status"];
    ensure!(status.is_null() || *status == json!({}), "its status is {status}");
    let pods = stage.list(POD, "job=managed").await?;
    ensure!(pods.is_empty(), "it has {} pods", pods.len());
    Ok(())
}

fn requests(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}})
}

async fn resources_before_the_start(stage: &Stage) -> Result<()> {
    let mut wish = job("sized", Does::Succeed, 1, 1);
    wish["spec"]["suspend"] = true.into();
    wish["spec"]["template"]["spec"]["containers"][0]["resources"] = requests("100m", "128Mi");
    stage.create(wish).await?;
    stage.condition("sized", "Suspended", "JobSuspended").await?;
    let pods = stage.list(POD, "job=sized").await?;
    ensure!(pods.is_empty(), "a suspended Job has {} pods", pods.len());
    resize_and_resume(stage, "sized").await?;
    stage.complete("sized", "CompletionsReached", 1).await?;
    ensure_resized(stage, "sized").await
}

async fn resources_after_a_start(stage: &Stage) -> Result<()> {
    let mut wish = job("resized", Does::Stay, 1, 1);
    wish["spec"]["template"]["spec"]["containers"][0]["resources"] = requests("100m", "128Mi");
    stage.create(wish).await?;
    stage.pods_in_phase("resized", "Running", 1).await?;
    stage.update(JOB, "resized", |job| job.data["spec"]["suspend"] = true.into()).await?;
    stage.condition("resized", "Suspended", "JobSuspended").await?;
    stage.pods_gone("resized").await?;
    let idle = stage.object_until(JOB, "resized", |job| match count(job, "active") {
        0 => Look::Done(()),
        active => Look::NotYet(format!("active is {active}")),
    });
    idle.await?;
    resize_and_resume(stage, "resized").await?;
    stage.pods_in_phase("resized", "Running", 1).await?;
    ensure_resized(stage, "resized").await
}

async fn resize_and_resume(stage: &Stage, name: &str) -> Result<()> {
    let resources = requests("200m", "256Mi");
    let resize = |job: &mut DynamicObject| {
        job.data["spec"]["template"]["spec"]["containers"][0]["resources"] = resources.clone();
    };
    stage.update(JOB, name, resize).await.context("other resources for a suspended Job")?;
    stage.update(JOB, name, |job| job.data["spec"]["suspend"] = false.into()).await?;
    Ok(())
}

async fn ensure_resized(stage: &Stage, name: &str) -> Result<()> {
    let pods = stage.list(POD, &format!("job={name}")).await?;
    ensure!(!pods.is_empty(), "it has no pod");
    for pod in pods {
        let found = &pod.data["spec"]["containers"][0]["resources"];
        ensure!(*found == requests("200m", "256Mi"), "a pod's resources are {found}");
    }
    Ok(())
}
