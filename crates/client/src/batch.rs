//! A batch: tasks whose jobs are submitted as others succeed and as there is room, told as it happens.
//!
//! What is sent next is [`windlass_model::Batch`]'s decision; here it is carried out. All that must be known of an
//! earlier run is in the cluster: a task's submission has the same id each time.

mod jobs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use k8s_openapi::api::batch::v1::Job;
use windlass_manifest::Manifest;
use windlass_model::{Batch, BatchLimits, LeftOut, SubmissionId, TaskState};

use crate::crowd::{End, end_of};
use crate::slim::SlimJob;
use crate::submit::Earlier;
use crate::transport::Fault;
use crate::watch::{News, Selection, Since, watch};
use crate::window::Window;
use crate::{Error, JobManager, Outcome, Result, SubmitOptions, Submitted, limits};
use jobs::Jobs;

/// A task of a batch.
#[derive(Clone, Debug)]
pub struct BatchTask {
    /// Its submission's id: the same whenever the batch is run, and no other task's.
    pub id: SubmissionId,
    /// Its job.
    pub manifest: Manifest,
}

/// How a batch is run.
#[derive(Clone, Default)]
pub struct BatchOptions {
    /// The label selector of the batch's jobs, which its manifests carry.
    pub selector: String,
    /// How many may be active, and how many this run may send.
    pub limits: BatchLimits,
    /// Go on until all that was sent has ended.
    pub wait: bool,
    /// Who submits, for the record.
    pub submitter: Option<String>,
    /// Asked when a task's turn has come: whether it is done already, as far as the caller can see. It gets no job then.
    pub is_done: Option<Arc<dyn Fn(usize) -> bool + Send + Sync>>,
}

/// A task that has a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTask {
    /// The task.
    pub task: usize,
    /// Its job's name.
    pub job: String,
    /// Where it stands.
    pub state: TaskState,
    /// The job is what the task says today.
    pub is_same: bool,
}

/// What happens to a batch.
#[derive(Debug)]
pub enum BatchEvent {
    /// What an earlier run, or another one, has submitted. Comes first, once.
    Found(Vec<FoundTask>),
    /// A task's job was submitted.
    Submitted(usize, Box<Submitted>),
    /// The caller saw that it need not run.
    Done(usize),
    /// The cluster did not take a task's job.
    Refused(usize, Error),
    /// A task's job ended, or had ended when the run began.
    Ended(usize, Box<Outcome>),
    /// The cluster has no room for more jobs, in its words: the rest waits for jobs of the batch to end. Told once.
    NoRoom(String),
    /// A task will not start, because of another one.
    LeftOut(LeftOut),
}

/// A batch that goes on as long as it is asked for what happens. Dropping it stops the submitting, no job.
pub struct BatchRun {
    manager: JobManager,
    batch: Batch,
    tasks: Arc<[BatchTask]>,
    options: BatchOptions,
    jobs: Jobs,
    changes: BoxStream<'static, Result<News<SlimJob>, Fault>>,
    errands: VecDeque<Errand>,
    working: FuturesUnordered<BoxFuture<'static, Report>>,
    window: Window,
    told: VecDeque<BatchEvent>,
    left_out: BTreeSet<usize>,
    /// Failed tasks whose end is being looked at.
    ending: BTreeSet<usize>,
    sent: usize,
    /// Nothing will be sent any more.
    is_all_sent: bool,
    /// What is there has been told.
    has_begun: bool,
    /// Tasks whose submission has not been told, in the order in which they were sent.
    untold: VecDeque<usize>,
    /// Answers that came before those of tasks that were sent earlier.
    answers: BTreeMap<usize, Result<Submitted>>,
    /// What there was room for when there was none for more: so many tasks may be active.
    room: Option<usize>,
    /// Tasks that there was no room for while others were on their way and none had a job, and what was said of each.
    held: Vec<(usize, Error)>,
    has_told_room: bool,
    is_stopped: bool,
    /// Why it cannot go on.
    fault: Option<Error>,
    is_over: bool,
}

