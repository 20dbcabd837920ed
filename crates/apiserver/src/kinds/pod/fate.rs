//! Annotations that script a pod's fate (`windlass-fate`): what is wrong with them is refused where they are written, so
//! that a mistake in one never runs what was to be played.

use serde_json::Value;
use windlass_fate as fate;

use crate::field::{Errors, FieldError};
use crate::kinds::rules::{at, entry};

/// What is wrong with the fate of a pod or a pod template under `path`.
pub(crate) fn check(errors: &mut Errors, object: &Value, path: &str) {
    let metadata = &object["metadata"];
    for fault in fate::check(metadata, &object["spec"]) {
        let value = metadata["annotations"][&fault.annotation].clone();
        errors.push(FieldError::invalid(place(path, &fault.annotation), value, fault.cause));
    }
}

/// The pods of a Job that has no indexes have none either: what is said of some would be read by nobody.
pub(crate) fn unindexed(errors: &mut Errors, template: &Value, path: &str) {
    let detail = "the Job's pods have no index: set completionMode: Indexed, or leave out \"index\"";
    let names = fate::of_indexes(&template["metadata"], &template["spec"]).into_iter();
    errors.extend(names.map(|name| {
        let value = template["metadata"]["annotations"][&name].clone();
        FieldError::invalid(place(path, &name), value, detail)
    }));
}

/// A pod's fate is what it was made with: taken away, the pod's command would be run after all.
pub(crate) fn unchanged(errors: &mut Errors, new: &Value, old: &Value) {
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let all = fate::annotations(new).chain(fate::annotations(old));
    let mut changed: Vec<&str> = all
        .map(|(name, _)| name)
        .filter(|name| new["annotations"].get(name) != old["annotations"].get(name))
        .collect();
    changed.sort_unstable();
    changed.dedup();
    let detail = "a pod keeps the fate that it was made with: delete the pod and make another";
    errors.extend(changed.into_iter().map(|name| FieldError::forbidden(place("", name), detail)));
}

/// Fates stand on pods and their templates; on what makes pods they would be read by nobody.
pub(crate) fn misplaced(errors: &mut Errors, object: &Value, path: &str, right: &str) {
    let detail =
        format!("it is read where the pod is described: write it under {right}.metadata.annotations");
    let names = fate::annotations(&object["metadata"]).map(|(name, _)| name);
    errors.extend(names.map(|name| FieldError::forbidden(place(path, name), detail.clone())));
}

fn place(path: &str, name: &str) -> String {
    entry(
        &if path.is_empty() { "metadata.annotations".to_owned() } else { at(path, "metadata.annotations") },
        name,
    )
}
