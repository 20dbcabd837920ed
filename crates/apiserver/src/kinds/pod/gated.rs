//! What may change of a pod that waits at its gates: where it may run, and only so that it fits fewer nodes. What is
//! merely preferred may change in any way.
//!
//! Source: upstream pkg/apis/core/validation/validation.go (`ValidatePodUpdate`, `validateNodeSelectorMutation`,
//! `validateNodeAffinityMutation`; KEP-3838).

use serde_json::{Value, json};

use crate::field::{Errors, FieldError};
use crate::kinds::json::{entries, is_set, items, put, remove, same, set};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const TERMS: &str = "nodeSelectorTerms";

/// Puts the old spec's node selector and node affinity into `munged`, the new one, after it has said what is wrong with
/// the new ones.
pub(super) fn narrowed(errors: &mut Errors, munged: &mut Value, old: &Value) {
    selector(errors, &munged["nodeSelector"], old);
    put(munged, "nodeSelector", old["nodeSelector"].clone());
    let (new, before) = (&munged["affinity"]["nodeAffinity"], &old["affinity"]["nodeAffinity"]);
    if same(new, before) {
        return;
    }
    affinity(errors, new, before);
    if !is_set(munged, "affinity") {
        set(munged, "affinity", json!({"nodeAffinity": before}));
    } else if !is_set(old, "affinity") && is_about_nodes(&munged["affinity"]) {
        remove(munged, "affinity");
    } else {
        put(&mut munged["affinity"], "nodeAffinity", before.clone());
    }
}

fn is_about_nodes(affinity: &Value) -> bool {
    !is_set(affinity, "podAffinity") && !is_set(affinity, "podAntiAffinity")
}

fn selector(errors: &mut Errors, new: &Value, old: &Value) {
    if entries(old, "nodeSelector").any(|(key, value)| new.get(key) != Some(value)) {
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.push(FieldError::invalid("spec.nodeSelector", new.clone(), detail));
    }
}

/// A pod fits a node if one of its terms does: a further term would let it onto more nodes, a further expression does not.
fn affinity(errors: &mut Errors, new: &Value, old: &Value) {
    let path = format!("spec.affinity.nodeAffinity.{REQUIRED}.{TERMS}");
    let (terms, before) = (items(&new[REQUIRED], TERMS), items(&old[REQUIRED], TERMS));
    if !before.is_empty() && terms.len() != before.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(FieldError::invalid(path, new[REQUIRED][TERMS].clone(), detail));
        return;
    }
    for (at, (term, before)) in terms.iter().zip(before).enumerate() {
        if !only_adds(term, before) {
            let detail = "only additions are allowed (no mutations or deletions)";
            errors.push(FieldError::invalid(format!("{path}[{at}]"), term.clone(), detail));
        }
    }
}

/// Whether a term asks all that it asked before. One that asked nothing fits no node, and stays so.
fn only_adds(term: &Value, before: &Value) -> bool {
    let lists = ["matchExpressions", "matchFields"];
    let asks = |term: &Value| lists.iter().any(|list| !items(term, list).is_empty());
    let kept = |list: &&str| {
        let (new, old) = (items(term, list), items(before, list));
        new.len() >= old.len() && new.iter().zip(old).all(|(new, old)| same(new, old))
    };
    (asks(before) || !asks(term)) && lists.iter().all(kept)
}
