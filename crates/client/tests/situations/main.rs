//! What `why` says of jobs on a real engine: each document of `engine/*.yaml` is a situation that users get into, how it comes
//! about, and what is said of it then, word for word. A new one needs no Rust.
//!
//! `WINDLASS_BLESS=1 cargo test -p windlass --test situations [FILE]` writes what is said: read it before it is kept. What the
//! keys of a situation mean stands at [`situation::Situation`].

mod acts;
mod situation;
mod stage;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt};

use crate::situation::Situation;
use crate::stage::{Place, Stage};

/// So many of a file are brought about at once.
const AT_ONCE: usize = 4;

fn file(topic: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/situations/engine").join(format!("{topic}.yaml"))
}

#[allow(clippy::disallowed_methods, reason = "a switch for whoever adds situations")]
fn blesses() -> bool {
    std::env::var_os("WINDLASS_BLESS").is_some()
}

/// Brings about all situations of a file; those that say nothing of an engine share one.
#[expect(clippy::print_stderr, reason = "what is left out is said")]
async fn all_of(topic: &str) {
    let path = file(topic);
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, documents) = text.split_once("\n---\n").unwrap();
    let shared = Place::start(&Situation::default()).await;
    let told = stream::iter(documents.split("\n---\n").enumerate()).map(|(number, document)| {
        let shared = &shared;
        async move {
            let situation = Situation::read(document, &path_of(topic, number));
            if let Some(lacking) = situation.lacks() {
                eprintln!("SKIPPED: {topic}: {:?}: {lacking}", situation.situation);
                return (document, situation.said, true);
            }
            let own = if situation.wants_its_own() { Some(Place::start(&situation).await) } else { None };
            let mut stage =
                Stage::set(own.as_ref().unwrap_or(shared), &format!("{topic}-{number}"), &situation).await;
            let said = acts::play(&mut stage, &situation, blesses()).await;
            drop(stage);
            if let Some(own) = own {
                own.stop().await;
            }
            let is_right = said == situation.said;
            (document, said, is_right)
        }
    });
    let told: Vec<(&str, String, bool)> = told.buffered(AT_ONCE).collect().await;
    shared.stop().await;
    if blesses() {
        let documents = told.iter().map(|(document, said, _)| with_said(document, said));
        let text = format!("{head}\n---\n{}", documents.collect::<Vec<_>>().join("\n---\n"));
        std::fs::write(&path, format!("{}\n", text.trim_end())).unwrap();
        return;
    }
    let mut wrong = String::new();
    for (document, said, _) in told.iter().filter(|(.., is_right)| !is_right) {
        let _ = write!(wrong, "\n== {topic}: said {said}\nof {document}\n");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn path_of(topic: &str, number: usize) -> String {
    format!("{topic}.yaml, situation {}", number + 1)
}

/// A situation's document with these words at its end.
fn with_said(document: &str, said: &str) -> String {
    let head = document.split_once("\nsaid: |\n").map_or(document.trim_end(), |(head, _)| head);
    if said.is_empty() {
        return head.to_owned();
    }
    let lines: String = said.lines().map(|line| format!("  {line}\n")).collect();
    format!("{head}\nsaid: |\n{}", lines.trim_end())
}

macro_rules! topics {
    ($($(#[$about:meta])* $test:ident: $topic:literal,)*) => {
        $($(#[$about])* #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            all_of($topic).await;
        })*

        #[test]
        fn every_file_is_brought_about() {
            let topics = [$($topic),*];
            for entry in std::fs::read_dir(file("x").parent().unwrap()).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                assert!(topics.contains(&name.as_str()), "{} is in no test", path.display());
            }
        }
    };
}

topics! {
    what_quotas_and_limit_ranges_refuse: "quotas",
    what_no_node_takes: "scheduling",
    what_a_pod_lacks: "missing",
    what_does_not_start: "starts",
    what_has_failed: "ends",
    what_counts_failures: "failures",
    what_is_taken_away: "evictions",
    what_runs_out_of_memory: "memory",
    what_goes_on_beside_a_command: "sidecars",
    what_is_held_or_goes: "held",
    what_somebody_may_not: "rights",
    what_cron_jobs_do: "crons",
}
