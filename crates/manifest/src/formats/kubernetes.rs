//! Kubernetes' own manifests: the base is the user's Job, as it is.

use serde_json::Value;

use super::{Doubt, Format, Inputs, Payload, Reading, Written};
use crate::edit::{ContainerEdit, Edit};
use crate::fields::Faults;
use crate::read::{Document, ReadError, jobs_of};
use crate::tree::{self, Node};
use crate::{Base, lint, mend};

/// Every Job of the file. A payload takes the place of the first container's command.
pub(super) fn read(
    file: &str,
    text: &str,
    documents: Vec<(u64, Value)>,
    inputs: Inputs<'_>,
) -> Result<Reading, Vec<ReadError>> {
    let jobs = jobs_of(file, text, documents)?;
    let doubts = check(file, text, &jobs)?;
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
    Ok(Reading {
        format: Format::Kubernetes,
        jobs: jobs.collect(),
        kubeconfig: None,
        notes: Vec::new(),
        doubts,
    })
}

/// What Kubernetes' types say of the Jobs: what is certainly wrong is refused, what is not known comes back.
pub(super) fn check(file: &str, text: &str, jobs: &[Document]) -> Result<Vec<Doubt>, Vec<ReadError>> {
    let mut documents: Option<Vec<Node>> = None;
    let (mut faults, mut doubts, mut corrected) = (Faults::of(file), Vec::new(), Vec::new());
    for (index, job) in jobs.iter().enumerate() {
        let found = lint::lint(&job.job);
        if found == lint::Findings::default() {
            continue;
        }
        let documents = documents.get_or_insert_with(|| tree::parse(text).unwrap_or_default());
        let number = documents.iter().position(|document| document.at.line == job.line);
        let place = |path: &str| {
            number
                .and_then(|number| documents.get(number))
                .map(|root| root.place_of(path))
                .unwrap_or_default()
        };
        for (path, message) in &found.wrong {
            faults.add(place(path), path.clone(), message.clone());
        }
        for (path, home) in &found.misplaced {
            let key = path.rsplit('.').next().unwrap_or(path);
            faults.add(
                place(path),
                path.clone(),
                format!("is at the wrong level; it belongs to {home}.{key}"),
            );
        }
        if !found.misplaced.is_empty() && found.wrong.is_empty() {
            let text = number.and_then(|number| correct(text, number, &found.misplaced));
            corrected.extend(text.and_then(|text| mend::shown(&text, job.line)));
        }
        doubts.extend(found.unknown.into_iter().map(|path| Doubt {
            job: index,
            line: place(&path).line,
            path,
        }));
    }
    let file = file.to_owned();
    faults.or(doubts).map_err(|mut errors| {
        errors.extend(corrected.into_iter().map(|text| ReadError::Corrected { file: file.clone(), text }));
        errors
    })
}

/// The text with every field of a document where it belongs, if that makes it right.
fn correct(text: &str, document: usize, misplaced: &[(String, &str)]) -> Option<String> {
    let corrected = misplaced
        .iter()
        .try_fold(text.to_owned(), |text, (path, home)| mend::moved(&text, document, path, home))?;
    let values: Vec<Value> = serde_saphyr::from_multiple(&corrected).ok()?;
    lint::lint(values.get(document)?).misplaced.is_empty().then_some(corrected)
}
