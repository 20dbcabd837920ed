//! v1 events.
//!
//! Sources: upstream pkg/registry/core/event/strategy.go and printEvent in pkg/printers/internalversion/printers.go.

use jiff::Timestamp;
use serde_json::Value;

use crate::field::{Errors, FieldError};
use crate::kind::{Column, Fields, Kind, NameRule, Rest};
use crate::kinds::common::{NAME, PLAIN, column, wide};
use crate::kinds::json::{fill_text, int, is_set, object, text};
use crate::kinds::rules::wrong;
use crate::kinds::table;
use crate::names;

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    schema: "io.k8s.api.core.v1.Event",
    // Upstream checks no more of an event's name than that it fits a path.
    name_rule: NameRule::PathSegment,
    names_again: false,
    bare_finalizers: true,
    default: fill_defaults,
    validate,
    validate_update,
    fields,
    rest: last_seen,
    field_names: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    columns: COLUMNS,
    cells,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    column("Last Seen", "How long ago it happened last."),
    column("Type", "Normal or Warning."),
    column("Reason", "Why, in one word for machines."),
    column("Object", "What it is about."),
    wide("Subobject", "Which part of the object."),
    wide("Source", "Who reported it."),
    column("Message", "What happened, for people."),
    wide("First Seen", "How long ago it happened first."),
    wide("Count", "How often it happened."),
    Column { priority: 1, ..NAME },
];

fn fill_defaults(event: &mut Value) {
    object(event, "metadata");
    object(event, "involvedObject");
    object(event, "source");
    // Upstream writes both names of the reporter even where they are empty.
    fill_text(event, "reportingComponent", "");
    fill_text(event, "reportingInstance", "");
}

/// Every problem of an event: an old one must live where its object does, a new one (with eventTime) must say who, what and
/// why. Source: upstream pkg/apis/core/validation/events.go.
fn validate(event: &Value) -> Errors {
    problems(event, "reportingComponent")
}

/// The same, with the reporter's field called so.
pub(super) fn problems(event: &Value, reporter_name: &'static str) -> Errors {
    let mut errors = Errors::new();
    let namespace = text(&event["metadata"], "namespace");
    let about = text(&event["involvedObject"], "namespace");
    let new = is_set(event, "eventTime");
    let fits = match (about, new) {
        ("", false) => matches!(namespace, "" | "default"),
        ("", true) => matches!(namespace, "default" | "kube-system"),
        (about, false) => namespace == about,
        (_, true) => true,
    };
    if !fits {
        let detail = "does not match event.namespace";
        errors.push(FieldError::invalid("involvedObject.namespace", about, detail));
    }
    if new {
        reporter(&mut errors, event, reporter_name);
    }
    errors
}

fn reporter(errors: &mut Errors, event: &Value, reporter_name: &str) {
    let component = text(event, "reportingComponent");
    for (key, limit) in [
        ("reportingComponent", None),
        ("reportingInstance", Some(128)),
        ("action", Some(128)),
        ("reason", Some(128)),
        ("message", Some(1024)),
    ] {
        let value = text(event, key);
        let key = if key == "reportingComponent" { reporter_name } else { key };
        if value.is_empty() && key != "message" {
            errors.push(FieldError::required(key, ""));
        }
        if key == reporter_name {
            wrong(errors, key, component, names::qualified_name(component));
        }
        if let Some(limit) = limit.filter(|l| value.len() > *l) {
            errors.push(FieldError::invalid(key, "", format!("can have at most {limit} characters")));
        }
    }
}

fn validate_update(new: &Value, _: &Value, _: bool) -> Errors {
    validate(new)
}

fn fields(event: &dyn Fields) -> Vec<(&'static str, String)> {
    let about = &event["involvedObject"];
    let of = |key| text(about, key).to_owned();
    let own = |key| event[key].as_str().unwrap_or_default();
    let source = table::or(text(&event["source"], "component"), own("reportingComponent"));
    vec![
        ("involvedObject.kind", of("kind")),
        ("involvedObject.namespace", of("namespace")),
        ("involvedObject.name", of("name")),
        ("involvedObject.uid", of("uid")),
        ("involvedObject.apiVersion", of("apiVersion")),
        ("involvedObject.resourceVersion", of("resourceVersion")),
        ("involvedObject.fieldPath", of("fieldPath")),
        ("reason", own("reason").to_owned()),
        ("reportingComponent", own("reportingComponent").to_owned()),
        ("source", source.to_owned()),
        ("type", own("type").to_owned()),
    ]
}

/// Events are kept for a while after they were last seen. A client's clock may be behind, or it tells an old story: no
/// event is older than its object.
fn last_seen(event: &dyn Fields) -> Rest {
    let told = [&event["lastTimestamp"], &event["eventTime"], &event["metadata"]["creationTimestamp"]];
    let times = told.into_iter().filter_map(|field| field.as_str()?.parse().ok());
    Rest::Until(times.max().unwrap_or(Timestamp::UNIX_EPOCH))
}

pub(super) fn cells(event: &Value, now: Timestamp) -> Vec<Value> {
    let (about, series) = (&event["involvedObject"], &event["series"]);
    let first = table::time(event, "firstTimestamp").or_else(|| table::time(event, "eventTime"));
    let mut last = table::time(event, "lastTimestamp").or(first);
    let mut count = int(event, "count").filter(|c| *c != 0).unwrap_or(1);
    if is_set(event, "series") {
        last = table::time(series, "lastObservedTime");
        count = int(series, "count").unwrap_or(0);
    }
    let kind = text(about, "kind").to_lowercase();
    let object = match text(about, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        table::since(last, now).into(),
        text(event, "type").into(),
        text(event, "reason").into(),
        object.into(),
        text(about, "fieldPath").into(),
        source(event).into(),
        text(event, "message").trim().into(),
        table::since(first, now).into(),
        count.into(),
        table::name(event),
    ]
}

fn source(event: &Value) -> String {
    let source = &event["source"];
    let component = table::or(text(source, "component"), text(event, "reportingComponent"));
    match table::or(text(source, "host"), text(event, "reportingInstance")) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}
