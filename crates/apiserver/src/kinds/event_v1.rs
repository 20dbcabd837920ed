//! events.k8s.io/v1 events: the same objects as the core group's, under newer names and stricter rules. They are stored
//! in the core form.
//!
//! Source: upstream pkg/apis/events/v1/conversion.go, pkg/apis/core/validation/events.go.

use serde_json::{Map, Value};

use super::common::PLAIN;
use super::event;
use super::json::{int, is_set, object, remove, same, set, text};
use crate::field::{Errors, FieldError};
use crate::kind::{Fields, Kind, NameRule, Stored};
use crate::schema;

/// Fields by their name here, and in the core group.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
/// What an event that is there may not become; in the core group's names, but for the reporter's, as upstream says it.
const FIXED: [(&str, &str); 13] = [
    ("involvedObject", "involvedObject"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingComponent", "reportingController"),
    ("reportingInstance", "reportingInstance"),
];

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "events.k8s.io",
    schema: "io.k8s.api.events.v1.Event",
    stored: Some(&STORED),
    name_rule: NameRule::Subdomain,
    bare_finalizers: false,
    default: fill_defaults,
    validate,
    validate_update,
    fields,
    field_names: &[
        "reason",
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reportingController",
        "type",
    ],
    columns: event::KIND.columns,
    cells: |own, now| event::cells(&core(own.clone()), now),
    ..event::KIND
};

static STORED: Stored = Stored { api_version: "v1", write: core, read: own, field };

/// The field selectors of this group's names; which objects they select is asked of the tags of the stored form.
fn fields(own: &dyn Fields) -> Vec<(&'static str, String)> {
    let about = &own["regarding"];
    let of = |key: &str| own[key].as_str().unwrap_or_default().to_owned();
    vec![
        ("reason", of("reason")),
        ("regarding.kind", text(about, "kind").to_owned()),
        ("regarding.namespace", text(about, "namespace").to_owned()),
        ("regarding.name", text(about, "name").to_owned()),
        ("regarding.uid", text(about, "uid").to_owned()),
        ("regarding.apiVersion", text(about, "apiVersion").to_owned()),
        ("regarding.resourceVersion", text(about, "resourceVersion").to_owned()),
        ("regarding.fieldPath", text(about, "fieldPath").to_owned()),
        ("reportingController", of("reportingController")),
        ("type", of("type")),
    ]
}

/// The core group's name of a field that can be selected.
fn field(name: &str) -> String {
    let (head, rest) = name.split_once('.').map_or((name, ""), |(head, rest)| (head, rest));
    let head = NAMES.iter().find(|(own, _)| *own == head).map_or(head, |(_, core)| core);
    if rest.is_empty() { head.to_owned() } else { format!("{head}.{rest}") }
}

fn rename(object: Value, name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Value::Object(map) = object else { return object };
    let renamed = map.into_iter().map(|(key, value)| match name(&key) {
        Some(name) => (name.to_owned(), value),
        None => (key, value),
    });
    Value::Object(renamed.collect::<Map<String, Value>>())
}

/// In the core group's form.
fn core(own: Value) -> Value {
    let mut core = rename(own, |key| NAMES.iter().find(|(own, _)| *own == key).map(|(_, core)| *core));
    set(&mut core, "apiVersion", "v1");
    // That form leaves it out where this one says it.
    if int(&core["series"], "count") == Some(0) {
        remove(&mut core["series"], "count");
    }
    (event::KIND.default)(&mut core);
    schema::dress(event::KIND.schema, &mut core);
    core
}

/// In this group's form.
fn own(core: Value) -> Value {
    let mut own = rename(core, |key| NAMES.iter().find(|(_, core)| *core == key).map(|(own, _)| *own));
    set(&mut own, "apiVersion", "events.k8s.io/v1");
    if let Some(map) = own.as_object_mut() {
        // Here what is empty is left out.
        map.retain(|key, value| {
            let is_empty = value.as_str().is_some_and(str::is_empty) || value.as_i64() == Some(0);
            !is_empty || key == "metadata"
        });
    }
    fill_defaults(&mut own);
    schema::dress(KIND.schema, &mut own);
    own
}

