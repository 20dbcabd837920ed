//! Which jobs are meant: those that were named, or all with certain labels.

use std::collections::BTreeSet;

use windlass::{JobManager, ListFilter, StatusPage};

use crate::args::low::Which;
use crate::fail::{Failure, Outcome};

/// At most so many jobs are acted on at once.
const LIMIT: usize = 10_000;

/// The names of the jobs that are meant, each once, in the order in which they were named.
///
/// # Errors
/// One that is not there, or no job at all.
pub(super) async fn names(which: &Which, manager: &JobManager, only_ours: bool) -> Outcome<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for text in &which.jobs {
        let name = manager.resolve(text).await?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if let Some(labels) = &which.selector {
        names.extend(selected(labels, manager, only_ours).await?);
    }
    Ok(names)
}

/// As [`names`], but a named job that is not there does not keep the others from being acted on: it is told apart.
///
/// # Errors
/// No job at all is there.
pub(super) async fn names_and_missing(
    which: &Which,
    manager: &JobManager,
) -> Outcome<(Vec<String>, Vec<Failure>)> {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for text in &which.jobs {
        let one = Which { jobs: vec![text.clone()], selector: None };
        match names(&one, manager, false).await {
            Ok(names) => {
                let new: Vec<String> = names.into_iter().filter(|name| !there.contains(name)).collect();
                there.extend(new);
            }
            Err(failure) => missing.push(failure),
        }
    }
    let labelled = Which { jobs: Vec::new(), selector: which.selector.clone() };
    there.extend(names(&labelled, manager, false).await?);
    match missing.pop() {
        Some(failure) if there.is_empty() => Err(failure),
        failure => {
            missing.extend(failure);
            Ok((there, missing))
        }
    }
}

/// All jobs with these labels.
async fn selected(labels: &str, manager: &JobManager, only_ours: bool) -> Outcome<Vec<String>> {
    let filter = ListFilter { labels: Some(labels.to_owned()), only_ours, ..ListFilter::default() };
    let (mut names, mut known) = (Vec::new(), BTreeSet::new());
    let read = |page: &StatusPage| {
        let fresh = page.jobs.iter().map(|job| &job.name).filter(|name| known.insert((*name).clone()));
        names.extend(fresh.cloned());
        names.len() <= LIMIT
    };
    manager.each_page(filter, read).await?;
    if names.len() > LIMIT {
        return Err(Failure::new(format!("-l {labels}"), format!("more than {LIMIT} jobs"))
            .way_out("narrow the labels"));
    }
    if names.is_empty() {
        let whose = if only_ours { " that Windlass submitted" } else { "" };
        let cause = format!("no job{whose} in namespace {:?} has these labels", manager.namespace());
        return Err(Failure::new(format!("-l {labels}"), cause));
    }
    Ok(names)
}
