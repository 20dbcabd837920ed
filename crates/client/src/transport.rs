//! One request and its answer: the path, the query, the time limit, the server's warnings, and what its refusal
//! means.
//!
//! kube's own `Api` neither asks for strict validation on create nor hands out warnings, and does not know the
//! log's `stream`; a request is small enough to be written out.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::feed::pause;
use crate::{Error, JobManager, Result, limits};

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The reason of a fault that is our own patience's end.
const TIMEOUT: &str = "Timeout";

/// A request in the making.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    body: Option<(&'static str, Vec<u8>)>,
}

/// A server's refusal, or the lack of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The HTTP status; 0 if there was no answer.
    pub(crate) code: u16,
    /// The Status' reason: `AlreadyExists`, `Invalid`...
    pub(crate) reason: String,
    /// The Status' message, or the connection's.
    pub(crate) message: String,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Call { method, path: path.into(), query: String::new(), body: None }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Call::new(Method::GET, path)
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
        self.body = Some((kind, body.to_string().into_bytes()));
        self
    }

    fn build(self) -> Result<Request<Body>, http::Error> {
        let mut request = Request::builder().method(self.method).uri(format!("{}{}", self.path, self.query));
        request = request.header(http::header::ACCEPT, "application/json");
        let Some((kind, body)) = self.body else { return request.body(Body::empty()) };
        request.header(http::header::CONTENT_TYPE, kind).body(Body::from(body))
    }
}

impl Fault {
    pub(crate) fn silent(message: impl std::fmt::Display) -> Self {
        Fault { code: 0, reason: String::new(), message: format!("{message}") }
    }

    fn of_body(code: u16, body: &[u8]) -> Self {
        let status: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        let (reason, mut message) = (text("reason"), text("message"));
        if message.is_empty() {
            message = String::from_utf8_lossy(&body[..body.len().min(400)]).trim().to_owned();
        }
        if message.is_empty() {
            message = format!("HTTP status {code} without a word");
        }
        Fault { code, reason, message }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.code == 404
    }

    pub(crate) fn is_already_exists(&self) -> bool {
        self.code == 409 && self.reason == "AlreadyExists"
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.code == 409 && !self.is_already_exists()
    }

    pub(crate) fn is_forbidden(&self) -> bool {
        self.code == 403
    }

    /// Whether the same request may be answered at once if it is sent again: the connection was refused or lost.
    pub(crate) fn was_quick(&self) -> bool {
        self.code == 0 && self.reason != TIMEOUT
    }

    /// Whether the same request may be answered later: no answer, too much to do, or a server's own failure.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.code, 0 | 408 | 429 | 500..)
    }
}

impl From<&kube::Error> for Fault {
    fn from(error: &kube::Error) -> Self {
        silent(error)
    }
}

/// A fault of the `Client`: the innermost cause says it best, and is said once.
fn silent(error: &kube::Error) -> Fault {
    if let kube::Error::Api(status) = error {
        return Fault { code: status.code, reason: status.reason.clone(), message: status.message.clone() };
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // Credentials that cannot be had (a login that has expired, a plugin that fails) are as good as refused ones.
    let code = if matches!(error, kube::Error::Auth(_)) { 401 } else { 0 };
    Fault { code, ..Fault::silent(cause) }
}

/// An answer in full.
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) warnings: Vec<String>,
}

