//! The real helper on what an array writes for it: every value reaches the command as it was.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use proptest::prelude::*;
use tempfile::TempDir;
use windlass_manifest::{Array, Task};

/// A directory as a task sees it; each case has a file of items of its own beside a link to the helper.
struct Pod(TempDir);

impl Pod {
    fn new(array: &Array) -> Pod {
        static HELPER: OnceLock<TempDir> = OnceLock::new();
        let helper = HELPER.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            // Written once and by nobody else: a file that is open for writing cannot be executed.
            let path = folder.path().join(windlass_task::HELPER_FILE);
            fs::write(&path, windlass_task::HELPER).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
            folder
        });
        let pod = tempfile::tempdir().unwrap();
        let from = helper.path().join(windlass_task::HELPER_FILE);
        fs::hard_link(from, pod.path().join(windlass_task::HELPER_FILE)).unwrap();
        fs::write(pod.path().join(windlass_task::items::FILE), array.items()).unwrap();
        Pod(pod)
    }

    fn helper(&self) -> PathBuf {
        self.0.path().join(windlass_task::HELPER_FILE)
    }

    /// The command of a task.
    fn command(&self, index: usize, words: &[&str]) -> Command {
        let mut command = Command::new(self.helper());
        command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("b", "old");
        command.env("JOB_COMPLETION_INDEX", index.to_string());
        command
    }
}

fn array(rows: Vec<Vec<String>>) -> Array {
    let tasks = (7..).zip(rows).map(|(number, values)| Task { number, values }).collect();
    Array { names: vec!["a".into(), "b".into()], tasks }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_reach_command_and_environment(
        rows in prop::collection::vec(prop::collection::vec("(\\PC|[\t\n\r\\\\{}#$]){0,9}", 2), 1..4),
        index in 0_usize..4,
    ) {
        let index = index % rows.len();
        let (a, b) = (rows[index][0].clone(), rows[index][1].clone());
        let pod = Pod::new(&array(rows));
        let script = r#"printf '%s\0' "$@" "$a" "$b" "$WINDLASS_TASK""#;
        let output = pod.command(index, &["sh", "-c", script, "sh", "{a}", "<{b}{#}{a}>", "${a}{{a}}{c}"]).output().unwrap();
        let number = 7 + index;
        let expected = [a.clone(), format!("<{b}{number}{a}>"), "${a}{a}{c}".into(), a, b, number.to_string()];
        let expected: String = expected.iter().map(|word| format!("{word}\0")).collect();
        prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        prop_assert_eq!(output.status.code(), Some(0));
    }
}

#[track_caller]
fn ends(command: &mut Command, code: i32, says: &str) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(code) && stderr.contains(says), "{:?}: {stderr}", output.status);
}

#[test]
fn what_cannot_be_started_ends_as_in_a_shell() {
    let pod = Pod::new(&array(vec![vec!["x".into(), String::new()]]));
    ends(&mut pod.command(0, &["no-such-{a}"]), 127, "windlass: no-such-x: command not found\n");
    ends(&mut pod.command(0, &["/no/such/program"]), 127, "not found");
    ends(&mut pod.command(0, &["/"]), 126, "windlass: /: permission denied\n");
    let script = pod.0.path().join("script");
    fs::write(&script, "echo without a first line\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    ends(&mut pod.command(0, &[script.to_str().unwrap()]), 126, "not a program");
    ends(&mut pod.command(0, &["{b}"]), 127, "not found");
    ends(pod.command(0, &["no-such"]).env_remove("PATH"), 127, "not found");
    ends(pod.command(0, &["true"]).env_remove("PATH"), 0, "");
}

#[test]
fn what_is_no_task_is_said_to_be_none() {
    let pod = Pod::new(&array(vec![vec!["x".into(), "y".into()]]));
    ends(&mut pod.command(1, &["true"]), 125, "no line for this index");
    ends(&mut pod.command(0, &[]), 125, "no command");
    ends(pod.command(0, &["true"]).env_remove("JOB_COMPLETION_INDEX"), 125, "not set");
    ends(pod.command(0, &["true"]).env("JOB_COMPLETION_INDEX", "-1"), 125, "not set");
    fs::write(pod.0.path().join("items"), "1\tx\n").unwrap();
    ends(&mut pod.command(0, &["true"]), 125, "no line for this index");
    fs::remove_file(pod.0.path().join("items")).unwrap();
    ends(&mut pod.command(0, &["true"]), 125, "cannot read the file items");
}

#[test]
fn the_longest_list_is_found_through() {
    let rows = (0..9_000).map(|n| vec![n.to_string(), "x".repeat(90)]).collect();
    let pod = Pod::new(&array(rows));
    let output = pod.command(8_999, &["echo", "{#}", "{a}"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "9006 8999\n");
}
