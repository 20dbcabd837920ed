//! What a node asks of a pod that is bound to it: who does not pass has failed, and does not wait for the node to change.
//!
//! Source: upstream `kubelet/lifecycle/predicate.go` (`Admit`, `generalFilter`), `scheduler.AdmissionCheck`.

use serde_json::Value;

use super::{Fields, Node, Quarrel, Shortage, affinity, taints};

/// The label of a node, and of pods, that names an operating system.
const SYSTEM_LABEL: &str = "kubernetes.io/os";
/// What this node runs.
const SYSTEM: &str = "linux";

/// Why a node sends a pod away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// The reason of the pod's end.
    pub reason: String,
    /// Why, in a kubelet's words.
    pub message: String,
}

impl Rejection {
    fn of(reason: &str, message: &str) -> Self {
        Self { reason: reason.to_owned(), message: message.to_owned() }
    }

    fn by_predicate(name: &str, why: &str) -> Self {
        Self::of(name, &format!("Predicate {name} failed: {why}"))
    }
}

/// Why the node sends a pod away that is bound to it: the first of its reasons. `shortage` is what there is too little of,
/// `clashes` asks whether somebody has one of its ports.
#[must_use]
pub fn rejection(
    pod: &impl Fields,
    node: &Node,
    shortage: Option<&Shortage>,
    clashes: impl FnOnce() -> bool,
) -> Option<Rejection> {
    let of_room = || shortage.map(|shortage| Rejection::of(&shortage.reason(), &shortage.message()));
    of_another_system(pod).or_else(of_room).or_else(|| {
        let spec = &pod["spec"];
        let (name, why) = if affinity::mismatch(spec, node).is_some() {
            ("NodeAffinity", affinity::MISMATCH)
        } else if clashes() {
            ("NodePorts", Quarrel::Ports.words())
        } else if taints::drives_out(spec, &node.taints) {
            ("TaintToleration", taints::UNTOLERATED)
        } else {
            return None;
        };
        Some(Rejection::by_predicate(name, why))
    })
}

/// Why the node sends away a pod that its scheduler has found a place for: only the node asks for which system it is.
#[must_use]
pub fn of_another_system(pod: &impl Fields) -> Option<Rejection> {
    let is_other = |name: &Value| name.as_str().is_some_and(|name| name != SYSTEM);
    if is_other(&pod["metadata"]["labels"][SYSTEM_LABEL]) {
        let message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
        return Some(Rejection::of("PodOSSelectorNodeLabelDoesNotMatch", message));
    }
    let message = "Failed to admit pod as the OS field doesn't match node OS";
    is_other(&pod["spec"]["os"]["name"]).then(|| Rejection::of("PodOSNotSupported", message))
}
