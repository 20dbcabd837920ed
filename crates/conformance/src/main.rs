//! `windlass-conformance diff|record|check`: asks upstream and the engine, lists the differences, keeps the recording.

use std::ffi::OsString;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use windlass_conformance::cluster::Cluster;
use windlass_conformance::compare::Reasons;
use windlass_conformance::recording::Recording;
use windlass_conformance::script::{Script, folder};
use windlass_conformance::{coverage, report, run, suite};

const USAGE: &str = "windlass-conformance COMMAND [TOPIC...]
  diff --upstream KUBECONFIG     ask upstream and the engine, list every difference without a reason; without a TOPIC
                                 also show upstream every golden object of the readers
  goldens --upstream KUBECONFIG  that alone
  record --upstream KUBECONFIG   keep upstream's answers, then as check
  answers                        print what the engine answers
  check                          compare the engine with the recording and write docs/conformance.md
  suite [OPTION...] [CASE...]    run upstream's end-to-end cases on the engine or on a cluster; `suite --help` has more";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "shim") {
        return windlass_engine::shim_main(arguments.skip(1));
    }
    match start(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // The one place where this program says what went wrong.
            let _ = writeln!(std::io::stderr(), "windlass-conformance: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// What is asked.
struct Options {
    command: String,
    upstream: Option<PathBuf>,
    topics: Vec<String>,
}

fn start(mut arguments: impl Iterator<Item = OsString>) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let first = arguments.next();
    if first.as_ref().is_some_and(|first| first == "suite") {
        return runtime.block_on(suite::command::run(arguments));
    }
    let options = read(first.into_iter().chain(arguments))?;
    runtime.block_on(async {
        match options.command.as_str() {
            "diff" => diff(&options).await,
            "goldens" => goldens(&options).await,
            "record" => record(&options).await,
            "check" => check(&options).await,
            "answers" => answers(&options).await,
            other => bail!("no command {other:?}\n{USAGE}"),
        }
    })
}

fn read(arguments: impl Iterator<Item = OsString>) -> Result<Options> {
    let mut words =
        arguments.map(|a| a.into_string().map_err(|_| anyhow::anyhow!("an argument that is no text")));
    let command = words.next().context(USAGE)??;
    let mut options = Options { command, upstream: None, topics: Vec::new() };
    while let Some(word) = words.next() {
        match word? {
            flag if flag == "--upstream" => options.upstream = Some(words.next().context(USAGE)??.into()),
            topic => options.topics.push(topic),
        }
    }
    Ok(options)
}

impl Options {
    async fn upstream(&self) -> Result<Cluster> {
        Cluster::named(self.upstream.as_deref().context("--upstream KUBECONFIG is missing")?).await
    }

    fn script(&self) -> Result<Script> {
        let mut script = Script::load()?;
        if !self.topics.is_empty() {
            script.topics.retain(|topic| self.topics.contains(&topic.name));
        }
        Ok(script)
    }
}

/// Asks a cluster the whole script; topics that need kubectl are left out where it is not installed.
async fn ask(cluster: &Cluster, script: &Script) -> Result<Recording> {
    let mut recording = Recording { version: run::version(cluster).await?, ..Recording::default() };
    for topic in &script.topics {
        if topic.name == report::KUBECTL && !run::has_kubectl() {
            writeln!(stdout(), "skipped: {} (it is not installed)", run::KUBECTL_PROGRAM)?;
            continue;
        }
        recording.topics.insert(topic.name.clone(), run::topic(cluster, script, topic).await?);
    }
    Ok(recording)
}

async fn ask_engine(script: &Script) -> Result<Recording> {
    let program = std::env::current_exe()?;
    let engine = Cluster::engine(vec![program.into_os_string(), "shim".into()]).await?;
    let answers = ask(&engine, script).await;
    engine.stop().await;
    answers
}

async fn diff(options: &Options) -> Result<bool> {
    let (script, cluster) = (options.script()?, options.upstream().await?);
    let upstream = ask(&cluster, &script).await?;
    let engine = ask_engine(&script).await?;
    let reasons = Reasons::load()?;
    let mut findings = report::judge(&upstream, &engine, &reasons);
    if !options.topics.is_empty() {
        findings.idle.clear();
    }
    write!(stdout(), "{}", findings.complaint(&reasons))?;
    let are_taken = !options.topics.is_empty() || goldens(options).await?;
    Ok(findings.clean() && are_taken)
}

/// Shows upstream what the readers make.
async fn goldens(options: &Options) -> Result<bool> {
    let shown = windlass_conformance::goldens::show(&options.upstream().await?).await?;
    for line in &shown.refused {
        writeln!(stdout(), "refused: {line}")?;
    }
    writeln!(stdout(), "golden objects: {} taken, {} refused", shown.taken, shown.refused.len())?;
    Ok(shown.refused.is_empty())
}

async fn record(options: &Options) -> Result<bool> {
    let (script, cluster) = (options.script()?, options.upstream().await?);
    ask(&cluster, &script).await?.save()?;
    check(options).await
}

async fn check(options: &Options) -> Result<bool> {
    let script = options.script()?;
    let upstream = Recording::load(&script)?;
    let engine = ask_engine(&script).await?;
    let reasons = Reasons::load()?;
    let mut findings = report::judge(&upstream, &engine, &reasons);
    if options.topics.is_empty() {
        let behaviours = suite::record::Record::load()?.section();
        let page =
            report::page(&script, &upstream, &findings, &reasons, &coverage::asked(&script), &behaviours);
        let place = folder().join("../../docs/conformance.md");
        std::fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
        std::fs::write(&place, page).with_context(|| place.display().to_string())?;
    } else {
        findings.idle.clear();
    }
    write!(stdout(), "{}", findings.complaint(&reasons))?;
    Ok(findings.clean())
}

async fn answers(options: &Options) -> Result<bool> {
    let engine = ask_engine(&options.script()?).await?;
    serde_json::to_writer_pretty(stdout(), &engine.topics)?;
    Ok(true)
}
