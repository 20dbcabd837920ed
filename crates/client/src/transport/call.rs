//! One request in the making: the path, the query, the body.

use http::{Method, Request};
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use bytes::Bytes;

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

const JSON: &str = "application/json";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// A request in the making.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    body: Option<(&'static str, Bytes)>,
    accept: &'static str,
    is_repeatable: bool,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        let is_repeatable = method == Method::GET;
        let (path, query) = (path.into(), String::new());
        Call { method, path, query, body: None, accept: JSON, is_repeatable }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Call::new(Method::GET, path)
    }

    /// Says that it does no harm to send it twice: it changes nothing then, or nothing more.
    pub(crate) fn repeatable(self) -> Self {
        Call { is_repeatable: true, ..self }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, QUERY));
        self
    }

    pub(crate) fn query_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.typed(JSON, body)
    }

    pub(crate) fn merge_patch(self, body: &Value) -> Self {
        self.typed("application/merge-patch+json", body)
    }

    /// Asks for the metadata of a list's objects alone; a server that does not know how answers with all of them.
    pub(crate) fn metadata_only(self) -> Self {
        Call { accept: METADATA, ..self }
    }

    fn typed(mut self, kind: &'static str, body: &Value) -> Self {
        self.body = Some((kind, body.to_string().into()));
        self
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it only reads.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether it may be sent twice.
    pub(super) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    pub(super) fn build(&self) -> Result<Request<Body>, http::Error> {
        let address = format!("{}{}", self.path, self.query);
        let mut request = Request::builder().method(self.method.clone()).uri(address);
        request = request.header(http::header::ACCEPT, self.accept);
        let Some((kind, body)) = &self.body else { return request.body(Body::empty()) };
        request.header(http::header::CONTENT_TYPE, *kind).body(Body::from(body.to_vec()))
    }
}

/// A name as one segment of a path, whatever it holds.
pub(crate) fn segment(name: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(name, SEGMENT).to_string()
}
