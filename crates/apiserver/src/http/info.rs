//! What the server says of itself: version, health, OpenAPI documents.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::request::Query;
use super::respond;
use crate::schema;

/// The content type of an OpenAPI v2 document in protobuf: with a dot where the Accept header has `@`,
/// which Go's media type reader refuses.
const OPENAPI_V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// `/version`
pub(super) fn version(git_version: &str) -> Response {
    let mut numbers = git_version.trim_start_matches('v').split(['.', '+', '-']);
    let version = json!({
        "major": numbers.next().unwrap_or_default(),
        "minor": numbers.next().unwrap_or_default(),
        "gitVersion": git_version,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none (Rust)",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    });
    respond::json(StatusCode::OK, &version)
}

/// The machine as Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `/healthz`, `/livez`, `/readyz` and the one check below them.
pub(super) fn health(path: &str, query: &Query, stopping: bool) -> Response {
    let (endpoint, check) = path.split_once('/').unwrap_or((path, ""));
    if !matches!(check, "" | "ping") {
        return respond::unknown_path();
    }
    if stopping && endpoint == "readyz" {
        return respond::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "[-]shutdown failed: the server is stopping\n",
        );
    }
    if query.flag("verbose").is_ok_and(|v| v == Some(true)) {
        return respond::text(StatusCode::OK, format!("[+]ping ok\n{endpoint} check passed\n"));
    }
    respond::text(StatusCode::OK, "ok")
}

/// `/openapi/v2`: an empty document, which is enough for the clients that insist on one.
pub(super) fn openapi_v2(headers: &HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.contains("json") && !accept.contains("protobuf") {
        let document = json!({"swagger": "2.0", "info": {"title": "Windlass", "version": "v1"}, "paths": {}});
        return respond::json(StatusCode::OK, &document);
    }
    respond::bytes(StatusCode::OK, OPENAPI_V2, Bytes::new())
}

/// The OpenAPI v3 documents, each made once.
#[derive(Default)]
pub(super) struct OpenApi {
    index: OnceLock<Value>,
    documents: Mutex<BTreeMap<String, Bytes>>,
}

impl OpenApi {
    /// `/openapi/v3`
    pub(super) fn index(&self) -> Response {
        respond::json(StatusCode::OK, self.known())
    }

    /// `/openapi/v3/PATH`; one that is asked for by its hash may be kept by the client for good.
    pub(super) fn document(&self, path: &str, query: &Query) -> Response {
        let Some(bytes) = self.bytes(path) else { return respond::unknown_path() };
        let mut response = respond::bytes(StatusCode::OK, "application/json", bytes);
        let address = self.known()["paths"][path]["serverRelativeURL"].as_str().unwrap_or_default();
        let current = address.split_once("hash=").map(|(_, hash)| hash);
        if current.is_some() && query.get("hash") == current {
            let value = HeaderValue::from_static("public, immutable, max-age=31536000");
            response.headers_mut().insert(CACHE_CONTROL, value);
        }
        response
    }

    fn known(&self) -> &Value {
        self.index.get_or_init(schema::openapi_index)
    }

    fn bytes(&self, path: &str) -> Option<Bytes> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = documents.get(path) {
            return Some(bytes.clone());
        }
        // Only documents that exist are kept, so that their number is bounded.
        let bytes = Bytes::from(schema::openapi_document(path)?.to_string());
        documents.insert(path.to_owned(), bytes.clone());
        Some(bytes)
    }
}
