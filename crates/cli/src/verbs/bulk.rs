//! Many submissions: names in the file's order, every fault with its place, how far it is, and how to go on.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use windlass::manifest::Manifest;
use windlass::model::SubmissionId;
use windlass::{BulkJob, Error, SubmitOptions as Submission, Submitted};

use super::interrupt::Interrupts;
use super::object;
use crate::args::low::ObjectFormat;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out::Notes;
use crate::print::plain;
use crate::{bar, out, progress};

/// One of the jobs.
pub(super) struct Item {
    /// Where it comes from.
    pub(super) place: String,
    /// What it is called there, if it is not the job's name that counts.
    pub(super) title: Option<String>,
    pub(super) manifest: Manifest,
    pub(super) id: SubmissionId,
    /// Nobody has sent the id before.
    pub(super) is_new: bool,
}

/// What came of them.
pub(super) struct Came {
    /// Namespaces and names of those that are there, in the file's order.
    pub(super) jobs: Vec<(String, String)>,
    /// 0 only if all are there.
    pub(super) exit: Exit,
}

/// Submits them; `again` says how what is missing can be submitted, if it can.
pub(super) async fn submit(
    items: Vec<Item>,
    submission: &Submission,
    format: ObjectFormat,
    again: &str,
    session: &Session,
    call: Call<'_>,
) -> Outcome<Came> {
    let mut interrupts = Interrupts::take()?;
    if !call.common.quiet {
        progress::begin(call.env);
    }
    let (mut names, mut jobs) = (Vec::new(), Vec::new());
    for Item { place, title, manifest, id, is_new } in items {
        let title = title.unwrap_or_else(|| format!("job {}", manifest.name_for(&id, 0)));
        names.push(format!("{place}: {title}"));
        jobs.push(BulkJob { manifest, id, is_new });
    }
    let mut run = session.manager.submit_all(jobs, submission.clone());
    let mut answers = Answers::new(names, format, submission.dry_run, session.notes);
    let mut interrupted = false;
    loop {
        tokio::select! {
            answer = run.next() => match answer {
                Some((number, answer)) => answers.take(number, answer),
                None => break,
            },
            _ = interrupts.next() => {
                if interrupted {
                    return Ok(Came { jobs: Vec::new(), exit: Exit::INTERRUPTED });
                }
                interrupted = true;
                run.stop();
                session.notes.say("interrupted: what is on its way is still answered; again to leave");
            }
        }
    }
    answers.end(interrupted, again)
}

/// The answers, told in the order of the jobs.
struct Answers {
    /// Place and title of each job.
    names: Vec<String>,
    format: ObjectFormat,
    dry_run: bool,
    notes: Notes,
    /// Answers that came before those of the jobs before them.
    early: BTreeMap<usize, Result<Submitted, Error>>,
    /// The next one to be told.
    next: usize,
    jobs: Vec<Job>,
    there: Vec<(String, String)>,
    before: usize,
    refused: usize,
    /// What could not be printed: the submitting goes on.
    unprinted: Option<Failure>,
}

impl Answers {
    fn new(names: Vec<String>, format: ObjectFormat, dry_run: bool, notes: Notes) -> Answers {
        Answers {
            names,
            format,
            dry_run,
            notes,
            early: BTreeMap::new(),
            next: 0,
            jobs: Vec::new(),
            there: Vec::new(),
            before: 0,
            refused: 0,
            unprinted: None,
        }
    }

    fn take(&mut self, number: usize, answer: Result<Submitted, Error>) {
        self.early.insert(number, answer);
        while let Some(answer) = self.early.remove(&self.next) {
            self.tell(self.next, answer);
            self.next += 1;
        }
        let told = self.next + self.early.len();
        let refused = bar::counts(&[(self.refused, "refused")]);
        let words = if refused.is_empty() { "jobs".to_owned() } else { format!("jobs, {refused}") };
        progress::show(&bar::bar(told, self.names.len(), &words));
    }

    fn tell(&mut self, number: usize, answer: Result<Submitted, Error>) {
        let submitted = match answer {
            Ok(submitted) => submitted,
            Err(error) => {
                self.refused += 1;
                out::say(&Failure::new(&self.names[number], reason(&error)).to_string());
                return;
            }
        };
        for warning in &submitted.warnings {
            self.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
        }
        self.before += usize::from(!submitted.created && !self.dry_run);
        if self.format == ObjectFormat::Name {
            self.print(&format!("{}\n", submitted.name));
        } else {
            self.jobs.push(submitted.job);
        }
        self.there.push((submitted.namespace, submitted.name));
    }

    fn print(&mut self, text: &str) {
        if self.unprinted.is_none() {
            progress::clear();
            self.unprinted = out::data(text).err();
        }
    }

    fn end(mut self, interrupted: bool, again: &str) -> Outcome<Came> {
        for (number, answer) in std::mem::take(&mut self.early) {
            self.tell(number, answer);
        }
        progress::clear();
        if !self.jobs.is_empty() {
            let text = object::print(&self.jobs, self.format)?;
            self.print(&text);
        }
        if let Some(failure) = self.unprinted {
            return Err(failure);
        }
        let (all, there) = (self.names.len(), self.there.len());
        let untried = all - there - self.refused;
        let done = if self.dry_run { "would be taken" } else { "submitted" };
        let exit = match (interrupted, there == all) {
            (true, false) => Exit::INTERRUPTED,
            (_, true) => Exit::OK,
            _ => Exit::FAILED,
        };
        let rest = bar::counts(&[
            (self.before, "of them before"),
            (self.refused, "refused"),
            (untried, "not tried"),
        ]);
        let rest = if rest.is_empty() { rest } else { format!(" ({rest})") };
        let summary = format!("{there} of {all} jobs {done}{rest}");
        if exit == Exit::OK {
            self.notes.say(&summary);
        } else {
            let summary = if interrupted { format!("interrupted: {summary}") } else { summary };
            let failure = Failure::bare(summary);
            let way_out = !self.dry_run && !again.is_empty();
            out::say(&if way_out { failure.way_out(again) } else { failure }.to_string());
        }
        Ok(Came { jobs: self.there, exit })
    }
}

/// A fault of one of many jobs, which is named before it.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::Invalid { message, .. } => format!("the server refused it: {message}"),
        Error::OverQuota { message, .. } => format!("there is no room for it: {message}"),
        Error::Conflict { difference, .. } => {
            format!("exists already {difference}; delete it first, or choose another name or id")
        }
        other => other.to_string(),
    }
}
