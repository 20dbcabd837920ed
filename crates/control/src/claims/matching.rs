//! Which of the volumes that are there a claim gets: the smallest that has all it asks for.

use serde_json::Value;

use super::{class, is_deleting, is_for, text};
use crate::schedule::Amounts;

/// The best volume for a claim. One that names the claim is preferred, whatever its labels and class.
pub(super) fn best<'a>(claim: &Value, volumes: impl IntoIterator<Item = &'a Value>) -> Option<&'a Value> {
    let wanted = storage(&claim["spec"]["resources"]["requests"]);
    let fitting = volumes.into_iter().filter(|volume| fits(claim, volume, wanted));
    fitting.min_by_key(|volume| {
        let named = is_for(volume, claim);
        (!named, storage(&volume["spec"]["capacity"]), text(&volume["metadata"], "name"))
    })
}

fn fits(claim: &Value, volume: &Value, wanted: i64) -> bool {
    let (ask, have) = (&claim["spec"], &volume["spec"]);
    if !suits(claim, volume, wanted) {
        return false;
    }
    if have["claimRef"].is_object() {
        return is_for(volume, claim);
    }
    let is_free = matches!(text(&volume["status"], "phase"), "Available" | "Pending" | "");
    is_free && class(claim) == class(volume) && selects(&ask["selector"], &volume["metadata"]["labels"])
}

/// A claim that names its volume takes it whatever its labels (upstream `checkVolumeSatisfyClaim`).
pub(super) fn satisfies(claim: &Value, volume: &Value) -> bool {
    let wanted = storage(&claim["spec"]["resources"]["requests"]);
    suits(claim, volume, wanted) && class(claim) == class(volume)
}

/// What every volume of a claim must be: large enough, of its mode and access modes, and there to stay.
fn suits(claim: &Value, volume: &Value, wanted: i64) -> bool {
    let (ask, have) = (&claim["spec"], &volume["spec"]);
    let mode = |spec: &Value| spec["volumeMode"].as_str().unwrap_or("Filesystem").to_owned();
    storage(&have["capacity"]) >= wanted
        && mode(ask) == mode(have)
        && has_modes(ask, have)
        && !is_deleting(volume)
}

fn has_modes(ask: &Value, have: &Value) -> bool {
    let has = |mode: &Value| have["accessModes"].as_array().is_some_and(|modes| modes.contains(mode));
    ask["accessModes"].as_array().into_iter().flatten().all(has)
}

fn storage(list: &Value) -> i64 {
    Amounts::read(list).of("storage")
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    pairs.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.into_iter().all(|expression| {
            let found = labels.get(text(expression, "key"));
            let listed =
                |value: &Value| expression["values"].as_array().is_some_and(|list| list.contains(value));
            match text(expression, "operator") {
                "In" => found.is_some_and(listed),
                "NotIn" => !found.is_some_and(listed),
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}
