//! Following one job to its end: what is said of it meanwhile, and what comes of interrupts.
//!
//! What is asked of the cluster is a future beside the others: whoever interrupts is heard while it does not answer.

use std::pin::Pin;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::{mpsc, watch};
use windlass::manifest::{JobStatus, Outlook, Phase};
use windlass::{FollowEvent, JobManager, LogOptions, Submitted};

use super::interrupt::{Interrupt, Interrupts};
use super::log_files::LogFiles;
use super::output::Output;
use super::pump::Pump;
use super::sidecars;
use super::stdin::{Passed, Passing};
use super::tally::Tally;
use super::terminal::{self, Shown};
use crate::args::high::RunOptions;
use crate::args::low::OnInterrupt;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out::Notes;
use crate::print::plain;
use crate::{clock, progress};

/// So many events wait to be looked at.
const NEWS: usize = 16;
/// A job that waits for longer than this is worth a word.
const SOON: Duration = Duration::from_secs(2);

/// What goes on beside the following.
type Aside<T> = Pin<Box<dyn Future<Output = Outcome<T>>>>;

/// Its end, once; never, if there is nothing.
async fn end_of<T>(aside: &mut Option<Aside<T>>) -> Outcome<T> {
    match aside {
        Some(future) => {
            let end = future.await;
            *aside = None;
            end
        }
        None => std::future::pending().await,
    }
}

/// At this time; never, if there is none.
async fn due(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Writes the job's bytes, unless a terminal shows them; hands on all other events, in their order.
async fn bytes(
    mut events: BoxStream<'_, windlass::Result<FollowEvent>>,
    mut output: Output,
    others: mpsc::Sender<FollowEvent>,
) -> Outcome<()> {
    while let Some(event) = events.next().await {
        match event? {
            FollowEvent::Log(log) => {
                output.take(log).await?;
            }
            other => {
                // Its receiver lives as long as this future.
                _ = others.send(other).await;
            }
        }
    }
    Ok(())
}

/// How far the end of a job was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Not at all.
    Following,
    /// It ends with grace.
    Cancelling,
    /// It is killed.
    Killing,
}

