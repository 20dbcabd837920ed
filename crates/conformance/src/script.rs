//! The script: topics of cases, each a few steps, read from `cases/*.yaml`.
//!
//! A case runs in a namespace of its own, named by `${ns}`. It knows nothing of who answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// All topics, in the order of their names, and the objects that bodies are made from.
#[derive(Debug)]
pub struct Script {
    /// The topics.
    pub topics: Vec<Topic>,
    /// Objects that a step's body may start from (`like`).
    pub templates: BTreeMap<String, Value>,
}

/// Cases about one thing.
#[derive(Debug)]
pub struct Topic {
    /// The file's name without its end.
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// The cases.
    pub cases: Vec<Case>,
}

/// A few steps in a namespace of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, unique in its topic.
    pub name: String,
    /// What happens.
    pub steps: Vec<Step>,
}

/// One step: exactly one of `send`, `watch`, `await` and `kubectl` says which.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// A request: `VERB PATH`.
    pub send: Option<String>,
    /// A watch: its path.
    pub watch: Option<String>,
    /// A collection whose objects are to come into a state.
    #[serde(rename = "await")]
    pub wait: Option<String>,
    /// A kubectl command line; words are split at spaces, quotes keep them together.
    pub kubectl: Option<String>,

    /// The name of the template that the body starts from.
    pub like: Option<String>,
    /// The body, or a merge patch on the template.
    pub body: Option<Value>,
    /// The body as text.
    pub text: Option<String>,
    /// Headers; `Content-Type` is JSON unless said.
    pub headers: BTreeMap<String, String>,
    /// Values of the answer for later steps: name to JSON pointer.
    pub capture: BTreeMap<String, String>,
    /// JSON pointers of the only parts of the body (of a watch: of each event) that are compared.
    pub pick: Vec<String>,

    /// A watch: what is done while it is open.
    #[serde(rename = "while")]
    pub meanwhile: Vec<Step>,
    /// A watch: how many events are read; none: all until the server ends it.
    pub events: Option<usize>,

    /// An await: JSON pointer to the value it must have; null means absent, "*" anything.
    #[serde(rename = "where")]
    pub state: BTreeMap<String, Value>,
    /// An await: how many objects must be so.
    pub count: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    cases: Vec<Case>,
}

/// The folder of the crate, where the script and the recordings are.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

impl Script {
    /// Reads the script of this crate.
    pub fn load() -> Result<Script> {
        let cases = folder().join("cases");
        let mut files: Vec<PathBuf> = std::fs::read_dir(&cases)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()
            .with_context(|| cases.display().to_string())?;
        files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
        files.sort();
        let topics = files.iter().map(|file| topic(file)).collect::<Result<_>>()?;
        let script = Script { topics, templates: read(&folder().join("templates.yaml"))? };
        script.check()?;
        Ok(script)
    }

    fn check(&self) -> Result<()> {
        for topic in &self.topics {
            let mut seen = std::collections::BTreeSet::new();
            for case in &topic.cases {
                ensure!(seen.insert(&case.name), "{}: two cases are called {:?}", topic.name, case.name);
                for (number, step) in case.steps.iter().enumerate() {
                    step.check(&self.templates)
                        .with_context(|| format!("{}, {}, step {}", topic.name, case.name, number + 1))?;
                }
            }
        }
        Ok(())
    }
}

impl Step {
    /// The step in one line, with its placeholders.
    #[must_use]
    pub fn title(&self) -> String {
        match (&self.send, &self.watch, &self.wait, &self.kubectl) {
            (Some(line), ..) => line.clone(),
            (_, Some(path), ..) => format!("WATCH {path}"),
            (_, _, Some(path), _) => format!("AWAIT {path}"),
            (.., Some(line)) => format!("kubectl {line}"),
            _ => String::new(),
        }
    }

    fn check(&self, templates: &BTreeMap<String, Value>) -> Result<()> {
        let kinds = [&self.send, &self.watch, &self.wait, &self.kubectl];
        ensure!(kinds.iter().filter(|k| k.is_some()).count() == 1, "a step does exactly one thing");
        if let Some(line) = &self.send {
            ensure!(line.split_once(' ').is_some(), "send: {line:?} is not `VERB PATH`");
        }
        if let Some(name) = &self.like
            && !templates.contains_key(name)
        {
            bail!("templates.yaml has no {name:?}");
        }
        self.meanwhile.iter().try_for_each(|step| step.check(templates))
    }
}

fn topic(file: &Path) -> Result<Topic> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let File { about, cases } = read(file)?;
    Ok(Topic { name, about, cases })
}

/// Reads a YAML file of this crate.
pub(crate) fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_saphyr::from_str(&text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}
