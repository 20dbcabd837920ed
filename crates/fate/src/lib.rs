//! The fates of pods that are played and not run: what the annotations below [`PREFIX`] say, and what that makes of one
//! run of one container.
//!
//! Pure: the API server reads them to refuse what is wrong, the scheduler to leave such pods alone, the runner to play
//! them. It knows no clock, no store and no process; `docs/testing.md` is its page for users.
//!
//! `fate.windlass.dev/pod` speaks of the pod and of all its containers (init containers and sidecars excepted),
//! `fate.windlass.dev/<container>` of one container, in the pod's stead. A pod that has one of them is played whole.

mod course;
mod exit;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod read;
mod script;
mod stuck;
mod time;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use course::{Course, Line, Part, Term};
pub use exit::Exit;
pub use script::Script;
pub use stuck::{Reason, Stuck};
pub use time::{LONGEST, read as span};

/// Annotations whose names begin so are fates.
pub const PREFIX: &str = "fate.windlass.dev/";
/// The annotation that speaks of the pod.
pub const POD: &str = "fate.windlass.dev/pod";
/// Where the pods of an Indexed Job have their index.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// What is wrong with an annotation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The annotation's name.
    pub annotation: String,
    /// What is wrong with its value or its name, and what would be right.
    pub cause: String,
}

/// What becomes of a pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fate {
    pod: Script,
    containers: BTreeMap<String, Script>,
    index: Option<u32>,
}

/// What kind of container it is, as far as its fate depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It runs to its end before the others begin.
    Init,
    /// It runs beside the others.
    Sidecar,
    /// What the pod is for.
    App,
}

/// Whether an object with this metadata, a pod or a template, is to be played.
#[must_use]
pub fn is_scripted(metadata: &Value) -> bool {
    metadata["annotations"].as_object().is_some_and(|all| all.keys().any(|name| name.starts_with(PREFIX)))
}

/// Everything that is wrong with the fates of a pod or a pod template; nothing if it has none.
#[must_use]
pub fn check(metadata: &Value, spec: &Value) -> Vec<Fault> {
    if !is_scripted(metadata) {
        return Vec::new();
    }
    match Fate::read(metadata, spec) {
        Ok(_) => Vec::new(),
        Err(faults) => faults,
    }
}

/// The annotations that say something of indexes, if a pod or a template has sound ones.
#[must_use]
pub fn of_indexes(metadata: &Value, spec: &Value) -> Vec<String> {
    if !is_scripted(metadata) {
        return Vec::new();
    }
    let Ok(Fate { pod, containers, .. }) = Fate::read(metadata, spec) else { return Vec::new() };
    let own = containers.into_iter().map(|(name, script)| (format!("{PREFIX}{name}"), script));
    let all = own.chain([(POD.to_owned(), pod)]);
    all.filter(|(_, script)| !script.indexes.is_empty()).map(|(name, _)| name).collect()
}

/// The annotations that are fates, with their values.
pub fn annotations(metadata: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = metadata["annotations"].as_object().into_iter().flatten();
    all.filter(|(name, _)| name.starts_with(PREFIX)).map(|(name, value)| (name.as_str(), value))
}

impl Fate {
    /// Reads the fate of a pod.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(metadata: &Value, spec: &Value) -> Result<Fate, Vec<Fault>> {
        let names: Vec<&str> = containers(spec).map(|(name, _)| name).collect();
        let (mut fate, mut faults) = (Fate::default(), Vec::new());
        for (annotation, value) in annotations(metadata) {
            let name = annotation.strip_prefix(PREFIX).unwrap_or_default();
            let of_pod = annotation == POD;
            if !of_pod && !names.contains(&name) {
                let cause = format!(
                    "the pod has no container {name:?}; what may be named here is \"pod\" (all of it) or one of: {}",
                    names.join(", ")
                );
                faults.push(Fault { annotation: annotation.to_owned(), cause });
                continue;
            }
            match read::script(value.as_str().unwrap_or_default(), of_pod) {
                Ok(script) if of_pod => fate.pod = script,
                Ok(script) => {
                    fate.containers.insert(name.to_owned(), script);
                }
                Err(causes) => faults.extend(
                    causes.into_iter().map(|cause| Fault { annotation: annotation.to_owned(), cause }),
                ),
            }
        }
        let index = metadata["annotations"][INDEX].as_str();
        fate.index = index.and_then(|index| index.parse().ok());
        if faults.is_empty() { Ok(fate) } else { Err(faults) }
    }

    /// What a container is to do.
    #[must_use]
    pub fn script(&self, container: &str, role: Role) -> Script {
        let script = match (self.containers.get(container), role) {
            (Some(own), _) => own.at(self.index),
            (None, Role::App) => self.pod.at(self.index),
            (None, Role::Init | Role::Sidecar) => Script::default(),
        };
        script.for_role(role)
    }

    /// The part that a run of a container has in what its owner does: the Job with this uid, or the pod itself.
    #[must_use]
    pub fn part(&self, owner: &str, container: &str, role: Role) -> Part {
        let script = self.script(container, role);
        let index = self.index.map(|index| format!("{index}/")).unwrap_or_default();
        Part {
            course: script.course(0),
            exits: script.exit.filter(|list| list.len() > 1).unwrap_or_default(),
            owner: owner.to_owned(),
            work: format!("{index}{container}"),
        }
    }

    /// Until when the pod finds no node, and what is said of it; no time: for ever.
    #[must_use]
    pub fn unschedulable(&self, created: Timestamp) -> Option<(Option<Timestamp>, Option<String>)> {
        let wait = self.pod.at(self.index).unschedulable?;
        let until = wait.lasts.map(|lasts| after(created, lasts));
        Some((until, wait.message))
    }
}

/// The containers of a pod's spec: name and role.
pub fn containers(spec: &Value) -> impl Iterator<Item = (&str, Role)> {
    let list = |field: &str| spec[field].as_array().into_iter().flatten();
    let inits = list("initContainers").map(|container| {
        let is_sidecar = container["restartPolicy"] == "Always";
        (container, if is_sidecar { Role::Sidecar } else { Role::Init })
    });
    let all = inits.chain(list("containers").map(|container| (container, Role::App)));
    all.map(|(container, role)| (container["name"].as_str().unwrap_or_default(), role))
}

/// A time after another.
#[must_use]
pub fn after(at: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    // Saturates at the end of time.
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}
