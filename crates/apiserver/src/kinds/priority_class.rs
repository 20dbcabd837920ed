//! scheduling.k8s.io/v1 priority classes.
//!
//! Source of the rules: upstream pkg/apis/scheduling/validation/validation.go, pkg/apis/scheduling/v1/helpers.go.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{AGE, NAME, PLAIN, column};
use super::json::{fill, flag, int, object, same, set, text};
use super::rules::{choice, immutable};
use super::table;
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Kind};

/// The highest value of a class that is not the system's.
const HIGHEST: i64 = 1_000_000_000;
/// What the names of the system's classes begin with.
const SYSTEM: &str = "system-";
/// The classes that every cluster has: name, value, what it is for.
const CLASSES: [(&str, i64, &str); 2] = [
    ("system-node-critical", 2 * HIGHEST + 1000, "For pods of the system that must stay on their node."),
    (
        "system-cluster-critical",
        2 * HIGHEST,
        "For pods of the system that must run somewhere in the cluster, if need be on another node.",
    ),
];

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    namespaced: false,
    schema: "io.k8s.api.scheduling.v1.PriorityClass",
    names_again: false,
    default: fill_defaults,
    prepare_create: start,
    validate,
    validate_update,
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    Column { kind: "integer", ..column("Value", "The priority of its pods.") },
    Column { kind: "boolean", ..column("Global-Default", "Whether it is the class of pods that name none.") },
    AGE,
    column("PreemptionPolicy", "Whether its pods may push out others."),
];

/// The system's classes, as objects to be created.
#[must_use]
pub fn system_classes() -> [Value; 2] {
    CLASSES
        .map(|(name, value, what)| json!({"metadata": {"name": name}, "value": value, "description": what}))
}

/// The names of the system's classes.
pub(crate) fn system_names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(name, ..)| *name)
}

fn fill_defaults(class: &mut Value) {
    (PLAIN.default)(class);
    fill(class, "preemptionPolicy", "PreemptLowerPriority");
}

fn start(class: &mut Value) {
    if let Some(metadata) = object(class, "metadata") {
        set(metadata, "generation", 1);
    }
}

fn validate(class: &Value) -> Errors {
    let mut errors = Errors::new();
    let (name, value) = (text(&class["metadata"], "name"), int(class, "value").unwrap_or(0));
    if name.starts_with(SYSTEM) {
        if let Some(why) = unknown(name, value, flag(class, "globalDefault")) {
            let detail = format!(
                "priority class names with '{SYSTEM}' prefix are reserved for system use only. error: {why}"
            );
            errors.push(FieldError::forbidden("metadata.name", detail));
        }
    } else if value > HIGHEST {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.push(FieldError::forbidden("value", detail));
    }
    choice(&mut errors, class, "", "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    errors
}

/// Why a class is not one of the system's.
fn unknown(name: &str, value: i64, is_default: bool) -> Option<String> {
    match CLASSES.iter().find(|(known, ..)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, known, _)) if *known != value => {
            Some(format!("value of {name} PriorityClass must be {known}"))
        }
        Some(_) if is_default => Some(format!("globalDefault of {name} PriorityClass must be false")),
        Some(_) => None,
    }
}

fn validate_update(new: &Value, old: &Value, _: bool) -> Errors {
    let mut errors = Errors::new();
    if !same(&new["value"], &old["value"]) {
        errors.push(FieldError::forbidden("value", "may not be changed in an update."));
    }
    immutable(&mut errors, new, old, "", "preemptionPolicy");
    errors
}

/// Whether pods that name no class get this one.
pub(crate) fn is_default(class: &Value) -> bool {
    flag(class, "globalDefault")
}

fn cells(class: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        table::name(class),
        int(class, "value").unwrap_or(0).into(),
        flag(class, "globalDefault").into(),
        table::age(class, now),
        text(class, "preemptionPolicy").into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(class: &Value) -> Vec<String> {
        validate(class).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn classes_of_the_system_are_what_they_are_and_nobody_else_is() {
        for mut class in system_classes() {
            fill_defaults(&mut class);
            assert_eq!(refused(&class), [""; 0], "{class}");
        }
        let class = |name: &str, value: i64| json!({"metadata": {"name": name}, "value": value});
        let mut high = class("high", HIGHEST);
        fill_defaults(&mut high);
        assert_eq!(refused(&high), [""; 0]);
        for (mut class, why) in [
            (class("high", HIGHEST + 1), "maximum allowed value of a user defined priority is 1000000000"),
            (class("system-mine", 1), "error: system-mine is not a known system priority class"),
            (
                class("system-node-critical", 1),
                "error: value of system-node-critical PriorityClass must be 2000001000",
            ),
        ] {
            fill_defaults(&mut class);
            assert!(refused(&class).concat().ends_with(why), "{class}");
        }
    }

    #[test]
    fn value_and_policy_stay() {
        let old = json!({"value": 1, "preemptionPolicy": "Never"});
        let told = |new: &Value| validate_update(new, &old, false).len();
        assert_eq!(told(&json!({"value": 1, "preemptionPolicy": "Never", "globalDefault": true})), 0);
        assert_eq!(told(&json!({"value": 2, "preemptionPolicy": "PreemptLowerPriority"})), 2);
    }
}
