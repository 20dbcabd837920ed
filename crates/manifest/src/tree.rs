//! A YAML document in which every key and value knows its place, and the spelling it was written with.
//!
//! For readers of formats that are not Kubernetes' own: they tell all that is wrong at once, each with line, column
//! and field. It knows no format.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where it begins; of a mapping in block style, where its first key does.
    pub at: Place,
    /// The value.
    pub kind: Kind,
}

/// A place in a file, from 1; 0 where the parser does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing, or `null`.
    Null,
    /// A truth value, as it is spelled.
    Bool(bool, String),
    /// A number, as it is spelled: `1.10` stays what it is.
    Number(Number, String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Place,
    /// Its value.
    pub value: Node,
}

/// Every document of a text that is not empty. Duplicate keys and bombs of aliases are refused by the parser.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, serde_saphyr::Error> {
    let documents: Vec<Spanned<Raw>> = serde_saphyr::from_multiple(text)?;
    let nodes = documents.into_iter().map(|document| document.node(text));
    Ok(nodes.filter(|node| node.kind != Kind::Null).collect())
}

impl Node {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The keys and values of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What it is, for a person.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "empty",
            Kind::Bool(..) => "a truth value",
            Kind::Number(..) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value at a path.
    pub(crate) fn find(&self, path: &str) -> Option<&Node> {
        parts(path).into_iter().try_fold(self, |node, part| match &node.kind {
            Kind::List(items) => items.get(part.parse::<usize>().ok()?),
            _ => node.get(part),
        })
    }

    /// The place of the deepest part of `spec.template.spec.containers[0].env[NAME]` that is there: of a key, where
    /// the key stands. A part in brackets is an index or a key.
    pub(crate) fn place_of(&self, path: &str) -> Place {
        let (mut node, mut at) = (self, self.at);
        for part in parts(path) {
            let next = match &node.kind {
                Kind::Map(entries) => {
                    entries.iter().find(|entry| entry.key == part).map(|entry| (entry.at, &entry.value))
                }
                Kind::List(items) => {
                    part.parse::<usize>().ok().and_then(|index| items.get(index)).map(|item| (item.at, item))
                }
                _ => None,
            };
            let Some((place, inner)) = next else { break };
            (at, node) = (place, inner);
        }
        at
    }
}

/// The parts of a path. What stands in brackets is one part, whatever is in it.
fn parts(path: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), path);
    while !rest.is_empty() {
        rest = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((part, after)) => {
                parts.push(part);
                after.strip_prefix('.').unwrap_or(after)
            }
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                parts.push(&rest[..end]);
                let after = &rest[end..];
                // An opening bracket without its end is no path of ours: its letter is passed over.
                let after = if end == 0 { after.get(1..).unwrap_or_default() } else { after };
                after.strip_prefix('.').unwrap_or(after)
            }
        };
    }
    parts
}

/// A value as the parser gives it.
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

/// What a [`Raw`] with its place becomes.
trait Placed {
    fn node(self, text: &str) -> Node;
}

impl Placed for Spanned<Raw> {
    fn node(self, text: &str) -> Node {
        let spelled = |or: String| spelling(text, self.defined).map_or(or, str::to_owned);
        let kind = match self.value {
            Raw::Null => Kind::Null,
            Raw::Bool(value) => Kind::Bool(value, spelled(value.to_string())),
            Raw::Number(value) => {
                let spelled = spelled(value.to_string());
                Kind::Number(value, spelled)
            }
            Raw::Text(value) => Kind::Text(value),
            Raw::List(items) => Kind::List(items.into_iter().map(|item| item.node(text)).collect()),
            Raw::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key: key.value,
                        at: place(key.referenced),
                        value: value.node(text),
                    })
                    .collect(),
            ),
        };
        Node { at: place(self.referenced), kind }
    }
}

fn place(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

/// How a plain value is written in the file.
fn spelling(text: &str, location: Location) -> Option<&str> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    text.get(start..end).map(str::trim).filter(|spelled| !spelled.is_empty())
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        // Neither infinity nor NaN is a number of JSON.
        Ok(Number::from_f64(value).map_or_else(|| Raw::Text(value.to_string()), Raw::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u64, column: u64) -> Place {
        Place { line, column }
    }

    #[test]
    fn keys_and_values_know_their_places_and_numbers_their_spelling() {
        let text = "a:\n  b: 1.10\n  'c':\n  - x: yes\n    y: true\n---\nz\n";
        let documents = parse(text).unwrap();
        assert_eq!(documents.len(), 2);
        let root = &documents[0];
        let number = root.get("a").unwrap().get("b").unwrap();
        assert!(matches!(&number.kind, Kind::Number(_, spelled) if spelled == "1.10"), "{number:?}");
        assert_eq!(number.at, at(2, 6));
        assert_eq!(root.place_of("a.b"), at(2, 3));
        assert_eq!(root.place_of("a.c"), at(3, 3));
        assert_eq!(root.place_of("a.c[0].y"), at(5, 5));
        assert_eq!(root.place_of("a.c[0].nothing.here"), at(4, 5));
        assert_eq!(root.place_of("a.c[7"), at(3, 3));
        assert_eq!(documents[1].at.line, 7);
    }

    #[test]
    fn a_part_in_brackets_may_hold_anything() {
        assert_eq!(parts("metadata.labels[a.b/c].x"), ["metadata", "labels", "a.b/c", "x"]);
        assert_eq!(parts("a[0][1]"), ["a", "0", "1"]);
        assert_eq!(parts(""), [""; 0]);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = level - 1;
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
        }
        assert!(parse(&text).is_err());
    }
}
