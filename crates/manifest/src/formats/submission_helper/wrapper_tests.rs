//! The wrapper as a real bash runs it.

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("windlass-wrapper-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A file that was written so many seconds ago.
    fn file(&self, name: &str, age: u64) -> String {
        let path = self.path(name);
        let file = File::create(&path).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 - age);
        file.set_times(FileTimes::new().set_modified(then)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Exit code, -1 for a signal, and stderr.
fn run(payload: &str, inputs: &[&str], outputs: &[&str]) -> (i32, String) {
    let outputs: Vec<String> = outputs.iter().map(|path| (*path).to_owned()).collect();
    let command = super::command(payload, inputs, &outputs);
    let output = Command::new(&command[0]).args(&command[1..]).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_is_up_to_date_is_not_run_and_what_is_older_than_an_input_is() {
    let folder = Folder::new("fresh");
    let (input, output) = (folder.file("in put", 60), folder.file("out'put", 60));
    let (code, said) = run("exit 9", &[&input], &[&output]);
    assert!(code == 0 && said.contains("up to date"), "{code} {said}");
    folder.file("in put", 10);
    assert_eq!(run("exit 9", &[&input], &[&output]).0, 9);
    let missing = folder.path("missing");
    assert_eq!(run("exit 9", &[], &[&folder.file("there", 5), &missing]).0, 9);
}

#[test]
fn a_missing_input_and_an_output_that_was_not_made_are_named() {
    let folder = Folder::new("missing");
    let (nothing, output) = (folder.path("nothing"), folder.path("deep/er/output"));
    let (code, said) = run("exit 9", &[&nothing], &[&output]);
    assert!(code == 66 && said.contains("nothing is not there"), "{code} {said}");
    assert!(!Path::new(&folder.path("deep")).exists(), "the payload did not begin");
    let (code, said) = run("true", &[], &[&output]);
    assert!(code == 65 && said.contains("did not make"), "{code} {said}");
    assert_eq!(run(&format!("echo made > {output}"), &[], &[&output]).0, 0);
    let left: Vec<_> = std::fs::read_dir(folder.path("deep/er")).unwrap().collect();
    assert_eq!(left.len(), 1, "no mark is left: {left:?}");
}

#[test]
fn what_a_payload_left_that_failed_or_was_killed_is_not_up_to_date() {
    let folder = Folder::new("half");
    let output = folder.path("output");
    assert_eq!(run(&format!("echo half > {output}; exit 3"), &[], &[&output]).0, 3);
    assert_eq!(run(&format!("echo more > {output}; kill -9 $$"), &[], &[&output]).0, -1);
    assert_eq!(run(&format!("echo whole > {output}"), &[], &[&output]).0, 0);
    let (code, said) = run("exit 9", &[], &[&output]);
    assert!(code == 0 && said.contains("up to date"), "{code} {said}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "whole\n");
}

#[test]
fn a_payload_may_be_several_lines_with_quotes_functions_and_its_own_exit() {
    let folder = Folder::new("lines");
    let output = folder.path("output");
    let payload = format!("f() {{ echo \"it's $1\"; }}\nset -e\nf 'a  b' > {output}\nfalse\necho never");
    assert_eq!(run(&payload, &[], &[&output]).0, 1);
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "it's a  b\n");
    assert_eq!(run(&format!("touch {output}; exit 0; exit 4"), &[], &[&output]).0, 0);
}

#[test]
fn neither_the_profile_nor_the_payload_sees_anything_of_the_wrapper() {
    let folder = Folder::new("profile");
    let (input, output) = (folder.file("in", 60), folder.path("out"));
    std::fs::write(folder.path(".bash_profile"), "echo profile $#\n").unwrap();
    std::fs::write(folder.path("setup.sh"), "echo setup $#\n").unwrap();
    let payload = format!(
        "source {}; echo \"payload $# $folder $output $input $mark\"; echo 'it'\\''s' > {output}",
        folder.path("setup.sh")
    );
    let command = super::command(&payload, &[&input], std::slice::from_ref(&output));
    let mut bash = Command::new(&command[0]);
    bash.args(&command[1..])
        .env("HOME", &folder.0)
        .env("folder", "/data")
        .env("output", "o")
        .env("input", "i");
    let done = bash.env("mark", "m").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.ends_with("profile 0\nsetup 0\npayload 0 /data o i m\n"), "{said}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "it's\n");
}
