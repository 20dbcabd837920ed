//! A template in a view, of pods or of Jobs: read as JSON, shared with the spec that it stands in.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A template. It reads as its JSON value, and is cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// The template, or the whole spec that has it.
    value: Arc<Value>,
    /// Where in the spec it stands.
    field: Option<&'static str>,
}

impl Template {
    /// The template that a spec has in this field.
    #[must_use]
    pub fn of(spec: Arc<Value>, field: &'static str) -> Template {
        Template { value: spec, field: Some(field) }
    }
}

impl Deref for Template {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self.field {
            Some(field) => &self.value[field],
            None => &self.value,
        }
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        **self == **other
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        Ok(Template { value: Arc::new(Value::deserialize(deserializer)?), field: None })
    }
}
