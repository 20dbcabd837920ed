//! The demonstration with which the README opens, run as it is printed there.

use std::path::{Path, PathBuf};

use crate::home::{Home, finish, job_of};

/// A command of the demonstration and what is printed under it.
struct Shown {
    command: String,
    output: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The first block with prompts in it.
fn demonstration() -> Vec<Shown> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme.lines().skip_while(|line| !line.starts_with("    $ "));
    let mut shown: Vec<Shown> = Vec::new();
    for line in block.take_while(|line| line.is_empty() || line.starts_with("    ")) {
        let line = line.strip_prefix("    ").unwrap_or_default();
        match (line.strip_prefix("$ "), shown.last_mut()) {
            (Some(command), _) => shown.push(Shown { command: command.to_owned(), output: Vec::new() }),
            (None, Some(last)) => last.output.push(line.to_owned()),
            (None, None) => unreachable!("the block begins with a prompt"),
        }
    }
    shown
}

/// The lines without what differs from run to run: the job's name, the ends of its pods' names, times, columns'
/// widths; and without what only somebody sees who has no terminal.
fn evened(lines: impl Iterator<Item = impl AsRef<str>>, job: &str) -> Vec<String> {
    let word = |word: &str| -> String {
        let word = word.replace(job, "JOB");
        let bare = word.trim_start_matches('(').trim_end_matches([')', ',']);
        let is_age = bare.starts_with(|first: char| first.is_ascii_digit())
            && bare.ends_with(['s', 'm', 'h'])
            && bare.chars().all(|one| one.is_ascii_digit() || "hms".contains(one));
        if is_age {
            word.replace(bare, "0s")
        } else if word.starts_with("pod/JOB-") {
            word[..word.len() - 5].to_owned()
        } else {
            word
        }
    };
    let lines = lines.map(|line| line.as_ref().split_whitespace().map(word).collect::<Vec<_>>().join(" "));
    // What a slow machine says in between.
    let is_between = |line: &String| line.contains(" of 300 done") || line.contains(": waiting for ");
    lines.filter(|line| !line.is_empty() && !is_between(line)).collect()
}

/// The job that a text tells of.
fn job(lines: &[String]) -> String {
    job_of(lines.iter().find(|line| line.starts_with("windlass: job ")).unwrap())
}

#[test]
#[expect(clippy::print_stderr, reason = "a command that is left out is said")]
fn the_readme_opens_with_a_demonstration_that_works_as_printed() {
    let home = Home::new();
    let windlass = Path::new(env!("CARGO_BIN_EXE_windlass")).parent().unwrap();
    let shown = demonstration();
    assert_eq!(shown.len(), 3, "the README opens with three commands");
    let mut ran = String::new();
    for (place, shown_one) in shown.iter().enumerate() {
        if shown_one.command.contains("kubectl") && !has_kubectl(&home) {
            eprintln!("kubectl is not installed: {:?} was not run", shown_one.command);
            continue;
        }
        let mut command = home.program("sh");
        let path: Vec<_> = command.get_envs().filter(|(name, _)| *name == "PATH").collect();
        let path = path[0].1.unwrap().to_owned();
        let mut with = windlass.as_os_str().to_owned();
        with.push(":");
        with.push(path);
        command
            .env("PATH", with)
            .current_dir(root())
            .args(["-c", &format!("{{ {}; }} 2>&1", shown_one.command)]);
        let ended = finish(command);
        let said: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
        if place == 0 {
            ran = job(&said);
            assert_eq!(ended.code, Some(3), "{ended:?}");
        }
        let (said, mut printed) =
            (evened(said.iter(), &ran), evened(shown_one.output.iter(), &job(&shown[0].output)));
        // Of a long table the beginning is printed.
        match printed.iter().position(|line| line == "...") {
            Some(end) => {
                printed.truncate(end);
                assert_eq!(said[..end.min(said.len())], printed[..], "{ended:?}");
            }
            None => assert_eq!(said, printed, "{ended:?}"),
        }
    }
}

fn has_kubectl(home: &Home) -> bool {
    let mut command = home.program("sh");
    command.args(["-c", "command -v kubectl"]);
    finish(command).code == Some(0)
}
