//! `windlass cron`: jobs by a schedule, on clusters that serve CronJobs.

mod create;
mod list;
mod next;

use serde_json::{Value, json};
use windlass::SubmitOptions;

pub(super) use next::{due, guessed_zone};

use super::wait;
use crate::args::cron::{CronAct, RunNow};
use crate::args::low::ObjectFormat;
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::Outcome;
use crate::out;
use crate::print::plain;

/// Does it.
pub(crate) async fn run(act: &CronAct, call: Call<'_>) -> Outcome {
    match act {
        CronAct::Create(options) => create::run(options, call).await,
        CronAct::List(options) => list::run(options, call).await,
        CronAct::Suspend(names, suspend) => {
            let session = call.open().await?;
            for name in names {
                session.manager.suspend_cron(name, *suspend).await?;
                session.notes.say(&format!("{name}: {}", if *suspend { "suspended" } else { "resumed" }));
            }
            Ok(Exit::OK)
        }
        CronAct::Run(options) => run_now(options, call).await,
        CronAct::Next(options) => next::run(options, call).await,
        CronAct::Delete(names) => {
            let session = call.open().await?;
            for name in names {
                session.manager.delete_cron(name).await?;
                session.notes.say(&format!("{name}: deleted"));
            }
            Ok(Exit::OK)
        }
    }
}

/// Submits the job of a CronJob.
async fn run_now(options: &RunNow, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let manifest = session.manager.job_of_cron(&options.cron, options.name.as_deref()).await?;
    let submission = SubmitOptions { submitter: Some(call.who().to_owned()), ..SubmitOptions::default() };
    let submitted = session.manager.submit(&manifest, &submission).await?;
    for warning in &submitted.warnings {
        session.notes.say(&format!("{}: {}", submitted.name, plain(warning)));
    }
    out::data(&format!("{}\n", submitted.name))?;
    if !options.wait {
        return Ok(Exit::OK);
    }
    let names = [submitted.name];
    let ends = wait::all(&names, &session.manager, wait::Until::default(), session.notes).await?;
    Ok(wait::code(&ends))
}

/// CronJobs in a format, as kubectl prints objects.
fn print(crons: &[Value], format: ObjectFormat) -> Outcome<String> {
    let list = || match crons {
        [one] => one.clone(),
        all => json!({ "apiVersion": "v1", "kind": "List", "items": all }),
    };
    match format {
        ObjectFormat::Name => Ok(crons.iter().map(|cron| format!("{}\n", name(cron))).collect()),
        ObjectFormat::Json => out::json(&list()),
        ObjectFormat::Yaml => out::yaml(&list()),
    }
}

fn name(cron: &Value) -> &str {
    cron["metadata"]["name"].as_str().unwrap_or_default()
}
