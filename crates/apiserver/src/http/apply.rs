//! Server-side apply: `PATCH` with `application/apply-patch+yaml`. What is not there is created.
//!
//! Source: apiserver, endpoints/handlers/patch.go (`applyPatcher`).

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;

use super::author::Author;
use super::authorize::{self, Guard};
use super::body;
use super::dispatch::Call;
use super::options::{FieldValidation, WriteOptions};
use super::respond::Answer;
use crate::apply;
use crate::error::ApiError;
use crate::registry::{ChangeFn, Door, meta};
use crate::schema;

/// How often an object is looked for again that comes and goes between the looks.
const LOOKS: usize = 8;

/// Applies a body to an object or to its status.
pub(super) async fn apply(
    call: Call,
    door: Door,
    WriteOptions { dry_run, validation }: WriteOptions,
    bytes: Bytes,
    warnings: &mut Vec<String>,
) -> Answer {
    let (applied, mut said) = read(&bytes, validation)?;
    warnings.append(&mut said);
    let apply = Apply {
        author: Author::of(&call, door),
        guard: Guard::of(&call),
        applied: Arc::new(applied),
        force: call.query.is("force")?,
        manager: call.query.text("fieldManager").to_owned(),
        kind: call.kind,
        now: meta::time(call.app.registry.world.now()),
    };
    let registry = &call.app.registry;
    for _ in 0..LOOKS {
        let updated =
            registry.update(call.kind, call.namespace(), &call.name, door, dry_run, apply.change()).await;
        match updated {
            Err(error) if error.reason == "NotFound" && door == Door::Main => {}
            Err(error) => return Err(error),
            Ok(stored) => {
                if door == Door::Main {
                    warnings.extend((call.kind.warnings)(&stored));
                }
                return call.answer(StatusCode::OK, stored);
            }
        }
        authorize::check_verb(&call, &Method::POST)?;
        let object = apply.make(&call)?;
        let begun = warnings.len();
        match registry.create_entry(call.kind, call.namespace(), object, dry_run, warnings).await {
            Err(error) if error.reason == "AlreadyExists" => warnings.truncate(begun),
            Err(error) => return Err(error),
            Ok(created) => return call.answer(StatusCode::CREATED, created.whole()),
        }
    }
    Err(ApiError::conflict(&call.kind.subject(&call.name), "it keeps being created and deleted; try again"))
}

/// The body, which kubectl writes in JSON.
fn read(bytes: &[u8], validation: FieldValidation) -> Result<(Value, Vec<String>), ApiError> {
    let undecoded =
        |cause: &dyn std::fmt::Display| ApiError::bad_request(format!("error decoding YAML: {cause}"));
    let decoded = schema::parse(bytes, true).map_err(|cause| undecoded(&cause))?;
    if let Some(found) = body::no_object(&decoded.object) {
        return Err(undecoded(&format_args!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )));
    }
    match validation {
        FieldValidation::Ignore => Ok((decoded.object, Vec::new())),
        FieldValidation::Strict if !decoded.complaints.is_empty() => {
            let complaints = decoded.complaints.join(", ");
            Err(ApiError::bad_request(format!("error strict decoding YAML: {complaints}")))
        }
        FieldValidation::Strict | FieldValidation::Warn => Ok((decoded.object, decoded.complaints)),
    }
}

/// What is applied, by whom.
#[derive(Clone)]
struct Apply {
    author: Author,
    guard: Guard,
    applied: Arc<Value>,
    force: bool,
    manager: String,
    kind: &'static crate::kind::Kind,
    now: String,
}

impl Apply {
    /// What it does to an object that is there.
    fn change(&self) -> ChangeFn {
        let this = self.clone();
        Arc::new(move |old| {
            let new = this.result(Some(old))?;
            this.guard.check_change(old, &new)?;
            Ok(new)
        })
    }

    /// The object that it makes.
    fn make(&self, call: &Call) -> Result<Value, ApiError> {
        let mut object = self.result(None)?;
        // Which version it was to be is not asked of what was not there.
        meta::set(&mut object, "resourceVersion", Value::Null);
        let (uid, name) = (meta::text(&object, "uid"), meta::text(&object, "name"));
        if !uid.is_empty() {
            let detail = format_args!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(ApiError::conflict(&self.kind.subject(&call.name), detail));
        }
        if name != call.name {
            return Err(ApiError::other_name(name, &call.name));
        }
        self.guard.check(&object)?;
        Ok(object)
    }

    fn result(&self, old: Option<&Value>) -> Result<Value, ApiError> {
        let writer = self.author.writer(&self.manager, &self.now);
        let mut new = apply::apply(self.kind, old, &self.applied, self.force, writer)?;
        // Of undeclared fields there are none: they were refused.
        body::fit(self.kind, &mut new)?;
        Ok(new)
    }
}
