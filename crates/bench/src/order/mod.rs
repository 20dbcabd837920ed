//! Which functions commands run: the list by which the linker lays them side by side in the program's file, so that
//! a command has little else of it in memory. `cargo xtask order` builds the program and runs this on it.
//!
//! Knows nothing of what the functions do. A name that a later build does not have is left out by the linker.

mod trace;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::subject::Subject;

/// Jobs in the listing: more than fit on a page.
const JOBS: usize = 150;
/// A longer name is left out: the names of closures in closures grow to 30 KB.
const LONGEST_NAME: usize = 2_000;

/// The commands, the one first whose memory counts most; `{}` is a job that has ended.
const COMMANDS: &[&[&str]] = &[
    &["list"],
    &["run", "--", "echo", "a line"],
    &["submit", "--", "true"],
    &["wait", "{}"],
    &["logs", "{}"],
    &["show", "{}"],
    &["why", "{}"],
    &["status"],
    &["list", "-o", "json"],
    &["--help"],
];

/// Writes the list: what the first command runs comes first, of that what the second runs too, and so on.
pub(crate) async fn record(binary: &Path, list: &Path) -> Result<()> {
    let subject = Subject::start(binary.to_owned()).await?;
    let recorded = names(&subject);
    subject.stop()?;
    let names = recorded?;
    let mut text = String::from(
        "# Made by `cargo xtask order`: what commands run, in the order in which it is laid out.\n",
    );
    for name in &names {
        writeln!(text, "{name}")?;
    }
    std::fs::write(list, text).with_context(|| list.display().to_string())?;
    Ok(())
}

fn names(subject: &Subject) -> Result<Vec<String>> {
    let ended = subject.windlass(&["submit", "--wait", "--name", "ended", "--", "true"])?;
    fill(subject)?;
    let functions = trace::functions(&subject.binary)?;
    // By function: whether each command leaves it alone, and when it was called first.
    let mut calls: BTreeMap<usize, (Vec<bool>, usize)> = BTreeMap::new();
    for (at, words) in COMMANDS.iter().enumerate() {
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "{}" { ended.trim() } else { word }).collect();
        let called = trace::called(&mut subject.command(&words), &subject.binary, &functions)
            .with_context(|| format!("{words:?}"))?;
        for function in called {
            let turn = calls.len();
            calls.entry(function).or_insert_with(|| (vec![true; COMMANDS.len()], turn)).0[at] = false;
        }
    }
    let mut order: Vec<_> = calls.into_iter().map(|(function, key)| (key, function)).collect();
    order.sort();
    let called = order.iter().map(|(_, at)| &functions[*at].name);
    let names: Vec<String> = called.filter(|name| name.len() <= LONGEST_NAME).cloned().collect();
    ensure!(!names.is_empty(), "{}: no function was seen", subject.binary.display());
    Ok(names)
}

/// Jobs to list: some have ended, most are held.
fn fill(subject: &Subject) -> Result<()> {
    let mut jobs = String::new();
    for n in 0..JOBS {
        writeln!(
            jobs,
            "---\n{{apiVersion: batch/v1, kind: Job, metadata: {{name: held-{n}}}, spec: {{suspend: true, template: \
             {{spec: {{runtimeClassName: windlass-host, restartPolicy: Never, containers: [{{name: main, image: host, \
             command: [/bin/true]}}]}}}}}}}}"
        )?;
    }
    let file = subject.home.path().join("jobs.yaml");
    std::fs::write(&file, jobs)?;
    subject.windlass(&["submit", "-f", file.to_str().context("a home whose name is not UTF-8")?])?;
    Ok(())
}
