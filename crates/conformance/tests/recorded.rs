//! The engine answers the script as upstream did when it was recorded: no cluster is needed for it.

use windlass_conformance::cluster::Cluster;
use windlass_conformance::compare::Reasons;
use windlass_conformance::recording::Recording;
use windlass_conformance::script::{Script, folder};
use windlass_conformance::suite::record::Record;
use windlass_conformance::{coverage, report, run};

async fn engine() -> Cluster {
    let shim = vec![env!("CARGO_BIN_EXE_windlass-conformance").into(), "shim".into()];
    Cluster::engine(shim).await.expect("the engine starts")
}

/// Says what is skipped past the test runner, which captures what tests print.
fn say(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_answers_as_upstream_did() {
    let script = Script::load().expect("the script");
    let reasons = Reasons::load().expect("the reasons");
    let upstream = Recording::load(&script).expect("the recording");
    let engine = engine().await;
    let mut answers = Recording::default();
    for topic in &script.topics {
        if topic.name == report::KUBECTL && !run::has_kubectl() {
            say(&format!("the topic {}: {} is not installed", topic.name, run::KUBECTL_PROGRAM));
            continue;
        }
        let answered = run::topic(&engine, &script, topic).await.expect("the topic runs");
        answers.topics.insert(topic.name.clone(), answered);
    }
    engine.stop().await;
    let findings = report::judge(&upstream, &answers, &reasons);
    assert!(findings.clean(), "{}", findings.complaint(&reasons));
    if answers.topics.len() == script.topics.len() {
        let behaviours = Record::load().expect("the record").section();
        let asked = coverage::asked(&script);
        let page = report::page(&script, &upstream, &findings, &reasons, &asked, &behaviours);
        let written = std::fs::read_to_string(folder().join("../../docs/conformance.md")).unwrap_or_default();
        let new: Vec<&str> = page.lines().filter(|line| !written.contains(line)).collect();
        assert!(
            page == written,
            "docs/conformance.md is old: run `cargo run -p windlass-conformance -- check`; what is new:\n{}",
            new.join("\n")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_and_verb_that_is_served_is_asked_for() {
    let script = Script::load().expect("the script");
    let engine = engine().await;
    let served = coverage::served(&engine).await.expect("the engine's discovery");
    engine.stop().await;
    let missing = coverage::missing(&served, &coverage::asked(&script));
    assert!(missing.is_empty(), "no step in crates/conformance/cases asks for:\n  {}", missing.join("\n  "));
}
