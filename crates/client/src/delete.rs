//! Delete: the job that the user names, and its pods with it.

use http::Method;
use serde_json::{Value, json};

use crate::transport::Call;
use crate::{JobManager, Result};

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Only if the job still has this uid: a new job of the same name is left alone.
    pub uid: Option<String>,
}

impl JobManager {
    /// Deletes a job; the cluster ends and deletes its pods in the background.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` when the uid is another one, and what every call may answer.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<()> {
        let mut body = json!({ "propagationPolicy": "Background" });
        if let Some(uid) = &options.uid {
            body["preconditions"] = json!({ "uid": uid });
        }
        let call = Call::new(Method::DELETE, self.job_path(name)).json(&body);
        self.ask::<Value>(call).await.map(drop).map_err(|fault| self.error(name, fault))
    }
}
