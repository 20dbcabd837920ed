//! Cancel: a record of who, when and why, and the means that Kubernetes has.

use http::Method;
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use windlass_manifest::marks::Cancellation;
use windlass_manifest::{CancelPlan, cancel, marks};

use crate::patience::Patience;
use crate::transport::{Answer, Call, segment};
use crate::{JobManager, Result, limits};

/// What cancelling did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelEffect {
    /// The job had started: its deadline is one second now, its pods are ended with their grace.
    Stopping,
    /// The job had not started: it is suspended, with parallelism 0, and never starts.
    NeverStarts,
    /// The job had ended before; nothing was changed.
    AlreadyEnded,
    /// Somebody cancelled it before; nothing was changed.
    AlreadyCancelled,
}

impl JobManager {
    /// Cancels a job, whoever made it.
    ///
    /// # Errors
    /// `NotFound`, and what every call may answer.
    pub async fn cancel(&self, name: &str, who: &str, why: Option<&str>) -> Result<CancelEffect> {
        let record =
            Cancellation { who: who.to_owned(), when: self.world.now(), why: why.map(str::to_owned) };
        let (mut tries, mut patience) = (0, Patience::new(limits::REQUEST_BUDGET));
        // What was asked for by a sending whose answer was lost.
        let mut sent = None;
        loop {
            let (patch, effect) = match cancel(&self.job(name).await?, &record) {
                CancelPlan::Stop(patch) => (patch, CancelEffect::Stopping),
                CancelPlan::NeverStart(patch) => (patch, CancelEffect::NeverStarts),
                CancelPlan::Ended => return Ok(sent.unwrap_or(CancelEffect::AlreadyEnded)),
                CancelPlan::Cancelled => return Ok(sent.unwrap_or(CancelEffect::AlreadyCancelled)),
            };
            let call = Call::new(Method::PATCH, self.job_path(name))
                .query("fieldManager", marks::WINDLASS)
                .merge_patch(&patch);
            tries += 1;
            match self.ask::<Job>(call).await {
                Ok(Answer { .. }) => return Ok(effect),
                Err(fault) if fault.is_conflict() && tries < limits::CONFLICTS => {}
                // What became of it is read, and the patch computed anew.
                Err(fault) if fault.may_pass() && tries < limits::CONFLICTS => {
                    let Some(pause) = self.pause(&mut patience, &fault) else {
                        return Err(self.error(name, fault));
                    };
                    sent = sent.or(fault.may_be_done().then_some(effect));
                    self.world.sleep(pause).await;
                }
                Err(fault) => return Err(self.error(name, fault)),
            }
        }
    }

    /// Ends the running pods of a job now, without their grace. For a job that [`JobManager::cancel`] is ending
    /// too slowly.
    ///
    /// # Errors
    /// What every call may answer. A pod that is gone is no error.
    pub async fn kill(&self, name: &str) -> Result<()> {
        let job = self.job(name).await?;
        let pods = self.pods_of(&job).await.map_err(|fault| self.error(name, fault))?;
        let over = |phase: Option<&str>| matches!(phase, Some("Succeeded" | "Failed"));
        for pod in pods {
            if over(pod.status.as_ref().and_then(|status| status.phase.as_deref())) {
                continue;
            }
            let path = format!(
                "{}/{}",
                self.core_path("pods"),
                segment(pod.metadata.name.as_deref().unwrap_or_default())
            );
            let options = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": pod.metadata.uid } });
            match self.ask::<Value>(Call::new(Method::DELETE, path).json(&options).repeatable()).await {
                Ok(_) => {}
                Err(fault) if fault.is_not_found() || fault.is_conflict() => {}
                Err(fault) => return Err(self.error(name, fault)),
            }
        }
        Ok(())
    }
}
