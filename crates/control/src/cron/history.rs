//! Finished Jobs beyond those that are kept. Source: upstream `cleanupFinishedJobs`, `removeOldestJobs`.

use super::{Draft, MAX_JOBS_PER_PLAN};
use crate::job::finished_condition;
use crate::view::Job;

/// Deletes them, the one that started first before the others.
pub(super) fn clean(draft: &mut Draft<'_>, jobs: &[&Job]) {
    let spec = &draft.cron.spec;
    let limits =
        [("Complete", spec.successful_jobs_history_limit), ("Failed", spec.failed_jobs_history_limit)];
    for (condition, limit) in limits {
        let Some(limit) = limit else { continue };
        let ended = |job: &&&Job| finished_condition(&job.status).is_some_and(|c| c.kind == condition);
        let mut finished: Vec<&Job> = jobs.iter().filter(ended).copied().collect();
        let surplus = finished.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        // One that never started comes last.
        finished.sort_by_key(|job| {
            (job.status.start_time.is_none(), job.status.start_time, job.metadata.name.clone())
        });
        let room = MAX_JOBS_PER_PLAN.saturating_sub(draft.plan.delete.len());
        for job in finished.into_iter().take(surplus.min(room)) {
            draft.delete(job);
        }
    }
}
