//! Request bodies: read within a bound, decoded by content type, fitted to the kind's schema.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::time::timeout;

use super::App;
use super::dispatch::Call;
use super::options::FieldValidation;
use super::request::media;
use super::room::Room;
use crate::error::ApiError;
use crate::kind::Kind;
use crate::kinds;
use crate::registry::Known;
use crate::rights::{Role, User};
use crate::schema;

/// The media type of Kubernetes' protobuf envelope.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Reads a body within the bounds: its size, the room that its sender's bodies have and that all have together, and the
/// time it may take. The room is its own as long as its bytes are worked on.
pub(super) async fn read(
    body: Body,
    limit: usize,
    user: &User,
    app: &App,
) -> Result<(Bytes, Room), ApiError> {
    let patience = Duration::from_secs(app.limits.body_timeout_s);
    timeout(patience, within(body, limit, user, app)).await.unwrap_or_else(|_| {
        let text = format!("the request's body did not arrive within {} seconds", patience.as_secs());
        Err(ApiError::new(408, "Timeout", text))
    })
}

async fn within(body: Body, limit: usize, user: &User, app: &App) -> Result<(Bytes, Room), ApiError> {
    let said = body.size_hint();
    // One that says that it is too large is not begun; one that says nothing may become as large as any.
    if usize::try_from(said.lower()).is_ok_and(|least| least > limit) {
        return Err(too_large(limit));
    }
    let most = said.upper().and_then(|most| usize::try_from(most).ok()).map_or(limit, |most| most.min(limit));
    let room = app.bodies.take(user, most).await;
    let room = room.map_err(|_| ApiError::new(503, "ServiceUnavailable", "the server is shutting down"))?;
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok((collected.to_bytes(), room)),
        Err(cause) if cause.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(cause) => Err(ApiError::bad_request(format!("reading the body: {cause}"))),
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
}

/// What bodies may be.
const KNOWN: [&str; 3] = ["application/json", "application/yaml", PROTOBUF];

/// 415 for a body that could not be read, whatever it says and however it is asked for.
pub(super) fn check_media(headers: &HeaderMap) -> Result<(), ApiError> {
    let header = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // As nearly all are.
    if matches!(header, "" | "application/json") {
        return Ok(());
    }
    let media = media(header).0;
    if media.is_empty() || KNOWN.contains(&media.as_str()) { Ok(()) } else { Err(unsupported(&KNOWN)) }
}

/// A body as a JSON value, with strict decoding's complaints, whatever it was sent as. Nothing is expected of its kind.
pub(crate) fn decode(headers: &HeaderMap, body: &[u8]) -> Result<(Value, Vec<String>), ApiError> {
    let header = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
    let fault = |e: schema::DecodeError| ApiError::bad_request(e.to_string());
    match media(header).0.as_str() {
        "application/json" | "" => {
            schema::parse(body, false).map(|d| (d.object, d.complaints)).map_err(fault)
        }
        "application/yaml" => schema::parse(body, true).map(|d| (d.object, d.complaints)).map_err(fault),
        PROTOBUF => schema::parse_protobuf(body).map(|object| (object, Vec::new())).map_err(fault),
        _ => Err(unsupported(&KNOWN)),
    }
}

/// A body as `DeleteOptions`, fitted to their schema: a field of a wrong type is a 400, and no wish that is passed over.
/// Unknown fields are dropped without a word, and any apiVersion is theirs.
///
/// Source: upstream apiserver, `endpoints/handlers/delete.go`, `util/apihelpers` (`GetMetaInternalVersionCodecs`).
pub(super) fn delete_options(headers: &HeaderMap, body: &[u8]) -> Result<Value, ApiError> {
    let (mut sent, _) = decode(headers, body)?;
    if sent.is_null() {
        sent = serde_json::json!({});
    }
    check_head(&sent).map_err(ApiError::bad_request)?;
    let kind = sent["kind"].as_str().filter(|kind| !kind.is_empty()).unwrap_or("DeleteOptions");
    if kind != "DeleteOptions" {
        let version = sent["apiVersion"].as_str().filter(|text| !text.is_empty()).unwrap_or("meta.k8s.io/v1");
        let text =
            format!("the body is no DeleteOptions: no kind {kind:?} is registered for version {version:?}");
        return Err(ApiError::bad_request(text));
    }
    let schema = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
    schema::fit(schema, &mut sent).map_err(|cause| ApiError::bad_request(cause.to_string()))?;
    Ok(sent)
}

/// Whether version and kind can be looked for: they stand in an object and are texts, in the words of Go's decoder.
fn check_head(object: &Value) -> Result<(), String> {
    let begin = "couldn't get version/kind; json parse error: json: cannot unmarshal";
    if let Some(found) = no_object(object) {
        return Err(format!(
            "{begin} {found} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
             Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        ));
    }
    for field in ["apiVersion", "kind"] {
        let found = match &object[field] {
            Value::Null | Value::String(_) => continue,
            Value::Object(_) => "object",
            other => no_object(other).unwrap_or_default(),
        };
        return Err(format!("{begin} {found} into Go struct field .{field} of type string"));
    }
    Ok(())
}

