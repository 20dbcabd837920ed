//! Answers: objects, Status errors, warnings. Knows headers and bytes, nothing of verbs.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

use super::request::Shape;
use super::table;
use crate::error::ApiError;
use crate::kind::Kind;

/// What a handler gives back.
pub(crate) type Answer = Result<Response, ApiError>;

/// Bytes of warnings that one answer may carry (upstream's bound).
const WARNING_BYTES: usize = 4 << 10;

/// An answer of bytes.
pub(crate) fn bytes(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-cache, private"));
    response
}

/// A JSON answer.
pub(crate) fn json(code: StatusCode, value: &Value) -> Response {
    bytes(code, "application/json", value.to_string())
}

/// A plain text.
pub(crate) fn text(code: StatusCode, text: impl Into<String>) -> Response {
    bytes(code, "text/plain; charset=utf-8", text.into())
}

/// The answer for a path that names nothing.
pub(crate) fn unknown_path() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// An error as a Status.
pub(crate) fn error(error: &ApiError) -> Response {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(code, &error.status());
    if let Some(seconds) = error.details.as_ref().and_then(|d| d["retryAfterSeconds"].as_u64()) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Bytes of an answer that is turned into YAML.
const YAML_BYTES: usize = 32 << 20;

/// An answer in JSON as the same in YAML; any other, and one too large to be held, as it is.
pub(crate) async fn as_yaml(response: Response) -> Response {
    let json = HeaderValue::from_static("application/json");
    if response.headers().get(CONTENT_TYPE) != Some(&json) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(read) = Limited::new(body, YAML_BYTES).collect().await else {
        let text = format!("the answer has more than {YAML_BYTES} bytes; ask for it in JSON, or in pages");
        return error(&ApiError::new(406, "NotAcceptable", text));
    };
    let bytes = read.to_bytes();
    let value = serde_json::from_slice::<Value>(&bytes).ok();
    match value.and_then(|value| serde_saphyr::to_string(&value).ok()) {
        Some(text) => {
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
            Response::from_parts(parts, Body::from(text))
        }
        None => Response::from_parts(parts, Body::from(bytes)),
    }
}

/// An object in the shape that is wanted.
pub(crate) fn object(
    code: StatusCode,
    kind: &'static Kind,
    shape: Shape,
    object: Value,
    settings: &table::Settings,
) -> Response {
    match shape {
        Shape::Object => json(code, &object),
        Shape::Metadata(version) => json(code, &table::partial(&object, version)),
        Shape::Table(version) => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            json(code, &table::table(kind, version, &metadata, vec![object], settings))
        }
    }
}

/// A Status that says that all went well.
pub(crate) fn success(code: StatusCode, details: Option<Value>) -> Response {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if let Some(details) = details {
        status["details"] = details;
    }
    if code == StatusCode::CREATED {
        status["code"] = 201.into();
    }
    json(code, &status)
}

/// An answer with warnings, which a refusal carries as well: they may say why.
///
/// Source: upstream apiserver, `endpoints/filters/warning.go`: they are headers of whatever is answered.
pub(crate) fn warned(answer: Answer, warnings: &[String]) -> Answer {
    if warnings.is_empty() {
        return answer;
    }
    let mut response = answer.unwrap_or_else(|refusal| error(&refusal));
    warn(response.headers_mut(), warnings);
    Ok(response)
}

/// Adds `Warning: 299` headers.
pub(crate) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    let mut spent = 0;
    for warning in warnings {
        let text = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
        spent += text.len();
        if spent > WARNING_BYTES {
            return;
        }
        if let Ok(value) = HeaderValue::from_str(&text.replace(|c: char| c.is_control(), " ")) {
            headers.append(WARNING, value);
        }
    }
}
