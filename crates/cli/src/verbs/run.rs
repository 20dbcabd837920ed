//! `windlass run`: submit a command, follow it, exit with its code, as if it had run here.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use windlass::manifest::{Edit, JobStatus, Outlook, make};
use windlass::{FollowEvent, JobManager, LogOptions, SubmitOptions, Submitted};

use super::interrupt::{Interrupt, Interrupts};
use super::pump::Pump;
use super::stdin::{Kind, Passed, Passing, Stdio};
use super::terminal;
use super::{env_file, result_file, sidecars};
use crate::args::high::RunOptions;
use crate::args::low::OnInterrupt;
use crate::clock;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out::Notes;
use crate::print::plain;
use crate::{out, progress};

/// So many events wait to be looked at.
const NEWS: usize = 16;
/// A job that waits for longer than this is worth a word.
const SOON: Duration = Duration::from_secs(2);

/// Runs it.
pub(crate) async fn run(options: &RunOptions, call: Call<'_>) -> Outcome {
    let mut ends = Vec::new();
    let result = call.fatal.or(Box::pin(submit_and_follow(options, call, &mut ends))).await;
    result_file::write(options.result_file.as_deref(), &result, &ends)?;
    result
}

async fn submit_and_follow(
    options: &RunOptions,
    call: Call<'_>,
    ends: &mut Vec<windlass::Outcome>,
) -> Outcome {
    let mut edits = env_file::edits(&options.env_files, call.env)?;
    edits.extend_from_slice(&options.edits);
    let made = |edits: &[Edit]| make(&options.base, edits).map_err(|problems| Failure::new("run", problems));
    let stdio = Stdio::decide(options, Kind::of_stdin(), &made(&edits)?)?;
    edits.extend(stdio.edits(call.env));
    let manifest = made(&edits)?;
    // Before the job exists: whoever interrupts now has nothing to cancel.
    let mut interrupts = Interrupts::take()?;
    let submit = async {
        let session = call.open().await?;
        let submit = SubmitOptions {
            id: options.id.clone(),
            submitter: Some(call.who().to_owned()),
            ..SubmitOptions::default()
        };
        let submitted = session.manager.submit(&manifest, &submit).await?;
        Ok::<_, Failure>((session, submitted))
    };
    let mut submit = Box::pin(submit);
    let mut interrupted = None;
    // An interrupt during the submission waits for its answer: only then is it known what there is to cancel.
    let (session, submitted) = loop {
        tokio::select! {
            result = &mut submit => break result?,
            what = interrupts.next() => interrupted = match interrupted {
                None => {
                    call.notes().say("interrupted: the job ends as soon as the cluster has answered; again to leave");
                    Some(what)
                }
                Some(_) => return Ok(Exit::INTERRUPTED),
            },
        }
    };
    for warning in &submitted.warnings {
        session.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
    }
    session.notes.say(&format!("job {}", submitted.name));
    if options.detach {
        out::data(&format!("{}\n", submitted.name))?;
        return Ok(Exit::OK);
    }
    let mut manager = session.manager.in_namespace(&submitted.namespace);
    if let Some(patience) = options.give_up_after {
        manager = manager.giving_up_after(patience);
    }
    let passing = stdio.pass(&manager, &submitted, session.notes);
    let in_terminal = passing.is_some() && stdio != Stdio::Bytes;
    if !call.common.quiet && !in_terminal {
        progress::begin(call.env);
    }
    let mut follower = Follower {
        name: &submitted.name,
        submitted: &submitted,
        who: call.who(),
        notes: session.notes,
        options,
        stage: Stage::Following,
        never: None,
        waiting: None,
        manager,
        passing,
        missing: None,
        in_terminal,
        was_shown: false,
    };
    if let Some(what) = interrupted
        && let Some(exit) = follower.interrupted(what).await?
    {
        return Ok(exit);
    }
    follower.follow(&mut interrupts, &session, ends).await
}