impl JobManager {
    /// Sends a request and reads its answer as JSON. What only reads is sent again when the connection to a cluster
    /// that has answered before is lost.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<Answer<T>, Fault> {
        let mut failures = 0;
        let (headers, body) = loop {
            match self.timed(self.ask_bytes(call.clone())).await? {
                Err(fault) if self.may_resend(&call, &fault, failures) => {
                    self.world.sleep(pause(failures)).await;
                    failures += 1;
                }
                answer => break answer?,
            }
        };
        self.memo.set_answered();
        let value = serde_json::from_slice(&body)
            .map_err(|error| Fault::silent(format!("the answer cannot be read: {error}")))?;
        Ok(Answer { value, warnings: warnings(&headers) })
    }

    fn may_resend(&self, call: &Call, fault: &Fault, failures: u32) -> bool {
        let is_harmless = call.method == Method::GET && self.memo.has_answered();
        is_harmless && fault.was_quick() && failures < limits::RESENDS
    }

    pub(crate) async fn ask_bytes(&self, call: Call) -> Result<(HeaderMap, Bytes), Fault> {
        let response = self.open_untimed(call).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limits::ANSWER).collect().await.map_err(Fault::silent)?;
        Ok((parts.headers, body.to_bytes()))
    }

    /// Sends a request and gives its answer while it comes, if it is one of success.
    pub(crate) async fn open(&self, call: Call) -> Result<Response<Body>, Fault> {
        self.timed(self.open_untimed(call)).await?
    }

    async fn open_untimed(&self, call: Call) -> Result<Response<Body>, Fault> {
        let request = call.build().map_err(Fault::silent)?;
        let response = self.client.send(request).await.map_err(|error| silent(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body =
            Limited::new(response.into_body(), limits::ANSWER).collect().await.map_err(Fault::silent)?;
        Err(Fault::of_body(status.as_u16(), &body.to_bytes()))
    }

    /// The work's value, unless it takes longer than a request may.
    pub(crate) async fn timed<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        let work = std::pin::pin!(work);
        match futures::future::select(work, self.world.sleep(limits::REQUEST)).await {
            futures::future::Either::Left((value, _)) => Ok(value),
            futures::future::Either::Right(_) => {
                let message = format!("no answer in {} s", limits::REQUEST.as_secs());
                Err(Fault { reason: TIMEOUT.to_owned(), ..Fault::silent(message) })
            }
        }
    }

    /// What a fault means to whoever asked for this job.
    pub(crate) fn error(&self, job: &str, fault: Fault) -> Error {
        let (context, job, message) = (self.context.clone(), job.to_owned(), fault.message);
        let namespace = self.namespace.clone();
        let is_namespace = message.starts_with("namespaces ");
        match (fault.code, fault.reason.as_str()) {
            (0, _) => Error::Unreachable { context, message },
            (401, _) => Error::Unauthorized { context, message },
            (403, _) if message.contains("exceeded quota") => Error::OverQuota { context, job, message },
            (403, _) => Error::Forbidden { context, message },
            (404, _) if is_namespace => Error::NoNamespace { namespace, context },
            (404, _) => Error::NotFound { job, namespace },
            (409, "AlreadyExists") => Error::Conflict { job, difference: "and is another submission's" },
            (409, _) => Error::Conflict { job, difference: "and was changed or replaced meanwhile" },
            (400 | 413 | 415 | 422, _) => Error::Invalid { job, message },
            (status, _) => Error::Server { context, message, status },
        }
    }

    /// The path of the jobs of a namespace.
    pub(crate) fn jobs_path(&self) -> String {
        format!("/apis/batch/v1/namespaces/{}/jobs", segment(&self.namespace))
    }

    /// The path of one job.
    pub(crate) fn job_path(&self, name: &str) -> String {
        format!("{}/{}", self.jobs_path(), segment(name))
    }

    /// The path of a collection of the core group.
    pub(crate) fn core_path(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", segment(&self.namespace))
    }
}

/// A name as one segment of a path, whatever it holds.
pub(crate) fn segment(name: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The texts of `Warning: 299 agent "text"` headers (RFC 7234, 5.5).
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(http::header::WARNING).iter().filter_map(|value| value.to_str().ok());
    texts.filter_map(warning).collect()
}

fn warning(header: &str) -> Option<String> {
    let quoted = header.strip_prefix("299 ")?.split_once('"')?.1;
    let mut text = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => text.push(rest.next()?),
            c => text.push(c),
        }
    }
}