/// A request that is to be made.
enum Errand {
    Send(usize),
    /// How it ended that did not succeed.
    End(usize, String, Box<Job>),
    /// Whether a job is there that no watch has shown.
    Look(usize, String),
}

/// An errand's answer.
enum Report {
    Sent(usize, Result<Submitted>),
    End(usize, End),
    Looked(usize, Result<Job>),
}

impl JobManager {
    /// Runs a batch: each task of `batch` has the job of `tasks` with its number.
    pub fn run_batch(&self, batch: Batch, tasks: Vec<BatchTask>, options: BatchOptions) -> BatchRun {
        let selector = Some(("labelSelector", options.selector.clone()));
        let selection = Selection { path: self.jobs_path(), selector, keeps: None };
        BatchRun {
            manager: self.clone(),
            jobs: Jobs::new(&tasks),
            batch,
            tasks: tasks.into(),
            options,
            changes: watch(self, selection, Since::List),
            errands: VecDeque::new(),
            working: FuturesUnordered::new(),
            window: Window::new(limits::SENDING, self.memo.busy()),
            told: VecDeque::new(),
            left_out: BTreeSet::new(),
            ending: BTreeSet::new(),
            sent: 0,
            is_all_sent: false,
            has_begun: false,
            untold: VecDeque::new(),
            answers: BTreeMap::new(),
            room: None,
            held: Vec::new(),
            has_told_room: false,
            is_stopped: false,
            fault: None,
            is_over: false,
        }
    }

    /// Where the tasks of a batch stand: those that have a job.
    ///
    /// # Errors
    /// What every call may answer.
    pub async fn find_batch(&self, tasks: &[BatchTask], selector: &str) -> Result<Vec<FoundTask>> {
        let jobs = self.selected::<SlimJob>(&self.jobs_path(), "labelSelector", selector).await;
        let mut known = Jobs::new(tasks);
        for SlimJob(job) in jobs.map_err(|fault| self.error("", fault))? {
            known.take(job);
        }
        Ok(known.found(tasks))
    }
}

impl BatchRun {
    /// What happens next; `None` when all is submitted that can be, and, if that was asked for, has ended.
    ///
    /// # Errors
    /// A fault of the cluster: nothing more comes after it. The same batch run again goes on where this one was.
    pub async fn next(&mut self) -> Option<Result<BatchEvent>> {
        loop {
            if let Some(event) = self.told.pop_front() {
                return Some(Ok(event));
            }
            if self.is_over {
                return self.fault.take().map(Err);
            }
            self.plan();
            self.work();
            if !self.told.is_empty() {
                continue;
            }
            if self.has_ended() {
                self.is_over = true;
                continue;
            }
            tokio::select! {
                Some(report) = self.working.next() => {
                    self.window.answered(self.manager.memo.busy());
                    if let Err(error) = self.report(report) {
                        self.give_up(error);
                    }
                }
                news = self.changes.next() => {
                    let fault = match news {
                        Some(Ok(news)) => { self.hear(news); continue }
                        Some(Err(fault)) => fault,
                        None => Fault::silent("the watch ended without a reason"),
                    };
                    self.give_up(self.manager.error("", fault));
                }
            }
        }
    }

