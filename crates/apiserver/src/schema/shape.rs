//! What values look like: the type words of the table.

use std::collections::BTreeMap;

use super::table::table;

/// What a value looks like.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Shape {
    /// One value; the word is Go's name of the type, for messages.
    Scalar(Scalar, &'static str),
    /// A type of the table.
    Ref(usize),
    /// A list.
    List(Box<Shape>),
    /// A map from strings.
    Map(Box<Shape>),
}

/// The kinds of single values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scalar {
    /// Text.
    String,
    /// True or false.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// Bytes, base64 in JSON.
    Bytes,
    /// RFC 3339 with seconds.
    Time,
    /// RFC 3339 with microseconds.
    MicroTime,
    /// A number with a unit.
    Quantity,
    /// A whole number of 32 bits, or text.
    IntOrString,
    /// Any JSON.
    Raw,
    /// Any JSON object that names fields.
    Fields,
}

impl Shape {
    pub(super) fn read(word: &'static str, names: &BTreeMap<&'static str, usize>) -> Self {
        if let Some(inner) = word.strip_prefix("[]") {
            return Self::List(Box::new(Self::read(inner, names)));
        }
        if let Some(inner) = word.strip_prefix("map:") {
            return Self::Map(Box::new(Self::read(inner, names)));
        }
        if let Some(place) = word.strip_prefix('=').and_then(|name| names.get(name)) {
            return Self::Ref(*place);
        }
        let (scalar, go) = match word {
            "bool" => (Scalar::Bool, "bool"),
            "int32" => (Scalar::Int32, "int32"),
            "int64" => (Scalar::Int64, "int64"),
            "bytes" => (Scalar::Bytes, "[]uint8"),
            "time" => (Scalar::Time, "v1.Time"),
            "microtime" => (Scalar::MicroTime, "v1.MicroTime"),
            "quantity" => (Scalar::Quantity, "resource.Quantity"),
            "intorstring" => (Scalar::IntOrString, "intstr.IntOrString"),
            "fields" => (Scalar::Fields, "v1.FieldsV1"),
            "string" => (Scalar::String, "string"),
            _ => match word.strip_prefix("string:") {
                Some(go) => (Scalar::String, go),
                None => (Scalar::Raw, "runtime.RawExtension"),
            },
        };
        Self::Scalar(scalar, go)
    }

    /// Go's name of the type, for messages.
    pub(super) fn go_name(&self) -> String {
        match self {
            Self::Scalar(_, go) => (*go).to_owned(),
            Self::Ref(place) => format!("v1.{}", table().get(*place).go_name()),
            Self::List(inner) => format!("[]{}", inner.go_name()),
            // The only map that has a name of its own.
            Self::Map(inner) if matches!(**inner, Self::Scalar(Scalar::Quantity, _)) => {
                "v1.ResourceList".to_owned()
            }
            Self::Map(inner) => format!("map[string]{}", inner.go_name()),
        }
    }
}
