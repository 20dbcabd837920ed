//! Kubernetes' own manifests: the base is the user's Job, as it is.

use serde_json::Value;

use super::{Format, Inputs, Payload, Reading, Written};
use crate::Base;
use crate::edit::{ContainerEdit, Edit};
use crate::read::{ReadError, jobs_of};

/// Every Job of the file. A payload takes the place of the first container's command.
pub(super) fn read(
    file: &str,
    documents: Vec<(u64, Value)>,
    inputs: Inputs<'_>,
) -> Result<Reading, Vec<ReadError>> {
    let jobs = jobs_of(file, documents)?;
    let edits = match inputs.payload {
        Payload::Own => Vec::new(),
        Payload::Command(words) => vec![Edit::FirstContainer(ContainerEdit::Command(words.clone()))],
        Payload::Magnus(_) => {
            let message = "is a Kubernetes manifest; functions and notebooks are run by magnus configurations, \
                           which have executor: {type: k8s-job}";
            return Err(vec![ReadError::Unfit { file: file.to_owned(), message: message.to_owned() }]);
        }
    };
    let jobs = jobs.into_iter().map(|document| Written {
        file: document.file,
        line: document.line,
        base: Base::Manifest(document.job),
        edits: edits.clone(),
    });
    Ok(Reading { format: Format::Kubernetes, jobs: jobs.collect(), kubeconfig: None, notes: Vec::new() })
}
