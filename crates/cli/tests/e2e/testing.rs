//! `docs/testing.md`: its examples, run as they are printed there; and the clock for who mistypes, or has no such engine.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::home::{Ended, Home, finish};

/// A fenced block of the page.
struct Block {
    info: String,
    text: String,
}

fn page() -> Vec<Block> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/testing.md")).unwrap();
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { info: info.to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// Writes the page's files of that name, and answers how many there are.
fn write(home: &Home, ending: &str) -> usize {
    let titled = page().into_iter().filter_map(|block| {
        let title = block.info.split_once("title=")?.1.to_owned();
        title.ends_with(ending).then_some((title, block.text))
    });
    let written: Vec<PathBuf> = titled.map(|(title, text)| home.write(&title, &text)).collect();
    written.len()
}

/// A command on an ephemeral engine, with `windlass` in its PATH.
fn ephemeral(home: &Home, command: &[&str]) -> Ended {
    let temporary = home.file("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut windlass = home.command(&[&["up", "--ephemeral", "--"], command].concat());
    let path =
        windlass.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path).unwrap().to_owned();
    let mut with = PathBuf::from(env!("CARGO_BIN_EXE_windlass")).parent().unwrap().as_os_str().to_owned();
    with.push(":");
    with.push(path);
    windlass.env("PATH", with).env("TMPDIR", temporary);
    finish(windlass)
}

fn has(home: &Home, script: &str) -> bool {
    home.script(script).code == Some(0)
}

#[test]
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn the_pages_commands_print_what_it_says() {
    let home = Home::new();
    if !has(&home, "command -v kubectl") {
        eprintln!("SKIPPED: kubectl is not installed, so docs/testing.md was not tried");
        return;
    }
    assert_eq!(write(&home, "nightly.yaml"), 1);
    let (mut script, mut expected) = (String::new(), Vec::new());
    for line in page().iter().filter(|block| block.info == "console").flat_map(|block| block.text.lines()) {
        match line.strip_prefix("$ ") {
            Some(command) => {
                script += &format!("echo '@@'; {{ {command}; }} 2>&1; echo\n");
                expected.push((command.to_owned(), Vec::new()));
            }
            None => expected.last_mut().expect("a command comes first").1.push(line.to_owned()),
        }
    }
    assert!(expected.len() >= 8, "{expected:?}");
    let ended = ephemeral(&home, &["sh", "-c", &script]);
    let said: Vec<&str> = ended.stdout.split("@@\n").skip(1).collect();
    assert_eq!(said.len(), expected.len(), "{ended:?}");
    for ((command, lines), said) in expected.iter().zip(said) {
        let said: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(&said, lines, "{command}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn the_pages_tests_pass_with_pytest_and_the_python_client() {
    let home = Home::new();
    if !has(&home, "python3 -c 'import kubernetes, pytest'") {
        eprintln!(
            "SKIPPED: python3 has no kubernetes or no pytest, so the tests of docs/testing.md were not tried"
        );
        return;
    }
    assert_eq!(write(&home, "test_launcher.py"), 1);
    let ended =
        ephemeral(&home, &["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_launcher.py"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("2 passed"), "{ended:?}");
}

#[test]
fn the_pages_recipes_for_ci_are_files_that_run_the_tests() {
    let recipes: Vec<Block> =
        page().into_iter().filter(|block| block.info.starts_with("yaml title=.git")).collect();
    assert_eq!(recipes.len(), 2);
    for Block { info, text } in recipes {
        let recipe: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{info}: {error}"));
        let steps: Vec<String> = match info.contains("gitlab") {
            true => recipe["test"]["script"].as_array().unwrap().iter().map(Value::to_string).collect(),
            false => recipe["jobs"]["test"]["steps"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["run"].to_string())
                .collect(),
        };
        assert_eq!(steps.last().map(String::as_str), Some("\"windlass up --ephemeral -- pytest\""), "{info}");
    }
}

#[test]
fn clock_of_an_engine_that_stays_is_told_and_not_moved() {
    let home = Home::new();
    let told = home.windlass(&["clock", "--local"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.starts_with("20") && told.stdout.ends_with("Z\n"), "{told:?}");
    assert!(told.stderr.contains("it is the machine's own time, and cannot be set forward"), "{told:?}");
    let refused = home.windlass(&["clock", "-q", "advance", "1h"]);
    assert_eq!(refused.code, Some(125), "{refused:?}");
    let expected = "windlass: the engine of this machine has no clock that can be set forward\n  an engine that lives for \
                    one command has: windlass up --ephemeral -- COMMAND\n";
    assert_eq!(refused.stderr, expected);
}

#[test]
fn mistyped_time_is_answered_with_how_it_is_written() {
    let home = Home::new();
    let script = "windlass clock -q advance soon; windlass clock -q to 2001-01-01T00:00:00Z; \
                  windlass clock -q advance 1h; windlass clock advance 90m";
    let ended = ephemeral(&home, &["sh", "-c", script]);
    let told: Vec<&str> = ended.stderr.lines().collect();
    let mistake = "windlass: advance: \"soon\" is no time: write it like 500ms, 90s, 5m, 1h30m or 2d";
    assert!(told.contains(&mistake), "{told:?}");
    let past =
        |line: &&str| line.contains("is past (it is 20") && line.ends_with("and the clock only goes forward");
    assert!(told.iter().any(past), "{told:?}");
    // How far it is in all tells also how long the way took.
    let last = told.last().unwrap();
    assert!(last.starts_with("windlass: set forward by 90m; in all it is 2h"), "{told:?}");
    assert!(last.ends_with(" ahead of the machine's"), "{told:?}");
    assert_eq!(ended.stdout.lines().count(), 2, "{ended:?}");
}
