//! Whose the pods are: which the Job keeps, adopts and lets go. It knows nothing of what the pods do.
//!
//! Source: upstream `PodControllerRefManager.ClaimPods` in `pkg/controller/controller_ref_manager.go`.

use std::collections::BTreeMap;

use super::Action;
use crate::view::{Job, Meta, Owner, Pod, Requirement, Selector};

/// The result of claiming.
pub(super) struct Claimed<'a> {
    /// The pods that the Job controls and keeps.
    pub own: Vec<&'a Pod>,
    /// Adoptions and releases of ownership.
    pub actions: Vec<Action>,
}

/// Sorts the pods into own, to be adopted, to be disowned, and none of this Job's business.
pub(super) fn claim<'a>(job: &Job, pods: &[&'a Pod]) -> Claimed<'a> {
    let mut claimed = Claimed { own: Vec::with_capacity(pods.len()), actions: Vec::new() };
    let job_goes = job.metadata.deletion_timestamp.is_some();
    for &pod in pods {
        let id = || (pod.metadata.name.clone(), pod.metadata.uid.clone());
        match controller(&pod.metadata) {
            Some(owner) if owner.uid == job.metadata.uid => {
                if job_goes || keeps(job.spec.selector.as_ref(), &pod.metadata.labels) {
                    claimed.own.push(pod);
                } else {
                    let (name, uid) = id();
                    claimed.actions.push(Action::Disown { name, uid });
                }
            }
            Some(_) => {}
            None if job_goes || pod.metadata.deletion_timestamp.is_some() => {}
            None if adopts(job.spec.selector.as_ref(), &pod.metadata.labels) => {
                let (name, uid) = id();
                claimed.actions.push(Action::Adopt { name, uid });
            }
            None => {}
        }
    }
    claimed
}

/// The owner that manages the object.
pub(crate) fn controller(meta: &Meta) -> Option<&Owner> {
    meta.owner_references.iter().find(|owner| owner.controller)
}

/// Whether the Job controls the pod and keeps it.
pub(super) fn is_own(job: &Job, pod: &Pod) -> bool {
    controller(&pod.metadata).is_some_and(|owner| owner.uid == job.metadata.uid)
        && keeps(job.spec.selector.as_ref(), &pod.metadata.labels)
}

/// A Job without a selector keeps the pods that name it; the API always gives it one.
fn keeps(selector: Option<&Selector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_none_or(|selector| matches(selector, labels))
}

/// An empty selector would match every pod of the namespace: nobody means that.
fn adopts(selector: Option<&Selector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_some_and(|selector| {
        let empty = selector.match_labels.is_empty() && selector.match_expressions.is_empty();
        !empty && matches(selector, labels)
    })
}

/// Whether labels satisfy a selector.
pub(crate) fn matches(selector: &Selector, labels: &BTreeMap<String, String>) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|requirement| holds(requirement, labels))
}

fn holds(requirement: &Requirement, labels: &BTreeMap<String, String>) -> bool {
    let label = labels.get(&requirement.key);
    match requirement.operator.as_str() {
        "In" => label.is_some_and(|value| requirement.values.contains(value)),
        "NotIn" => label.is_none_or(|value| !requirement.values.contains(value)),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => false,
    }
}
