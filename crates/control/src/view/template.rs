//! A template in a view, of pods or of Jobs: read as JSON, shared with the spec that it stands in.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Whoever has a spec as JSON, or makes it when it is read.
pub type SharedSpec = Arc<dyn Deref<Target = Value> + Send + Sync>;

/// A template. It reads as its JSON value, and is cheap to clone.
#[derive(Clone)]
pub struct Template(Place);

/// Where a template is.
#[derive(Clone)]
enum Place {
    /// It stands alone.
    Alone(Arc<Value>),
    /// In this field of a spec.
    In(SharedSpec, &'static str),
}

impl Template {
    /// The template that a spec has in this field.
    #[must_use]
    pub fn of(spec: SharedSpec, field: &'static str) -> Template {
        Template(Place::In(spec, field))
    }
}

impl Deref for Template {
    type Target = Value;

    fn deref(&self) -> &Value {
        match &self.0 {
            Place::Alone(value) => value,
            Place::In(spec, field) => &spec[*field],
        }
    }
}

impl Default for Template {
    fn default() -> Template {
        Template(Place::Alone(Arc::default()))
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", **self)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        **self == **other
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        Value::deserialize(deserializer).map(|value| Template(Place::Alone(Arc::new(value))))
    }
}
