//! The config file: what `windlass use` remembers.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass::manifest::plain::{self, Broken};

use crate::cluster::choose::Cluster;
use crate::fail::{Failure, Outcome};

/// The file `config.yaml` below `WINDLASS_HOME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// The cluster that `windlass use` chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// The file of job definitions, from this file's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definitions: Option<PathBuf>,
}

/// Where the file is.
pub(crate) fn place(home: &Path) -> PathBuf {
    home.join("config.yaml")
}

/// Reads it; a file that is not there is an empty one, anything else that fails is an error.
pub(crate) fn read(home: &Path) -> Outcome<Saved> {
    let place = place(home);
    let text = match std::fs::read_to_string(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Saved::default()),
        Err(error) => return Err(Failure::new(place.display().to_string(), error)),
    };
    if text.trim().is_empty() {
        return Ok(Saved::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| {
        let Broken { line, column, cause } = plain::broken(&text, &error);
        Failure::new(format!("{}:{line}:{column}", place.display()), cause)
            .way_out("`windlass use --reset` writes it anew")
    })
}

/// Writes it, whole or not at all. The directory must be there.
pub(crate) fn write(home: &Path, saved: &Saved) -> Outcome<()> {
    let place = place(home);
    let fault = |error: &dyn std::fmt::Display| {
        Failure::new(place.display().to_string(), error)
            .way_out("set WINDLASS_HOME to a directory of your own")
    };
    let text = serde_saphyr::to_string(saved).map_err(|error| fault(&error))?;
    let draft = place.with_extension("new");
    std::fs::write(&draft, text).map_err(|error| fault(&error))?;
    std::fs::rename(&draft, &place).map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(home.path()).unwrap(), Saved::default());
        for cluster in [
            Cluster::Local,
            Cluster::Context { kubeconfig: vec![], name: Some("lab".into()) },
            Cluster::Context { kubeconfig: vec!["/k".into()], name: None },
        ] {
            let saved = Saved { cluster: Some(cluster), definitions: Some("definitions.yaml".into()) };
            write(home.path(), &saved).unwrap();
            assert_eq!(read(home.path()).unwrap(), saved);
        }
    }

    #[test]
    fn an_unknown_setting_is_an_error_with_the_file_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(place(home.path()), "cluster: [\n").unwrap();
        let error = read(home.path()).unwrap_err().to_string();
        assert!(error.contains("config.yaml:1:") && !error.contains("enum"), "{error}");
        std::fs::write(place(home.path()), "clutser: local\n").unwrap();
        let error = read(home.path()).unwrap_err().to_string();
        assert!(error.contains("config.yaml") && error.contains("clutser"), "{error}");
    }
}
