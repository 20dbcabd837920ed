//! What a case is, what it needs of a Kubernetes, and how it ends. Pure.

use anyhow::Result;
use futures::future::BoxFuture;

use super::stage::Stage;

/// What a case needs beyond a namespace in which pods run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// A Ready node that takes pods, with the label `kubernetes.io/hostname` and allocatable CPU.
    Node,
    /// `hostPath` volumes.
    HostPath,
    /// The pods' subresource `eviction`.
    Eviction,
    /// The garbage collector.
    GarbageCollection,
    /// Indexed Jobs.
    Indexed,
    /// Volumes at their mount paths, which a machine may keep from the engine's user.
    Volumes,
}

impl Need {
    /// As it is written in the matrix.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Need::Node => "N",
            Need::HostPath => "H",
            Need::Eviction => "E",
            Need::GarbageCollection => "G",
            Need::Indexed => "Ind",
            Need::Volumes => "V",
        }
    }
}

/// One behaviour.
pub struct Case {
    /// The subject of upstream's test file: `Job`, `CronJob`, ...
    pub group: &'static str,
    /// Its number in the group.
    pub number: u8,
    /// The name of upstream's test.
    pub name: &'static str,
    /// What it needs.
    pub needs: &'static [Need],
    pub(super) run: for<'a> fn(&'a Stage) -> BoxFuture<'a, Result<()>>,
}

impl Case {
    /// `Job 7`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{} {}", self.group, self.number)
    }

    pub(crate) fn is_called(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let group = self.group.to_lowercase();
        word == group
            || word == self.id().to_lowercase()
            || (word.len() > 8 && self.name.to_lowercase().contains(&word))
    }
}

/// How a case ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As upstream's.
    Passed,
    /// Not so.
    Failed {
        /// What was expected and not found.
        reason: String,
        /// What was in the namespace then, for people.
        scene: String,
    },
    /// It could not be asked on this machine, with the reason.
    LeftOut(String),
}