    /// Sends no more. What is on its way is still told.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        self.withdraw();
        self.errands.clear();
    }

    /// Takes back what waits for its turn to be sent.
    fn withdraw(&mut self) {
        let mut back = BTreeSet::new();
        self.errands.retain(|errand| match errand {
            Errand::Send(task) => !back.insert(*task),
            _ => true,
        });
        back.iter().for_each(|task| self.jobs.set(*task, TaskState::Unsent));
        self.untold.retain(|task| !back.contains(task));
        self.sent -= back.len();
    }

    /// It cannot go on. What was answered is told before that.
    fn give_up(&mut self, error: Error) {
        for (task, answer) in std::mem::take(&mut self.answers) {
            self.tell(task, answer);
        }
        self.fault = Some(error);
        self.is_over = true;
    }

    /// Where each task stands. One that waits for its turn to be sent counts as active.
    pub fn states(&self) -> &[TaskState] {
        &self.jobs.states
    }

    /// The tasks whose jobs have not ended, each with its job's name, as far as they were seen.
    pub fn active(&self) -> Vec<(usize, String)> {
        self.jobs.absent(|_| false)
    }

    /// Whether there is nothing more to come.
    fn has_ended(&self) -> bool {
        let is_idle = self.working.is_empty() && self.errands.is_empty();
        if self.is_stopped {
            return is_idle;
        }
        let waits = self.options.wait && self.jobs.states.contains(&TaskState::Active);
        self.has_begun && is_idle && self.is_all_sent && !waits
    }

    /// Takes what comes next to the errands, if anything has changed.
    fn plan(&mut self) {
        while self.has_begun && !self.is_stopped && self.jobs.has_changed() {
            let mut most = self.options.limits;
            most.active = most.active.into_iter().chain(self.room).min();
            let sends = most.sends.map(|sends| sends.saturating_sub(self.sent));
            let plan = self.batch.plan(&self.jobs.states, BatchLimits { sends, ..most });
            for left in plan.left_out {
                // First it is told why.
                if !self.ending.contains(&left.because) && self.left_out.insert(left.task) {
                    self.told.push_back(BatchEvent::LeftOut(left));
                }
            }
            for task in plan.send {
                if self.options.is_done.as_ref().is_some_and(|is_done| is_done(task)) {
                    self.jobs.set(task, TaskState::Succeeded);
                    self.told.push_back(BatchEvent::Done(task));
                } else {
                    self.jobs.set(task, TaskState::Active);
                    self.sent += 1;
                    self.untold.push_back(task);
                    self.errands.push_back(Errand::Send(task));
                }
            }
            self.is_all_sent = plan.is_all_sent;
        }
    }

    /// Starts errands, as many at a time as the cluster takes.
    fn work(&mut self) {
        while self.working.len() < self.window.size()
            && let Some(errand) = self.errands.pop_front()
        {
            let manager = self.manager.clone();
            self.working.push(match errand {
                Errand::Send(task) => {
                    let tasks = self.tasks.clone();
                    let submitter = self.options.submitter.clone();
                    Box::pin(async move {
                        let BatchTask { id, manifest } = &tasks[task];
                        let options = SubmitOptions { submitter, ..SubmitOptions::default() };
                        let sent = manager.submit_as(manifest, id, Earlier::NotSeen, &options).await;
                        Report::Sent(task, sent)
                    })
                }
                Errand::End(task, name, job) => {
                    Box::pin(async move { Report::End(task, end_of(manager, name, job).await) })
                }
                Errand::Look(task, name) => {
                    Box::pin(async move { Report::Looked(task, manager.job(&name).await) })
                }
            });
        }
    }

    fn report(&mut self, report: Report) -> Result<()> {
        match report {
            Report::Sent(_, Err(error)) if error.is_of_the_cluster() || error.is_of_the_namespace() => {
                return Err(error);
            }
            Report::Sent(task, answer) => self.answered(task, answer),
            Report::End(task, (_, Ok(outcome))) => {
                self.ending.remove(&task);
                self.jobs.plan_again();
                self.told.push_back(BatchEvent::Ended(task, Box::new(outcome)));
            }
            Report::End(_, (_, Err(error))) => return Err(error),
            Report::Looked(task, Ok(job)) => self.look(task, job),
            Report::Looked(task, Err(Error::NotFound { job, .. })) => {
                self.jobs.set(task, TaskState::Failed);
                self.told.extend(self.jobs.gone(task, &job));
            }
            Report::Looked(_, Err(error)) => return Err(error),
        }
        Ok(())
    }

    /// A task was sent. It is told after those that were sent before it.
    fn answered(&mut self, task: usize, answer: Result<Submitted>) {
        match answer {
            Err(Error::OverQuota { context, job, message }) => {
                self.no_room(task, Error::OverQuota { context, job, message: message.clone() }, message);
            }
            Err(error) => {
                self.jobs.set(task, TaskState::Refused);
                self.answers.insert(task, Err(error));
            }
            Ok(submitted) => {
                self.jobs.was_sent(task, &submitted);
                self.answers.insert(task, Ok(submitted));
                self.held.clear();
                if let Some(room) = &mut self.room {
                    // Perhaps there is room for one more.
                    *room += 1;
                    self.jobs.plan_again();
                }
            }
        }
        while let Some(first) = self.untold.front().copied()
            && let Some(answer) = self.answers.remove(&first)
        {
            self.untold.pop_front();
            self.tell(first, answer);
        }
    }

    /// There was no room for a task's job: it waits as long as others of the batch are active, whose end makes room.
    fn no_room(&mut self, task: usize, error: Error, message: String) {
        self.withdraw();
        self.jobs.set(task, TaskState::Unsent);
        let active = self.jobs.states.iter().filter(|state| **state == TaskState::Active).count();
        if active == 0 {
            // Whoever takes the room, it is not this batch.
            self.room = None;
            for (held, error) in std::mem::take(&mut self.held) {
                self.sent += 1;
                self.jobs.set(held, TaskState::Refused);
                self.tell(held, Err(error));
            }
            self.jobs.set(task, TaskState::Refused);
            self.answers.insert(task, Err(error));
            return;
        }
        self.sent -= 1;
        self.untold.retain(|other| *other != task);
        self.room = Some(active);
        if self.active().is_empty() {
            self.held.push((task, error));
            return;
        }
        self.held.clear();
        if !std::mem::replace(&mut self.has_told_room, true) {
            self.told.push_back(BatchEvent::NoRoom(message));
        }
    }

    fn tell(&mut self, task: usize, answer: Result<Submitted>) {
        self.told.push_back(match answer {
            Ok(submitted) => BatchEvent::Submitted(task, Box::new(submitted)),
            Err(error) => BatchEvent::Refused(task, error),
        });
    }

    fn hear(&mut self, news: News<SlimJob>) {
        match news {
            News::Is(SlimJob(job)) => {
                if let Some(task) = self.jobs.task_of(&job) {
                    self.look(task, job);
                }
            }
            News::Gone(SlimJob(job)) => {
                if let Some((task, name)) = self.jobs.lost(&job) {
                    self.told.extend(self.jobs.gone(task, &name));
                }
            }
            News::All(list) => self.hear_all(list),
        }
    }

    /// All that is there: a job that was there before and is not has been deleted.
    fn hear_all(&mut self, list: Vec<SlimJob>) {
        let there: BTreeMap<usize, Job> =
            list.into_iter().filter_map(|SlimJob(job)| Some((self.jobs.task_of(&job)?, job))).collect();
        for (task, name) in self.jobs.absent(|task| there.contains_key(&task)) {
            // One that was just made may have missed the list.
            self.errands.push_back(Errand::Look(task, name));
        }
        there.into_iter().for_each(|(task, job)| self.look(task, job));
        if !self.has_begun {
            self.has_begun = true;
            self.told.push_front(BatchEvent::Found(self.jobs.found(&self.tasks)));
        }
    }

    /// Looks at a task's job; tells its end.
    fn look(&mut self, task: usize, job: Job) {
        let Some((state, name, job)) = self.jobs.look(task, job) else { return };
        match state {
            TaskState::Succeeded => self.told.extend(jobs::success(task, &job)),
            _ => {
                self.ending.insert(task);
                self.errands.push_back(Errand::End(task, name, job));
            }
        }
    }
}
