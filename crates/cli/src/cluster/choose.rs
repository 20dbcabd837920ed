//! Which cluster a command speaks to: pure, from what was typed, the environment and the saved choice.
//!
//! Reads no file and asks no server; a choice that turns out to be unusable is an error there, never a reason
//! to take the next one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::env::Env;

/// What was typed: `--context`, `--kubeconfig`, `--local`. The parser refuses `--local` with the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Flags {
    /// `--context`
    pub context: Option<String>,
    /// `--kubeconfig`
    pub kubeconfig: Option<PathBuf>,
    /// `--local`
    pub local: bool,
    /// The kubeconfig that the job's file names (magnus' `config_path`): as if it had been typed.
    pub of_file: Option<PathBuf>,
    /// An option that was typed and names things of a cluster, such as `--k8s-image`, or a file's format that does.
    pub things: Option<&'static str>,
}

/// A cluster, by its address in the user's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Cluster {
    /// The engine of this machine; it is started if it does not run.
    Local,
    /// A context of a kubeconfig.
    Context {
        /// The files, merged as kubectl merges them. Empty: `~/.kube/config`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kubeconfig: Vec<PathBuf>,
        /// The context; the current one if none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// An option of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// `windlass use`.
    Saved,
    /// Nothing: the embedded engine.
    Default,
}

/// A cluster and what decided for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The cluster.
    pub cluster: Cluster,
    /// What decided.
    pub because: Because,
}

/// Decides, in this order: a flag, the kubeconfig that the job's file names, `WINDLASS_CONTEXT`, `KUBECONFIG`, the saved
/// choice, with an option or file that names things of a cluster the current context of `~/.kube/config`, the embedded
/// engine.
///
/// `own` is the embedded engine's own kubeconfig: whoever points `KUBECONFIG` at it means the engine, running or not.
pub(crate) fn choose(flags: &Flags, env: &Env, saved: Option<&Cluster>, own: &Path) -> Choice {
    let because = |cluster, because| Choice { cluster, because };
    if flags.local {
        return because(Cluster::Local, Because::Flag("--local"));
    }
    if let Some(file) = &flags.kubeconfig {
        let files = vec![env.absolute(file.clone())];
        return because(context(files, flags.context.clone(), own), Because::Flag("--kubeconfig"));
    }
    if let Some(file) = &flags.of_file {
        let because = Because::Flag("config_path");
        return Choice { cluster: context(vec![file.clone()], flags.context.clone(), own), because };
    }
    if let Some(name) = &flags.context {
        return because(context(variable_files(env), Some(name.clone()), own), Because::Flag("--context"));
    }
    if let Some(name) = env.get("WINDLASS_CONTEXT") {
        let cluster = context(variable_files(env), Some(name.to_owned()), own);
        return because(cluster, Because::Variable("WINDLASS_CONTEXT"));
    }
    let files = variable_files(env);
    if !files.is_empty() {
        return because(context(files, None, own), Because::Variable("KUBECONFIG"));
    }
    match (saved, flags.things) {
        (Some(cluster), _) => because(cluster.clone(), Because::Saved),
        (None, Some(option)) => because(context(Vec::new(), None, own), Because::Flag(option)),
        (None, None) => because(Cluster::Local, Because::Default),
    }
}

/// The files that `KUBECONFIG` names, in its order.
pub(crate) fn variable_files(env: &Env) -> Vec<PathBuf> {
    let names = env.get("KUBECONFIG").unwrap_or_default();
    std::env::split_paths(names)
        .filter(|path| !path.as_os_str().is_empty())
        .map(|path| env.absolute(path))
        .collect()
}

/// A context, unless it is the engine's own.
fn context(kubeconfig: Vec<PathBuf>, name: Option<String>, own: &Path) -> Cluster {
    let ours =
        kubeconfig.len() == 1 && kubeconfig[0] == own && name.as_deref().is_none_or(|n| n == "windlass");
    if ours { Cluster::Local } else { Cluster::Context { kubeconfig, name } }
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