/// Follows one job.
pub(super) struct Follower<'a> {
    name: &'a str,
    who: &'a str,
    notes: Notes,
    options: &'a RunOptions,
    manager: JobManager,
    stage: Stage,
    /// The cluster is being asked to end the job.
    order: Option<Aside<()>>,
    /// What this command ends with as soon as that is answered.
    leaving: Option<Outcome>,
    /// Why it was given up: it waits for what never comes.
    never: Option<Failure>,
    /// What the job waits for, and when to say so: most waits are over before anybody could read of them.
    waiting: Option<(String, Option<tokio::time::Instant>)>,
    /// The passing on of its stdin, as long as it goes on.
    passing: Option<Passing>,
    /// What of its stdin it has not got: then nobody knows what its result is worth.
    missing: Option<String>,
    /// Its output is shown by its terminal.
    in_terminal: bool,
    /// What the terminal has shown until now, and whether that is all.
    shown: watch::Receiver<Shown>,
    was_shown: bool,
    /// It was said that its limits are not held.
    was_unlimited: bool,
    /// How far its tasks are, if it has several.
    tally: Option<Tally>,
    /// How it ended, as long as its terminal has more to show.
    over: Option<windlass::Outcome>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        manager: JobManager,
        name: &'a str,
        who: &'a str,
        notes: Notes,
        options: &'a RunOptions,
    ) -> Follower<'a> {
        Follower {
            name,
            who,
            notes,
            options,
            manager,
            stage: Stage::Following,
            order: None,
            leaving: None,
            never: None,
            waiting: None,
            passing: None,
            missing: None,
            in_terminal: false,
            shown: watch::channel(Shown::default()).1,
            was_shown: false,
            was_unlimited: false,
            tally: None,
            over: None,
        }
    }

    /// Its stdin is passed on meanwhile.
    pub(super) fn passes(&mut self, passing: Passing, in_terminal: bool, shown: watch::Receiver<Shown>) {
        (self.passing, self.in_terminal, self.shown) = (Some(passing), in_terminal, shown);
    }

    /// Until the job's end, or until nobody wants to follow any more.
    pub(super) async fn follow(
        &mut self,
        submitted: &Submitted,
        interrupts: &mut Interrupts,
        ends: &mut Vec<windlass::Outcome>,
        files: Option<LogFiles>,
    ) -> Outcome {
        let output = match self.in_terminal {
            true => Output::default(),
            false => Output::of(self.options, files, &submitted.job, self.notes)?,
        };
        let logs = LogOptions { follow: true, ..LogOptions::default() };
        let events = match output.is_wanted() || self.in_terminal {
            true => self.manager.follow_submitted(submitted, logs),
            false => self.manager.follow_without_logs(submitted),
        };
        self.tally = Tally::of(&submitted.job);
        let (others, mut news) = mpsc::channel(NEWS);
        // One future from the first byte to the last: an interrupt that comes while a slow reader is written to
        // must cut no line in two.
        let mut bytes = std::pin::pin!(bytes(events, output, others));
        let mut pumping = true;
        loop {
            let is_over = self.over.is_some();
            let end = tokio::select! {
                biased;
                what = interrupts.next() => {
                    if is_over {
                        return self.finish(ends).await;
                    }
                    self.interrupted(what)
                }
                () = due(self.tally.as_ref().and_then(Tally::due)), if !is_over => {
                    self.tally.as_mut().map(Tally::draw);
                    None
                }
                () = due(self.waiting.as_ref().and_then(|(_, due)| *due)) => {
                    self.say_waiting();
                    None
                }
                event = news.recv(), if !is_over && self.leaving.is_none() => match event {
                    Some(FollowEvent::Status(status)) => {
                        self.status(&status);
                        None
                    }
                    Some(FollowEvent::Stuck(status)) => {
                        self.stuck(&status);
                        None
                    }
                    Some(FollowEvent::Outlived(end)) if self.stage == Stage::Following => {
                        progress::clear();
                        let stop = self.options.stop_sidecars;
                        let exit = tokio::select! {
                            biased;
                            _ = interrupts.next() => return self.detach().unwrap_or(Ok(Exit::INTERRUPTED)),
                            exit = sidecars::outlived(&end, stop, &self.manager, self.notes) => exit,
                        };
                        ends.push(*end);
                        return exit;
                    }
                    Some(FollowEvent::Outlived(_)) => None,
                    Some(FollowEvent::Ended(end)) => {
                        progress::clear();
                        (self.over, self.waiting) = (Some(*end), None);
                        if self.passing.is_none() {
                            return self.finish(ends).await;
                        }
                        None
                    }
                    Some(FollowEvent::Log(_)) => None,
                    None => {
                        let failure = Failure::new(self.name, "its events ended before the job did");
                        return Err(failure.way_out(self.still_there()));
                    }
                },
                answer = end_of(&mut self.order) => self.answered(answer),
                passed = end_of(&mut self.passing) => {
                    let end = self.passed(passed);
                    if is_over {
                        return self.finish(ends).await;
                    }
                    end
                }
                // The cluster says the last word there, too; what it has not said in a moment is that all was well.
                () = terminal::silent(self.shown.clone(), SOON), if is_over => {
                    return self.finish(ends).await;
                }
                result = &mut bytes, if pumping => {
                    pumping = false;
                    match result {
                        Ok(()) => None,
                        Err(failure) if failure.code() == Exit::INTERRUPTED => self.detach(),
                        Err(failure) if failure.is_silent() => self.reader_gone(failure),
                        Err(failure) => return Err(failure.way_out(self.still_there())),
                    }
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Says once what the job waits for.
    fn say_waiting(&mut self) {
        if let Some((text, due)) = &mut self.waiting {
            *due = None;
            // A terminal shows it already.
            if progress::is_on() && self.tally.is_none() {
                return;
            }
            self.notes.say(&format!("{}: {}", self.name, plain(text)));
        }
    }

    /// Says once that it is not held to its limits. A terminal of its own shows nothing else meanwhile.
    fn say_unlimited(&mut self, status: &JobStatus) {
        if let Some(limits) = status.unlimited.as_ref().filter(|_| !self.was_unlimited && !self.in_terminal) {
            self.was_unlimited = true;
            self.notes.say(&format!("{}: {}", self.name, plain(limits)));
        }
    }

    /// What is said of a status.
    fn status(&mut self, status: &JobStatus) {
        self.say_unlimited(status);
        let verdict = &status.verdict;
        if let Some(tally) = &mut self.tally {
            tally.see(self.name, status, self.notes);
            // Some of many tasks wait for room as a matter of course.
            if status.phase == Phase::Running {
                self.waiting = None;
                return;
            }
        } else {
            progress::show(&format!("{}: {}", self.name, plain(&verdict.text)));
        }
        let waits = matches!(verdict.outlook, Outlook::ResolvesItself | Outlook::NeedsAction);
        match &self.waiting {
            Some((known, _)) if waits && *known == verdict.text => {}
            _ => self.waiting = waits.then(|| (verdict.text.clone(), Some(clock::after(SOON)))),
        }
    }

    /// The end of what has waited long enough for what will never come.
    fn stuck(&mut self, status: &JobStatus) {
        if !self.options.fail_fast || self.stage != Stage::Following {
            return;
        }
        let verdict = &status.verdict;
        let cause = format!("cancelled, because it would never go on: {}", plain(&verdict.text));
        let next = verdict.next_step.as_deref().unwrap_or("--no-fail-fast keeps waiting");
        self.never = Some(Failure::new(self.name, cause).way_out(plain(next)));
        self.waiting = None;
        self.cancel(&verdict.text);
    }

    /// What becomes of a job whose stdin was passed on, or was not.
    fn passed(&mut self, passed: Outcome<Passed>) -> Option<Outcome> {
        match passed {
            Ok(Passed::Terminal(shown)) => self.was_shown = shown,
            // It runs on, and others can come to its terminal.
            Ok(Passed::TerminalLost(failure)) => {
                self.was_shown = true;
                if self.over.is_none() && self.stage == Stage::Following {
                    let text = format!("the job goes on: {}", self.still_there());
                    return Some(Err(failure.way_out(text)));
                }
            }
            Ok(passed) => {
                self.missing = passed.missing();
                if let Some(missing) = &self.missing {
                    self.notes.say(&format!("{}: {}", self.name, plain(missing)));
                }
            }
            Err(failure) if failure.code() == Exit::INTERRUPTED => return self.detach(),
            // It would wait for ever.
            Err(failure) if self.stage == Stage::Following && self.over.is_none() => {
                self.cancel("its stdin could not be passed on");
                self.never = Some(failure);
            }
            Err(_) => {}
        }
        None
    }

    /// What the terminal did not show, because the job was faster than its coming.
    async fn print(&self) -> Outcome<()> {
        let _raw = terminal::raw();
        let mut pump = Pump::new(self.notes, false)?;
        let mut logs = self.manager.logs(self.name, LogOptions::default());
        while let Some(event) = logs.next().await {
            pump.take(event?).await?;
        }
        Ok(())
    }

    /// The job's own code, unless it never came to have one.
    async fn finish(&mut self, ends: &mut Vec<windlass::Outcome>) -> Outcome {
        let Some(end) = self.over.take() else { return Ok(Exit::OK) };
        if self.passing.take().is_some() && self.in_terminal {
            // It is given back before anything is said.
            self.was_shown = self.shown.borrow().writes > 0;
            if self.was_shown {
                let name = self.name;
                self.notes.say(&format!("{name}: its terminal may have shown more: `windlass logs {name}`"));
            }
        }
        if self.in_terminal && !self.was_shown {
            self.print().await?;
        }
        self.in_terminal = false;
        self.say_unlimited(&end.status);
        if let Some(missing) = self.missing.take() {
            let verdict = plain(&end.status.verdict.text);
            ends.push(end);
            return Err(Failure::new(self.name, missing).way_out(format!("the job itself: {verdict}")));
        }
        if let Some(failure) = self.never.take() {
            ends.push(end);
            return Err(failure);
        }
        if let Some(tally) = &self.tally {
            tally.finish(&end, &self.manager, self.notes).await;
        } else if end.exit.code() != 0 {
            let verdict = &end.status.verdict;
            // Its logs have just been read.
            let next = verdict.next_step.as_deref().filter(|next| !next.starts_with("windlass logs"));
            let next = next.map(|next| format!("\n  {}", plain(next))).unwrap_or_default();
            self.notes.say(&format!("{}: {}{next}", self.name, plain(&verdict.text)));
        }
        let exit = Exit(end.exit.code());
        ends.push(end);
        Ok(exit)
    }
}

impl Follower<'_> {
    /// What an interrupt does; the end of the command if nothing is to be followed any more.
    pub(super) fn interrupted(&mut self, what: Interrupt) -> Option<Outcome> {
        // Whatever was asked for before: nobody is there any more to ask for worse.
        if what == Interrupt::HangUp {
            return self.detach();
        }
        match self.stage {
            Stage::Following if self.options.on_interrupt == OnInterrupt::Detach => return self.detach(),
            Stage::Following => {
                self.notes.say(&format!("cancelling {}; interrupt again to kill it now", self.name));
                self.cancel("interrupted");
            }
            Stage::Cancelling => {
                self.notes.say(&format!("killing {}", self.name));
                self.kill();
            }
            Stage::Killing => {
                if self.order.is_some() {
                    let text = "the cluster has not answered, so it may go on";
                    self.notes.say(&format!("{}: {text}; {}", self.name, self.still_there()));
                }
                return Some(Ok(Exit::INTERRUPTED));
            }
        }
        None
    }

    /// Asks the cluster to end it with its grace.
    fn cancel(&mut self, why: &str) {
        self.stage = Stage::Cancelling;
        let (manager, name) = (self.manager.clone(), self.name.to_owned());
        let (who, why) = (self.who.to_owned(), why.to_owned());
        self.order = Some(Box::pin(async move {
            manager.cancel(&name, &who, Some(&why)).await?;
            Ok(())
        }));
    }

    /// Asks the cluster to end it now, after it has taken note of the cancelling: what is killed before that may be
    /// tried again.
    fn kill(&mut self) {
        self.stage = Stage::Killing;
        let (manager, name, mut before) = (self.manager.clone(), self.name.to_owned(), self.order.take());
        self.order = Some(Box::pin(async move {
            if before.is_some() {
                end_of(&mut before).await?;
            }
            Ok(manager.kill(&name).await?)
        }));
    }

    /// What the cluster said to that.
    fn answered(&mut self, answer: Outcome<()>) -> Option<Outcome> {
        match answer {
            Err(_) if self.over.is_some() => None,
            Err(failure) => {
                let text = format!("the job may go on: {}", self.still_there());
                Some(Err(failure.way_out(text)))
            }
            Ok(()) => self.leaving.take(),
        }
    }

    /// The job is left alone, as soon as the cluster has heard what it was asked.
    fn detach(&mut self) -> Option<Outcome> {
        let state = if self.stage == Stage::Following { "goes on" } else { "is being ended" };
        self.notes.say(&format!("{} {state}; {}", self.name, self.still_there()));
        self.leave(Ok(Exit::INTERRUPTED))
    }

    /// As a process here would end by SIGPIPE, the job ends when nobody reads its output.
    fn reader_gone(&mut self, failure: Failure) -> Option<Outcome> {
        if self.options.on_interrupt == OnInterrupt::Cancel && self.stage == Stage::Following {
            self.cancel("the reader of its output is gone");
        }
        self.leave(Err(failure))
    }

    fn leave(&mut self, end: Outcome) -> Option<Outcome> {
        if self.order.is_none() || self.leaving.is_some() {
            return Some(end);
        }
        self.leaving = Some(end);
        None
    }

    /// How to come back to a job.
    fn still_there(&self) -> String {
        let name = self.name;
        format!("follow it with `windlass logs -f {name}`, end it with `windlass cancel {name}`")
    }
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
