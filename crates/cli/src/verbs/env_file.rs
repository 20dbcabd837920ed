//! `--env-file`: variables from files, as Docker reads them; and `--file`: files that travel with the job.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use windlass::manifest::files::{DIRECTORY, File, MOST_BYTES};
use windlass::manifest::{ContainerEdit, Edit};

use crate::env::Env;
use crate::fail::{Failure, Outcome};

/// The longest file, bytes: a Job has to fit into a request of 1.5 MB on most clusters.
const LIMIT: u64 = 1 << 20;

/// The files, and what goes over them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EnvFiles {
    /// In this order, the later wins.
    pub files: Vec<PathBuf>,
    /// `--env`, which wins over any file.
    pub over: Vec<(String, String)>,
    /// `--file`: files that the command is to see, and where.
    pub small: Vec<(PathBuf, Option<String>)>,
}

/// The variables as edits of every container.
///
/// # Errors
/// A file that cannot be read, or a line that is no variable, with its place.
pub(super) fn edits(files: &EnvFiles, env: &Env) -> Outcome<Vec<Edit>> {
    let small: Vec<Edit> =
        files.small.iter().map(|(file, path)| small(file, path.as_deref())).collect::<Outcome<_>>()?;
    if files.files.is_empty() {
        return Ok(small);
    }
    let mut variables = Vec::new();
    for file in &files.files {
        variables.extend(parse(&read(file)?, &file.display().to_string(), env)?);
    }
    variables.extend(files.over.iter().cloned());
    let edit = |(name, value)| Edit::AllContainers(ContainerEdit::Env(name, value));
    Ok(variables.into_iter().map(edit).chain(small).collect())
}

/// A file that travels with the job.
fn small(file: &Path, path: Option<&str>) -> Outcome<Edit> {
    let fault = |cause: &dyn std::fmt::Display| Failure::new(format!("--file {}", file.display()), cause);
    let open = std::fs::File::open(file).map_err(|error| fault(&error))?;
    let meta = open.metadata().map_err(|error| fault(&error))?;
    if meta.is_dir() {
        return Err(fault(&"is a directory").way_out("a directory of the node is a volume: -v DIR:PATH"));
    }
    let mut content = Vec::new();
    open.take(MOST_BYTES as u64 + 1).read_to_end(&mut content).map_err(|error| fault(&error))?;
    if content.len() > MOST_BYTES {
        let cause = format!("is longer than {} KiB, the most that a job takes along", MOST_BYTES >> 10);
        return Err(fault(&cause).way_out("put it into a volume or the image"));
    }
    let name = file.file_name().and_then(|name| name.to_str());
    let path = match (path, name) {
        (Some(path), _) => path.to_owned(),
        (None, Some(name)) => format!("{DIRECTORY}/{name}"),
        (None, None) => {
            return Err(fault(&"has no name that is UTF-8").way_out("say where: --file FILE:/PATH"));
        }
    };
    Ok(Edit::File(File { content, path, executable: meta.permissions().mode() & 0o111 != 0 }))
}

fn read(file: &Path) -> Outcome<String> {
    let fault = |cause: &dyn std::fmt::Display| Failure::new(format!("--env-file {}", file.display()), cause);
    let mut text = String::new();
    let open = std::fs::File::open(file).map_err(|error| fault(&error))?;
    open.take(LIMIT + 1).read_to_string(&mut text).map_err(|error| fault(&error))?;
    if text.len() as u64 > LIMIT {
        return Err(fault(&format!("is longer than {LIMIT} bytes")));
    }
    Ok(text)
}

/// `NAME=VALUE` a line, the value as it stands; `NAME` alone is the caller's, if set; `#` begins a comment line.
fn parse(text: &str, file: &str, env: &Env) -> Outcome<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some((name, value)) if is_name(name) => variables.push((name.to_owned(), value.to_owned())),
            None if is_name(line.trim_end()) => {
                let name = line.trim_end();
                variables.extend(env.vars.get(name).map(|value| (name.to_owned(), value.clone())));
            }
            _ => {
                // The line may hold a secret, and what is said here is kept by others.
                let failure = Failure::new(format!("--env-file {file}:{number}"), "sets no variable");
                let shell = if line.starts_with("export ") { ", without `export`" } else { "" };
                return Err(failure.way_out(format!("write NAME=VALUE{shell}")));
            }
        }
    }
    Ok(variables)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_they_stand_and_names_alone_are_the_callers() {
        let env = Env { vars: [("HERE".to_owned(), "yes".to_owned())].into(), ..Env::default() };
        let text = "# a comment\n\nA=1\n  B=two words # no comment\nC=\"quoted\"\nHERE\nNOT_SET\nE=\n";
        let read = parse(text, "f", &env).unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected =
            [("A", "1"), ("B", "two words # no comment"), ("C", "\"quoted\""), ("HERE", "yes"), ("E", "")];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_bad_line_is_named_with_its_place() {
        let error = parse("A=1\nexport B=s3cret\n", "vars", &Env::default()).unwrap_err().to_string();
        assert!(error.contains("vars:2") && error.contains("without `export`"), "{error}");
        assert!(!error.contains("s3cret"), "a value may be a secret: {error}");
    }
}
