//! Reviews: who one is, what one may do, whom a token means. They are answered and not stored.
//!
//! Sources: upstream pkg/registry/{authentication,authorization} and pkg/apis/authorization/validation.

use http::StatusCode;
use serde_json::{Value, json};

use super::dispatch::Call;
use super::respond::{self, Answer};
use super::{body, options};
use crate::error::{ApiError, Subject};
use crate::field::{Errors, FieldError};
use crate::registry::meta;
use crate::rights::{AUDIENCE, Ask, Target, User, decide, rules};
use crate::schema;

/// `POST` of a review.
pub(super) async fn create(mut call: Call, warnings: &mut Vec<String>) -> Answer {
    let validation = options::of_write("CreateOptions", &call.query)?.validation;
    let bytes = call.body().await?;
    let sent = body::object(call.kind, &call.headers, &bytes, validation, warnings)?;
    let mut object = json!({"kind": call.kind.kind, "apiVersion": call.kind.api_version()});
    match call.kind.kind {
        "SelfSubjectReview" => {
            let now = meta::time(call.app.registry.world.now());
            object["metadata"] = json!({"creationTimestamp": now});
            object["status"] = json!({"userInfo": call.user.info()});
        }
        "SelfSubjectRulesReview" => {
            // The rules hold everywhere; upstream wants a namespace nonetheless.
            if sent["spec"]["namespace"].as_str().unwrap_or_default().is_empty() {
                return Err(ApiError::bad_request("no namespace on request"));
            }
            object["status"] = rules(call.user.role);
        }
        "TokenReview" => {
            object["metadata"] = metadata(&sent);
            object["spec"] = sent["spec"].clone();
            object["status"] = token_review(&call, &sent["spec"])?;
        }
        _ => {
            check_access(&call, &sent)?;
            object["metadata"] = metadata(&sent);
            object["spec"] = sent["spec"].clone();
            let who = match call.kind.kind {
                "SelfSubjectAccessReview" => (*call.user).clone(),
                _ => said(&call, &sent["spec"]),
            };
            object["status"] = access(&who, &sent["spec"]);
        }
    }
    schema::dress(call.kind.schema, &mut object);
    Ok(respond::json(StatusCode::CREATED, &object))
}

/// The metadata as it was sent; there always is some.
fn metadata(sent: &Value) -> Value {
    if sent["metadata"].is_object() { sent["metadata"].clone() } else { json!({}) }
}

/// Whom a token means (`TokenReviewStatus`).
fn token_review(call: &Call, spec: &Value) -> Result<Value, ApiError> {
    let token = spec["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let mut audiences = texts(&spec["audiences"]);
    if audiences.is_empty() {
        audiences.push(AUDIENCE.to_owned());
    }
    Ok(match call.app.gate.known(token, &audiences) {
        Ok((user, good)) => json!({"authenticated": true, "user": user.info(), "audiences": good}),
        // As upstream: the causes of its authenticators, of which here is one.
        Err(cause) => json!({"user": {}, "error": format!("[invalid bearer token, {cause}]")}),
    })
}

/// Whether it may be done (`SubjectAccessReviewStatus`).
fn access(user: &User, spec: &Value) -> Value {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let (verb, target) = match &spec["resourceAttributes"] {
        of @ Value::Object(_) => {
            let target = Target::Resource {
                group: text(of, "group"),
                resource: text(of, "resource"),
                part: text(of, "subresource"),
                namespace: text(of, "namespace"),
                name: text(of, "name"),
            };
            (text(of, "verb"), target)
        }
        _ => {
            let of = &spec["nonResourceAttributes"];
            (text(of, "verb"), Target::Path(text(of, "path")))
        }
    };
    let decision = decide(user.role, &Ask { verb, target });
    json!({"allowed": decision.is_allowed(), "reason": decision.reason()})
}

/// The user that a review names.
fn said(call: &Call, spec: &Value) -> User {
    call.app.gate.accounts.named(spec["user"].as_str().unwrap_or_default(), &texts(&spec["groups"]))
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

/// 422 if an access review asks two things, nothing, or of nobody.
fn check_access(call: &Call, sent: &Value) -> Result<(), ApiError> {
    let (spec, metadata) = (&sent["spec"], &sent["metadata"]);
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let local = call.kind.kind == "LocalSubjectAccessReview";
    let mut errors = Errors::new();
    match (resource.is_object(), path.is_object()) {
        (true, true) => errors.push(FieldError::invalid(
            "spec.nonResourceAttributes",
            path.clone(),
            "cannot be specified in combination with resourceAttributes",
        )),
        (false, false) => errors.push(FieldError::invalid(
            "spec.resourceAttributes",
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
    if call.kind.kind != "SelfSubjectAccessReview"
        && spec["user"].as_str().unwrap_or_default().is_empty()
        && texts(&spec["groups"]).is_empty()
    {
        let detail = "at least one of user or group must be specified";
        errors.push(FieldError::invalid("spec.user", "", detail));
    }
    let fields = metadata.as_object().into_iter().flatten();
    if fields.into_iter().any(|(key, _)| !(local && key == "namespace")) {
        let detail = if local { "must be empty except for namespace" } else { "must be empty" };
        errors.push(FieldError::invalid("metadata", metadata.clone(), detail));
    }
    if local {
        let namespace = &resource["namespace"];
        if resource.is_object() && namespace.as_str().unwrap_or_default() != meta::text(sent, "namespace") {
            let detail = "must match metadata.namespace";
            errors.push(FieldError::invalid("spec.resourceAttributes.namespace", namespace.clone(), detail));
        }
        if path.is_object() {
            let detail = "disallowed on this kind of request";
            errors.push(FieldError::invalid("spec.nonResourceAttributes", path.clone(), detail));
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let subject = Subject { kind: "", ..call.kind.subject("") };
    Err(ApiError::invalid(&subject, &errors))
}
