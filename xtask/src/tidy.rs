//! Checks that no compiler makes: who uses whom, the head and length of files, words that must not stay.
//!
//! Every rule's message says what to do. The same checks run as a test of this crate.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const LONGEST_FILE: usize = 500;
const LONGEST_MAP: usize = 200;

/// Runs all checks on the workspace at `root`; an error lists every finding.
pub(crate) fn tidy(root: &Path) -> Result<()> {
    let mut findings = Vec::new();
    dependencies(root, &mut findings)?;
    for file in tracked(root)? {
        if let Ok(text) = std::fs::read_to_string(root.join(&file)) {
            check_file(&file, &text, &mut findings);
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    let mut list = String::new();
    for finding in &findings {
        writeln!(list, "  {finding}")?;
    }
    bail!("{} finding(s)\n{list}", findings.len())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

/// A row of the table in ARCHITECTURE.md: what a crate may use of ours, and what it never sees.
struct Row {
    may: Vec<String>,
    never: Vec<String>,
}

fn dependencies(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let table = table(&map);
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    for package in &metadata.packages {
        let folder = folder(&package.manifest_path);
        let Some(row) = table.get(&folder) else {
            findings.push(format!("ARCHITECTURE.md: the table has no row for the crate {folder}"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind.is_none()) {
            let ours = dependency.path.as_deref().map(folder_of);
            if let Some(ours) = &ours
                && !row.may.contains(ours)
            {
                findings.push(format!(
                    "{folder} uses {ours}: the table in ARCHITECTURE.md does not allow it; change the design there first"
                ));
            }
            if row.never.contains(&dependency.name) {
                findings.push(format!(
                    "{folder} uses {}: the table in ARCHITECTURE.md forbids it",
                    dependency.name
                ));
            }
        }
    }
    Ok(())
}

/// Reads the rows below "Who may use whom".
fn table(map: &str) -> BTreeMap<String, Row> {
    let section = map.split("## Who may use whom").nth(1).unwrap_or_default();
    let list = |cell: &str| -> Vec<String> {
        cell.split(',')
            .map(|word| word.trim().to_owned())
            .filter(|word| !word.is_empty() && word != "–")
            .collect()
    };
    section
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|line| line.split('|').collect::<Vec<_>>())
        .filter(|cells| cells.len() == 3 && !cells[0].contains("---") && cells[0].trim() != "crate")
        .map(|cells| (cells[0].trim().to_owned(), Row { may: list(cells[1]), never: list(cells[2]) }))
        .collect()
}

fn folder(manifest: &Path) -> String {
    manifest.parent().map(folder_of).unwrap_or_default()
}

fn folder_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git").arg("ls-files").current_dir(root).output().context("git ls-files")?;
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

fn check_file(file: &str, text: &str, findings: &mut Vec<String>) {
    // Words that a checker must name are spelled in two parts, so that it does not find itself.
    if file.ends_with(".rs") {
        check_rust(file, text, findings);
    }
    if file == "ARCHITECTURE.md" && text.lines().count() > LONGEST_MAP {
        findings.push(format!("{file}: over {LONGEST_MAP} lines; a map is read whole, so shorten it"));
    }
    let source = [".rs", ".md", ".toml", ".yaml", ".sh"].iter().any(|end| file.ends_with(end));
    if source {
        for (number, line) in text.lines().enumerate() {
            if line.ends_with(' ') || line.ends_with('\t') {
                findings.push(format!("{file}:{}: white space at the end of the line", number + 1));
            }
        }
    }
}

fn check_rust(file: &str, text: &str, findings: &mut Vec<String>) {
    let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
    if !first.starts_with("//!") {
        findings.push(format!("{file}: say in a first `//!` line what it is for"));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        findings.push(format!("{file}: {lines} lines; cut it where a reader would (limit {LONGEST_FILE})"));
    }
    let banned = [
        (concat!("to", "do!("), "finish it, or refuse with an error"),
        (concat!("unimpl", "emented!("), "finish it, or refuse with an error"),
        (concat!("#[ig", "nore"), "a test that does not run is no test: mend or delete it"),
        (concat!("FIX", "ME"), "mend it, or open an issue"),
        (concat!("#[should_", "panic"), "assert the error instead"),
    ];
    for (word, why) in banned {
        for (number, _) in text.lines().enumerate().filter(|(_, line)| line.contains(word)) {
            findings.push(format!("{file}:{}: {word}: {why}", number + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
        if let Err(findings) = tidy(root) {
            panic!("{findings}");
        }
    }

    #[test]
    fn a_row_without_crates_allows_none() {
        let rows = table(
            "## Who may use whom\n| crate | of ours it may use | never sees |\n|---|---|---|\n| store | – | kube |\n",
        );
        assert!(rows["store"].may.is_empty());
        assert_eq!(rows["store"].never, ["kube"]);
    }

    #[test]
    fn a_file_without_a_head_is_found() {
        let mut findings = Vec::new();
        check_file("a.rs", "fn main() {}\n", &mut findings);
        assert_eq!(findings.len(), 1, "{findings:?}");
    }
}
