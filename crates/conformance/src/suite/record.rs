//! The matrix: how each case ended where it was run last, kept in `suite.json`, and the part of `docs/conformance.md`
//! that tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::case::{Case, Outcome};
use super::{LEFT_OUT, all};
use crate::script::folder;

/// The heading with which the page's part begins; all from there on is the suite's.
pub const HEADING: &str = "## Behaviours that upstream's end-to-end tests check";
const PASSES: &str = "passes";

/// Where cases were run: a column of the matrix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The engine in the same process, as root.
    InProcess,
    /// The engine over TCP, as root.
    Tcp,
    /// The engine in the same process, as an ordinary user.
    UserInProcess,
    /// The engine over TCP, as an ordinary user.
    UserTcp,
    /// A cluster.
    Cluster,
}

impl Place {
    /// Every column.
    pub const ALL: [Place; 5] =
        [Place::InProcess, Place::Tcp, Place::UserInProcess, Place::UserTcp, Place::Cluster];
}

/// The outcomes in one place.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Column {
    /// The version that answered.
    pub version: String,
    /// Each case's id with `passes`, or what it is not.
    pub outcomes: BTreeMap<String, String>,
}

impl Column {
    /// Of a run.
    #[must_use]
    pub fn of(version: String, outcomes: &BTreeMap<String, Outcome>) -> Column {
        let outcomes = outcomes.iter().map(|(id, outcome)| (id.clone(), word(outcome))).collect();
        Column { version, outcomes }
    }

    /// How a run's outcomes are worse or better than those that are recorded. What a machine cannot run is neither.
    #[must_use]
    pub fn news(&self, recorded: &Column) -> Vec<String> {
        let mut news = Vec::new();
        for (id, now) in self.outcomes.iter().filter(|(_, now)| !now.starts_with("left out")) {
            match recorded.outcomes.get(id) {
                Some(then) if (then == PASSES) == (now == PASSES) => {}
                Some(then) => news.push(format!("{id} {now} (recorded: {then})")),
                None => news.push(format!("{id} {now} (not recorded)")),
            }
        }
        news
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => PASSES.to_owned(),
        Outcome::Failed { reason, .. } => format!("fails: {reason}"),
        Outcome::LeftOut(why) => format!("left out: {why}"),
    }
}

/// All columns.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Record {
    /// By place.
    pub columns: BTreeMap<Place, Column>,
}

fn file() -> PathBuf {
    folder().join("suite.json")
}

impl Record {
    /// Reads it; nothing is recorded where there is no file.
    pub fn load() -> Result<Record> {
        match std::fs::read(file()) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("suite.json"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(error).context("suite.json"),
        }
    }

