//! `windlass status`: whether the engine of this machine runs, and where.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, ListParams};
use serde::Serialize;
use windlass::Source;
use windlass_engine::{Home, Running};

use super::down::running_pods;
use super::resources::{self, Devices};
use crate::args::low::{DataFormat, Status};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::{age, clock, daemon, out};

/// What is told. Its serialised form is frozen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    running: bool,
    home: String,
    kubeconfig: String,
    log: String,
    /// pid, address, version, images, started: beside the others.
    #[serde(flatten)]
    engine: Option<Running>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running_pods: Option<u64>,
    /// GPUs and other devices that pods can have, by resource.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    devices: BTreeMap<String, Devices>,
}

/// Prints it; 0 whether it runs or not: `-o json` says which.
pub(crate) async fn run(options: &Status, call: Call<'_>) -> Outcome {
    let home = call.home()?;
    let report = report(&home, daemon::find(&home).await?).await?;
    out::data(&match options.output {
        Some(DataFormat::Json) => out::json(&report)?,
        Some(DataFormat::Yaml) => out::yaml(&report)?,
        None => text(&report),
    })?;
    Ok(Exit::OK)
}

async fn report(home: &Home, engine: Option<Running>) -> Outcome<Report> {
    let (mut jobs, mut pods, mut devices) = (None, None, BTreeMap::new());
    if engine.is_some() {
        jobs = Some(count_jobs(home).await?);
        pods = Some(running_pods(home).await?.len() as u64);
        devices = resources::devices(home).await?;
    }
    Ok(Report {
        running: engine.is_some(),
        home: home.root().display().to_string(),
        kubeconfig: home.kubeconfig().display().to_string(),
        log: home.engine_log().display().to_string(),
        engine,
        jobs,
        running_pods: pods,
        devices,
    })
}

/// How many jobs there are: one, and those that the server says remain.
async fn count_jobs(home: &Home) -> Outcome<u64> {
    let source = Source::Files { paths: vec![home.kubeconfig()], context: None };
    let connection = windlass::connect(&source).await.map_err(Failure::bare)?;
    let page = Api::<Job>::all(connection.client).list_metadata(&ListParams::default().limit(1)).await;
    let page = page.map_err(|error| Failure::new("the engine", error))?;
    let remaining = page.metadata.remaining_item_count.unwrap_or(0);
    Ok(page.items.len() as u64 + u64::try_from(remaining).unwrap_or(0))
}

fn text(report: &Report) -> String {
    let mut lines = vec![("Home", report.home.clone())];
    match &report.engine {
        None => lines.insert(0, ("Engine", "does not run (`windlass up`, or any job, starts it)".to_owned())),
        Some(engine) => {
            lines.insert(0, ("Engine", format!("runs, pid {}, version {}", engine.pid, engine.version)));
            lines.push(("Address", format!("https://{}", engine.address)));
            lines.push(("Kubeconfig", report.kubeconfig.clone()));
            lines.push(("Log", report.log.clone()));
            let started = engine.started.parse().map(|then| age::since(then, clock::now()));
            let ago = started.map(|age| format!(" ({age} ago)")).unwrap_or_default();
            lines.push(("Started", format!("{}{ago}", engine.started)));
            lines.push(("Jobs", report.jobs.unwrap_or(0).to_string()));
            lines.push(("Pods", format!("{} running", report.running_pods.unwrap_or(0))));
            lines.extend(resources::words(&report.devices).map(|words| ("Devices", words)));
        }
    }
    lines.iter().map(|(label, value)| format!("{:<12}{value}\n", format!("{label}:"))).collect()
}
