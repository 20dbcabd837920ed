//! Types as server-side apply sees them: what is one value, which lists are sets or merge by keys, which maps merge
//! field by field. It reads the table and decides nothing about objects.
//!
//! Source of the rules: kube-openapi's `schemaconv`, which makes structured-merge-diff's schema out of OpenAPI.

use serde_json::{Map as Object, Value};

use super::table::{Field, Scalar, Shape, Type, table};

/// The type of a value at some place.
#[derive(Clone, Copy)]
pub(crate) struct Node(Inner);

#[derive(Clone, Copy)]
enum Inner {
    Type(&'static Type),
    /// A shape, with the field that may say more of it.
    Shape(&'static Shape, Option<&'static Field>),
    /// Any JSON: maps merge, lists are one value.
    Free,
    /// Any JSON, as one value.
    Whole,
}

/// What a value of a type is.
pub(crate) enum Atom {
    /// A single value.
    Scalar(Word),
    /// A list.
    List(List),
    /// A struct or a map.
    Map(Map),
}

/// Which single values there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// Text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// Any of them: times, quantities, ports.
    Any,
}

/// A list's type.
pub(crate) struct List {
    /// What its items are to each other.
    pub(crate) relation: Relation,
    /// The type of an item.
    pub(crate) item: Node,
}

/// What the items of a list are to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    /// Parts of one value.
    Atomic,
    /// Members of a set.
    Set,
    /// Told apart by these fields.
    Keys(&'static [&'static str]),
}

/// A struct's or a map's type.
pub(crate) struct Map {
    /// Whether the whole is one value.
    pub(crate) atomic: bool,
    of: Of,
}

enum Of {
    Fields(&'static Type),
    Values(Node),
}

impl Node {
    /// The type of a published name (`io.k8s.api.batch.v1.Job`).
    pub(crate) fn of_schema(schema: &str) -> Option<Node> {
        table().by_schema(schema).map(|shape| Node(Inner::Type(shape)))
    }

    /// What `value` is, if it is of this type. Where any JSON may stand, the value tells.
    pub(crate) fn atom(self, value: Option<&Value>) -> Atom {
        match self.0 {
            Inner::Type(of) => structure(of, None),
            Inner::Shape(shape, field) => match shape {
                Shape::Scalar(Scalar::Raw, _) => Node(Inner::Whole).atom(value),
                Shape::Scalar(Scalar::Fields, _) => Node(Inner::Free).atom(value),
                Shape::Scalar(scalar, _) => Atom::Scalar(word(*scalar)),
                Shape::Ref(to) => structure(table().get(*to), field),
                Shape::List(item) => list(item, field),
                Shape::Map(inner) => Atom::Map(Map {
                    atomic: field.and_then(|field| field.map_type) == Some("atomic"),
                    of: Of::Values(Node(Inner::Shape(inner, None))),
                }),
            },
            Inner::Free | Inner::Whole => self.any(value),
        }
    }

    fn any(self, value: Option<&Value>) -> Atom {
        match value {
            Some(Value::Array(_)) => {
                Atom::List(List { relation: Relation::Atomic, item: Node(Inner::Whole) })
            }
            Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) => Atom::Scalar(Word::Any),
            _ => Atom::Map(Map { atomic: matches!(self.0, Inner::Whole), of: Of::Values(self) }),
        }
    }
}

impl List {
    /// The value of a key that an item leaves out: the one that OpenAPI declares, or the zero of a field that Go always
    /// writes.
    pub(crate) fn default_key(&self, name: &str) -> Option<Value> {
        let Inner::Shape(Shape::Ref(item), _) = self.item.0 else { return None };
        let field = table().get(*item).field(name)?;
        if let Some(text) = field.default {
            return Some(text.into());
        }
        if field.pointer || field.omitempty {
            return None;
        }
        match &field.shape {
            Shape::Scalar(Scalar::String, _) => Some("".into()),
            Shape::Scalar(Scalar::Int32 | Scalar::Int64, _) => Some(0.into()),
            Shape::Scalar(Scalar::Bool, _) => Some(false.into()),
            _ => None,
        }
    }
}

impl Map {
    /// Whether it is a struct that declares this field.
    pub(crate) fn declares(&self, name: &str) -> bool {
        matches!(self.of, Of::Fields(of) if of.field(name).is_some())
    }

    /// The type of what is under a name; none if nothing may be there.
    pub(crate) fn member(&self, name: &str) -> Option<Node> {
        match self.of {
            Of::Fields(of) => of.field(name).map(|field| Node(Inner::Shape(&field.shape, Some(field)))),
            Of::Values(node) => Some(node),
        }
    }

    /// The same; any JSON where nothing is declared.
    pub(crate) fn member_or_free(&self, name: &str) -> Node {
        self.member(name).unwrap_or(Node(Inner::Free))
    }
}

/// The kind's object as Go has it when nothing is set.
pub(crate) fn empty(schema: &str, api_version: &str, kind: &str) -> Value {
    let mut object = Value::Object(Object::new());
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"] = Object::new().into();
    super::dress(schema, &mut object);
    object
}

fn structure(of: &'static Type, field: Option<&'static Field>) -> Atom {
    if let Some(Shape::List(item)) = &of.wrapped {
        return list(item, field);
    }
    let map_type = field.and_then(|field| field.map_type).or(of.map_type);
    Atom::Map(Map { atomic: map_type == Some("atomic"), of: Of::Fields(of) })
}

/// A list says what it is by its list type, else by how strategic merge patches treat it; else it is one value.
fn list(item: &'static Shape, field: Option<&'static Field>) -> Atom {
    let relation = match field {
        Some(Field { list_type: Some("set"), .. }) => Relation::Set,
        Some(Field { list_type: Some("map"), list_keys, .. }) => Relation::Keys(list_keys),
        Some(Field { list_type: None, strategy: Some("merge" | "merge,retainKeys"), merge_key, .. }) => {
            match merge_key {
                Some(key) => Relation::Keys(std::slice::from_ref(key)),
                None => Relation::Set,
            }
        }
        _ => Relation::Atomic,
    };
    Atom::List(List { relation, item: Node(Inner::Shape(item, None)) })
}

fn word(scalar: Scalar) -> Word {
    match scalar {
        Scalar::String | Scalar::Bytes => Word::Text,
        Scalar::Bool => Word::Bool,
        Scalar::Int32 | Scalar::Int64 => Word::Number,
        _ => Word::Any,
    }
}
