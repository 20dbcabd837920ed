//! Validation errors in upstream's words: a path, a cause, the bad value, the detail.
//!
//! Grammar: `<path>: <cause>: <value>: <detail>` (apimachinery, util/validation/field/errors.go).

use serde_json::Value;

/// Why a field is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It must be given.
    Required,
    /// Its value is malformed or out of bounds.
    Invalid,
    /// Its value is wrong as a whole and not worth printing.
    InvalidUnsaid,
    /// Its value is none of a closed set.
    NotSupported,
    /// Its value stands twice in a list that allows it once.
    Duplicate,
    /// It may not be given here.
    Forbidden,
    /// It is longer than allowed.
    TooLong,
    /// The list has too many items.
    TooMany,
    /// It names something that is not there.
    NotFound,
    /// Its value has the wrong type.
    TypeInvalid,
}

/// One refused field.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldError {
    /// Where, e.g. `spec.template.spec.containers[0].image`.
    pub path: String,
    /// Why.
    pub cause: Cause,
    /// The value found there; printed for Invalid, NotSupported, Duplicate, NotFound and TypeInvalid.
    pub value: Value,
    /// What would be right.
    pub detail: String,
}

/// What a validation returns: every problem, not the first.
pub type Errors = Vec<FieldError>;

impl FieldError {
    /// A field that must be given.
    pub fn required(path: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError { path: path.into(), cause: Cause::Required, value: Value::Null, detail: detail.into() }
    }
    /// A malformed value.
    pub fn invalid(
        path: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError { path: path.into(), cause: Cause::Invalid, value: value.into(), detail: detail.into() }
    }
    /// A wrong value that is not printed: a list or structure whose parts do not go together.
    pub fn invalid_unsaid(path: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError {
            path: path.into(),
            cause: Cause::InvalidUnsaid,
            value: Value::Null,
            detail: detail.into(),
        }
    }
    /// A value outside a closed set.
    pub fn not_supported(path: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> FieldError {
        let list = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
        FieldError {
            path: path.into(),
            cause: Cause::NotSupported,
            value: value.into(),
            detail: format!("supported values: {list}"),
        }
    }
    /// A value that stands twice.
    pub fn duplicate(path: impl Into<String>, value: impl Into<Value>) -> FieldError {
        FieldError { path: path.into(), cause: Cause::Duplicate, value: value.into(), detail: String::new() }
    }
    /// A field that may not be given or changed.
    pub fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError { path: path.into(), cause: Cause::Forbidden, value: Value::Null, detail: detail.into() }
    }
    /// A text that is too long, in bytes.
    pub fn too_long(path: impl Into<String>, limit: usize) -> FieldError {
        FieldError {
            path: path.into(),
            cause: Cause::TooLong,
            value: Value::Null,
            detail: format!("may not be more than {limit} bytes"),
        }
    }
    /// A list that is too long.
    pub fn too_many(path: impl Into<String>, count: usize, limit: usize) -> FieldError {
        FieldError {
            path: path.into(),
            cause: Cause::TooMany,
            value: Value::from(count),
            detail: format!("must have at most {limit} items"),
        }
    }
    /// The `reason` of the cause in a Status.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.cause {
            Cause::Required => "FieldValueRequired",
            Cause::Invalid | Cause::InvalidUnsaid => "FieldValueInvalid",
            Cause::NotSupported => "FieldValueNotSupported",
            Cause::Duplicate => "FieldValueDuplicate",
            Cause::Forbidden => "FieldValueForbidden",
            Cause::TooLong => "FieldValueTooLong",
            Cause::TooMany => "FieldValueTooMany",
            Cause::NotFound => "FieldValueNotFound",
            Cause::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
    /// The message without the path, as a Status cause carries it.
    #[must_use]
    pub fn message(&self) -> String {
        let word = match self.cause {
            Cause::Required => "Required value",
            Cause::Invalid | Cause::InvalidUnsaid | Cause::TypeInvalid => "Invalid value",
            Cause::NotSupported => "Unsupported value",
            Cause::Duplicate => "Duplicate value",
            Cause::Forbidden => "Forbidden",
            Cause::TooLong => "Too long",
            Cause::TooMany => "Too many",
            Cause::NotFound => "Not found",
        };
        let value = match self.cause {
            Cause::Required | Cause::Forbidden | Cause::TooLong | Cause::InvalidUnsaid => String::new(),
            Cause::Invalid
            | Cause::TypeInvalid
            | Cause::NotSupported
            | Cause::Duplicate
            | Cause::TooMany
            | Cause::NotFound => {
                format!(": {}", self.value)
            }
        };
        let detail = if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        format!("{word}{value}{detail}")
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message())
    }
}
