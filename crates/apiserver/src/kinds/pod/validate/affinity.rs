//! Which nodes a pod asks for, and near which pods it would be.

use serde_json::Value;

use crate::field::{Errors, FieldError};
use crate::kinds::json::{int, is_set, items, text};
use crate::kinds::pod::label_keys;
use crate::kinds::rules::{at, item, optional_choice, wrong};
use crate::kinds::selector;
use crate::names;

/// Every problem of the affinities in a pod's spec.
pub(super) fn check(errors: &mut Errors, spec: &Value, path: &str) {
    of_node(errors, spec, path);
    for of in ["podAffinity", "podAntiAffinity"] {
        let (affinity, path) = (&spec["affinity"][of], at(path, &format!("affinity.{of}")));
        let key = "requiredDuringSchedulingIgnoredDuringExecution";
        for (i, term) in items(affinity, key).iter().enumerate() {
            near(errors, term, &item(&at(&path, key), i));
        }
        let key = "preferredDuringSchedulingIgnoredDuringExecution";
        for (i, preferred) in items(affinity, key).iter().enumerate() {
            let path = item(&at(&path, key), i);
            weight(errors, preferred, &path);
            near(errors, &preferred["podAffinityTerm"], &at(&path, "podAffinityTerm"));
        }
    }
    let constraints = items(spec, "topologySpreadConstraints");
    for (i, constraint) in constraints.iter().enumerate() {
        spread(errors, constraint, &constraints[i + 1..], &item(&at(path, "topologySpreadConstraints"), i));
    }
}

/// A term about other pods: the label that says how near, and whose.
fn near(errors: &mut Errors, term: &Value, path: &str) {
    selector::validate(errors, &term["labelSelector"], &at(path, "labelSelector"));
    selector::validate(errors, &term["namespaceSelector"], &at(path, "namespaceSelector"));
    for name in items(term, "namespaces").iter().filter_map(Value::as_str) {
        wrong(errors, &at(path, "namespace"), name, names::dns_label(name));
    }
    label_keys::validate(errors, term, path);
    let (key, path) = (text(term, "topologyKey"), at(path, "topologyKey"));
    if key.is_empty() {
        errors.push(FieldError::required(&path, "can not be empty"));
    }
    wrong(errors, &path, key, names::qualified_name(key));
}

fn spread(errors: &mut Errors, constraint: &Value, later: &[Value], path: &str) {
    let skew = int(constraint, "maxSkew").unwrap_or(0);
    if skew <= 0 {
        errors.push(FieldError::invalid(at(path, "maxSkew"), skew, "must be greater than zero"));
    }
    if text(constraint, "topologyKey").is_empty() {
        errors.push(FieldError::required(at(path, "topologyKey"), "can not be empty"));
    }
    let choices = ["DoNotSchedule", "ScheduleAnyway"];
    if !choices.contains(&text(constraint, "whenUnsatisfiable")) {
        let given = text(constraint, "whenUnsatisfiable");
        errors.push(FieldError::not_supported(at(path, "whenUnsatisfiable"), given, &choices));
    }
    let pair = |of: &Value| (text(of, "topologyKey").to_owned(), text(of, "whenUnsatisfiable").to_owned());
    let (key, action) = pair(constraint);
    if later.iter().any(|other| pair(other) == (key.clone(), action.clone())) {
        let path = at(path, "{topologyKey, whenUnsatisfiable}");
        errors.push(FieldError::duplicate(path, format!("{{{key}, {action}}}")));
    }
    spread_details(errors, constraint, &action, path);
}

fn spread_details(errors: &mut Errors, constraint: &Value, action: &str, path: &str) {
    if let Some(domains) = int(constraint, "minDomains") {
        let path = at(path, "minDomains");
        if domains <= 0 {
            errors.push(FieldError::invalid(&path, domains, "must be greater than zero"));
        }
        if action != "DoNotSchedule" {
            let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errors.push(FieldError::invalid(&path, domains, detail));
        }
    }
    for key in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
        optional_choice(errors, constraint, path, key, &["Honor", "Ignore"]);
    }
    label_keys::validate(errors, constraint, path);
    selector::validate(errors, &constraint["labelSelector"], &at(path, "labelSelector"));
}

fn weight(errors: &mut Errors, preferred: &Value, path: &str) {
    let weight = int(preferred, "weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(at(path, "weight"), weight, "must be in the range 1-100"));
    }
}

fn of_node(errors: &mut Errors, spec: &Value, path: &str) {
    let (affinity, path) = (&spec["affinity"]["nodeAffinity"], at(path, "affinity.nodeAffinity"));
    let key = "requiredDuringSchedulingIgnoredDuringExecution";
    if is_set(affinity, key) {
        node_selector(errors, &affinity[key], &at(&path, key));
    }
    let key = "preferredDuringSchedulingIgnoredDuringExecution";
    for (i, preferred) in items(affinity, key).iter().enumerate() {
        let path = item(&at(&path, key), i);
        weight(errors, preferred, &path);
        // Values that no label can have only mean that the preference is never met.
        term(errors, &preferred["preference"], &at(&path, "preference"), false);
    }
}

/// Every problem of terms of which a node must fit one.
pub(crate) fn node_selector(errors: &mut Errors, selector: &Value, path: &str) {
    let path = at(path, "nodeSelectorTerms");
    let terms = items(selector, "nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(FieldError::required(&path, "must have at least one node selector term"));
    }
    for (i, of) in terms.iter().enumerate() {
        term(errors, of, &item(&path, i), true);
    }
}

fn term(errors: &mut Errors, of: &Value, path: &str, check_values: bool) {
    for (i, expression) in items(of, "matchExpressions").iter().enumerate() {
        let path = item(&at(path, "matchExpressions"), i);
        on_label(errors, expression, &path);
        for (i, value) in items(expression, "values").iter().filter_map(Value::as_str).enumerate() {
            if check_values {
                wrong(errors, &item(&at(&path, "values"), i), value, names::label_value(value));
            }
        }
    }
    for (i, expression) in items(of, "matchFields").iter().enumerate() {
        on_field(errors, expression, &item(&at(path, "matchFields"), i));
    }
}

fn on_label(errors: &mut Errors, expression: &Value, path: &str) {
    let (operator, count) = (text(expression, "operator"), items(expression, "values").len());
    let values = at(path, "values");
    match operator {
        "In" | "NotIn" if count == 0 => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(values, detail));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(values, detail));
        }
        "Gt" | "Lt" if count != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(FieldError::required(values, detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => {
            errors.push(FieldError::invalid(at(path, "operator"), other, "not a valid selector operator"));
        }
    }
    let key = text(expression, "key");
    wrong(errors, &at(path, "key"), key, names::qualified_name(key));
}

fn on_field(errors: &mut Errors, expression: &Value, path: &str) {
    let values = items(expression, "values");
    match text(expression, "operator") {
        "In" | "NotIn" if values.len() != 1 => errors.push(FieldError::required(
            at(path, "values"),
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        )),
        "In" | "NotIn" => {}
        other => {
            errors.push(FieldError::invalid(at(path, "operator"), other, "not a valid selector operator"));
        }
    }
    match text(expression, "key") {
        "metadata.name" => {
            for (i, name) in values.iter().filter_map(Value::as_str).enumerate() {
                wrong(errors, &item(&at(path, "values"), i), name, names::dns_subdomain(name));
            }
        }
        other => {
            errors.push(FieldError::invalid(at(path, "key"), other, "not a valid field selector key"));
        }
    }
}
