//! `windlass logs`: the output of a job.

use futures::StreamExt;
use windlass::manifest::tasks::Numbering;

use super::pump::Pump;
use super::which;
use crate::args::high::LogsOptions;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::print::plain;

/// Prints it, one job after the other.
pub(crate) async fn run(options: &LogsOptions, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let names = which::names(&options.jobs, &session.manager, false).await?;
    for name in &names {
        if names.len() > 1 {
            session.notes.say(&format!("logs of {name}"));
        }
        one(name, options, &session).await?;
    }
    Ok(Exit::OK)
}

async fn one(name: &str, options: &LogsOptions, session: &Session) -> Outcome<()> {
    let view = session.manager.get(name).await?;
    let several = options.which.index.is_none()
        && options.which.task.is_none()
        && (view.pods.len() > 1 || wants_several(&view.job));
    let pump = match options.prefix {
        true => Pump::new(session.notes, true)?.with_containers(),
        false => Pump::new(session.notes, several)?,
    };
    let mut pump = pump.with_numbers(Numbering::of(&view.job));
    let mut logs = session.manager.logs(name, options.which.clone());
    let mut any = false;
    while let Some(event) = logs.next().await {
        pump.take(event?).await?;
        any = true;
    }
    if !any {
        session.notes.say(&format!("{name} has written nothing: {}", plain(&view.status.verdict.text)));
    }
    Ok(())
}

/// Whether more than one pod may write.
fn wants_several(job: &k8s_openapi::api::batch::v1::Job) -> bool {
    let many = |count: Option<i32>| count.is_some_and(|count| count > 1);
    job.spec.as_ref().is_some_and(|spec| many(spec.parallelism) || many(spec.completions))
}
