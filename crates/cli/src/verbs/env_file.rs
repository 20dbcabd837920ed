//! `--env-file`: variables from files, as Docker reads them; and `--file`: files that travel with the job.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use windlass::manifest::files::{DIRECTORY, File, MOST_BYTES};
use windlass::manifest::{ContainerEdit, Edit, env_file};

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

fn parse(text: &str, file: &str, env: &Env) -> Outcome<Vec<(String, String)>> {
    env_file::read(text, |name| env.vars.get(name).cloned()).map_err(|wrong| {
        let failure = Failure::new(format!("--env-file {file}:{}", wrong.line), wrong);
        let shell = if wrong.is_export { ", without `export`" } else { "" };
        failure.way_out(format!("write NAME=VALUE{shell}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_with_its_place() {
        let error = parse("A=1\nexport B=s3cret\n", "vars", &Env::default()).unwrap_err().to_string();
        assert!(error.contains("vars:2") && error.contains("without `export`"), "{error}");
        assert!(!error.contains("s3cret"), "a value may be a secret: {error}");
    }
}
