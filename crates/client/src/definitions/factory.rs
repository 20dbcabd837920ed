//! From settings to managers: who signs, where, and which definitions.

use std::path::PathBuf;
use std::sync::Arc;

use windlass_model::{Problem, label};

use super::{DefinitionManager, Definitions};
use crate::world::{Real, World};
use crate::{Error, JobManager, Result};

/// Variable: who signs the jobs.
pub const JOB_SIGNATURE: &str = "JOB_SIGNATURE";
/// Variable: the namespace of the jobs.
pub const JOB_NAMESPACE: &str = "JOB_NAMESPACE";
/// Variable: the file of the definitions.
pub const JOB_DEFINITIONS_CONFIG_PATH: &str = "JOB_DEFINITIONS_CONFIG_PATH";

/// Makes managers of jobs of one signature, in one namespace, from one register of definitions.
#[derive(Clone)]
pub struct JobManagerFactory {
    signature: String,
    namespace: String,
    definitions: Arc<Definitions>,
}

impl JobManagerFactory {
    /// From the environment: `JOB_SIGNATURE`, `JOB_NAMESPACE` and `JOB_DEFINITIONS_CONFIG_PATH`.
    ///
    /// # Errors
    /// `Problems`: all that is missing or wrong.
    pub fn from_env() -> Result<Self> {
        JobManagerFactory::from_world(&Real)
    }

    /// From a world's environment.
    ///
    /// # Errors
    /// `Problems`: all that is missing or wrong.
    pub fn from_world(world: &dyn World) -> Result<Self> {
        let mut problems = windlass_model::Problems::new();
        let [signature, namespace, path] =
            [JOB_SIGNATURE, JOB_NAMESPACE, JOB_DEFINITIONS_CONFIG_PATH].map(|name| {
                let value = world.variable(name).filter(|value| !value.is_empty());
                if value.is_none() {
                    problems.add(name, "is not set in the environment");
                }
                value.unwrap_or_default()
            });
        problems.or(()).map_err(Error::Problems)?;
        JobManagerFactory::from_vars(signature, namespace, path)
    }

    /// From values: who signs, the namespace, the file of the definitions.
    ///
    /// # Errors
    /// `Argument`: a signature that cannot be a label's value.
    pub fn from_vars(
        signature: impl Into<String>,
        namespace: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Result<Self> {
        JobManagerFactory::new(signature, namespace, Definitions::of_file(path))
    }

    /// From a register.
    ///
    /// # Errors
    /// `Argument`: a signature that cannot be a label's value.
    pub fn new(
        signature: impl Into<String>,
        namespace: impl Into<String>,
        definitions: Definitions,
    ) -> Result<Self> {
        let (signature, namespace) = (signature.into(), namespace.into());
        check_signature(&signature)?;
        Ok(JobManagerFactory { signature, namespace, definitions: Arc::new(definitions) })
    }

    /// A manager on the cluster of another one, in the factory's namespace.
    pub fn manager(&self, jobs: &JobManager) -> DefinitionManager {
        let jobs = jobs.in_namespace(&self.namespace);
        DefinitionManager { jobs, signature: self.signature.clone(), definitions: self.definitions.clone() }
    }
}

/// A signature is a label's value: jobs are found by it.
pub(crate) fn check_signature(signature: &str) -> Result<(), Problem> {
    if signature.is_empty() || !label::is_value(signature) {
        let rule = "1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends";
        return Err(Problem::new("signature", format!("{signature:?} cannot be a label's value: {rule}")));
    }
    Ok(())
}