fn fill_defaults(own: &mut Value) {
    (PLAIN.default)(own);
    object(own, "regarding");
    object(own, "deprecatedSource");
    for name in ["reportingController", "reportingInstance"] {
        if text(own, name).is_empty() {
            remove(own, name);
        }
    }
}

/// What every event must be, and what only new ones may be: they have a time, and none of the old fields.
fn validate(own: &Value) -> Errors {
    let core = core(own.clone());
    let mut errors = event::problems(&core, "reportingController");
    series(&mut errors, &core);
    if !is_set(&core, "eventTime") {
        errors.push(FieldError::required("eventTime", ""));
    }
    let kind = text(&core, "type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.push(FieldError::invalid("type", "", format!("has invalid value: {kind}")));
    }
    let source = &core["source"];
    let has_source = !text(source, "component").is_empty() || !text(source, "host").is_empty();
    for (name, is_there) in [
        ("firstTimestamp", is_set(&core, "firstTimestamp")),
        ("lastTimestamp", is_set(&core, "lastTimestamp")),
        ("count", int(&core, "count").unwrap_or(0) != 0),
        ("source", has_source),
    ] {
        if is_there {
            errors.push(FieldError::invalid(name, "", "needs to be unset"));
        }
    }
    errors
}

fn series(errors: &mut Errors, core: &Value) {
    if !is_set(core, "series") {
        return;
    }
    if int(&core["series"], "count").unwrap_or(0) < 2 {
        errors.push(FieldError::invalid("series.count", "", "should be at least 2"));
    }
    if !is_set(&core["series"], "lastObservedTime") {
        errors.push(FieldError::required("series.lastObservedTime", ""));
    }
}

fn validate_update(new: &Value, old: &Value, _: bool) -> Errors {
    let (new, old) = (core(new.clone()), core(old.clone()));
    let mut errors = event::problems(&new, "reportingController");
    if !same(&new["series"], &old["series"]) {
        series(&mut errors, &new);
    }
    for (name, shown) in FIXED {
        if !same(&new[name], &old[name]) {
            errors.push(FieldError::invalid(shown, new[name].clone(), "field is immutable"));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn event_is_the_same_in_both_forms() {
        let mut here = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "ns"},
            "eventTime": "2026-01-01T00:00:00.000000Z", "regarding": {"kind": "Job", "name": "j"},
            "note": "text", "reason": "Why", "type": "Normal", "action": "Act",
            "reportingController": "example.com/c", "reportingInstance": "i",
        });
        fill_defaults(&mut here);
        schema::dress(KIND.schema, &mut here);
        let there = core(here.clone());
        assert_eq!(there["apiVersion"], "v1");
        assert_eq!(there["involvedObject"]["name"], "j");
        assert_eq!(there["message"], "text");
        assert_eq!(there["reportingComponent"], "example.com/c");
        assert_eq!(own(there), here);
    }

    #[test]
    fn series_without_a_count_has_none_when_it_is_stored_again() {
        let mut there = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "ns"},
            "involvedObject": {}, "series": {"lastObservedTime": null},
        });
        (event::KIND.default)(&mut there);
        schema::dress(event::KIND.schema, &mut there);
        let here = own(there.clone());
        assert_eq!(here["series"]["count"], 0);
        assert_eq!(core(here), there);
    }

    #[test]
    fn fields_are_selected_by_the_names_that_they_are_stored_under() {
        for (name, stored) in [
            ("regarding.name", "involvedObject.name"),
            ("reportingController", "reportingComponent"),
            ("type", "type"),
        ] {
            assert_eq!(field(name), stored);
        }
    }
}
