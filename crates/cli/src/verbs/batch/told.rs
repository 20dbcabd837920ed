//! What a person is told of a batch: names of jobs on stdout, everything else on stderr, and how to go on.

use k8s_openapi::api::batch::v1::Job;
use windlass::model::{Batch, BatchLimits, LeftOut, TaskState};
use windlass::{BatchEvent, FoundTask, JobManager, Outcome as Ended};

use super::Prepared;
use crate::args::low::ObjectFormat;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out::Notes;
use crate::print::plain;
use crate::verbs::stuck::Stuck;
use crate::verbs::{bulk, object};
use crate::{bar, out, progress};

/// So many failed tasks of an earlier run are named one by one.
const NAMED: usize = 20;

/// What was told, and what it comes to.
pub(super) struct Told<'a> {
    prepared: &'a Prepared,
    format: ObjectFormat,
    notes: Notes,
    /// Ctrl-C was pressed.
    pub(super) interrupted: bool,
    jobs: Vec<Job>,
    submitted: usize,
    /// Had a job, or were seen to be up to date.
    before: usize,
    /// The exit code of each task's job that has ended.
    codes: Vec<Option<u8>>,
    old: Vec<bool>,
    unprinted: Option<Failure>,
    /// What jobs were told to wait for.
    pub(super) stuck: Stuck,
}

