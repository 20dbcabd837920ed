//! Indexed Jobs, success policies, and limits for each index: `test/e2e/apps/job.go`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::case::{Case, Need};
use super::jobs::ensure_settled;
use super::stage::{POD, Stage};
use super::template::{Does, indexed, job};
use super::wait::{Look, count, of_job};

const GROUP: &str = "Job";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

pub(super) const CASES: &[Case] = &[
    Case {
        group: GROUP,
        number: 8,
        name: "should create pods for an Indexed job with completion indexes and specified hostname",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(hostnames(stage)),
    },
    Case {
        group: GROUP,
        number: 9,
        name: "should create pods with completion indexes for an Indexed Job",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(labels(stage)),
    },
    Case {
        group: GROUP,
        number: 10,
        name: "with successPolicy should succeeded when all indexes succeeded",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(policy_of_all(stage)),
    },
    Case {
        group: GROUP,
        number: 11,
        name: "with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(policy_by_index(stage)),
    },
    Case {
        group: GROUP,
        number: 12,
        name: "with successPolicy succeededCount rule should succeeded even when some indexes remain pending",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(policy_by_count(stage)),
    },
    Case {
        group: GROUP,
        number: 13,
        name: "should execute all indexes despite some failing when using backoffLimitPerIndex",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(all_indexes_run(stage)),
    },
    Case {
        group: GROUP,
        number: 14,
        name: "should terminate job execution when the number of failed indexes exceeds maxFailedIndexes",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(too_many_failed_indexes(stage)),
    },
    Case {
        group: GROUP,
        number: 15,
        name: "should mark indexes as failed when the FailIndex action is matched in podFailurePolicy",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(fail_index(stage)),
    },
    Case {
        group: GROUP,
        number: 29,
        name: "should record the failure-count in the Pod annotation when using backoffLimitPerIndex",
        needs: &[Need::Indexed],
        run: |stage| Box::pin(failure_counts(stage)),
    },
];

fn ensure_status(job: &DynamicObject, wanted: &Value) -> Result<()> {
    for (field, wanted) in wanted.as_object().into_iter().flatten() {
        // A counter of 0 and an empty list of indexes are left out.
        let found = match &job.data["status"][field] {
            Value::Null if wanted == &json!(0) || wanted == &json!("") => wanted,
            found => found,
        };
        ensure!(found == wanted, "status.{field} is {found}, not {wanted}");
    }
    Ok(())
}

fn index_of(texts: Option<&BTreeMap<String, String>>, pod: &DynamicObject) -> Result<u32> {
    let text = texts.and_then(|texts| texts.get(INDEX));
    let text = text.with_context(|| format!("{:?} has no {INDEX}", pod.metadata.name))?;
    text.parse().with_context(|| format!("{INDEX} is {text:?}"))
}

async fn hostnames(stage: &Stage) -> Result<()> {
    stage.create(indexed(job("indexed", Does::Succeed, 2, 4))).await?;
    stage.complete("indexed", "CompletionsReached", 4).await?;
    let mut indexes = BTreeSet::new();
    for pod in stage.list(POD, "job=indexed").await? {
        let index = index_of(pod.metadata.annotations.as_ref(), &pod)?;
        let hostname = &pod.data["spec"]["hostname"];
        ensure!(*hostname == format!("indexed-{index}"), "the hostname of index {index} is {hostname}");
        if pod.data["status"]["phase"] == "Succeeded" {
            indexes.insert(index);
        }
    }
    ensure!(indexes == BTreeSet::from([0, 1, 2, 3]), "the indexes that succeeded are {indexes:?}");
    Ok(())
}

async fn labels(stage: &Stage) -> Result<()> {
    stage.create(indexed(job("indexed", Does::Succeed, 2, 4))).await?;
    stage.complete("indexed", "CompletionsReached", 4).await?;
    let pods = stage.list(POD, "job=indexed").await?;
    let indexes: Result<BTreeSet<u32>> =
        pods.iter().map(|pod| index_of(pod.metadata.labels.as_ref(), pod)).collect();
    let indexes = indexes?;
    ensure!(indexes == BTreeSet::from([0, 1, 2, 3]), "the labels' indexes are {indexes:?}");
    Ok(())
}

