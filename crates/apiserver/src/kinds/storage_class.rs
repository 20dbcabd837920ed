//! storage.k8s.io/v1 storage classes.
//!
//! Source of the rules: upstream pkg/apis/storage/validation/validation.go, pkg/apis/storage/v1/defaults.go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::common::{AGE, NAME, PLAIN, column, never};
use super::json::{entries, fill, fill_text, flag, is_set, items, text};
use super::rules::{at, immutable, item, optional_choice, required, wrong};
use super::table;
use crate::field::{Errors, FieldError};
use crate::kind::{Column, Kind};
use crate::names;

/// Marks the class of claims that name none.
pub(crate) const DEFAULT_MARK: &str = "storageclass.kubernetes.io/is-default-class";
/// The older spelling of the same.
const OLD_DEFAULT_MARK: &str = "storageclass.beta.kubernetes.io/is-default-class";
/// Bytes of all parameters, and how many they may be.
const PARAMETER_BYTES: usize = 256 << 10;
const PARAMETERS: usize = 512;

/// The row.
pub(super) const KIND: Kind = Kind {
    group: "storage.k8s.io",
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    namespaced: false,
    schema: "io.k8s.api.storage.v1.StorageClass",
    default: fill_defaults,
    validate,
    validate_update,
    columns: COLUMNS,
    cells,
    rest: never,
    ..PLAIN
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Provisioner", "Who makes its volumes."),
    column("ReclaimPolicy", "What becomes of a volume without its claim."),
    column("VolumeBindingMode", "When a claim gets its volume."),
    column("AllowVolumeExpansion", "Whether claims may grow."),
    AGE,
];

fn fill_defaults(class: &mut Value) {
    (PLAIN.default)(class);
    fill_text(class, "reclaimPolicy", "Delete");
    fill(class, "volumeBindingMode", "Immediate");
}

fn validate(class: &Value) -> Errors {
    let mut errors = Errors::new();
    required(&mut errors, class, "", "provisioner");
    let provisioner = text(class, "provisioner");
    if !provisioner.is_empty() {
        let lower = provisioner.to_lowercase();
        let bad = names::qualified_name(&lower);
        wrong(&mut errors, "provisioner", lower, bad);
    }
    parameters(&mut errors, class);
    optional_choice(&mut errors, class, "", "reclaimPolicy", &["Delete", "Retain"]);
    optional_choice(&mut errors, class, "", "volumeBindingMode", &["Immediate", "WaitForFirstConsumer"]);
    topologies(&mut errors, class);
    errors
}

/// Where volumes of the class may be: terms of labels, none empty and none twice.
fn topologies(errors: &mut Errors, class: &Value) {
    let mut seen: Vec<BTreeMap<&str, BTreeSet<&str>>> = vec![BTreeMap::new()];
    for (i, term) in items(class, "allowedTopologies").iter().enumerate() {
        let path = at(&item("allowedTopologies", i), "matchLabelExpressions");
        let mut asked = BTreeMap::new();
        for (i, expression) in items(term, "matchLabelExpressions").iter().enumerate() {
            let (key, values) = label(errors, expression, &item(&path, i));
            if asked.insert(key, values).is_some() {
                errors.push(FieldError::duplicate(at(&item(&path, i), "key"), key));
            }
        }
        if seen.contains(&asked) {
            errors.push(FieldError::duplicate(path, ""));
        }
        seen.push(asked);
    }
}

/// A label and the values that it may have. Source: `validateTopologySelectorLabelRequirement` of
/// pkg/apis/core/validation.
fn label<'a>(errors: &mut Errors, expression: &'a Value, path: &str) -> (&'a str, BTreeSet<&'a str>) {
    let (key, path_of_values) = (text(expression, "key"), at(path, "values"));
    let given = items(expression, "values");
    if given.is_empty() {
        errors.push(FieldError::required(&path_of_values, ""));
    }
    let mut values = BTreeSet::new();
    for (i, value) in given.iter().filter_map(Value::as_str).enumerate() {
        if !values.insert(value) {
            errors.push(FieldError::duplicate(item(&path_of_values, i), value));
        }
    }
    wrong(errors, &at(path, "key"), key, names::qualified_name(key));
    (key, values)
}

fn parameters(errors: &mut Errors, class: &Value) {
    if entries(class, "parameters").count() > PARAMETERS {
        errors.push(FieldError::too_long("parameters", PARAMETERS));
        return;
    }
    let mut bytes = 0;
    for (key, value) in entries(class, "parameters") {
        if key.is_empty() {
            errors.push(FieldError::invalid("parameters", "", "field can not be empty."));
        }
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > PARAMETER_BYTES {
        errors.push(FieldError::too_long("parameters", PARAMETER_BYTES));
    }
}

fn validate_update(new: &Value, old: &Value, _: bool) -> Errors {
    let mut errors = validate(new);
    for key in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
        immutable(&mut errors, new, old, "", key);
    }
    errors
}

/// Whether claims that name no class get this one.
pub(crate) fn is_default(class: &Value) -> bool {
    let annotations = &class["metadata"]["annotations"];
    [DEFAULT_MARK, OLD_DEFAULT_MARK].iter().any(|mark| annotations[mark] == "true")
}

fn cells(class: &Value, now: Timestamp) -> Vec<Value> {
    let name = text(&class["metadata"], "name");
    let name = if is_default(class) { format!("{name} (default)") } else { name.to_owned() };
    let or =
        |key: &str, absent: &'static str| if is_set(class, key) { class[key].clone() } else { absent.into() };
    vec![
        name.into(),
        text(class, "provisioner").into(),
        or("reclaimPolicy", "Delete"),
        or("volumeBindingMode", "Immediate"),
        flag(class, "allowVolumeExpansion").into(),
        table::age(class, now),
    ]
}
