//! Label selectors as fields of objects: whether they are well-formed, and whether labels match them.
//!
//! Sources: apimachinery, pkg/apis/meta/v1/validation and pkg/apis/meta/v1/helpers.go.

use serde_json::Value;

use super::json::{entries, items, text};
use super::rules::{at, item, wrong};
use crate::field::{Errors, FieldError};
use crate::names;

/// Every problem of a selector.
pub(super) fn validate(errors: &mut Errors, selector: &Value, path: &str) {
    errors.extend(names::labels(&selector["matchLabels"], &at(path, "matchLabels")));
    for (i, expression) in items(selector, "matchExpressions").iter().enumerate() {
        let path = item(&at(path, "matchExpressions"), i);
        let values = items(expression, "values");
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                at(&path, "values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
                at(&path, "values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(
                    at(&path, "operator"),
                    other,
                    "not a valid selector operator",
                ));
            }
        }
        let key = text(expression, "key");
        wrong(errors, &at(&path, "key"), key, names::qualified_name(key));
        for (i, value) in values.iter().filter_map(Value::as_str).enumerate() {
            wrong(errors, &item(&at(&path, "values"), i), value, names::label_value(value));
        }
    }
}

/// Whether labels match a selector. `None` where the selector is malformed. Without a selector nothing matches; an empty
/// one matches everything.
pub(super) fn matches(selector: &Value, labels: &Value) -> Option<bool> {
    let mut broken = Errors::new();
    validate(&mut broken, selector, "");
    if !broken.is_empty() {
        return None;
    }
    let pairs = entries(selector, "matchLabels").all(|(key, value)| labels.get(key) == Some(value));
    let expressions = items(selector, "matchExpressions").iter().all(|e| {
        let found = labels.get(text(e, "key"));
        let listed = found.is_some_and(|v| items(e, "values").contains(v));
        match text(e, "operator") {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => found.is_some(),
            _ => found.is_none(),
        }
    });
    Some(!selector.is_null() && pairs && expressions)
}
