//! What a server's refusal, or the lack of an answer, means.

use std::error::Error as StdError;
use std::time::Duration;

use http::HeaderMap;
use hyper_util::client::legacy;
use kube::client::AuthError;
use serde_json::Value;

use crate::{Error, JobManager};

/// The reason of a fault that is our own patience's end.
pub(super) const TIMEOUT: &str = "Timeout";
/// The reason of a fault that came before anything was sent.
const REFUSED: &str = "ConnectionRefused";

/// A server's refusal, or the lack of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The HTTP status; 0 if there was no answer.
    pub(crate) code: u16,
    /// The Status' reason: `AlreadyExists`, `Invalid`...
    pub(crate) reason: String,
    /// The Status' message, or the connection's.
    pub(crate) message: String,
    /// How long the server asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the request may have been carried out by a sending before this one, whose answer was lost.
    pub(crate) perhaps_done: bool,
}

impl Fault {
    pub(crate) fn silent(message: impl std::fmt::Display) -> Self {
        Fault { message: message.to_string(), ..Fault::default() }
    }

    /// Our own patience's end.
    pub(super) fn timeout(after: Duration) -> Self {
        let message = format!("no answer in {} s", after.as_secs());
        Fault { reason: TIMEOUT.to_owned(), ..Fault::silent(message) }
    }

    /// A refusal as a server sends it.
    pub(crate) fn of_answer(code: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let status: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut fault = Fault::of_status(code, &status);
        if fault.message.is_empty() {
            fault.message = String::from_utf8_lossy(&body[..body.len().min(400)]).trim().to_owned();
        }
        if fault.message.is_empty() {
            fault.message = format!("HTTP status {code} without a word");
        }
        // Seconds; a date is for browsers, and a clock that jumps would make nonsense of it.
        let header =
            headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        fault.retry_after = header.map(Duration::from_secs).or(fault.retry_after);
        fault
    }

    /// A Status, with the code that it or its answer has.
    pub(crate) fn of_status(code: u16, status: &Value) -> Self {
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        let told = status["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let code = if code == 0 { told.unwrap_or(0) } else { code };
        let retry_after = status["details"]["retryAfterSeconds"].as_u64().filter(|seconds| *seconds > 0);
        let retry_after = retry_after.map(Duration::from_secs);
        Fault { code, reason: text("reason"), message: text("message"), retry_after, perhaps_done: false }
    }

    /// A fault of the client: the innermost cause says it best, and is said once.
    pub(crate) fn of_client(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            let (reason, message) = (status.reason.clone(), status.message.clone());
            return Fault { code: status.code, reason, message, ..Fault::default() };
        }
        let (mut cause, mut is_auth, mut is_connect): (&dyn StdError, _, _) = (error, false, false);
        loop {
            is_auth |= cause.is::<AuthError>() || matches!(cause.downcast_ref(), Some(kube::Error::Auth(_)));
            is_connect |= cause.downcast_ref().is_some_and(legacy::Error::is_connect);
            match cause.source() {
                Some(inner) => cause = inner,
                None => break,
            }
        }
        // Credentials that cannot be had (a login that has expired, a plugin that fails) are as good as refused ones.
        let code = if is_auth { 401 } else { 0 };
        let reason = if is_connect { REFUSED.to_owned() } else { String::new() };
        Fault { code, reason, ..Fault::silent(cause) }
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

    /// A revision, or the token of a next page, that the server no longer knows.
    pub(crate) fn is_expired(&self) -> bool {
        self.code == 410
    }

    /// A revision that the server does not know yet: it was restored from a backup, or another one of several is
    /// ahead of it (504 `Timeout`, `k8s.io/apiserver/pkg/storage/errors.go`).
    pub(crate) fn is_from_the_future(&self) -> bool {
        self.code == 504 && self.message.to_ascii_lowercase().contains("too large resource version")
    }

    /// Whether nothing was sent: no connection could be made.
    pub(crate) fn was_refused(&self) -> bool {
        self.code == 0 && self.reason == REFUSED
    }

    /// Whether the request may have been carried out nevertheless.
    pub(crate) fn may_be_done(&self) -> bool {
        self.perhaps_done || matches!(self.code, 0 | 408 | 500..) && !self.was_refused()
    }

    /// Whether the same request may be answered later: no answer, too much to do, or a server's own failure.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.code, 0 | 408 | 429 | 500 | 502..=504)
    }
}

impl JobManager {
    /// What a fault means to whoever asked for this job.
    pub(crate) fn error(&self, job: &str, fault: Fault) -> Error {
        let (context, job, message) = (self.context.clone(), job.to_owned(), fault.message);
        let namespace = self.namespace.clone();
        let is_namespace = message.starts_with("namespaces ");
        let is_ending = message.contains("because it is being terminated");
        match (fault.code, fault.reason.as_str()) {
            (0, _) => Error::Unreachable { context, message },
            (401, _) => Error::Unauthorized { context, message, login: self.door.login().to_owned() },
            (403, _) if is_ending => Error::NamespaceEnding { namespace, context },
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
}
