//! Upstream's control plane and node beside the engine, in one run on one machine: the same jobs by the same client,
//! and the command lines of both.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};

use crate::stats::Figures;
use crate::subject::{Subject, client};
use crate::usage;

/// Jobs whose latency is taken, one after another.
const LATENCIES: usize = 20;
/// Jobs that are made at once for the rate, and connections that make them.
const RATE: usize = 200;
const CONNECTIONS: usize = 32;
/// Jobs in the file that the command lines submit.
const FILE: usize = 1000;
const RUNS: usize = 3;
/// The image with `true` in it that the fixture's node has.
const IMAGE: &str = "windlass.dev/upstream/shell:1";

/// One of the two.
struct Side {
    kubeconfig: PathBuf,
    namespace: String,
    client: kube::Client,
    host: bool,
    latency: Figures,
    rate: Figures,
    kubectl: (Figures, Figures),
    windlass: (Figures, Figures),
}

/// Measures both; `ready` is how many seconds upstream took from its start until it was ready, if that was seen.
pub(crate) async fn compare(binary: PathBuf, upstream: &Path, ready: Option<f64>) -> Result<String> {
    let subject = Subject::start(binary).await?;
    let kubeconfig = PathBuf::from(subject.windlass(&["kubeconfig", "--path"])?.trim());
    let mut engine = Side::new(&kubeconfig, true).await?;
    let mut real = Side::new(upstream, false).await?;
    let work = tempfile::tempdir()?;
    for run in 0..RUNS {
        for side in [&mut engine, &mut real] {
            for n in 0..LATENCIES {
                side.latency.push(side.one(&format!("one-{run}-{n}")).await? * 1e3);
            }
            side.rate.push(side.many(run).await?);
            side.commands(&subject, work.path(), run)?;
            side.clean().await?;
        }
    }
    let elsewhere = subject.elsewhere()?;
    let started = elsewhere.up()?;
    elsewhere.stop()?;
    subject.stop()?;
    table(&engine, &real, started, ready)
}

impl Side {
    async fn new(kubeconfig: &Path, host: bool) -> Result<Side> {
        let client = client(kubeconfig).await?;
        let namespace = format!("bench-{}", std::process::id());
        let object: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
        let none = Figures::default;
        Ok(Side {
            kubeconfig: kubeconfig.to_owned(),
            namespace,
            client,
            host,
            latency: none(),
            rate: none(),
            kubectl: (none(), none()),
            windlass: (none(), none()),
        })
    }

    fn manifest(&self, name: &str, suspend: bool) -> Value {
        let mut pod = json!({
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": if self.host { "host" } else { IMAGE }, "command": ["/bin/true"]}],
        });
        // On upstream the host's network is the fast way.
        match self.host {
            true => pod["runtimeClassName"] = "windlass-host".into(),
            false => pod["hostNetwork"] = true.into(),
        }
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "suspend": suspend, "template": {"spec": pod}},
        })
    }

    /// Seconds from the creation of one job to its completion.
    #[expect(clippy::disallowed_methods, reason = "this program measures time")]
    async fn one(&self, name: &str) -> Result<f64> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        let began = Instant::now();
        jobs.create(&PostParams::default(), &serde_json::from_value(self.manifest(name, false))?).await?;
        await_condition(jobs, name, conditions::is_job_completed()).await?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Jobs a second of [`RATE`] jobs at once.
    #[expect(clippy::disallowed_methods, reason = "this program measures time")]
    async fn many(&self, run: usize) -> Result<f64> {
        let began = Instant::now();
        let names = (0..RATE).map(|n| anyhow::Ok(format!("many-{run}-{n}")));
        futures::stream::iter(names)
            .try_for_each_concurrent(CONNECTIONS, |name| async move { self.one(&name).await.map(drop) })
            .await?;
        Ok(RATE as f64 / began.elapsed().as_secs_f64())
    }

    /// A file of suspended jobs through both command lines.
    fn commands(&mut self, subject: &Subject, work: &Path, run: usize) -> Result<()> {
        let kubectl = usage::kubectl().context("kubectl is not on this machine")?;
        for (who, program) in [("k", kubectl.as_path()), ("w", subject.binary.as_path())] {
            let mut text = String::new();
            for n in 0..FILE {
                writeln!(text, "---\n{}", self.manifest(&format!("{who}-{run}-{n}"), true))?;
            }
            let file = work.join("jobs.yaml");
            std::fs::write(&file, text)?;
            let mut command = Command::new(program);
            command.env("KUBECONFIG", &self.kubeconfig).env("WINDLASS_HOME", work);
            command.args(["--namespace", &self.namespace]);
            command.arg(if who == "k" { "create" } else { "submit" }).arg("-f").arg(&file);
            let took = usage::of(&command)?;
            let figures = if who == "k" { &mut self.kubectl } else { &mut self.windlass };
            figures.0.push(took.seconds);
            figures.1.push(took.peak_bytes / 1e6);
        }
        Ok(())
    }

    async fn clean(&self) -> Result<()> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        jobs.delete_collection(&DeleteParams::background(), &Default::default()).await?;
        Ok(())
    }
}

fn table(engine: &Side, real: &Side, started: f64, ready: Option<f64>) -> Result<String> {
    let ready = ready.map_or("not seen".to_owned(), |seconds| format!("{:.0} ms", seconds * 1e3));
    let rows = [
        ("start to ready", format!("{:.0} ms", started * 1e3), ready),
        ("no-op job, created → Complete", format!("{} ms", engine.latency), format!("{} ms", real.latency)),
        ("no-op jobs, 32 at a time", format!("{} jobs/s", engine.rate), format!("{} jobs/s", real.rate)),
        ("`kubectl create`, 1,000 jobs", pair(&engine.kubectl), pair(&real.kubectl)),
        ("`windlass submit`, 1,000 jobs", pair(&engine.windlass), pair(&real.windlass)),
    ];
    let mut text = String::from("| what | engine | upstream |\n|---|---|---|\n");
    for (what, engine, real) in rows {
        writeln!(text, "| {what} | {engine} | {real} |")?;
    }
    Ok(text)
}

fn pair((seconds, megabytes): &(Figures, Figures)) -> String {
    format!("{seconds} s, peak {megabytes} MB")
}
