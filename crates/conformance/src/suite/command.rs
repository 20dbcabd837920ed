//! `windlass-conformance suite`: runs the cases where they are asked for and prints the matrix.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Write, stderr, stdout};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::case::{Case, Outcome};
use super::ordinary;
use super::record::{Column, Place, Record};
use super::subject::{Door, IMAGE, Subject};

/// Cases that run at once: most of them wait most of the time.
pub const AT_ONCE: usize = 24;

const USAGE: &str = "windlass-conformance suite [OPTION...] [CASE...]
  --cluster KUBECONFIG  run on that cluster, and not on the engine
  --image IMAGE         what containers on the cluster run: any image with a shell (default: busybox:1.36)
  --at-once N           cases that run at the same time (default: 24)
  --record              keep the outcomes in crates/conformance/suite.json and docs/conformance.md
  --list                print the cases and run none
A CASE is an id (\"Job 7\"), a group (CronJob), or a part of a name of more than eight letters.";

struct Options {
    cluster: Option<PathBuf>,
    image: String,
    at_once: usize,
    record: bool,
    list: bool,
    columns: bool,
    words: Vec<String>,
}

fn read(arguments: impl Iterator<Item = OsString>) -> Result<Options> {
    let mut options = Options {
        cluster: None,
        image: IMAGE.to_owned(),
        at_once: AT_ONCE,
        record: false,
        list: false,
        columns: false,
        words: Vec::new(),
    };
    let mut words =
        arguments.map(|a| a.into_string().map_err(|_| anyhow::anyhow!("an argument that is no text")));
    while let Some(word) = words.next().transpose()? {
        let mut value = || words.next().with_context(|| format!("{word} needs a value\n{USAGE}"))?;
        match word.as_str() {
            "--cluster" => options.cluster = Some(value()?.into()),
            "--image" => options.image = value()?,
            "--at-once" => {
                let number = value()?;
                options.at_once =
                    number.parse().ok().filter(|n| *n > 0).with_context(|| format!("--at-once {number}"))?;
            }
            "--record" => options.record = true,
            "--list" => options.list = true,
            "--columns" => options.columns = true,
            flag if flag.starts_with('-') => bail!("no option {flag}\n{USAGE}"),
            _ => options.words.push(word),
        }
    }
    Ok(options)
}

/// Runs what the arguments say; whether all went as recorded.
pub async fn run(arguments: impl Iterator<Item = OsString>) -> Result<bool> {
    let options = read(arguments)?;
    let cases = super::chosen(&options.words)?;
    if options.list {
        for case in &cases {
            writeln!(stdout(), "{}: {}", case.id(), case.name)?;
        }
        return Ok(true);
    }
    if options.columns {
        serde_json::to_writer(stdout(), &own_columns(&cases, options.at_once).await?)?;
        return Ok(true);
    }
    let columns = match &options.cluster {
        Some(kubeconfig) => {
            let subject = Subject::cluster(kubeconfig, &options.image).await?;
            let column = column(&subject, &cases, options.at_once, "cluster").await?;
            BTreeMap::from([(Place::Cluster, column)])
        }
        None => engine_columns(&options, &cases).await?,
    };
    conclude(columns, &cases, options.record)
}

/// The matrix of what was run, what is new in it, and the record if it is to be kept.
fn conclude(columns: BTreeMap<Place, Column>, cases: &[&Case], keep: bool) -> Result<bool> {
    let mut recorded = Record::load()?;
    let run = Record { columns };
    write!(stdout(), "{}", run.matrix(cases))?;
    let mut is_clean = true;
    for (place, column) in &run.columns {
        let then = recorded.columns.get(place).cloned().unwrap_or_default();
        for news in column.news(&then) {
            writeln!(stdout(), "{place:?}: {news}")?;
            is_clean &= news.contains(" passes ");
        }
    }
    if keep {
        for (place, column) in run.columns {
            recorded.take(place, column);
        }
        recorded.save()?;
    }
    Ok(is_clean)
}

/// The engine's columns: of this user, and of an ordinary one if this is root.
async fn engine_columns(options: &Options, cases: &[&'static Case]) -> Result<BTreeMap<Place, Column>> {
    let program = std::env::current_exe()?;
    let ordinary = ordinary::is_root().then(|| {
        let words = options.words.clone();
        tokio::task::spawn_blocking(move || ordinary::columns(&program, &words))
    });
    let mut columns = own_columns(cases, options.at_once).await?;
    if let Some(ordinary) = ordinary {
        columns.extend(ordinary.await??);
    }
    Ok(columns)
}

/// Both doors of an engine, as the user that this is.
async fn own_columns(cases: &[&'static Case], at_once: usize) -> Result<BTreeMap<Place, Column>> {
    let shim = || Ok::<_, anyhow::Error>(vec![std::env::current_exe()?.into_os_string(), "shim".into()]);
    let doors = [(Door::InProcess, shim()?), (Door::Tcp, shim()?)].map(|(door, shim)| async move {
        let subject = Subject::engine(door, shim).await?;
        let place = place(door);
        let column = column(&subject, cases, at_once, &format!("{place:?}")).await;
        subject.stop().await;
        Ok::<_, anyhow::Error>((place, column?))
    });
    let columns = futures::future::try_join_all(doors).await?;
    Ok(columns.into_iter().collect())
}

/// The column of an engine that is asked through a door by the user that this is.
#[must_use]
pub fn place(door: Door) -> Place {
    match (door, ordinary::is_root()) {
        (Door::InProcess, true) => Place::InProcess,
        (Door::Tcp, true) => Place::Tcp,
        (Door::InProcess, false) => Place::UserInProcess,
        (Door::Tcp, false) => Place::UserTcp,
    }
}

/// Runs the cases and tells of each on stderr.
pub async fn column(
    subject: &Subject,
    cases: &[&'static Case],
    at_once: usize,
    called: &str,
) -> Result<Column> {
    ensure!(at_once > 0, "at least one case at once");
    let version = subject.version().await?;
    let tell = |case: &Case, outcome: &Outcome| {
        // Progress; who does not read it misses nothing.
        let _ = match outcome {
            Outcome::Passed => writeln!(stderr(), "{called}: {} passes", case.id()),
            Outcome::Failed { reason, scene } => {
                writeln!(stderr(), "{called}: {} FAILS, {}\n  {reason}\n{scene}", case.id(), case.name)
            }
            Outcome::LeftOut(why) => writeln!(stderr(), "SKIPPED: {called}: {}: {why}", case.id()),
        };
    };
    let outcomes = super::run(subject, cases, at_once, &tell).await;
    Ok(Column::of(version, &outcomes))
}
