//! A pod template in a view: read as JSON, shared with the spec that it stands in.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A pod template. It reads as its JSON value, and is cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// The template, or the whole spec that has it.
    value: Arc<Value>,
    /// Whether it is the spec.
    is_spec: bool,
}

impl Template {
    /// The template of a Job's spec.
    #[must_use]
    pub fn of(spec: Arc<Value>) -> Template {
        Template { value: spec, is_spec: true }
    }
}

impl Deref for Template {
    type Target = Value;

    fn deref(&self) -> &Value {
        if self.is_spec { &self.value["template"] } else { &self.value }
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        **self == **other
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        Ok(Template { value: Arc::new(Value::deserialize(deserializer)?), is_spec: false })
    }
}
