//! What of a kind a request selects, read page by page at one revision, and the tokens by which clients go on.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_store::{Entry, ListRequest, Page, ReadError, Revision, Store, Tags};

use super::dispatch::Call;
use super::options;
use super::request::Query;
use crate::error::ApiError;
use crate::field::{Errors, FieldError};
use crate::kind::Kind;
use crate::registry::{read_error, too_large_revision};
use crate::selectors::Selector;

/// What of a kind a request selects, read page by page at one revision.
pub(super) struct Pages {
    pub(super) kind: &'static Kind,
    pub(super) selector: Arc<Selector>,
    pub(super) prefix: String,
    /// Whether the prefix is the key of the one object that can pass.
    pub(super) one: bool,
    store: Store,
    limit: Option<usize>,
    at: Option<Revision>,
    after: Option<String>,
    continued: bool,
}

/// One page.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) revision: Revision,
    /// The last key that was looked at, if more follow.
    pub(super) last: Option<String>,
    remaining: Option<usize>,
}

/// What a continue token holds.
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    /// The revision that the pages show; none to go on at the newest.
    rv: Option<u64>,
    after: String,
}

const TOKEN_VERSION: &str = "windlass/1";

impl Pages {
    /// The selection and page that a list request asks for.
    pub(super) fn read(call: &Call) -> Result<Pages, ApiError> {
        let query = &call.query;
        check_numbers(query)?;
        check_options(query)?;
        let mut pages = Pages::all(call)?;
        pages.limit =
            query.number("limit")?.filter(|n| *n > 0).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        if let Some(token) = query.get("continue") {
            if query.get("resourceVersion").is_some_and(|version| version != "0") {
                let text = "specifying resource version is not allowed when using continue";
                return Err(ApiError::bad_request(text));
            }
            let token = Token::read(token, &pages.prefix)?;
            pages.at = token.rv.map(Revision);
            pages.after = Some(token.after);
            pages.continued = true;
            return Ok(pages);
        }
        let asked = revision(query)?;
        let newest = pages.store.revision();
        if asked > newest {
            return Err(too_large_revision(asked.0, newest.0));
        }
        // A page of a version, if nothing else is said, is a page of just that one.
        let is_exact = match query.text("resourceVersionMatch") {
            "" => pages.limit.is_some() && asked > Revision(0),
            matching => matching == "Exact",
        };
        if is_exact {
            pages.at = Some(asked);
        }
        Ok(pages)
    }

    /// All that the selectors select, newest state.
    pub(super) fn all(call: &Call) -> Result<Pages, ApiError> {
        let kind = call.kind;
        let selector =
            Selector::parse(kind, call.query.text("labelSelector"), call.query.text("fieldSelector"))?;
        let namespace = call.namespace().or_else(|| selector.exactly("metadata.namespace"));
        let name =
            Some(call.name.as_str()).filter(|n| !n.is_empty()).or_else(|| selector.exactly("metadata.name"));
        // One object is looked up by its key, if the key is known.
        let one = name.filter(|_| namespace.is_some() || !kind.namespaced);
        let prefix = match one {
            Some(name) => kind.key(namespace, name),
            None => kind.prefix(namespace),
        };
        Ok(Pages {
            kind,
            one: one.is_some(),
            selector: Arc::new(selector),
            prefix,
            store: call.app.registry.store.clone(),
            limit: None,
            at: None,
            after: None,
            continued: false,
        })
    }

    /// Whether the request wants all that follows.
    pub(super) fn unlimited(&self) -> bool {
        self.limit.is_none()
    }

    /// Sets how many entries a page holds at most.
    pub(super) fn limit(&mut self, limit: usize) {
        self.limit = Some(limit);
    }

    /// The next page. Asked again, it goes on where this one ended, at the same revision.
    pub(super) fn next(&mut self) -> Result<Found, ApiError> {
        let passes = |tags: &Tags| self.selector.passes_tags(tags);
        let request = ListRequest {
            prefix: &self.prefix,
            after_key: self.after.as_deref(),
            // The key itself comes before all that begin with it.
            limit: if self.one { Some(1) } else { self.limit },
            at: self.at,
            tagged: self.selector.tag(),
            filter: if self.selector.is_empty() { None } else { Some(&passes) },
        };
        let Page { mut entries, revision, more, remaining } =
            self.store.list(&request).map_err(|e| self.read_error(&e))?;
        let last = entries.last().filter(|_| more && !self.one).map(|e| e.key.to_string());
        entries.retain(|e| self.wants_key(&e.key));
        self.at = Some(revision);
        self.after.clone_from(&last);
        let remaining = remaining.filter(|_| self.selector.is_empty());
        Ok(Found { entries, revision, last, remaining })
    }

