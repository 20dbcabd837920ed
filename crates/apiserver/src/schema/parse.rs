//! Reads JSON and YAML bodies, and finds the keys that stand in them twice. It knows no shapes.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::path::Path;
use super::{DecodeError, Decoded};

/// How deep a body may nest.
pub(crate) const DEPTH: usize = 100;
/// How much of a YAML body may come from aliases, in parser events; they multiply.
const REPLAYED: usize = 50_000;
/// To `serde_json` a map that begins with this key is no map: many a client could not read it.
pub(super) const NO_KEY: &str = "$serde_json::private::RawValue";
/// How many complaints are kept, as upstream.
pub(super) const COMPLAINTS: usize = 100;

/// Parses a body, see [`super::parse`].
pub(super) fn parse(body: &[u8], yaml: bool) -> Result<Decoded, DecodeError> {
    // Nearly every body has each key once and is not deep. Of the others it is told below what is wrong with them.
    let mut reader = serde_json::Deserializer::from_slice(body);
    if let Ok(object) = Plain::BODY.deserialize(&mut reader)
        && reader.end().is_ok()
    {
        return Ok(Decoded { object, complaints: Vec::new() });
    }
    let json = || {
        serde_json::from_slice::<Node>(body).map_err(|error| {
            let cause = match error.is_eof() {
                true => "unexpected end of JSON input".to_owned(),
                false => error.to_string(),
            };
            DecodeError(format!("couldn't get version/kind; json parse error: {cause}"))
        })
    };
    let node = match yaml {
        false => json()?,
        // Clients send JSON as YAML (kubectl's server-side apply does); most of it needs no reader of YAML.
        true if body.trim_ascii_start().starts_with(b"{") => json().or_else(|_| read_yaml(body))?,
        true => read_yaml(body)?,
    };
    let mut complaints = Vec::new();
    let object = node.into_value(&Path::Root, 0, &mut complaints)?;
    Ok(Decoded { object, complaints })
}

/// Reads an object as it was stored, whatever its keys are.
///
/// Not by `serde_json`'s own way: to that a map whose first key is [`NO_KEY`] is no map but what
/// the text beside it says.
///
/// # Errors
/// The text is no JSON, or has a key twice in a map.
pub(crate) fn read_stored(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let object = Plain::STORED.deserialize(&mut reader)?;
    reader.end().map(|()| object)
}

/// Reads a JSON object but for one of its fields, whose text is given as it stands; none if there is no such field, or
/// if anything but that field would be complained of.
pub(super) fn parse_but<'a>(body: &'a [u8], field: &str) -> Option<(Value, &'a str)> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let (object, text) = reader.deserialize_map(But(field)).ok()?;
    reader.end().ok()?;
    Some((object, text?.get()))
}

/// Reads a map as [`Plain`] does, but leaves one field's text as it stands.
struct But<'f>(&'f str);

impl<'de> Visitor<'de> for But<'_> {
    type Value = (Value, Option<&'de RawValue>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut map, mut text) = (Map::new(), None);
        while let Some(key) = entries.next_key::<String>()? {
            let is_twice = match key == self.0 {
                true => text.replace(entries.next_value::<&'de RawValue>()?).is_some(),
                false => map.insert(key, entries.next_value_seed(Plain { levels: DEPTH })?).is_some(),
            };
            if is_twice {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok((map.into(), text))
    }
}

fn read_yaml(body: &[u8]) -> Result<Node, DecodeError> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true, // 0644 is a file mode, as upstream reads it
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED },
    };
    serde_saphyr::from_slice_with_options(body, options)
        .map_err(|error| DecodeError(format!("error converting YAML to JSON: {error}")))
}

/// Reads JSON whose maps have each key once; refuses any other, and what nests too deep.
#[derive(Clone, Copy)]
struct Plain {
    /// How many more it may nest.
    levels: usize,
}

impl Plain {
    /// A body, which nests [`DEPTH`] levels at most.
    const BODY: Plain = Plain { levels: DEPTH + 1 };
    /// What was stored: a patch may have put one deep value into another. The reader has a limit of its own.
    const STORED: Plain = Plain { levels: usize::MAX };
}

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.levels == 0 {
            return Err(D::Error::custom("too deep"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = Plain { levels: self.levels.saturating_sub(1) };
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(list.into())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = Plain { levels: self.levels.saturating_sub(1) };
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.insert(key, entries.next_value_seed(inner)?).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(map.into())
    }
}

/// A parsed body that still holds every key.
enum Node {
    Leaf(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn into_value(
        self,
        path: &Path<'_>,
        depth: usize,
        complaints: &mut Vec<String>,
    ) -> Result<Value, DecodeError> {
        if depth > DEPTH {
            return Err(DecodeError(format!("the body nests deeper than {DEPTH} levels")));
        }
        match self {
            Self::Leaf(value) => Ok(value),
            Self::List(items) => {
                let items = items.into_iter().enumerate();
                items.map(|(at, item)| item.into_value(&path.index(at), depth + 1, complaints)).collect()
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, node) in entries {
                    let place = path.key(&key);
                    if map.contains_key(&key) {
                        complain(complaints, format!("duplicate field {:?}", place.to_string()));
                    }
                    let value = node.into_value(&place, depth + 1, complaints)?;
                    map.insert(key, value);
                }
                Ok(Value::Object(map))
            }
        }
    }
}

/// Keeps a complaint once, up to the bound.
pub(super) fn complain(complaints: &mut Vec<String>, complaint: String) {
    if complaints.len() < COMPLAINTS && !complaints.contains(&complaint) {
        complaints.push(complaint);
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that is not finite"))?;
        Ok(Node::Leaf(number.into()))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }
    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Node>()? {
            let key = match key {
                Node::Leaf(Value::String(key)) => key,
                // YAML's other keys are read as their text, as sigs.k8s.io/yaml does.
                Node::Leaf(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
                _ => return Err(A::Error::custom("a key is neither text nor a number")),
            };
            map.push((key, entries.next_value()?));
        }
        Ok(Node::Map(map))
    }
}
