//! How far a job with several tasks is: one live line on a terminal, a line for each tenth elsewhere, and a summary.

use std::time::Duration;

use tokio::time::Instant;
use windlass::JobManager;
use windlass::manifest::tasks::task_count;
use windlass::manifest::{Cause, Counts, JobStatus};

use super::failures;
use crate::out::Notes;
use crate::print::plain;
use crate::{age, clock, progress};

/// The line is drawn so often at most, and its time goes on so often.
const REDRAWN: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_secs(1);
/// The bar's length, characters.
const BAR: std::ops::RangeInclusive<usize> = 8..=24;

/// The count of a job's tasks.
pub(super) struct Tally {
    total: u32,
    begun: Instant,
    counts: Counts,
    /// Tenths that were told.
    told: u64,
    /// When the line is drawn again.
    due: Instant,
}

impl Tally {
    /// Of a job with several tasks.
    pub(super) fn of(job: &k8s_openapi::api::batch::v1::Job) -> Option<Tally> {
        let total = task_count(job).filter(|count| *count > 1)?;
        let now = clock::after(Duration::ZERO);
        Some(Tally { total, begun: now, counts: Counts::default(), told: 0, due: now })
    }

    /// When the line is to be drawn again, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        progress::is_on().then_some(self.due)
    }

    /// Takes notice of a status.
    pub(super) fn see(&mut self, name: &str, status: &JobStatus, notes: Notes) {
        self.counts = status.counts.clone();
        if !progress::is_on() {
            self.tell(name, status.phase.is_final(), notes);
        } else if clock::after(Duration::ZERO) + TICK >= self.due + REDRAWN {
            self.draw();
        }
    }

    /// Draws the line.
    pub(super) fn draw(&mut self) {
        let now = clock::after(Duration::ZERO);
        self.due = now + TICK;
        progress::show(&line(&self.counts, self.total, self.elapsed(now)));
    }

    /// Says each tenth once, but for the last, which the summary tells.
    fn tell(&mut self, name: &str, is_over: bool, notes: Notes) {
        let done = u64::from(done(&self.counts));
        let tenth = done * 10 / u64::from(self.total);
        if tenth > self.told && !is_over && done < u64::from(self.total) {
            self.told = tenth;
            let failed = match failed(&self.counts) {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            let elapsed = self.elapsed(clock::after(Duration::ZERO));
            notes.say(&format!("{name}: {done} of {} done{failed} ({elapsed})", self.total));
        }
    }

    /// The end: how many succeeded, and why the others did not.
    pub(super) async fn finish(&self, end: &windlass::Outcome, manager: &JobManager, notes: Notes) {
        let status = match end.exit.code() {
            0 => end.status.clone(),
            _ => failures::read(end, manager).await,
        };
        let elapsed = self.elapsed(clock::after(Duration::ZERO));
        let mut text = format!("{}: {} ({elapsed})", end.name, summary(&status, self.total));
        if end.exit.code() != 0 {
            let verdict = &status.verdict;
            // Of tasks that ended by themselves the groups tell all.
            let by_themselves = matches!(
                end.cause,
                Cause::Exited { .. } | Cause::Signalled { .. } | Cause::NotStarted { .. }
            );
            if verdict.failures.is_empty() || !by_themselves {
                text.push_str(&format!("\n  {}", plain(&verdict.text)));
            }
            text.push('\n');
            text.push_str(&failures::told(&verdict.failures));
            text.extend(verdict.next_step.iter().map(|next| format!("  next: {}", plain(next))));
        }
        notes.say(text.trim_end());
    }

    fn elapsed(&self, now: Instant) -> String {
        let seconds = now.saturating_duration_since(self.begun).as_secs();
        age::human(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}

fn failed(counts: &Counts) -> u32 {
    counts.failed_tasks.unwrap_or(0)
}

fn done(counts: &Counts) -> u32 {
    counts.succeeded.saturating_add(failed(counts))
}

/// `298 of 300 succeeded, 2 failed`.
fn summary(status: &JobStatus, total: u32) -> String {
    let succeeded = status.counts.succeeded;
    let by_cause = status.verdict.failures.iter().map(|group| group.count).sum();
    let failed = status.counts.failed_tasks.unwrap_or(by_cause).max(by_cause);
    let mut text = format!("{succeeded} of {total} succeeded");
    if failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    match total.saturating_sub(succeeded).saturating_sub(failed) {
        0 => text,
        left => format!("{text}, {left} did not finish"),
    }
}

/// `[######----] 187/300, 2 failed, 8 running, 103 waiting, 12s`
fn line(counts: &Counts, total: u32, elapsed: String) -> String {
    let (done, failed, running) = (done(counts), failed(counts), counts.ready);
    let waiting = total.saturating_sub(done).saturating_sub(running);
    let mut text = vec![format!("{}/{total}", counts.succeeded)];
    for (count, word) in [(failed, "failed"), (running, "running"), (waiting, "waiting")] {
        text.extend((count > 0).then(|| format!("{count} {word}")));
    }
    text.push(elapsed);
    let text = text.join(", ");
    let room = progress::WIDTH.saturating_sub(text.len() + 3).clamp(*BAR.start(), *BAR.end());
    let full = (room as u64 * u64::from(done.min(total)) / u64::from(total.max(1))) as usize;
    format!("[{}{}] {text}", "#".repeat(full), "-".repeat(room - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_whatever_the_numbers() {
        let counts = Counts { succeeded: 185, failed_tasks: Some(2), ready: 8, ..Counts::default() };
        let text = "[##############----------] 185/300, 2 failed, 8 running, 105 waiting, 12s";
        assert_eq!(line(&counts, 300, "12s".into()), text);
        assert_eq!(line(&Counts::default(), 2, "0s".into()), "[------------------------] 0/2, 2 waiting, 0s");
        let many = Counts { succeeded: 90_000, failed_tasks: Some(5_000), ready: 64, ..Counts::default() };
        assert!(line(&many, 100_000, "2h3m".into()).len() <= progress::WIDTH);
    }
}