/// The end of the passing on of stdin, once; never, if there is none.
async fn passed(passing: &mut Option<Passing>) -> Outcome<Passed> {
    match passing {
        Some(future) => {
            let end = future.await;
            *passing = None;
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
    mut pump: Option<Pump>,
    others: mpsc::Sender<FollowEvent>,
) -> Outcome<()> {
    while let Some(event) = events.next().await {
        match event? {
            FollowEvent::Log(log) => {
                if let Some(pump) = &mut pump {
                    pump.take(log).await?;
                }
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
struct Follower<'a> {
    name: &'a str,
    submitted: &'a Submitted,
    who: &'a str,
    notes: Notes,
    options: &'a RunOptions,
    stage: Stage,
    /// Why it was given up: it waits for what never comes.
    never: Option<Failure>,
    /// What the job waits for, and when to say so: most waits are over before anybody could read of them.
    waiting: Option<(String, Option<tokio::time::Instant>)>,
    manager: JobManager,
    /// The passing on of its stdin, as long as it goes on.
    passing: Option<Passing>,
    /// What of its stdin it has not got: then nobody knows what its result is worth.
    missing: Option<String>,
    /// Its output is shown by its terminal.
    in_terminal: bool,
    /// Whether the terminal showed anything.
    was_shown: bool,
}

impl Follower<'_> {
    /// Until the job's end, or until nobody wants to follow any more.
    async fn follow(
        &mut self,
        interrupts: &mut Interrupts,
        session: &Session,
        ends: &mut Vec<windlass::Outcome>,
    ) -> Outcome {
        let logs = LogOptions { follow: true, ..LogOptions::default() };
        let events = self.manager.follow_submitted(self.submitted, logs);
        let (others, mut news) = mpsc::channel(NEWS);
        let pump = (!self.in_terminal).then(|| Pump::new(session.notes, false)).transpose()?;
        // One future from the first byte to the last: an interrupt that comes while a slow reader is written to
        // must cut no line in two.
        let mut bytes = std::pin::pin!(bytes(events, pump, others));
        let mut pumping = true;
        loop {
            tokio::select! {
                biased;
                what = interrupts.next() => {
                    if let Some(exit) = self.interrupted(what).await? {
                        return Ok(exit);
                    }
                }
                () = due(self.waiting.as_ref().and_then(|(_, due)| *due)) => self.say_waiting(),
                event = news.recv() => match event {
                    Some(FollowEvent::Status(status)) => self.status(&status),
                    Some(FollowEvent::Stuck(status)) => self.stuck(&status).await?,
                    Some(FollowEvent::Outlived(end)) if self.stage == Stage::Following => {
                        progress::clear();
                        let stop = self.options.stop_sidecars;
                        let exit = sidecars::outlived(&end, stop, &self.manager, self.notes).await?;
                        ends.push(*end);
                        return Ok(exit);
                    }
                    Some(FollowEvent::Outlived(_)) => {}
                    Some(FollowEvent::Ended(end)) => return self.ended(*end, ends).await,
                    Some(FollowEvent::Log(_)) => {}
                    None => {
                        let failure = Failure::new(self.name, "its events ended before the job did");
                        return Err(failure.way_out(self.still_there()));
                    }
                },
                passed = passed(&mut self.passing) => self.passed(passed).await?,
                result = &mut bytes, if pumping => match result {
                    Ok(()) => pumping = false,
                    Err(failure) if failure.code() == Exit::INTERRUPTED => return Ok(self.detached()),
                    Err(failure) if failure.is_silent() => return self.reader_gone(failure).await,
                    Err(failure) => return Err(failure.way_out(self.still_there())),
                },
            }
        }
    }

    /// Says once what the job waits for.
    fn say_waiting(&mut self) {
        if let Some((text, due)) = &mut self.waiting {
            *due = None;
            // A terminal shows it already.
            if progress::is_on() {
                return;
            }
            self.notes.say(&format!("{}: {}", self.name, plain(text)));
        }
    }

    /// What is said of a status.
    fn status(&mut self, status: &JobStatus) {
        let verdict = &status.verdict;
        progress::show(&format!("{}: {}", self.name, plain(&verdict.text)));
        let waits = matches!(verdict.outlook, Outlook::ResolvesItself | Outlook::NeedsAction);
        match &self.waiting {
            Some((known, _)) if waits && *known == verdict.text => {}
            _ => self.waiting = waits.then(|| (verdict.text.clone(), Some(clock::after(SOON)))),
        }
    }

    /// The end of what has waited long enough for what will never come.
    async fn stuck(&mut self, status: &JobStatus) -> Outcome<()> {
        if !self.options.fail_fast || self.stage != Stage::Following {
            return Ok(());
        }
        let verdict = &status.verdict;
        let cause = format!("cancelled, because it would never go on: {}", plain(&verdict.text));
        let next = verdict.next_step.as_deref().unwrap_or("--no-fail-fast keeps waiting");
        self.never = Some(Failure::new(self.name, cause).way_out(plain(next)));
        self.stage = Stage::Cancelling;
        self.waiting = None;
        self.manager.cancel(self.name, self.who, Some(&verdict.text)).await?;
        Ok(())
    }

    /// What becomes of a job whose stdin was passed on, or was not.
    async fn passed(&mut self, passed: Outcome<Passed>) -> Outcome<()> {
        match passed {
            Ok(Passed::Terminal(shown)) => self.was_shown = shown,
            Ok(passed) => {
                self.missing = passed.missing();
                if let Some(missing) = &self.missing {
                    self.notes.say(&format!("{}: {}", self.name, plain(missing)));
                }
            }
            // It would wait for ever.
            Err(failure) if self.stage == Stage::Following => {
                self.stage = Stage::Cancelling;
                self.manager.cancel(self.name, self.who, Some("its stdin could not be passed on")).await?;
                self.never = Some(failure);
            }
            Err(_) => {}
        }
        Ok(())
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
    async fn ended(&mut self, end: windlass::Outcome, ends: &mut Vec<windlass::Outcome>) -> Outcome {
        progress::clear();
        if self.passing.is_some() {
            // The cluster says the last word there, too; what it has not said in a moment is that all was well.
            match tokio::time::timeout(SOON, passed(&mut self.passing)).await {
                Ok(passed) => self.passed(passed).await?,
                Err(_) => self.was_shown = true,
            }
            self.passing = None;
        }
        if self.in_terminal && !self.was_shown {
            self.print().await?;
        }
        if let Some(missing) = self.missing.take() {
            let verdict = plain(&end.status.verdict.text);
            ends.push(end);
            return Err(Failure::new(self.name, missing).way_out(format!("the job itself: {verdict}")));
        }
        if let Some(failure) = self.never.take() {
            ends.push(end);
            return Err(failure);
        }
        if end.exit.code() != 0 {
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

    /// What an interrupt does; a code if nothing is to be followed any more.
    async fn interrupted(&mut self, what: Interrupt) -> Outcome<Option<Exit>> {
        let detach = what == Interrupt::HangUp || self.options.on_interrupt == OnInterrupt::Detach;
        match self.stage {
            Stage::Following if detach => {
                return Ok(Some(self.detached()));
            }
            Stage::Following => {
                self.stage = Stage::Cancelling;
                self.notes.say(&format!("cancelling {}; interrupt again to kill it now", self.name));
                self.manager.cancel(self.name, self.who, Some("interrupted")).await?;
            }
            Stage::Cancelling => {
                self.stage = Stage::Killing;
                self.notes.say(&format!("killing {}", self.name));
                self.manager.kill(self.name).await?;
            }
            Stage::Killing => return Ok(Some(Exit::INTERRUPTED)),
        }
        Ok(None)
    }

    /// The job is left alone.
    fn detached(&self) -> Exit {
        self.notes.say(&format!("{} goes on; {}", self.name, self.still_there()));
        Exit::INTERRUPTED
    }

    /// As a process here would end by SIGPIPE, the job ends when nobody reads its output.
    async fn reader_gone(&mut self, failure: Failure) -> Outcome {
        if self.options.on_interrupt == OnInterrupt::Cancel && self.stage == Stage::Following {
            self.manager.cancel(self.name, self.who, Some("the reader of its output is gone")).await?;
        }
        Err(failure)
    }

    /// How to come back to a job.
    fn still_there(&self) -> String {
        let name = self.name;
        format!("follow it with `windlass logs -f {name}`, end it with `windlass cancel {name}`")
    }
}
