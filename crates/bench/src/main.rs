//! Measures a `windlass` binary from outside, each figure beside a yardstick taken in alternation in the same run:
//! absolute times mean nothing on a shared machine. `cargo xtask bench` builds both and runs this.

mod compare;
mod cpu;
mod order;
mod rows;
mod stats;
mod subject;
mod usage;
mod yardstick;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

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
    let groups = GROUPS.map(str::to_owned).to_vec();
    let plan = Plan { binary, store_commits: None, sizes: Sizes::whole(), groups };
    let mut arguments = Arguments { plan, upstream: None, ready: None, order: None };
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value; {USAGE}"));
        match word.as_str() {
            "--quick" => arguments.plan.sizes = Sizes::quick(),
            "--runs" => arguments.plan.sizes.runs = value()?.parse()?,
            "--rows" => arguments.plan.groups = value()?.split(',').map(str::to_owned).collect(),
            "--store-commits" => arguments.plan.store_commits = Some(value()?.into()),
            "--upstream" => arguments.upstream = Some(value()?.into()),
            "--order" => arguments.order = Some(value()?.into()),
            "--ready" => arguments.ready = Some(value()?.parse()?),
            other => bail!("{other}: {USAGE}"),
        }
    }
    Ok(arguments)
}

#[expect(clippy::print_stdout, reason = "the tables are this program's output")]
fn print(table: &str) {
    println!("{table}");
}
