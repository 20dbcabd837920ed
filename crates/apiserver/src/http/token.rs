//! `serviceaccounts/NAME/token`: a token for a service account, which `kubectl create token` asks for.
//!
//! Source: upstream pkg/registry/core/serviceaccount/storage/token.go.

use http::StatusCode;
use serde_json::{Value, json};

use super::dispatch::Call;
use super::respond::{self, Answer};
use super::{body, options};
use crate::error::{ApiError, Subject};
use crate::field::{Errors, FieldError};
use crate::kinds;
use crate::registry::meta;
use crate::rights::{AUDIENCE, Bound, LONGEST, Order, SHORTEST, account};
use crate::schema;

/// Seconds that a token lasts if the request does not say.
const USUAL: i64 = 3600;

/// `POST` of a TokenRequest.
pub(super) async fn create(mut call: Call, warnings: &mut Vec<String>) -> Answer {
    let validation = options::of_write("CreateOptions", &call.query)?.validation;
    let bytes = call.body().await?;
    let kind = &kinds::TOKEN_REQUEST;
    let mut request = body::object(kind, &call.headers, &bytes, validation, warnings)?;
    let subject = kind.subject(&call.name);
    for (field, of_url) in [("name", call.name.as_str()), ("namespace", call.namespace().unwrap_or_default())]
    {
        let given = meta::text(&request, field);
        if !given.is_empty() && given != of_url {
            let detail = format!("must match the service account {field} if specified");
            let error = FieldError::invalid(format!("metadata.{field}"), given, detail);
            return Err(ApiError::invalid(&subject, &vec![error]));
        }
    }
    let owner = call.app.registry.get(call.kind, call.namespace(), &call.name)?;
    let (uid, given) = (meta::text(&owner, "uid"), meta::text(&request, "uid"));
    if !given.is_empty() && given != uid {
        let subject = Subject { resource: "TokenRequest", ..subject };
        let detail = format!(
            "the UID in the token request ({given}) does not match the UID of the service account ({uid})"
        );
        return Err(ApiError::conflict(&subject, detail));
    }
    let seconds = complete(&call, &mut request, &owner)?;
    let bound = bound(&call, &request["spec"]["boundObjectRef"])?;
    let issued = call.app.gate.accounts.issue(&Order {
        account: &owner,
        audiences: texts(&request["spec"]["audiences"]),
        seconds,
        bound: bound.as_ref().map(|(kind, object)| Bound { kind, object }),
    })?;
    request["status"] = json!({"token": issued.token, "expirationTimestamp": meta::time(issued.expires)});
    request["kind"] = kind.kind.into();
    request["apiVersion"] = kind.api_version().into();
    schema::dress(kind.schema, &mut request);
    Ok(respond::json(StatusCode::CREATED, &request))
}

/// Fills in what the request does not say, and checks how long the token is to last.
fn complete(call: &Call, request: &mut Value, owner: &Value) -> Result<i64, ApiError> {
    for field in ["name", "namespace", "uid"] {
        meta::set(request, field, meta::text(owner, field).into());
    }
    meta::set(request, "creationTimestamp", meta::time(call.app.registry.world.now()).into());
    if !request["spec"].is_object() {
        request["spec"] = json!({});
    }
    let spec = &mut request["spec"];
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(USUAL);
    spec["expirationSeconds"] = seconds.into();
    if texts(&spec["audiences"]).is_empty() {
        spec["audiences"] = json!([AUDIENCE]);
    }
    if !spec["boundObjectRef"].is_object() {
        spec["boundObjectRef"] = Value::Null;
    }
    let mut errors = Errors::new();
    let path = "spec.expirationSeconds";
    if seconds < SHORTEST {
        errors.push(FieldError::invalid(path, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > LONGEST {
        let detail = "may not specify a duration larger than 2^32 seconds";
        errors.push(FieldError::invalid(path, seconds, detail));
    }
    if errors.is_empty() {
        return Ok(seconds);
    }
    Err(ApiError::invalid(&kinds::TOKEN_REQUEST.subject(""), &errors))
}

/// The object that the token is to end with, and its kind.
fn bound(call: &Call, reference: &Value) -> Result<Option<(&'static str, Value)>, ApiError> {
    if !reference.is_object() {
        return Ok(None);
    }
    let text = |key: &str| reference[key].as_str().unwrap_or_default();
    let (version, kind_name, name) = (text("apiVersion"), text("kind"), text("name"));
    let known = ["Pod", "Secret", "Node"].into_iter().find(|known| *known == kind_name);
    // Of the core group whatever the version, as upstream.
    let known = known.filter(|_| !version.contains('/'));
    let Some((known, kind)) = known.and_then(|known| Some((known, kinds::by_kind("v1", known)?))) else {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let text = format!("cannot bind token to object of type {group}/{version}, Kind={kind_name}");
        return Err(ApiError::bad_request(text));
    };
    let object = call.app.registry.get(kind, call.namespace().filter(|_| kind.namespaced), name)?;
    if known == "Pod" && account(&object["spec"]) != call.name {
        return Err(ApiError::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            call.name
        )));
    }
    let (given, uid) = (text("uid"), meta::text(&object, "uid"));
    if !given.is_empty() && given != uid {
        let subject = Subject { resource: kind.plural, ..kind.subject(name) };
        let detail = format!(
            "the UID in the bound object reference ({given}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(&subject, detail));
    }
    Ok(Some((known, object)))
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}
