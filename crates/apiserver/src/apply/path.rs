//! Places in an object: one step of a path is a field, an item by its keys or by its value, or an index.
//!
//! As text they are `.spec.containers[name="main"].image`; in `fieldsV1` they are `f:`, `k:`, `v:` and `i:`. Knows no
//! types. Source: structured-merge-diff, fieldpath/element.go and serialize-pe.go.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

/// One step of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Element {
    /// A field of a struct, or a key of a map.
    Field(String),
    /// The item of a list that has these keys, sorted by name.
    Key(Vec<(String, Scalar)>),
    /// The member of a set.
    Value(Scalar),
    /// The item at a place of a list.
    Index(i64),
}

/// A single value with an order: numbers, texts, booleans, anything else as its JSON.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Scalar {
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(Float),
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// What should not be a key and is kept all the same.
    Other(String),
}

/// A number that is not whole, ordered by IEEE's total order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Float(f64);

/// A path, for messages.
pub(crate) struct Path<'a>(pub(crate) &'a [Element]);

/// A step of `fieldsV1` that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ElementError(String);

impl ElementError {
    /// What is below a step is a map of steps.
    pub(super) fn not_a_map(found: &Value) -> ElementError {
        ElementError(format!("{found}: the steps below a step are the keys of a map"))
    }
}

impl Element {
    /// A field by its name.
    pub(crate) fn field(name: impl Into<String>) -> Element {
        Element::Field(name.into())
    }

    /// Reads a step of `fieldsV1`; none if it is of a kind that this version does not know, which is passed over.
    pub(crate) fn parse(text: &str) -> Result<Option<Element>, ElementError> {
        let refuse = |cause: &dyn fmt::Display| ElementError(format!("{text:?}: {cause}"));
        let Some((kind, rest)) = text.split_at_checked(2).filter(|(kind, _)| kind.ends_with(':')) else {
            return Err(refuse(&"a step needs a letter, a colon and what it names"));
        };
        Ok(Some(match kind {
            "f:" => Element::Field(rest.to_owned()),
            "v:" => {
                let value: Value = serde_json::from_str(rest).map_err(|e| refuse(&e))?;
                Element::Value(Scalar::of(&value))
            }
            "k:" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|e| refuse(&e))?;
                Element::keys(keys.iter().map(|(name, value)| (name.as_str(), value)))
            }
            "i:" => Element::Index(rest.parse().map_err(|e| refuse(&e))?),
            _ => return Ok(None),
        }))
    }

    /// An item by its keys.
    pub(crate) fn keys<'a>(keys: impl Iterator<Item = (&'a str, &'a Value)>) -> Element {
        let mut keys: Vec<_> = keys.map(|(name, value)| (name.to_owned(), Scalar::of(value))).collect();
        keys.sort_unstable();
        Element::Key(keys)
    }

    /// About how many bytes it takes as text.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Element::Field(name) => name.len(),
            Element::Value(value) => value.bytes(),
            Element::Key(keys) => keys.iter().map(|(name, value)| name.len() + value.bytes()).sum(),
            Element::Index(_) => 0,
        }
    }

    /// The step as `fieldsV1` has it.
    pub(crate) fn render(&self) -> String {
        match self {
            Element::Field(name) => format!("f:{name}"),
            Element::Value(value) => format!("v:{}", value.json()),
            Element::Index(at) => format!("i:{at}"),
            Element::Key(keys) => {
                let pairs: Vec<String> =
                    keys.iter().map(|(name, value)| format!("{}:{}", quoted(name), value.json())).collect();
                format!("k:{{{}}}", pairs.join(","))
            }
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(keys) => {
                let pairs: Vec<String> =
                    keys.iter().map(|(name, value)| format!("{name}={}", value.shown())).collect();
                write!(f, "[{}]", pairs.join(","))
            }
            Element::Value(value) => write!(f, "[={}]", value.shown()),
            Element::Index(at) => write!(f, "[{at}]"),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}

impl Scalar {
    /// A value that stands for an item.
    pub(crate) fn of(value: &Value) -> Scalar {
        match value {
            Value::String(text) => Scalar::Text(text.clone()),
            Value::Bool(set) => Scalar::Bool(*set),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Scalar::Int(whole),
                (None, Some(number)) => Scalar::Float(Float(number)),
                (None, None) => Scalar::Other(number.to_string()),
            },
            other => Scalar::Other(other.to_string()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Scalar::Text(text) | Scalar::Other(text) => text.len(),
            Scalar::Int(_) | Scalar::Float(_) | Scalar::Bool(_) => 0,
        }
    }

    fn json(&self) -> String {
        match self {
            Scalar::Int(number) => number.to_string(),
            Scalar::Float(Float(number)) => {
                Number::from_f64(*number).map_or_else(|| "null".to_owned(), |number| number.to_string())
            }
            Scalar::Text(text) => quoted(text),
            Scalar::Bool(set) => set.to_string(),
            Scalar::Other(json) => json.clone(),
        }
    }

    /// As messages show it: Go quotes texts nearly as JSON does.
    fn shown(&self) -> String {
        match self {
            Scalar::Text(text) => format!("{text:?}"),
            other => other.json(),
        }
    }
}

/// A text as Go's JSON has it, which writes the signs of HTML as escapes.
fn quoted(text: &str) -> String {
    let plain = Value::from(text).to_string();
    plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

impl Ord for Float {
    fn cmp(&self, other: &Float) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Float) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Float) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Float {}
