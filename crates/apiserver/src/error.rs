//! What the API answers when it cannot do what was asked: every error is a Kubernetes Status.

use serde_json::{Value, json};

use crate::field::{Errors, FieldError};

/// The resource an error speaks of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The plural resource name, e.g. `jobs`.
    pub resource: &'static str,
    /// The kind, e.g. `Job`.
    pub kind: &'static str,
    /// The object's name; empty where there is none yet.
    pub name: String,
}

impl Subject {
    /// `jobs.batch`, or `pods` for the core group.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }
}

/// An answer that is not the object.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason, e.g. `NotFound`.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    /// `details` of the Status: name, group, kind, uid, causes, retryAfterSeconds.
    pub details: Option<Value>,
    /// `metadata.continue` of the Status: how a list goes on all the same.
    pub next: Option<Box<str>>,
}

impl ApiError {
    /// An error without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { code, reason, message: message.into(), details: None, next: None }
    }
    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "BadRequest", message)
    }
    /// 404 for an object.
    #[must_use]
    pub fn not_found(subject: &Subject) -> ApiError {
        ApiError::new(404, "NotFound", format!("{} {:?} not found", subject.qualified(), subject.name))
            .about(subject)
    }
    /// 409: a create met an object of that name.
    #[must_use]
    pub fn already_exists(subject: &Subject) -> ApiError {
        ApiError::new(
            409,
            "AlreadyExists",
            format!("{} {:?} already exists", subject.qualified(), subject.name),
        )
        .about(subject)
    }
    /// 403: admission does not let it through.
    pub fn forbidden(subject: &Subject, message: impl Into<String>) -> ApiError {
        ApiError::new(403, "Forbidden", message).about(subject)
    }
    /// 404 for a path below a group that is served.
    #[must_use]
    pub fn no_such_resource() -> ApiError {
        let mut error = ApiError::new(404, "NotFound", "the server could not find the requested resource");
        error.details = Some(json!({}));
        error
    }
    /// 409: the object is not as the writer thought.
    pub fn conflict(subject: &Subject, detail: impl std::fmt::Display) -> ApiError {
        ApiError::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {} {:?}: {detail}", subject.qualified(), subject.name),
        )
        .about(subject)
    }
    /// 400: the body names another namespace than the path.
    pub(crate) fn other_namespace() -> ApiError {
        let text = "the namespace of the provided object does not match the namespace sent on the request";
        ApiError::bad_request(text)
    }
    /// 400: the body names no object, or another one than the path.
    pub(crate) fn other_name(given: &str, of_url: &str) -> ApiError {
        ApiError::bad_request(if given.is_empty() {
            format!(
                "the name of the object ({of_url} based on URL) was undeterminable: name must be provided"
            )
        } else {
            format!("the name of the object ({given}) does not match the name on the URL ({of_url})")
        })
    }
    /// 409: the uid that a body or a precondition names is not the object's, which may be gone. Clients look for these
    /// words, upstream's, the key in etcd included.
    ///
    /// Source: upstream apiserver, `pkg/storage/interfaces.go` (`Preconditions.Check`) and `pkg/storage/errors.go`;
    /// nodes have their old name in keys, `pkg/kubeapiserver/default_storage_factory_builder.go`.
    #[must_use]
    pub fn other_uid(subject: &Subject, namespace: Option<&str>, given: &str, present: &str) -> ApiError {
        ApiError::unmet(subject, namespace, "UID", given, present)
    }
    /// 409: the object has not the `UID` or `ResourceVersion` that a precondition names.
    pub(crate) fn unmet(
        subject: &Subject,
        namespace: Option<&str>,
        title: &str,
        given: &str,
        present: &str,
    ) -> ApiError {
        let folder = if subject.resource == "nodes" { "minions" } else { subject.resource };
        let place = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let cause = format_args!("{title} in precondition: {given}, {title} in object meta: {present}");
        ApiError::conflict(
            subject,
            format_args!(
                "StorageError: invalid object, Code: 4, Key: /registry/{folder}/{place}{}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: {cause}",
                subject.name
            ),
        )
    }
    /// 409: the resource version is stale.
    #[must_use]
    pub fn stale(subject: &Subject) -> ApiError {
        ApiError::conflict(
            subject,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }
    /// 422: the object is well-formed and wrong; every problem is listed.
    #[must_use]
    pub fn invalid(subject: &Subject, errors: &Errors) -> ApiError {
        let mut texts: Vec<String> = Vec::new();
        for text in errors.iter().map(ToString::to_string) {
            // The same sentence is said once, but stays a cause each time.
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let list = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        let kind = if subject.group.is_empty() {
            subject.kind.to_owned()
        } else {
            format!("{}.{}", subject.kind, subject.group)
        };
        let causes: Vec<Value> = errors.iter().map(cause).collect();
        let mut error =
            ApiError::new(422, "Invalid", format!("{kind} {:?} is invalid: {list}", subject.name));
        error.details = Some(
            json!({"name": subject.name, "group": subject.group, "kind": subject.kind, "causes": causes}),
        );
        error.drop_empty_details();
        error
    }
    /// 500: ours to mend.
    pub fn internal(cause: impl std::fmt::Display) -> ApiError {
        ApiError::new(500, "InternalError", format!("Internal error occurred: {cause}"))
    }
    /// 410: the history asked for is gone.
    pub fn expired(message: impl Into<String>) -> ApiError {
        ApiError::new(410, "Expired", message)
    }
    fn about(mut self, subject: &Subject) -> ApiError {
        self.details = Some(json!({"name": subject.name, "group": subject.group, "kind": subject.resource}));
        self.drop_empty_details();
        self
    }
    fn drop_empty_details(&mut self) {
        if let Some(Value::Object(map)) = &mut self.details {
            map.retain(|_, v| v.as_str() != Some(""));
        }
    }
    /// The Status object that is sent.
    #[must_use]
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        if let Some(next) = &self.next {
            status["metadata"]["continue"] = (**next).into();
        }
        status
    }
}

fn cause(error: &FieldError) -> Value {
    json!({"reason": error.reason(), "message": error.message(), "field": error.path})
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}
