//! Claims of devices: those of the pod, and which of them its containers use.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field::{Cause, Errors, FieldError};
use crate::kinds::json::{is_set, items, text};
use crate::kinds::rules::{at, item, wrong};
use crate::names;

/// Every problem of a pod's claims; the names of all that have one come back. Source: `validatePodResourceClaims`.
pub(super) fn of_pod<'a>(errors: &mut Errors, claims: &'a [Value], path: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (i, claim) in claims.iter().enumerate() {
        let (path, name) = (item(path, i), text(claim, "name"));
        if name.is_empty() {
            errors.push(FieldError::required(at(&path, "name"), ""));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(at(&path, "name"), name));
        } else {
            wrong(errors, &at(&path, "name"), name, names::dns_label(name));
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        match sources.iter().filter(|key| is_set(claim, key)).count() {
            0 => {
                let detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                errors.push(FieldError::invalid(&path, shown(claim), detail));
            }
            1 => {}
            _ => {
                let detail =
                    "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                errors.push(FieldError::invalid(&path, shown(claim), detail));
            }
        }
        for (key, of) in sources.iter().filter_map(|key| Some((key, claim[*key].as_str()?))) {
            wrong(errors, &at(&path, key), of, names::dns_subdomain(of));
        }
    }
    seen
}

/// A claim as upstream prints it: by the names of its own fields.
fn shown(claim: &Value) -> Value {
    json!({
        "Name": text(claim, "name"),
        "ResourceClaimName": claim["resourceClaimName"],
        "ResourceClaimTemplateName": claim["resourceClaimTemplateName"],
    })
}

/// Every problem of the claims that a container names, or a pod where it may name none. Source: `validateResourceClaimNames`.
pub(super) fn of_container(errors: &mut Errors, resources: &Value, known: &BTreeSet<&str>, path: &str) {
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (i, claim) in items(resources, "claims").iter().enumerate() {
        let (path, name, request) = (item(path, i), text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        if seen.contains(&(name, "")) {
            errors.push(FieldError::duplicate(&path, name));
        } else {
            if !request.is_empty() {
                wrong(errors, &at(&path, "request"), request, names::dns_label(request));
            }
            if seen.contains(&(name, request)) {
                errors.push(FieldError::duplicate(&path, format!("{name}/{request}")));
            } else if request.is_empty() {
                // Of a claim that is used as a whole no request may be used alone.
                for _ in seen.iter().filter(|(other, _)| *other == name) {
                    errors.push(FieldError::duplicate(&path, name));
                }
            }
            seen.insert((name, request));
        }
        if !known.contains(name) {
            errors.push(unknown(&path, name, known));
        }
    }
}

fn unknown(path: &str, name: &str, known: &BTreeSet<&str>) -> FieldError {
    let which = match known.is_empty() {
        true => " which is empty".to_owned(),
        false => format!(": {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
    };
    FieldError {
        path: path.to_owned(),
        cause: Cause::NotFound,
        value: name.into(),
        detail: format!("must be one of the names in pod.spec.resourceClaims{which}"),
    }
}