async fn policy_of_all(stage: &Stage) -> Result<()> {
    let mut wish = indexed(job("all", Does::Succeed, 2, 2));
    wish["spec"]["successPolicy"] = json!({"rules": [{"succeededCount": 2}]});
    stage.create(wish).await?;
    stage.condition("all", "SuccessCriteriaMet", "SuccessPolicy").await?;
    let job = stage.complete("all", "SuccessPolicy", 2).await?;
    ensure!(count(&job, "failed") == 0, "failed is {}", count(&job, "failed"));
    ensure_settled(&job)
}

async fn policy_by_index(stage: &Stage) -> Result<()> {
    let mut wish = indexed(job("by-index", Does::FailOdd, 2, 5));
    wish["spec"]["successPolicy"] = json!({"rules": [{"succeededIndexes": "0"}]});
    succeeds_with_index_0(stage, "by-index", wish).await
}

async fn policy_by_count(stage: &Stage) -> Result<()> {
    let mut wish = indexed(job("by-count", Does::FailOdd, 2, 5));
    wish["spec"]["backoffLimit"] = i32::MAX.into();
    wish["spec"]["successPolicy"] = json!({"rules": [{"succeededCount": 1}]});
    succeeds_with_index_0(stage, "by-count", wish).await
}

async fn succeeds_with_index_0(stage: &Stage, name: &str, wish: Value) -> Result<()> {
    stage.create(wish).await?;
    stage.condition(name, "SuccessCriteriaMet", "SuccessPolicy").await?;
    let job = stage.complete(name, "SuccessPolicy", 1).await?;
    ensure_status(&job, &json!({"completedIndexes": "0"}))?;
    ensure_settled(&job)
}

/// A Job whose indexes have limits of their own.
fn limited(name: &str, does: Does, parallelism: i64, completions: i64, limit: i64) -> Value {
    let mut wish = indexed(job(name, does, parallelism, completions));
    wish["spec"]["backoffLimit"] = Value::Null;
    wish["spec"]["backoffLimitPerIndex"] = limit.into();
    wish
}

async fn all_indexes_run(stage: &Stage) -> Result<()> {
    stage.create(limited("per-index", Does::FailOdd, 2, 4, 1)).await?;
    let job = stage.failed("per-index").await?;
    ensure_status(
        &job,
        &json!({"failedIndexes": "1,3", "completedIndexes": "0,2", "failed": 4, "succeeded": 2}),
    )
}

async fn too_many_failed_indexes(stage: &Stage) -> Result<()> {
    let mut wish = limited("max-failed", Does::Fail, 1, 4, 0);
    wish["spec"]["maxFailedIndexes"] = 0.into();
    stage.create(wish).await?;
    let job = stage.failed("max-failed").await?;
    ensure_status(&job, &json!({"failedIndexes": "0", "failed": 1}))
}

async fn fail_index(stage: &Stage) -> Result<()> {
    let mut wish = limited("fail-index", Does::FailOdd, 2, 2, 1);
    wish["spec"]["podFailurePolicy"] =
        json!({"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}]});
    stage.create(wish).await?;
    let job = stage.failed("fail-index").await?;
    ensure_status(&job, &json!({"failedIndexes": "1", "completedIndexes": "0", "failed": 1, "succeeded": 1}))
}

async fn failure_counts(stage: &Stage) -> Result<()> {
    stage.create(limited("counts", Does::Fail, 2, 2, 1)).await?;
    // Failed pods stay: what all have been told is there in the end.
    let job = stage.failed("counts").await?;
    let told = stage.until(POD, of_job("counts"), |pods| {
        let mut told: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
        for pod in pods {
            let annotations = pod.metadata.annotations.as_ref();
            let failures = annotations.and_then(|texts| texts.get(FAILURES)).map_or("none", String::as_str);
            told.entry(index_of(annotations, pod).unwrap_or(u32::MAX)).or_default().insert(failures);
        }
        let each = BTreeSet::from(["0", "1"]);
        if told == BTreeMap::from([(0, each.clone()), (1, each)]) {
            return Look::Done(());
        }
        Look::NotYet(format!("the pods' failure counts by index are {told:?}"))
    });
    told.await?;
    ensure_status(&job, &json!({"failedIndexes": "0,1", "completedIndexes": "", "failed": 4, "succeeded": 0}))
}
