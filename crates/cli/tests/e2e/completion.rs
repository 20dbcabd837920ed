//! What a shell is told on Tab, and the man pages.

use std::time::{Duration, Instant};

use crate::home::{Ended, Home, finish};

/// After so long a question about names has no answer.
const PATIENCE: Duration = Duration::from_secs(2);

#[expect(clippy::disallowed_methods, reason = "the answer's own time is part of what is promised")]
fn now() -> Instant {
    Instant::now()
}

/// Bash's question about the last of these words.
fn asked(home: &Home, words: &[&str], index: usize) -> Ended {
    let mut command = home.command(&[&["--", "windlass"], words].concat());
    command
        .env("WINDLASS_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", index.to_string())
        .env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    finish(command)
}

#[test]
fn names_of_jobs_are_completed_and_no_engine_is_started_for_it() {
    let home = Home::new();
    let ended = asked(&home, &["logs", ""], 2);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(home.engine().is_none(), "an engine was started for a Tab");
    home.ok(&["submit", "-q", "--wait", "--name", "train-one", "--", "true"]);
    home.ok(&["submit", "-q", "--wait", "--name", "train-two", "--", "true"]);
    home.ok(&["submit", "-q", "--wait", "--name", "report", "--", "true"]);
    let names = |words: &[&str], index| -> Vec<String> {
        loop {
            let asking = now();
            let ended = asked(&home, words, index);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
            let names = ended.stdout.split_whitespace().filter(|word| !word.starts_with('-'));
            let names: Vec<String> = names.map(str::to_owned).collect();
            // Whoever asks a machine that takes longer than a Tab may is told nothing.
            if !names.is_empty() || asking.elapsed() < PATIENCE {
                return names;
            }
        }
    };
    for verb in ["logs", "wait", "show", "why", "cancel", "delete", "retry"] {
        assert_eq!(names(&[verb, "tr"], 2), ["train-one", "train-two"], "{verb}");
    }
    assert_eq!(names(&["wait", "report", "train-t"], 3), ["train-two"]);
    assert_eq!(names(&["sub"], 1), ["submit"]);
    assert_eq!(names(&["-n", "nowhere", "logs", "tr"], 4), Vec::<String>::new());
    assert_eq!(names(&["--kubeconfig", "/nowhere", "logs", "tr"], 4), Vec::<String>::new());
}

#[test]
fn every_shell_has_its_script() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.ok(&["completions", shell]);
        assert!(script.contains("WINDLASS_COMPLETE") && script.contains("windlass"), "{script}");
    }
    let script = "set -e; eval \"$(\"$windlass\" completions bash)\"; complete -p windlass";
    let mut command = home.program("bash");
    command.args(["-c", script]).env("windlass", env!("CARGO_BIN_EXE_windlass"));
    let ended = finish(command);
    assert!(ended.code == Some(0) && ended.stdout.contains("windlass"), "{ended:?}");
}

#[test]
fn every_verb_has_a_man_page() {
    let home = Home::new();
    home.ok(&["man", "pages"]);
    let page = std::fs::read_to_string(home.file("pages/windlass-cron-create.1")).unwrap();
    assert!(page.contains(".TH windlass-cron-create 1") && page.contains("starting"), "{page}");
    for verb in ["", "-run", "-submit", "-plan", "-doctor", "-list"] {
        assert!(home.file(&format!("pages/windlass{verb}.1")).exists(), "{verb}");
    }
    home.write("file", "");
    let ended = home.windlass(&["man", "file"]);
    assert!(ended.code == Some(125) && ended.stderr.contains("file"), "{ended:?}");
}