    /// Writes it, and the page's part.
    pub fn save(&self) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        std::fs::write(file(), bytes).context("suite.json")?;
        let place = folder().join("../../docs/conformance.md");
        let page = std::fs::read_to_string(&place).with_context(|| place.display().to_string())?;
        let before = page.split(HEADING).next().unwrap_or_default().trim_end();
        std::fs::write(&place, format!("{before}\n\n{}", self.section()))
            .with_context(|| place.display().to_string())
    }

    /// Takes the outcomes of a run, and forgets cases that are no more.
    pub fn take(&mut self, place: Place, run: Column) {
        let column = self.columns.entry(place).or_default();
        column.version = run.version;
        column.outcomes.extend(run.outcomes);
        let ids: BTreeSet<String> = all().iter().map(|case| case.id()).collect();
        column.outcomes.retain(|id, _| ids.contains(id));
    }

    /// The page's part, from its heading on.
    #[must_use]
    pub fn section(&self) -> String {
        let mut text = format!("{HEADING}\n{}\n", self.about());
        text.push_str(&self.matrix(&all()));
        text.push_str("\nLeft out:\n\n");
        for (id, name, why) in LEFT_OUT {
            let _ = writeln!(text, "- {id}, \"{name}\": {why}.");
        }
        text
    }

    fn about(&self) -> String {
        let cluster = self.columns.get(&Place::Cluster).map_or("no cluster yet", |column| &column.version);
        format!(
            "
Each case of upstream's `test/e2e` that is about batch workloads, written anew (`crates/conformance/src/suite/`) with its
name there, and numbered. The same code runs on the engine, through its client in the same process and over TCP, as root
and as an ordinary user, and on a cluster (upstream {cluster} with a kubelet and containerd), where its containers come
from one image with a shell. `cargo xtask conformance` runs it and prints this matrix, `--record` keeps it; `cargo test -p
windlass-conformance` holds the engine to it.

Needs: N a ready node, H `hostPath`, E eviction, G garbage collection, Ind Indexed Jobs, V volumes at their mount paths.
"
        )
    }

    /// A table of cases, with what did not pass below it.
    #[must_use]
    pub fn matrix(&self, cases: &[&Case]) -> String {
        let mut cases = cases.to_vec();
        cases.sort_by_key(|case| (group_order(case.group), case.number));
        let mut text =
            "| case | | needs | in process | TCP | user, in process | user, TCP | cluster |\n".to_owned();
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        let mut notes: Vec<String> = Vec::new();
        for case in &cases {
            let needs: Vec<&str> = case.needs.iter().map(|need| need.letter()).collect();
            let _ = write!(text, "| {} | {} | {} |", case.id(), case.name, needs.join(" "));
            for place in Place::ALL {
                let outcome = self.columns.get(&place).and_then(|column| column.outcomes.get(&case.id()));
                let _ = write!(text, " {} |", cell(outcome, &mut notes));
            }
            text.push('\n');
        }
        let counts = Place::ALL.map(|place| self.passed(place, &cases));
        let _ = writeln!(text, "| pass | | | {} |", counts.join(" | "));
        if !notes.is_empty() {
            text.push('\n');
        }
        for (at, note) in notes.iter().enumerate() {
            let _ = writeln!(text, "{}. {note}", at + 1);
        }
        text
    }

    fn passed(&self, place: Place, cases: &[&Case]) -> String {
        let Some(column) = self.columns.get(&place) else { return "–".to_owned() };
        let passed = cases.iter().filter(|case| column.outcomes.get(&case.id()).is_some_and(|o| o == PASSES));
        format!("{} of {}", passed.count(), cases.len())
    }
}

/// In the order of the reference, groups that it does not know last and by their names.
fn group_order(group: &str) -> (usize, &str) {
    let known = [
        "Job",
        "CronJob",
        "TTLAfterFinished",
        "InitContainer",
        "Container Runtime",
        "Probing container",
        "Container Lifecycle Hook",
        "Variable Expansion",
        "ConfigMap",
        "Secrets",
        "Downward API",
        "Volumes",
        "Pods",
    ];
    (known.iter().position(|one| *one == group).unwrap_or(known.len()), group)
}

fn cell(outcome: Option<&String>, notes: &mut Vec<String>) -> String {
    let Some(outcome) = outcome else { return "–".to_owned() };
    if outcome == PASSES {
        return PASSES.to_owned();
    }
    let note = outcome.replace(['\n', '|'], " ");
    let at = notes.iter().position(|one| *one == note).unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    });
    let word = if outcome.starts_with("left out") { "left out" } else { "**fails**" };
    format!("{word} ({})", at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(outcome: &str) -> Column {
        Column { version: "v1".to_owned(), outcomes: [("Job 1".to_owned(), outcome.to_owned())].into() }
    }

    #[test]
    fn news_is_what_passes_no_more_and_what_passes_now() {
        assert!(column("passes").news(&column("passes")).is_empty());
        assert!(column("fails: today").news(&column("fails: then")).is_empty());
        assert!(column("left out: no mounts").news(&column("passes")).is_empty());
        assert_eq!(column("fails: x").news(&column("passes")), ["Job 1 fails: x (recorded: passes)"]);
        assert_eq!(column("passes").news(&column("fails: x")), ["Job 1 passes (recorded: fails: x)"]);
        assert_eq!(column("passes").news(&Column::default()), ["Job 1 passes (not recorded)"]);
    }

    #[test]
    fn a_failure_is_told_below_the_table_once() {
        let mut record = Record::default();
        record.take(Place::Tcp, column("fails: a | b"));
        record.take(Place::Cluster, column("fails: a | b"));
        let cases = super::super::chosen(&["Job 1".to_owned()]).expect("a case");
        let text = record.matrix(&cases);
        assert!(text.contains("| – | **fails** (1) | – | – | **fails** (1) |"), "{text}");
        assert!(text.ends_with("| – | 0 of 1 | – | – | 0 of 1 |\n\n1. fails: a   b\n"), "{text}");
    }
}
