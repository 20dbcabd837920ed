//! Kubernetes' own manifests: the base is the user's Job, as it is.

use super::{Format, Inputs, Payload, Reading, Written};
use crate::Base;
use crate::edit::{ContainerEdit, Edit};
use crate::read::{ReadError, read_documents};

/// Every Job of the file. A payload takes the place of the first container's command.
pub(super) fn read(file: &str, text: &str, inputs: Inputs<'_>) -> Result<Reading, Vec<ReadError>> {
    let edits = match inputs.payload {
        Payload::Own => Vec::new(),
        Payload::Command(words) => vec![Edit::FirstContainer(ContainerEdit::Command(words.clone()))],
    };
    let jobs = read_documents(file, text)?.into_iter().map(|document| Written {
        file: document.file,
        line: document.line,
        base: Base::Manifest(document.job),
        edits: edits.clone(),
    });
    Ok(Reading { format: Format::Kubernetes, jobs: jobs.collect(), kubeconfig: None, notes: Vec::new() })
}
