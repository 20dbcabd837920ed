//! Delete: the job that the user names, and its pods with it.

use http::Method;
use serde_json::{Value, json};

use crate::slim::SlimJob;
use crate::transport::Call;
use crate::{JobManager, Result};

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Only if the job still has this uid: a new job of the same name is left alone.
    pub uid: Option<String>,
}

impl JobManager {
    /// Deletes a job; the cluster ends and deletes its pods in the background. Without a uid it is the job that is
    /// there when the call begins: a retry never meets another one of the same name.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when the uid is another one, and what every call may answer.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<()> {
        let uid = match &options.uid {
            Some(uid) => Some(uid.clone()),
            None => self
                .ask::<SlimJob>(Call::get(self.job_path(name)))
                .await
                .map(|job| job.value.0.metadata.uid)
                .map_err(|fault| self.error(name, fault))?,
        };
        let body = json!({ "propagationPolicy": "Background", "preconditions": { "uid": uid } });
        let call = Call::new(Method::DELETE, self.job_path(name)).json(&body).repeatable();
        match self.ask::<Value>(call).await {
            Ok(_) => Ok(()),
            // It went, or another one has its name: the sending before this one, whose answer was lost, did it.
            Err(fault) if fault.perhaps_done && (fault.is_not_found() || fault.is_conflict()) => Ok(()),
            Err(fault) => Err(self.error(name, fault)),
        }
    }
}
