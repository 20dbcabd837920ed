//! Puts values in where their markers stand in a document, and nowhere else.
//!
//! A marker that is a whole plain scalar is what its value would be there: `{{ n }}` with `5` is a number. One inside
//! of a quoted or mixed text becomes a part of that text. A marker in a key, a list or mapping where none is allowed,
//! and a marker that does not come out as it went in are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::template::{Filled, MAX_TEXT, Rendered};
use crate::fields::join;
use crate::tree::{Kind, Node, Place};

/// How often a value may hold others that hold others.
const DEPTH: u32 = 32;

/// What cannot be put in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) at: Place,
    /// The field, empty where it is not known.
    pub(super) path: String,
    /// The value.
    pub(super) index: usize,
    pub(super) why: Why,
}

/// Why something cannot be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It would be a key, or a part of one.
    Key,
    /// It is a list or a mapping.
    Structure,
    /// Its marker is not in the document.
    Lost,
    /// The document would be too long.
    TooLong,
}

/// Puts values into one document.
pub(super) struct Filler<'a> {
    rendered: &'a Rendered,
    /// Whether this list or mapping may be put in.
    allows: &'a mut dyn FnMut(usize) -> bool,
    found: BTreeSet<usize>,
    refusals: Vec<Refusal>,
    bytes: usize,
}

impl<'a> Filler<'a> {
    /// Of a rendered text. `allows` is asked once for each place of a list or mapping.
    pub(super) fn new(rendered: &'a Rendered, allows: &'a mut dyn FnMut(usize) -> bool) -> Self {
        Filler { rendered, allows, found: BTreeSet::new(), refusals: Vec::new(), bytes: 0 }
    }

    /// The document with its values, or what cannot be put in, in the document's order.
    pub(super) fn fill(mut self, root: &Node) -> Result<Value, Vec<Refusal>> {
        let value = self.value(root, "");
        self.lost();
        if self.refusals.is_empty() { Ok(value) } else { Err(self.refusals) }
    }

    fn value(&mut self, node: &Node, path: &str) -> Value {
        match &node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value, _) => (*value).into(),
            Kind::Number(number, spelled) => {
                if !self.has_marker(spelled) {
                    return number.clone().into();
                }
                match self.rendered.markers.alone(spelled) {
                    Some(index) => self.alone(index, node.at, path),
                    None => plain(&self.text(spelled, node.at, path, DEPTH)),
                }
            }
            Kind::Text(text) if self.has_marker(text) => self.text(text, node.at, path, DEPTH).into(),
            Kind::Text(text) => text.as_str().into(),
            Kind::List(items) => {
                let item = |(index, item)| self.value(item, &format!("{path}[{index}]"));
                items.iter().enumerate().map(item).collect()
            }
            Kind::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    for (_, index) in self.rendered.markers.all(&entry.key) {
                        self.refuse(index, entry.at, path, Why::Key);
                    }
                    map.insert(entry.key.clone(), self.value(&entry.value, &join(path, &entry.key)));
                }
                map.into()
            }
        }
    }

    fn has_marker(&self, text: &str) -> bool {
        self.rendered.markers.split(text).is_some()
    }

    /// A value that stands there plain and by itself.
    fn alone(&mut self, index: usize, at: Place, path: &str) -> Value {
        self.found.insert(index);
        match self.rendered.values.get(index) {
            Some(Filled::Text(text)) if self.has_marker(text) => plain(&self.text(text, at, path, DEPTH)),
            Some(Filled::Text(text)) => plain(text),
            Some(Filled::Exact(value @ (Value::Array(_) | Value::Object(_))) | Filled::Structure(value)) => {
                if !(self.allows)(index) {
                    self.refuse(index, at, path, Why::Structure);
                }
                value.clone()
            }
            Some(Filled::Exact(value)) => value.clone(),
            Some(Filled::Null) | None => Value::Null,
        }
    }

    /// A text with the values in it. A value may hold markers of values before it, never its own.
    fn text(&mut self, text: &str, at: Place, path: &str, depth: u32) -> String {
        let (mut written, mut rest) = (String::new(), text);
        while let Some((before, index, after)) = self.rendered.markers.split(rest) {
            written.push_str(before);
            self.found.insert(index);
            let value = self.rendered.values.get(index).map(Filled::text).unwrap_or_default();
            self.bytes += value.len();
            if self.bytes > MAX_TEXT || depth == 0 {
                self.refuse(index, at, path, Why::TooLong);
                return written;
            }
            match self.has_marker(&value) {
                true => written.push_str(&self.text(&value, at, path, depth - 1)),
                false => written.push_str(&value),
            }
            rest = after;
        }
        written.push_str(rest);
        written
    }

    fn refuse(&mut self, index: usize, at: Place, path: &str, why: Why) {
        self.found.insert(index);
        let refusal = Refusal { at, path: path.to_owned(), index, why };
        if !self.refusals.iter().any(|known| known.index == index && known.why == why) {
            self.refusals.push(refusal);
        }
    }

    /// Finds the values that are not in the document, and not in a comment either.
    fn lost(&mut self) {
        let text = &self.rendered.text;
        let places: BTreeMap<usize, usize> =
            self.rendered.markers.all(text).into_iter().map(|(start, index)| (index, start)).collect();
        for index in 0..self.rendered.values.len() {
            if self.found.contains(&index) {
                continue;
            }
            let place = places.get(&index).map(|start| (line_of(text, *start), is_comment(text, *start)));
            if let Some((_, true)) = place {
                continue;
            }
            let at = Place { line: place.map_or(0, |(line, _)| line), column: 0 };
            self.refusals.push(Refusal { at, path: String::new(), index, why: Why::Lost });
        }
    }
}

