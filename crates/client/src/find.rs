//! Finds the job that a person means: a name, a submission id, a unique prefix, or `last`.

use crate::{JobManager, Result};

impl JobManager {
    /// The name of the job that is meant. An exact name wins over an id, an id over a prefix; `last` is the
    /// newest job that Windlass submitted in this namespace.
    ///
    /// # Errors
    /// `NotFound`, `Ambiguous`, and what every call may answer.
    pub async fn resolve(&self, text: &str) -> Result<String> {
        todo!("{text}")
    }
}
