//! Measures a `windlass` binary from outside, each figure beside a yardstick taken in alternation in the same run:
//! absolute times mean nothing on a shared machine. `cargo xtask bench` builds both and runs this.

mod compare;
mod cpu;
mod ending;
mod order;
mod rows;
mod stats;
mod subject;
mod usage;
mod yardstick;

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::rows::{GROUPS, Plan, Sizes};

const USAGE: &str = "usage: windlass-bench BINARY [--quick] [--runs N] [--rows GROUP,...] [--store-commits PROGRAM] \
                     [--upstream KUBECONFIG [--ready SECONDS]] [--order FILE]";

/// What was typed.
struct Arguments {
    plan: Plan,
    upstream: Option<PathBuf>,
    ready: Option<f64>,
    order: Option<PathBuf>,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == usage::MEASURE).is_some() {
        return usage::inner(arguments);
    }
    let words: Option<Vec<String>> = arguments.map(|word| word.into_string().ok()).collect();
    let arguments = read(words.context("an argument is not UTF-8")?.into_iter())?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("another TLS provider is installed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let signals = {
        let _within = runtime.enter();
        ending::Signals::new().context("signals cannot be waited for")?
    };
    runtime.spawn(signals.obey());
    runtime.block_on(async {
        if let Some(list) = &arguments.order {
            return order::record(&arguments.plan.binary, list).await;
        }
        if let Some(kubeconfig) = &arguments.upstream {
            print(&compare::compare(arguments.plan.binary, kubeconfig, arguments.ready).await?);
            return Ok(());
        }
        rows::measure(&arguments.plan, print).await
    })
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
    let binary = PathBuf::from(words.next().context(USAGE)?);
    let all = GROUPS.map(str::to_owned).to_vec();
    let plan = Plan { binary, store_commits: None, sizes: Sizes::whole(), groups: all };
    let mut arguments = Arguments { plan, upstream: None, ready: None, order: None };
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value; {USAGE}"));
        match word.as_str() {
            "--quick" => arguments.plan.sizes = Sizes::quick(),
            "--runs" => arguments.plan.sizes.runs = number(&word, &value()?)?,
            "--rows" => arguments.plan.groups = groups(&value()?)?,
            "--store-commits" => arguments.plan.store_commits = Some(value()?.into()),
            "--upstream" => arguments.upstream = Some(value()?.into()),
            "--order" => arguments.order = Some(value()?.into()),
            "--ready" => arguments.ready = Some(number(&word, &value()?)?),
            other => bail!("{other}: {USAGE}"),
        }
    }
    ensure!(arguments.plan.sizes.runs > 0, "--runs: at least one run; {USAGE}");
    Ok(arguments)
}

fn number<T: FromStr>(option: &str, text: &str) -> Result<T> {
    text.parse().ok().with_context(|| format!("{option}: {text:?} is no such number; {USAGE}"))
}

/// Groups of rows, all of which there are: an engine is not started for nothing.
fn groups(text: &str) -> Result<Vec<String>> {
    let groups: Vec<String> = text.split(',').map(str::to_owned).collect();
    if let Some(unknown) = groups.iter().find(|group| !GROUPS.contains(&group.as_str())) {
        bail!("--rows: no group {unknown:?}; there is: {}", GROUPS.join(", "));
    }
    Ok(groups)
}

#[expect(clippy::print_stdout, reason = "the tables are this program's output")]
fn print(table: &str) {
    println!("{table}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&str]) -> String {
        match read(words.iter().map(|word| (*word).to_owned())) {
            Ok(_) => panic!("{words:?} were taken"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn what_is_mistyped_is_told_before_anything_is_started() {
        assert!(refused(&[]).starts_with("usage: "));
        for (words, told) in [
            (&["b", "--rows", "pods,pdos"][..], "--rows: no group \"pdos\"; there is: pods, "),
            (&["b", "--rows", ""], "--rows: no group \"\""),
            (&["b", "--runs", "x"], "--runs: \"x\" is no such number; usage: "),
            (&["b", "--runs", "0"], "--runs: at least one run; usage: "),
            (&["b", "--runs"], "--runs needs a value; usage: "),
            (&["b", "--ready", "soon"], "--ready: \"soon\" is no such number; usage: "),
            (&["b", "--fast"], "--fast: usage: "),
        ] {
            assert!(refused(words).starts_with(told), "{}", refused(words));
        }
    }
}
