//! What jobs wait for that never comes by itself, told to whoever waits for them: once for each reason.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use windlass::JobManager;
use windlass::manifest::Outlook;

use crate::clock;
use crate::out::Notes;
use crate::print::plain;

/// So many jobs are looked at when nothing happens.
const LOOKED_AT: usize = 4;

/// After so long without news it is looked what the jobs wait for, and again after twice as long.
const FIRST_LOOK: Duration = Duration::from_secs(5);
const LAST_LOOK: Duration = Duration::from_secs(300);

/// What was told, and when to look again.
pub(super) struct Stuck {
    told: BTreeSet<String>,
    quiet: Duration,
}

impl Stuck {
    pub(super) fn new() -> Stuck {
        Stuck { told: BTreeSet::new(), quiet: FIRST_LOOK }
    }

    /// When to look if nothing happens from now on.
    pub(super) fn next(&self) -> Instant {
        clock::after(self.quiet)
    }

    /// Something happened.
    pub(super) fn stir(&mut self) {
        self.quiet = FIRST_LOOK;
    }

    /// Nothing has happened: tells what is new of some of the jobs, each with what is said before its name. The next look is
    /// later.
    pub(super) async fn look<'a>(
        &mut self,
        jobs: impl Iterator<Item = (String, &'a str)>,
        manager: &JobManager,
        notes: Notes,
    ) {
        self.quiet = (self.quiet * 2).min(LAST_LOOK);
        for (before, job) in jobs.take(LOOKED_AT) {
            // What cannot be looked at now will be met by who waits.
            let Ok(view) = manager.get(job).await else { continue };
            let verdict = view.status.verdict;
            if verdict.outlook == Outlook::NeedsAction && self.told.insert(verdict.text.clone()) {
                let next = verdict.next_step.map(|next| format!("; {}", plain(&next))).unwrap_or_default();
                notes.say(&format!("{before}{job}: {}{next}", plain(&verdict.text)));
            }
        }
    }
}