impl<'a> Told<'a> {
    pub(super) fn new(prepared: &'a Prepared, format: ObjectFormat, notes: Notes) -> Told<'a> {
        let count = prepared.tasks.len();
        Told {
            prepared,
            format,
            notes,
            interrupted: false,
            jobs: Vec::new(),
            submitted: 0,
            before: 0,
            codes: vec![None; count],
            old: vec![false; count],
            unprinted: None,
            stuck: Stuck::new(),
        }
    }

    pub(super) fn take(&mut self, event: BatchEvent) {
        match event {
            BatchEvent::Found(found) => self.found(&found),
            BatchEvent::Submitted(task, submitted) => {
                self.submitted += 1;
                for warning in &submitted.warnings {
                    self.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
                }
                if !submitted.created {
                    self.notes.say(&format!("{}: {} was submitted before", self.title(task), submitted.name));
                }
                match self.format {
                    ObjectFormat::Name => self.print(&format!("{}\n", submitted.name)),
                    _ => self.jobs.push(submitted.job),
                }
            }
            BatchEvent::Done(task) => {
                self.before += 1;
                self.notes.say(&format!("{}: up to date", self.title(task)));
            }
            BatchEvent::Refused(task, error) => self.fault(task, &bulk::reason(&error)),
            BatchEvent::NoRoom(message) => {
                let message = plain(&message);
                self.notes
                    .say(&format!("there is no room for more now: {message}; the rest follows as jobs end"));
            }
            BatchEvent::Ended(task, outcome) => self.ended(task, &outcome),
            BatchEvent::LeftOut(left) => self.left_out(left),
        }
    }

    /// What an earlier run has submitted.
    pub(super) fn found(&mut self, found: &[FoundTask]) {
        if found.is_empty() {
            return;
        }
        let count = |state| found.iter().filter(|found| found.state == state).count();
        let words = bar::counts(&[
            (count(TaskState::Succeeded), "succeeded"),
            (count(TaskState::Active), "active"),
            (count(TaskState::Failed), "failed"),
        ]);
        let all = self.prepared.tasks.len();
        self.notes.say(&format!("{} of {all} tasks have a job already: {words}", found.len()));
        let others: Vec<&FoundTask> = found.iter().filter(|found| !found.is_same).collect();
        if let Some(first) = others.first() {
            self.notes.say(&format!(
                "{} of them were submitted with other content, and stay as they are: {} and its like; delete a job to have \
                 its task run again",
                others.len(),
                first.job
            ));
        }
        for found in found {
            self.before += 1;
            self.old[found.task] = true;
        }
        let failed: Vec<&FoundTask> = found.iter().filter(|found| found.state == TaskState::Failed).collect();
        for found in failed.iter().take(NAMED) {
            let (title, job) = (self.title(found.task), &found.job);
            self.notes.say(&format!("{title}: {job} has failed; `windlass delete {job}` has it run again"));
        }
        if failed.len() > NAMED {
            self.notes.say(&format!("and {} more that failed", failed.len() - NAMED));
        }
    }

    pub(super) fn left_out(&mut self, left: LeftOut) {
        self.fault(left.task, &format!("is left out: {} has failed", self.title(left.because)));
    }

    fn ended(&mut self, task: usize, outcome: &Ended) {
        let code = outcome.exit.code();
        self.codes[task] = Some(code);
        if code != 0 && !self.old[task] {
            let verdict = plain(&outcome.status.verdict.text);
            self.notes.say(&format!("{}: {}: {verdict}", self.title(task), outcome.name));
        }
    }

    /// Tells what some of the jobs wait for that never comes by itself, once for each reason.
    pub(super) async fn look(&mut self, active: &[(usize, String)], manager: &JobManager) {
        let prepared = self.prepared;
        let jobs = active.iter().map(|(task, job)| (format!("{}: ", prepared.title(*task)), job.as_str()));
        self.stuck.look(jobs, manager, self.notes).await;
    }

    fn title(&self, task: usize) -> String {
        self.prepared.title(task)
    }

    fn fault(&self, task: usize, cause: &str) {
        let place = format!("{}: {}", self.prepared.place(task), self.title(task));
        out::say(&Failure::new(place, cause).to_string());
    }

    fn print(&mut self, text: &str) {
        if self.unprinted.is_none() {
            progress::clear();
            self.unprinted = out::data(text).err();
        }
    }

    /// Shows how far it is, on a terminal.
    pub(super) fn show(&self, states: &[TaskState]) {
        let count = |state| states.iter().filter(|known| **known == state).count();
        let words = bar::counts(&[
            (count(TaskState::Active), "active"),
            (count(TaskState::Failed), "failed"),
            (count(TaskState::Refused), "refused"),
        ]);
        let words = if words.is_empty() { "done".to_owned() } else { format!("done, {words}") };
        progress::show(&bar::bar(count(TaskState::Succeeded), states.len(), &words));
    }

    /// The cluster does not go along.
    pub(super) fn broken(&self, failure: &Failure) -> Failure {
        out::say(&failure.to_string());
        let all = self.prepared.tasks.len();
        Failure::bare(format!("{} of {all} tasks were submitted now, {} before", self.submitted, self.before))
            .way_out(self.again())
    }

    fn again(&self) -> String {
        format!("the same command with --identifier {} goes on where this one was", self.prepared.identifier)
    }

    /// The end, in words and as a code: with `wait` that of the first job that failed.
    pub(super) fn end(mut self, states: &[TaskState], wait: bool) -> Outcome {
        if !self.jobs.is_empty() {
            let text = object::print(&self.jobs, self.format)?;
            self.print(&text);
        }
        if let Some(failure) = self.unprinted {
            return Err(failure);
        }
        // Not what was told counts, but how it stands: a task that was left out may have been sent later.
        let (refused, left_out, left) = unsent(&self.prepared.list.batch, states);
        let failed = self.codes.iter().flatten().filter(|code| **code != 0).count();
        let words = bar::counts(&[
            (self.submitted, "submitted"),
            (self.before, "before"),
            (failed, "failed"),
            (refused, "refused"),
            (left_out, "left out"),
            (left, "not submitted yet"),
        ]);
        let summary = format!("{} tasks: {words}", states.len());
        let first_failure = self.codes.iter().flatten().find(|code| **code != 0).filter(|_| wait);
        let exit = match first_failure {
            _ if self.interrupted => Exit::INTERRUPTED,
            Some(code) => Exit(*code),
            None if refused + left_out > 0 => Exit::FAILED,
            None => Exit::OK,
        };
        if exit == Exit::OK && left == 0 {
            self.notes.say(&summary);
        } else if exit == Exit::OK {
            self.notes.say(&format!("{summary}; {}", self.again()));
        } else {
            let begin = if self.interrupted { "interrupted; the jobs go on: " } else { "" };
            out::say(&Failure::bare(format!("{begin}{summary}")).way_out(self.again()).to_string());
        }
        Ok(exit)
    }
}

/// Tasks without a job: refused ones, those that will not start because of another, and the rest.
fn unsent(batch: &Batch, states: &[TaskState]) -> (usize, usize, usize) {
    let count = |state| states.iter().filter(|known| **known == state).count();
    let left_out = batch.plan(states, BatchLimits::default()).left_out.len();
    (count(TaskState::Refused), left_out, count(TaskState::Unsent).saturating_sub(left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_was_left_out_and_sent_later_counts_as_sent() {
        use TaskState::{Active, Failed, Refused, Unsent};
        let batch = Batch::new(vec![vec![], vec![0], vec![1], vec![]]).unwrap();
        assert_eq!(unsent(&batch, &[Failed, Unsent, Unsent, Unsent]), (0, 2, 1));
        assert_eq!(unsent(&batch, &[Active, Active, Active, Refused]), (1, 0, 0));
    }
}
