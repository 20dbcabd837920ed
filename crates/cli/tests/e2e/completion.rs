//! What a shell is told on Tab, and the man pages.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::home::{Ended, Home, finish};
use crate::tty::Terminal;

/// After so long a question about names has no answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer of a machine that is quick enough: one that takes longer than a Tab may says nothing.
#[expect(clippy::disallowed_methods, reason = "the answer's own time is part of what is promised")]
fn answered(mut ask: impl FnMut() -> Vec<String>) -> Vec<String> {
    loop {
        let asking = Instant::now();
        let answer = ask();
        if !answer.is_empty() || asking.elapsed() < PATIENCE {
            return answer;
        }
    }
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
        answered(|| {
            let ended = asked(&home, words, index);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
            let names = ended.stdout.split_whitespace().filter(|word| !word.starts_with('-'));
            names.map(str::to_owned).collect()
        })
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

/// A program with `windlass` in its path; none, aloud, where it is not installed.
fn shell(home: &Home, name: &str) -> Option<Command> {
    if home.script(&format!("command -v {name}")).code != Some(0) {
        // Not captured by the test runner: what is skipped is said.
        _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {name} is not installed, so completion in it was not tried"
        );
        return None;
    }
    let mut command = home.program(name);
    let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
    let windlass = Path::new(env!("CARGO_BIN_EXE_windlass")).parent().unwrap();
    let path = format!("{}:{}", windlass.display(), path.unwrap_or_default().display());
    command.env("PATH", path);
    Some(command)
}

fn two_jobs() -> Home {
    let home = Home::new();
    for name in ["train-one", "report"] {
        home.ok(&["submit", "-q", "--wait", "--name", name, "--", "true"]);
    }
    home
}

#[test]
fn fish_completes_verbs_and_names_of_jobs() {
    let home = two_jobs();
    if shell(&home, "fish").is_none() {
        return;
    }
    for (line, word) in [("windlass sub", "submit"), ("windlass logs tr", "train-one")] {
        let answer = answered(|| {
            let mut command = shell(&home, "fish").unwrap();
            let script = "windlass completions fish | source; complete -C $argv[1]";
            command.args(["--no-config", "-c", script, line]);
            let ended = finish(command);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
        });
        assert_eq!(answer, [word], "{line}");
    }
}

#[test]
fn zsh_completes_verbs_and_names_of_jobs() {
    let home = two_jobs();
    let Some(mut zsh) = shell(&home, "zsh") else { return };
    // What is typed is shown with its number instead of being done.
    let settings = "unset zle_bracketed_paste; autoload -U compinit; compinit -u -D
        eval \"$(windlass completions zsh)\"
        shown() { print -r -- \"<$BUFFER|$((++n))>\"; BUFFER=; zle .accept-line }
        zle -N accept-line shown; print 'now''-it-listens'\n";
    home.write("settings", settings);
    zsh.args(["-f", "-i"]);
    let mut terminal = Terminal::start(zsh, 200, 40);
    terminal.types(". ./settings\n");
    terminal.shows("now-it-listens");
    let mut number = 0;
    for (line, whole) in
        [("windlass sub", "windlass submit "), ("windlass logs tr", "windlass logs train-one ")]
    {
        let answer = answered(|| {
            number += 1;
            terminal.types(&format!("{line}\t\n"));
            let seen = terminal.shows(&format!("|{number}>"));
            let typed = seen.rsplit_once('|').and_then(|(seen, _)| Some(seen.rsplit_once('<')?.1));
            let typed = typed.unwrap().to_owned();
            if typed == line { Vec::new() } else { vec![typed] }
        });
        assert_eq!(answer, [whole], "{line}");
    }
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