fn line_of(text: &str, start: usize) -> u64 {
    text[..start].matches('\n').count() as u64 + 1
}

/// Whether a `#` stands before it in its line, as comments begin.
fn is_comment(text: &str, start: usize) -> bool {
    let line = text[..start].rsplit('\n').next().unwrap_or_default();
    line.match_indices('#')
        .any(|(place, _)| line[..place].chars().next_back().is_none_or(char::is_whitespace))
}

/// The longest text that may be a number or a word with a meaning.
const LONGEST_WORD: usize = 64;

/// What a text is that stands in YAML plain and by itself. What a person takes for a text stays one: integers that no
/// number holds, and an exponent without a point (as PyYAML reads `1e5`).
fn plain(text: &str) -> Value {
    let word = text.trim();
    let is_word = word.len() <= LONGEST_WORD
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '~'));
    let digits = word.trim_start_matches(['+', '-']);
    let is_text =
        !is_word || digits.contains(['e', 'E']) && !digits.contains('.') && !digits.starts_with("0x");
    let read = if is_text { None } else { serde_saphyr::from_str::<Value>(word).ok() };
    match read {
        Some(Value::Bool(value)) => value.into(),
        Some(Value::Number(number)) if !number.is_f64() || word.contains('.') => number.into(),
        _ if matches!(word, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        _ if matches!(word, "true" | "True" | "TRUE") => true.into(),
        _ if matches!(word, "false" | "False" | "FALSE") => false.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plain_value_is_what_yaml_makes_of_it() {
        for (text, value) in [
            ("5", json!(5)),
            ("-1.5", json!(-1.5)),
            ("true", json!(true)),
            ("False", json!(false)),
            ("", Value::Null),
            ("null", Value::Null),
            ("~", Value::Null),
            ("yes", json!("yes")),
            ("1e5", json!("1e5")),
            ("123456789012345678901234567890", json!("123456789012345678901234567890")),
            ("---", json!("---")),
            ("...", json!("...")),
            ("-", json!("-")),
            ("a: b", json!("a: b")),
            ("- a", json!("- a")),
            ("1\nkey: 2", json!("1\nkey: 2")),
            ("*alias", json!("*alias")),
            ("{a: 1}", json!("{a: 1}")),
        ] {
            assert_eq!(plain(text), value, "{text:?}");
        }
    }
}
