//! `windlass run`: submit a command, follow it, exit with its code, as if it had run here.

use tokio::sync::watch;
use windlass::SubmitOptions;
use windlass::manifest::Edit;

use super::follower::Follower;
use super::interrupt::Interrupts;
use super::log_files::LogFiles;
use super::stdin::{Kind, Stdio};
use super::terminal::Shown;
use super::{result_file, work};
use crate::args::high::RunOptions;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::print::plain;
use crate::{out, progress};

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
    let prepared = work::prepare(
        &options.work,
        &options.env_files,
        options.tasks.as_ref(),
        options.id.as_ref(),
        "run",
        call,
    )
    .await?;
    let [draft] = &prepared.jobs[..] else {
        let cause = format!("the file holds {} jobs, and one can be followed", prepared.jobs.len());
        return Err(Failure::new("run", cause).way_out("windlass submit --wait -f FILE"));
    };
    let made = |edits: &[Edit]| draft.make(edits).map_err(|problems| prepared.faults(&[(draft, problems)]));
    let stdio = Stdio::decide(options, Kind::of_stdin(), &made(&[])?)?;
    let manifest = made(&stdio.edits(call.env))?;
    let call = Call { common: &prepared.common, ..call };
    let files = options.log_dir.as_deref().map(|dir| LogFiles::open(dir, call.notes())).transpose()?;
    // Before the job exists: whoever interrupts now has nothing to cancel.
    let mut interrupts = Interrupts::take()?;
    let submit = async {
        let session = call.open().await?;
        let submit = SubmitOptions {
            id: prepared.id.clone(),
            submitter: Some(call.who().to_owned()),
            ..SubmitOptions::default()
        };
        work::settle(&prepared.jobs, std::slice::from_ref(&manifest), &session, &submit).await?;
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
    let (show, shown) = watch::channel(Shown::default());
    let passing = stdio.pass(&manager, &submitted, session.notes, show);
    let in_terminal = passing.is_some() && stdio != Stdio::Bytes;
    if !call.common.quiet && !in_terminal {
        progress::begin(call.env);
    }
    let mut follower = Follower::new(manager, &submitted.name, call.who(), session.notes, options);
    if let Some(passing) = passing {
        follower.passes(passing, in_terminal, shown);
    }
    if let Some(what) = interrupted
        && let Some(end) = follower.interrupted(what)
    {
        return end;
    }
    follower.follow(&submitted, &mut interrupts, ends, files).await
}
