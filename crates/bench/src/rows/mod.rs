//! The rows of the tables: what is done, how often, and against what.

mod api;
mod bulk;
mod commands;
mod life;
mod pods;
mod scale;
mod store;
mod watch;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use crate::cpu::IDLE;
use crate::stats::Figures;
use crate::subject::Subject;

/// How much is done.
pub(crate) struct Sizes {
    pub(crate) runs: usize,
    completions: usize,
    yardstick: usize,
    one_shot: Duration,
    commands: usize,
    creates: usize,
    watchers: usize,
    watched_writes: usize,
    finished: usize,
    running: usize,
    listed: usize,
}

impl Sizes {
    pub(crate) fn whole() -> Sizes {
        Sizes {
            runs: 5,
            completions: 10_000,
            yardstick: 4_000,
            one_shot: Duration::from_secs(10),
            commands: 40,
            creates: 3_000,
            watchers: 200,
            watched_writes: 100,
            finished: 100_000,
            running: 2_000,
            listed: 1_000,
        }
    }
    /// To see that it works; the figures say little.
    pub(crate) fn quick() -> Sizes {
        Sizes {
            runs: 1,
            completions: 500,
            yardstick: 500,
            one_shot: Duration::from_secs(1),
            commands: 5,
            creates: 2_000,
            watchers: 20,
            watched_writes: 10,
            finished: 2_000,
            running: 50,
            listed: 100,
        }
    }
}

/// The groups of rows, in the order in which they are taken.
pub(crate) const GROUPS: [&str; 7] = ["pods", "creates", "watch", "store", "life", "commands", "scale"];

/// What is measured.
pub(crate) struct Plan {
    /// The `windlass` binary.
    pub(crate) binary: PathBuf,
    /// The store's own program for its row; without it the row is left out.
    pub(crate) store_commits: Option<PathBuf>,
    /// How much.
    pub(crate) sizes: Sizes,
    /// Which of [`GROUPS`].
    pub(crate) groups: Vec<String>,
}

/// Takes the figures of a group after another, each on an engine of its own; gives each table to `tell`.
pub(crate) async fn measure(plan: &Plan, tell: impl Fn(&str)) -> Result<()> {
    for group in &plan.groups {
        if group == "store" {
            match &plan.store_commits {
                Some(program) => tell(&table(&store::measure(program, &plan.sizes)?)?),
                None => tell("the store's row is left out: no program for it was given"),
            }
            continue;
        }
        let subject = Subject::start(plan.binary.clone()).await?;
        let tables = match group.as_str() {
            "pods" => pods::measure(&subject, &plan.sizes).await,
            "creates" => api::measure(&subject, &plan.sizes).await,
            "watch" => watch::measure(&subject, &plan.sizes).await.and_then(|rows| Ok(vec![table(&rows)?])),
            "life" => life::measure(&subject, &plan.sizes).and_then(|rows| Ok(vec![table(&rows)?])),
            "commands" => {
                let rows = async {
                    let mut rows = commands::measure(&subject, &plan.sizes).await?;
                    rows.push(bulk::measure(&subject, &plan.sizes).await?);
                    table(&rows)
                };
                rows.await.map(|table| vec![table])
            }
            "scale" => scale::measure(&subject, &plan.sizes).await.and_then(|rows| Ok(vec![table(&rows)?])),
            other => bail!("no group {other:?}; there is: {}", GROUPS.join(", ")),
        };
        subject.stop()?;
        for table in tables.with_context(|| format!("measuring {group}"))? {
            tell(&table);
        }
    }
    Ok(())
}

/// One row of a table.
struct Row {
    what: String,
    unit: &'static str,
    figure: Figures,
    /// Of another unit, if this is not empty.
    yardstick_unit: &'static str,
    yardstick: Figures,
    ratio: Figures,
    to_reach: &'static str,
}

impl Row {
    fn new(what: impl Into<String>, unit: &'static str, to_reach: &'static str) -> Row {
        let none = Figures::default;
        let what = what.into();
        Row { what, unit, figure: none(), yardstick_unit: "", yardstick: none(), ratio: none(), to_reach }
    }
    /// A figure and its yardstick, taken after each other.
    fn push(&mut self, figure: f64, yardstick: f64) {
        self.figure.push(figure);
        self.yardstick.push(yardstick);
        self.ratio.push(figure / yardstick);
    }
    /// A figure that stands for itself.
    fn alone(&mut self, figure: f64) {
        self.figure.push(figure);
    }
}

/// A job of host processes that this program submits.
fn job(name: &str, completions: usize, parallelism: usize, argv: &[&str]) -> Result<Job> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "labels": {"bench": "windlass"}},
        "spec": {
            "completions": completions, "parallelism": parallelism, "backoffLimit": 0,
            "template": {"spec": {
                "runtimeClassName": "windlass-host", "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "host", "command": argv}],
            }},
        },
    }))?)
}

/// Microseconds of CPU by part.
fn cpu_table(title: &str, parts: &[(String, f64)]) -> Result<String> {
    let mut text = format!("| {title} | µs |\n|---|---|\n");
    for (part, micros) in parts {
        writeln!(text, "| {part} | {micros:.0} |")?;
    }
    let used = parts.iter().filter(|(part, _)| part != IDLE);
    writeln!(text, "| all | {:.0} |", used.map(|(_, micros)| micros).sum::<f64>())?;
    Ok(text)
}

fn table(rows: &[Row]) -> Result<String> {
    let mut text = String::from("| what | figure | yardstick | ratio | to reach |\n|---|---|---|---|---|\n");
    for row in rows {
        let yardstick_unit = if row.yardstick_unit.is_empty() { row.unit } else { row.yardstick_unit };
        let (yardstick, ratio) = match row.ratio.is_empty() {
            true => ("–".to_owned(), "–".to_owned()),
            false => (format!("{} {yardstick_unit}", row.yardstick), row.ratio.to_string()),
        };
        writeln!(
            text,
            "| {} | {} {} | {yardstick} | {ratio} | {} |",
            row.what, row.figure, row.unit, row.to_reach
        )?;
    }
    Ok(text)
}
