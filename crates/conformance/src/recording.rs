//! Upstream's answers, kept beside the script: one file a topic, sorted, normalised.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::run::Answers;
use crate::script::{Script, folder};

/// What upstream answered to the whole script.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The version of upstream, e.g. `v1.36.3`.
    pub version: String,
    /// Topic to its answers.
    pub topics: BTreeMap<String, Answers>,
}

#[derive(Serialize, Deserialize)]
struct About {
    version: String,
}

fn file(name: &str) -> PathBuf {
    folder().join("recorded").join(format!("{name}.json"))
}

impl Recording {
    /// Reads what is recorded; a topic without a recording is left out.
    pub fn load(script: &Script) -> Result<Recording> {
        let mut topics = BTreeMap::new();
        for topic in &script.topics {
            let path = file(&topic.name);
            if path.is_file() {
                topics.insert(topic.name.clone(), read(&path)?);
            }
        }
        let about = folder().join("recorded").join("upstream.json");
        let version = if about.is_file() { read::<About>(&about)?.version } else { String::new() };
        Ok(Recording { version, topics })
    }

    /// Writes it.
    pub fn save(&self) -> Result<()> {
        std::fs::create_dir_all(folder().join("recorded"))?;
        write(&folder().join("recorded").join("upstream.json"), &About { version: self.version.clone() })?;
        for (name, answers) in &self.topics {
            write(&file(name), answers)?;
        }
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &PathBuf) -> Result<T> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
}

fn write(path: &PathBuf, value: &impl Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}
