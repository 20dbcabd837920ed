//! The table of commands and calls in `docs/clients.md`, kept true: what it says that kubectl is tried with was tried by
//! this kubectl, what was tried stands there, and the tests that it names are there.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::Kubectl;
use super::streams::minor;

const PAGE: &str = include_str!("../../../../../docs/clients.md");

/// One line of the table.
struct Row {
    /// Commands of kubectl, or parts of them in their order.
    commands: Vec<&'static str>,
    /// The minor version of kubectl from which on they are tried.
    since: Option<u32>,
    /// The tests of the other clients, by client.
    tests: [Vec<&'static str>; 3],
}

fn rows() -> Vec<Row> {
    let table = PAGE.split("## Commands and calls\n").nth(1).expect("the page has its table");
    let table = table.split("\n## ").next().expect("a part");
    table.lines().filter(|line| line.contains('`') && line.starts_with("| ")).map(read).collect()
}

fn read(line: &'static str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
    let &[commands, since, python, kube_rs, client_go] = cells.as_slice() else {
        panic!("five cells: {line}")
    };
    let since = since.trim().strip_prefix("1.").map(|minor| minor.parse().expect("a version"));
    Row { commands: quoted(commands), since, tests: [python, kube_rs, client_go].map(quoted) }
}

/// What stands between back quotes.
fn quoted(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether a command has all these words in their order. A word stands for what begins with it; of capital letters, for
/// anything.
fn has(command: &str, words: &str) -> bool {
    let mut given = command.split(' ');
    words.split(' ').all(|word| {
        let is_any = word.chars().all(|c| c.is_ascii_uppercase());
        given.any(|given| is_any || given.starts_with(word))
    })
}

/// To be asked when a kubectl has done everything.
pub(super) fn all_were_tried(kubectl: &Kubectl) {
    let minor = minor(kubectl);
    let asked = kubectl.asked.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = rows();
    let told = rows.iter().filter(|row| row.since.is_some_and(|since| since <= minor));
    let missing: Vec<&str> = told
        .flat_map(|row| row.commands.iter().copied())
        .filter(|words| !asked.iter().any(|command| has(command, words)))
        .collect();
    assert!(missing.is_empty(), "docs/clients.md names {missing:?}, which were not tried");
    let verb = |command: &str| command.split(' ').next().unwrap_or_default().to_owned();
    let named: Vec<String> =
        rows.iter().flat_map(|row| row.commands.iter().map(|words| verb(words))).collect();
    let unnamed: Vec<String> =
        asked.iter().map(|command| verb(command)).filter(|verb| !named.contains(verb)).collect();
    assert!(unnamed.is_empty(), "docs/clients.md does not name {unnamed:?}");
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

#[test]
fn tests_that_the_table_of_calls_names_are_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let clients = root.join("../../tests/clients");
    let go = text(&clients.join("go/main.go"));
    let mut count = 0;
    for row in rows() {
        let [python, kube_rs, client_go] = &row.tests;
        for name in python {
            let (module, situation) = name.split_once('.').expect("a module and a situation");
            let source = text(&clients.join(format!("python/{module}.py")));
            let told = source.split("SITUATIONS = [").nth(1).expect("its situations");
            assert!(source.contains(&format!("def {situation}(")) && told.contains(situation), "no {name}");
        }
        for name in kube_rs {
            let (module, test) = name.split_once('.').expect("a module and a test");
            let source = text(&root.join(format!("tests/engine/{module}.rs")));
            assert!(source.contains(&format!("async fn {test}()")), "no {name}");
        }
        for name in client_go {
            assert!(go.contains(&format!("{{\"{name}\", ")), "no {name}");
        }
        count += python.len() + kube_rs.len() + client_go.len();
    }
    assert!(count > 60, "{count}");
}

#[test]
fn command_is_told_by_its_words() {
    for (command, words, expected) in [
        ("get jobs -o wide", "get -o wide", true),
        ("get jobs -o yaml", "get -o wide", false),
        ("get job told -o jsonpath={.a}", "get -o jsonpath", true),
        ("cp /tmp/a shed:/tmp/b -c main", "cp FILE shed:", true),
        ("cp shed:/tmp/b /tmp/a -c main", "cp FILE shed:", false),
        ("cp shed:/tmp/b /tmp/a -c main", "cp shed: FILE", true),
    ] {
        assert_eq!(has(command, words), expected, "{command}: {words}");
    }
}
