//! What became of the Jobs: the list of those that run, and when one last succeeded.

use super::{Draft, Event};
use crate::job::finished_condition;
use crate::view::Job;

/// Brings the status up to date with the Jobs.
pub(super) fn look(draft: &mut Draft<'_>, jobs: &[&Job]) {
    for job in jobs {
        let (name, uid) = (&job.metadata.name, &job.metadata.uid);
        let listed = draft.lists(uid);
        match finished_condition(&job.status) {
            None if !listed => draft.tell(Event::warning(
                "UnexpectedJob",
                format!("Saw a job that the controller did not create or forgot: {name}"),
            )),
            None => {}
            Some(end) => {
                if listed {
                    draft.unlist(uid);
                    let message = format!("Saw completed job: {name}, condition: {}", end.kind);
                    draft.tell(Event::normal("SawCompletedJob", message));
                }
                if end.kind == "Complete" {
                    let status = &mut draft.status;
                    status.last_successful_time = status.last_successful_time.max(job.status.completion_time);
                }
            }
        }
    }
    let is_there = |uid: &str| jobs.iter().any(|job| job.metadata.uid == uid);
    let (there, missing): (Vec<_>, Vec<_>) =
        std::mem::take(&mut draft.status.active).into_iter().partition(|job| is_there(&job.uid));
    draft.status.active = there;
    for job in missing {
        draft.tell(Event::normal("MissingJob", format!("Active job went missing: {}", job.name)));
    }
}
