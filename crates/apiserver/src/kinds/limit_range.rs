//! v1 limit ranges: what pods, containers and claims of a namespace get, may and must ask for. They are asked by
//! `admission`; here is only what they may say.
//!
//! Source of the rules: upstream pkg/apis/core/validation/validation.go and pkg/apis/core/v1/defaults.go.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::common::{NAME, PLAIN, never};
use super::json::{entries, is_set, items, items_mut, object, text};
use super::pod::default::round_quantities;
use super::pod::validate::resources as names_of;
use super::rules::{at, entry, item, wrong};
use super::table;
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Kind};
use crate::names;
use crate::quantity::Quantity;

/// The lists of amounts of a limit.
const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
/// What a limit can be about.
const TYPES: [&str; 3] = ["Pod", "Container", "PersistentVolumeClaim"];

/// The row.
pub(super) const KIND: Kind = Kind {
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    schema: "io.k8s.api.core.v1.LimitRange",
    default: fill_defaults,
    validate,
    validate_update: |new, _, _| validate(new),
    rest: never,
    columns: COLUMNS,
    cells: |range, _| vec![table::name(range), range["metadata"]["creationTimestamp"].clone()],
    ..PLAIN
};

/// Upstream has no columns of its own for it.
const COLUMNS: &[Column] = &[
    NAME,
    Column {
        name: "Created At",
        kind: "date",
        format: "",
        priority: 0,
        description: "When the object was created.",
    },
];

fn fill_defaults(range: &mut Value) {
    (PLAIN.default)(range);
    let Some(spec) = object(range, "spec") else { return };
    for limit in items_mut(spec, "limits") {
        for list in LISTS {
            round_quantities(limit, list);
        }
        if text(limit, "type") == "Container" {
            inherit(limit, "default", "max");
            inherit(limit, "defaultRequest", "default");
            inherit(limit, "defaultRequest", "min");
        }
    }
}

/// What a list does not say is what the other says.
fn inherit(limit: &mut Value, list: &str, from: &str) {
    let other: Map<String, Value> = limit[from].as_object().cloned().unwrap_or_default();
    if other.is_empty() {
        return;
    }
    if let Some(amounts) = object(limit, list).and_then(Value::as_object_mut) {
        for (name, amount) in other {
            amounts.entry(name).or_insert(amount);
        }
    }
}

fn validate(range: &Value) -> Errors {
    let mut errors = Errors::new();
    let mut seen = BTreeSet::new();
    for (index, limit) in items(&range["spec"], "limits").iter().enumerate() {
        let path = item("spec.limits", index);
        type_of(&mut errors, limit, &at(&path, "type"));
        if !seen.insert(text(limit, "type")) {
            errors.push(FieldError::duplicate(at(&path, "type"), text(limit, "type")));
        }
        let mut resources = BTreeSet::new();
        for list in LISTS {
            if text(limit, "type") == "Pod" && matches!(list, "default" | "defaultRequest") {
                if entries(limit, list).next().is_some() {
                    let detail = "may not be specified when `type` is 'Pod'";
                    errors.push(FieldError::forbidden(at(&path, list), detail));
                }
                continue;
            }
            for (name, value) in entries(limit, list) {
                let of = entry(&at(&path, list), name);
                resource_name(&mut errors, text(limit, "type"), name, &of);
                if let Err(error) = Quantity::of(value) {
                    errors.push(FieldError::invalid(&of, value.clone(), error.to_string()));
                }
                resources.insert(name.as_str());
            }
        }
        if text(limit, "type") == "PersistentVolumeClaim"
            && ["min", "max"].iter().all(|list| !is_set(&limit[list], "storage"))
        {
            let detail = "either minimum or maximum storage value is required, but neither was provided";
            errors.push(FieldError::required(at(&path, "limits"), detail));
        }
        for name in resources {
            amounts(&mut errors, limit, name, &path);
        }
    }
    errors
}

fn type_of(errors: &mut Errors, limit: &Value, path: &str) {
    let name = text(limit, "type");
    let bad = names::qualified_name(name);
    if !bad.is_empty() {
        wrong(errors, path, name, bad);
    } else if !name.contains('/') && !TYPES.contains(&name) {
        let detail = "must be a standard limit type or fully qualified";
        errors.push(FieldError::invalid(path, name, detail));
    }
}

fn resource_name(errors: &mut Errors, kind: &str, name: &str, path: &str) {
    if matches!(kind, "Pod" | "Container") {
        names_of::name_of(errors, name, path);
    } else {
        names_of::standard_name(errors, name, path);
    }
}

/// The amounts of one resource must go together.
fn amounts(errors: &mut Errors, limit: &Value, name: &str, path: &str) {
    let is_pod = text(limit, "type") == "Pod";
    let of = |list: &str| {
        let unread = is_pod && matches!(list, "default" | "defaultRequest");
        let value = Some(&limit[list][name]).filter(|value| !value.is_null() && !unread)?;
        Quantity::of(value).ok()
    };
    let place = |list: &str| entry(&at(path, list), name);
    let (min, max, given_limit) = (of("min"), of("max"), of("default"));
    let (request, ratio) = (of("defaultRequest"), of("maxLimitRequestRatio"));
    // Which is not to be above which, where that is told, and whose value is shown.
    let pairs = [
        (min, max, "min", "min value", "max value", min),
        (min, request, "defaultRequest", "min value", "default request value", request),
        (request, max, "defaultRequest", "default request value", "max value", request),
        (request, given_limit, "defaultRequest", "default request value", "default limit value", request),
        (min, given_limit, "default", "min value", "default value", min),
        (given_limit, max, "default", "default value", "max value", max),
    ];
    for (less, more, list, less_name, more_name, shown) in pairs {
        let (Some(less), Some(more), Some(shown)) = (less, more, shown) else { continue };
        if less > more {
            let detail = format!("{less_name} {less} is greater than {more_name} {more}");
            errors.push(FieldError::invalid(place(list), shown.to_string(), detail));
        }
    }
    if let Some(ratio) = ratio {
        ratio_of(errors, ratio, min.zip(max), &place("maxLimitRequestRatio"));
    }
    if !names_of::is_overcommit_allowed(name)
        && let (Some(limit), Some(request)) = (given_limit, request)
        && limit != request
    {
        let detail = format!("default value {limit} must equal to defaultRequest value {request} in {name}");
        errors.push(FieldError::invalid(place("defaultRequest"), request.to_string(), detail));
    }
}

fn ratio_of(errors: &mut Errors, ratio: Quantity, bounds: Option<(Quantity, Quantity)>, path: &str) {
    if ratio < Quantity::whole(1) {
        let detail = format!("ratio {ratio} is less than 1");
        errors.push(FieldError::invalid(path, ratio.to_string(), detail));
    }
    let Some((min, max)) = bounds else { return };
    let float = |quantity: Quantity| quantity.millis() as f64;
    let most = float(max) / float(min);
    if float(ratio) / 1000.0 > most {
        let detail = format!("ratio {ratio} is greater than max/min = {most:.6}");
        errors.push(FieldError::invalid(path, ratio.to_string(), detail));
    }
}
