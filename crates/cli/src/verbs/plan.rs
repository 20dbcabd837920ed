//! `windlass plan`: what `submit` would make, and whether the cluster has what it needs. Nothing is changed.

use serde::Serialize;
use serde_json::{Value, json};
use windlass::manifest::Manifest;
use windlass::manifest::plan::{Change, difference};
use windlass::{Check, Standing};

use super::work;
use crate::args::low::DataFormat;
use crate::args::plan::PlanOptions;
use crate::cluster::{Call, Session};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;
use crate::print::plain;

/// Something is wrong.
const WRONG: Exit = Exit(1);

/// One job of the plan. Its serialised form is frozen.
#[derive(Serialize)]
struct Planned {
    /// What would be sent, without the marks of a submission.
    manifest: Value,
    /// The job of its name that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    exists: Option<String>,
    /// What differs from that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Value>,
    checks: Vec<Value>,
}

/// Plans.
pub(crate) async fn run(options: &PlanOptions, call: Call<'_>) -> Outcome {
    let tasks = options.tasks.as_ref();
    let prepared =
        work::prepare(&options.work, &options.env_files, tasks, options.id.as_ref(), "plan", call).await?;
    let manifests = prepared.manifests()?;
    let call = Call { common: &prepared.common, ..call };
    let session = call.open().await?;
    let (mut planned, mut texts, mut is_wrong) = (Vec::new(), Vec::new(), false);
    for manifest in &manifests {
        let there = session.manager.namesake(manifest).await?;
        let changes = there.as_ref().map(|there| difference(there, manifest.job()));
        let checks = session.manager.preflight(manifest, prepared.id.as_ref()).await?;
        is_wrong |= checks.iter().any(|check| check.standing == Standing::Problem);
        let name = there.as_ref().and_then(|there| there["metadata"]["name"].as_str()).map(str::to_owned);
        if options.output.is_none() {
            texts.push(match (&name, &changes) {
                (Some(name), Some(changes)) => differences(name, changes),
                _ => out::yaml(manifest.job())?,
            });
            tell(manifest, &checks, manifests.len() > 1, &session);
        }
        planned.push(Planned {
            manifest: manifest.job().clone(),
            exists: name,
            changes: changes.unwrap_or_default().iter().map(change).collect(),
            checks: checks.iter().map(check).collect(),
        });
    }
    out::data(&match options.output {
        None => texts.join("---\n"),
        Some(DataFormat::Json) => out::json(&json!({ "jobs": to_value(&planned)? }))?,
        Some(DataFormat::Yaml) => out::yaml(&json!({ "jobs": to_value(&planned)? }))?,
    })?;
    Ok(if is_wrong { WRONG } else { Exit::OK })
}

fn to_value(planned: &[Planned]) -> Outcome<Value> {
    serde_json::to_value(planned).map_err(|error| Failure::new("plan", error))
}

/// The checks, a line each. What is wrong is said also to those who want to hear only that.
fn tell(manifest: &Manifest, checks: &[Check], several: bool, session: &Session) {
    if several {
        let name = manifest.job()["metadata"]["name"].as_str().unwrap_or("a job without a name of its own");
        session.notes.say(&format!("{name}:"));
    }
    if manifest.has_companion() {
        session
            .notes
            .say("its files or values travel in a ConfigMap that submit makes: this manifest alone lacks it");
    }
    for check in checks {
        let line = format!("{:<8} {}: {}", word(check.standing), plain(&check.what), plain(&check.text));
        match check.standing {
            Standing::Problem => out::say(&line),
            _ if session.notes.quiet => {}
            _ => out::say(&line),
        }
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Ok => "ok",
        Standing::Problem => "problem",
        Standing::Unknown => "unknown",
    }
}

fn check(check: &Check) -> Value {
    json!({ "what": check.what, "standing": word(check.standing), "text": check.text })
}

fn change(change: &Change) -> Value {
    json!({ "path": change.path, "is": change.is, "wanted": change.wanted })
}

fn differences(name: &str, changes: &[Change]) -> String {
    if changes.is_empty() {
        return format!("# job {name} is there, and says the same\n");
    }
    let value = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
    let lines = changes.iter().map(|change| {
        format!("{}: {} -> {}\n", change.path, plain(&value(&change.is)), plain(&value(&change.wanted)))
    });
    format!(
        "# job {name} is there; this would differ, and a job cannot be changed\n{}",
        lines.collect::<String>()
    )
}
