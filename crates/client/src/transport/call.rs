//! One request in the making: the path, the query, the body.

use http::{Method, Request};
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use bytes::Bytes;

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A request in the making.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    body: Option<(&'static str, Bytes)>,
    is_repeatable: bool,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        let is_repeatable = method == Method::GET;
        Call { method, path: path.into(), query: String::new(), body: None, is_repeatable }
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
        self.typed("application/json", body)
    }

    pub(crate) fn merge_patch(self, body: &Value) -> Self {
        self.typed("application/merge-patch+json", body)
    }

    fn typed(mut self, kind: &'static str, body: &Value) -> Self {
        self.body = Some((kind, body.to_string().into()));
        self
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
        request = request.header(http::header::ACCEPT, "application/json");
        let Some((kind, body)) = &self.body else { return request.body(Body::empty()) };
        request.header(http::header::CONTENT_TYPE, *kind).body(Body::from(body.to_vec()))
    }
}

/// A name as one segment of a path, whatever it holds.
pub(crate) fn segment(name: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(name, SEGMENT).to_string()
}
