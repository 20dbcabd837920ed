//! The real helper, and the real shell, on what an array writes for them: every value reaches the command as it was.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use proptest::prelude::*;
use tempfile::TempDir;
use windlass_manifest::marks::Signature;
use windlass_manifest::{Array, Base, Edit, Task, make};
use windlass_model::{JobRequest, Place, SubmissionId};

/// A directory as a task sees it; each case has a file of items of its own beside a link to the helper.
struct Pod(TempDir);

impl Pod {
    fn new(array: &Array) -> Pod {
        static HELPER: OnceLock<TempDir> = OnceLock::new();
        let helper = HELPER.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            executable(&folder.path().join(windlass_task::HELPER_FILE), windlass_task::HELPER);
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

/// Has another process write a file that can be executed: what this one has open for writing is, for a moment, also
/// open in whatever another test starts meanwhile, and cannot be executed as long.
fn executable(path: &Path, content: &[u8]) {
    let mut install = Command::new("install");
    let install = install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut child = install.spawn().unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    assert!(child.wait().unwrap().success());
}

fn array(rows: Vec<Vec<String>>) -> Array {
    let tasks = (7..).zip(rows).map(|(number, values)| Task { number, values }).collect();
    Array { names: vec!["a".into(), "b".into()], tasks }
}

/// The command of a task that is a process of the host, as a kubelet makes it of the Job.
fn on_host(array: &Array, index: usize, words: &[&str]) -> Command {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    let base = Base::Request(Box::new(JobRequest::new(words, Place::Host)));
    let manifest = make(&base, &[Edit::Tasks(array.clone())]).unwrap();
    let job = manifest.sealed(&SubmissionId::parse("a").unwrap(), Signature::default(), 0);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let items = manifest.companion(&SubmissionId::parse("a").unwrap(), 0).unwrap();
    assert_eq!(items.get("binaryData"), None, "the shell needs no helper");
    assert_eq!(container["env"][0]["valueFrom"]["configMapKeyRef"]["name"], items["metadata"]["name"]);
    let mut words =
        container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().replace("$$", "$"));
    let mut command = Command::new(words.next().unwrap());
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("b", "old");
    command
        .env("JOB_COMPLETION_INDEX", index.to_string())
        .env("WINDLASS_ITEMS", items["data"]["items"].as_str().unwrap());
    command
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
        let array = array(rows);
        let pod = Pod::new(&array);
        let script = r#"printf '%s\0' "$@" "$a" "$b" "$WINDLASS_TASK""#;
        let output = pod.command(index, &["sh", "-c", script, "sh", "{a}", "<{b}{#}{a}>", "${a}{{a}}{c}"]).output().unwrap();
        let number = 7 + index;
        let shell = on_host(&array, index, &["sh", "-c", script, "sh", "{a}", "<{b}{#}{a}>", "${a}{{a}}{c}"]).output().unwrap();
        let expected = [a.clone(), format!("<{b}{number}{a}>"), "${a}{a}{c}".into(), a, b, number.to_string()];
        let expected: String = expected.iter().map(|word| format!("{word}\0")).collect();
        for output in [output, shell] {
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.clone(), "{:?}", output.stderr);
            prop_assert_eq!(output.status.code(), Some(0));
        }
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
    executable(&script, b"echo without a first line\n");
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

#[test]
fn a_shell_leaves_nothing_of_its_own_behind() {
    let array = array(vec![vec!["x".into(), "y z".into()]]);
    let output = on_host(&array, 0, &["env"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    // What shells keep for themselves differs.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["JOB_COMPLETION_INDEX", "PATH", "WINDLASS_TASK", "a", "b"]);
    ends(&mut on_host(&array, 0, &["no-such-program"]), 127, "no-such-program");
    ends(&mut on_host(&array, 0, &["/"]), 126, "/");
    ends(on_host(&array, 0, &["echo"]).env("JOB_COMPLETION_INDEX", "7"), 125, "no line in its list");
    // The task's own PATH is the command's alone.
    let echo = on_host(&array, 0, &["/bin/echo", "{b}"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!((echo.status.code(), &echo.stdout[..]), (Some(0), &b"y z\n"[..]));
    ends(on_host(&array, 0, &["echo"]).env("PATH", "/nowhere"), 127, "echo");
    let text = on_host(&array, 0, &["/usr/bin/env"]).env("PATH", "/nowhere").output().unwrap().stdout;
    assert!(String::from_utf8(text).unwrap().lines().any(|line| line == "PATH=/nowhere"));
    ends(on_host(&array, 0, &["echo"]).env("JOB_COMPLETION_INDEX", "/x"), 125, "sed, which finds");
}