    /// Whether an object is selected as far as its key tells.
    fn wants_key(&self, key: &str) -> bool {
        (!self.one || key == self.prefix) && self.selector.passes_key(self.kind.namespaced, key)
    }

    /// Source: upstream apiserver, `pkg/storage/etcd3/errors.go`.
    fn read_error(&self, error: &ReadError) -> ApiError {
        match (error, &self.after) {
            (ReadError::Compacted { .. }, Some(after)) if self.continued => too_old(after),
            (ReadError::Compacted { .. }, None) => {
                ApiError::expired("The resourceVersion for the provided list is too old.")
            }
            (error, _) => read_error(error),
        }
    }
}

/// 410 with a token by which the list goes on at the newest revision.
fn too_old(after: &str) -> ApiError {
    let token = Token { v: TOKEN_VERSION.to_owned(), rv: None, after: after.to_owned() };
    let error = ApiError::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    ApiError { next: token.write().ok().map(String::into_boxed_str), ..error }
}

impl Found {
    /// The list's metadata.
    pub(super) fn metadata(&self, call: &Call) -> Result<Value, ApiError> {
        let mut metadata = json!({"resourceVersion": self.revision.0.to_string()});
        if let Some(after) = &self.last {
            let token =
                Token { v: TOKEN_VERSION.to_owned(), rv: Some(self.revision.0), after: after.clone() };
            metadata["continue"] = token.write()?.into();
            if let Some(remaining) = self.remaining {
                metadata["remainingItemCount"] = remaining.into();
            }
        }
        tracing::debug!(kind = call.kind.kind, entries = self.entries.len(), "listed");
        Ok(metadata)
    }
}

impl Token {
    fn read(text: &str, prefix: &str) -> Result<Token, ApiError> {
        let fault = |cause: &str| {
            ApiError::bad_request(format!("invalid continue token: continue key is not valid: {cause}"))
        };
        let bytes = BASE64.decode(text).map_err(|e| fault(&e.to_string()))?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|e| fault(&e.to_string()))?;
        if token.v != TOKEN_VERSION {
            return Err(fault("it was not made by this server"));
        }
        if !token.after.starts_with(prefix) {
            return Err(fault("it was made for another list"));
        }
        Ok(token)
    }

    fn write(&self) -> Result<String, ApiError> {
        Ok(BASE64.encode(serde_json::to_vec(self).map_err(ApiError::internal)?))
    }
}

/// Reads a continue token; one that is taken is one that would be written, for the list it was made for.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn continued(text: &str) {
    const LIST: &str = "/jobs.batch/default/";
    let Ok(token) = Token::read(text, LIST) else { return };
    let written = token.write().expect("a token is written as JSON");
    let again = Token::read(&written, LIST).expect("what was written is read");
    assert!((again.rv, &again.after) == (token.rv, &token.after) && token.after.starts_with(LIST));
}

/// Whether the numbers of `ListOptions` can be read, asked before anything else of them.
pub(super) fn check_numbers(query: &Query) -> Result<(), ApiError> {
    ["timeoutSeconds", "limit"].into_iter().try_for_each(|name| query.number(name).map(drop))
}

/// The resource version a query names; 0 if none.
pub(super) fn revision(query: &Query) -> Result<Revision, ApiError> {
    let Some(text) = query.get("resourceVersion") else { return Ok(Revision(0)) };
    text.parse().map(Revision).map_err(|_| {
        let detail = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        let error = FieldError::invalid("resourceVersion", text, detail);
        ApiError::bad_request(format!("invalid resource version: {error}"))
    })
}

/// Combinations that upstream refuses (apimachinery, meta/internalversion/validation).
fn check_options(query: &Query) -> Result<(), ApiError> {
    let (path, version) = ("resourceVersionMatch", query.text("resourceVersion"));
    let mut errors = Errors::new();
    if let Some(matching) = query.get(path) {
        if version.is_empty() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(FieldError::forbidden(path, detail));
        }
        if query.get("continue").is_some() {
            let detail = "resourceVersionMatch is forbidden when continue is provided";
            errors.push(FieldError::forbidden(path, detail));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(path, matching, &["Exact", "NotOlderThan", ""]));
        }
        if matching == "Exact" && version == "0" {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
    if query.flag("sendInitialEvents")?.is_some() {
        errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    options::checked("ListOptions", &errors)
}