/// 415, naming what is accepted.
pub(crate) fn unsupported(accepted: &[&str]) -> ApiError {
    ApiError::new(
        415,
        "UnsupportedMediaType",
        format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        ),
    )
}

/// A body as an object of `kind`, fitted to its schema. What the schema does not know is refused, or named in `warnings`.
pub(crate) fn object(
    kind: &Kind,
    headers: &HeaderMap,
    body: &[u8],
    validation: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiError> {
    let unrecognized = |cause: &str| {
        let (kind, shown) = (kind.kind, summary(body));
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {cause} ({shown})"
        ))
    };
    let (mut object, mut complaints) = decode(headers, body).map_err(|error| match error.code {
        400 => unrecognized(&error.message),
        _ => error,
    })?;
    check_head(&object).map_err(|cause| unrecognized(&cause))?;
    check_type(&object, kind)?;
    complaints.extend(fit(kind, &mut object)?);
    warnings.append(&mut judge(kind, complaints, validation)?);
    Ok(object)
}

/// A body in JSON as an object of `kind` whose spec is known, fitted to its schema but for that, and what is known. None
/// if there is anything to be said of it, or its spec is not known: then its text may be what to remember.
pub(crate) fn known<'a>(call: &Call, body: &'a [u8]) -> (Option<&'a str>, Option<(Value, Arc<Known>)>) {
    let header =
        call.headers.get(CONTENT_TYPE).map_or("application/json", |v| v.to_str().unwrap_or_default());
    // What others may write is looked at whole.
    if header != "application/json" || call.user.role != Role::Administrator {
        return (None, None);
    }
    let Some((mut object, text)) =
        call.app.registry.keeps_specs(call.kind).then(|| schema::parse_but(body, "spec")).flatten()
    else {
        return (None, None);
    };
    let Some(spec) = call.app.registry.known_spec(call.kind, text) else { return (Some(text), None) };
    let is_plain =
        check_type(&object, call.kind).is_ok() && fit(call.kind, &mut object).is_ok_and(|c| c.is_empty());
    (None, is_plain.then_some((object, spec)))
}

/// Go's word for what a body is that is no object.
pub(super) fn no_object(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(_) | Value::Null => None,
        Value::Array(_) => Some("array"),
        Value::String(_) => Some("string"),
        Value::Number(_) => Some("number"),
        Value::Bool(_) => Some("bool"),
    }
}

/// The start of a body as upstream shows it: JSON as it is, anything else in hexadecimal.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 1024;
    let (start, more) = (&body[..body.len().min(SHOWN)], if body.len() > SHOWN { " ..." } else { "" });
    match start {
        [] => "<empty>".to_owned(),
        [b'{', ..] => format!("{}{more}", String::from_utf8_lossy(start)),
        _ => start.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + more,
    }
}

/// Fits an object to its kind's schema; a value of the wrong type is a 400.
pub(crate) fn fit(kind: &Kind, object: &mut Value) -> Result<Vec<String>, ApiError> {
    // An empty list says what one empty entry does, and would be dropped like any other.
    let metadata = object.get_mut("metadata");
    if let Some(Value::Array(entries)) = metadata.and_then(|metadata| metadata.get_mut("managedFields"))
        && entries.is_empty()
    {
        entries.push(serde_json::json!({}));
    }
    schema::fit(kind.schema, object).map_err(|e| cannot_be_handled(kind, &e.to_string()))
}

/// What becomes of strict decoding's complaints: an error, warnings, or nothing.
pub(crate) fn judge(
    kind: &Kind,
    complaints: Vec<String>,
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Strict if !complaints.is_empty() => {
            Err(cannot_be_handled(kind, &format!("strict decoding error: {}", complaints.join(", "))))
        }
        FieldValidation::Strict | FieldValidation::Warn => Ok(complaints),
    }
}

fn cannot_be_handled(kind: &Kind, cause: &str) -> ApiError {
    ApiError::bad_request(format!(
        "{} in version {:?} cannot be handled as a {}: {cause}",
        kind.kind, kind.version, kind.kind
    ))
}

/// An object may leave its type out; if it has one, it is the path's.
pub(crate) fn check_type(object: &Value, kind: &Kind) -> Result<(), ApiError> {
    let api_version = kind.api_version();
    // Upstream reads a slash alone as no group and no version.
    let given = |field: &str| object[field].as_str().filter(|text| !matches!(*text, "" | "/"));
    let found = (given("apiVersion").unwrap_or(&api_version), given("kind").unwrap_or(kind.kind));
    if found == (&*api_version, kind.kind) {
        return Ok(());
    }
    let (of, name) = found;
    // Upstream still takes its version before, of the same fields.
    if (of, name, kind.kind) == ("policy/v1beta1", "Eviction", "Eviction") {
        return Ok(());
    }
    let version = of.rsplit('/').next().unwrap_or(of);
    let cause = if kinds::by_kind(of, name).is_some() {
        let package = kind.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
        format!("converting ({version}.{name}) to ({package}.{}): unknown conversion", kind.kind)
    } else {
        format!("no kind {name:?} is registered for version {of:?}")
    };
    Err(ApiError::bad_request(format!(
        "{name} in version {version:?} cannot be handled as a {}: {cause}",
        kind.kind
    )))
}
