//! Reads the fields of a document: all that is wrong is told, each with its place; an unknown key with the known one
//! that is nearest to it.

use std::time::Duration;

use windlass_model::{duration, quantity};

use crate::read::ReadError;
use crate::tree::{Entry, Kind, Node, Place};

/// What is wrong with a file, as far as it was read.
#[derive(Debug)]
pub(crate) struct Faults<'a> {
    file: &'a str,
    found: Vec<ReadError>,
}

impl<'a> Faults<'a> {
    /// Nothing so far.
    pub(crate) fn of(file: &'a str) -> Self {
        Faults { file, found: Vec::new() }
    }

    /// Adds what is wrong with a field.
    pub(crate) fn add(&mut self, at: Place, path: impl Into<String>, message: impl Into<String>) {
        let (line, column) = (at.line, at.column);
        let file = self.file.to_owned();
        self.found.push(ReadError::Field { file, line, column, path: path.into(), message: message.into() });
    }

    /// Adds what the file as a whole lacks.
    pub(crate) fn unfit(&mut self, message: impl Into<String>) {
        self.found.push(ReadError::Unfit { file: self.file.to_owned(), message: message.into() });
    }

    /// The value, if nothing is wrong; else what is, in the file's order.
    pub(crate) fn or<T>(mut self, value: T) -> Result<T, Vec<ReadError>> {
        self.found.sort_by_key(|error| match error {
            ReadError::Field { line, column, .. } => (*line, *column),
            _ => (u64::MAX, 0),
        });
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }
}

/// The fields of a mapping, taken one by one.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    path: String,
    known: Vec<&'static str>,
    /// Where the mapping stands.
    pub at: Place,
}

impl<'a> Fields<'a> {
    /// Of a value that must be a mapping.
    pub(crate) fn of(node: &'a Node, path: &str, faults: &mut Faults<'_>) -> Option<Self> {
        match &node.kind {
            Kind::Map(entries) => {
                Some(Fields { entries, path: path.to_owned(), known: Vec::new(), at: node.at })
            }
            _ => {
                let place = if path.is_empty() { "the document" } else { path };
                faults.add(node.at, place, format!("is {}; it must be a mapping", node.noun()));
                None
            }
        }
    }

    /// The field of this name, unless it is missing or empty.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.push(name);
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        (entry.value.kind != Kind::Null).then(|| Field::of(entry, &self.path))
    }

    /// The field of this name, which must be there.
    pub(crate) fn need(&mut self, name: &'static str, faults: &mut Faults<'_>) -> Option<Field<'a>> {
        let field = self.take(name);
        if field.is_none() {
            faults.add(self.at, join(&self.path, name), "is missing");
        }
        field
    }

    /// Whether the key is there, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name)
    }

    /// Whether there is a key that is none of these.
    pub(crate) fn has_other_than(&self, keys: &[&str]) -> bool {
        self.entries.iter().any(|entry| !keys.contains(&entry.key.as_str()))
    }

    /// Tells the keys that nobody took.
    pub(crate) fn end(self, faults: &mut Faults<'_>) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let hint = match nearest(&entry.key, &self.known) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    let mut known = self.known.clone();
                    known.sort_unstable();
                    format!("known are {}", known.join(", "))
                }
            };
            faults.add(entry.at, join(&self.path, &entry.key), format!("is not known here; {hint}"));
        }
    }
}

/// A path and a key below it.
pub(crate) fn join(path: &str, key: &str) -> String {
    match (path, key.contains(['.', '[', ']'])) {
        ("", false) => key.to_owned(),
        (_, false) => format!("{path}.{key}"),
        (_, true) => format!("{path}[{key}]"),
    }
}

/// The known word that somebody may have meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let even = |text: &str| text.to_ascii_lowercase().replace(['_', '-'], "");
    let word = even(word);
    let close = |known: &&str| strsim::damerau_levenshtein(&word, &even(known));
    let near = known.iter().min_by_key(|known| close(known))?;
    // A third of the letters may differ: `memroy_limit` is meant to be known, `colour` is not `cpu_limit`.
    (close(near) * 3 <= word.chars().count().max(3)).then_some(*near)
}

/// One value with its name and place.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    /// Its key; empty for an item of a list.
    pub key: &'a str,
    /// Its path from the document's root.
    pub path: String,
    /// Where its key stands, or the item.
    pub at: Place,
    /// The value.
    pub node: &'a Node,
}

impl<'a> Field<'a> {
    fn of(entry: &'a Entry, path: &str) -> Self {
        Field { key: &entry.key, path: join(path, &entry.key), at: entry.at, node: &entry.value }
    }

    /// Tells what is wrong with it.
    pub(crate) fn wrong(&self, message: impl Into<String>, faults: &mut Faults<'_>) {
        faults.add(self.at, self.path.clone(), message);
    }

    /// What a person wrote: a text, or a plain number or truth value as it is spelled.
    pub(crate) fn text(&self, faults: &mut Faults<'_>) -> Option<String> {
        match &self.node.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Number(_, spelled) | Kind::Bool(_, spelled) => Some(spelled.clone()),
            _ => self.mistyped("a text", faults),
        }
    }

    /// A text that is not empty.
    pub(crate) fn word(&self, faults: &mut Faults<'_>) -> Option<String> {
        let text = self.text(faults)?;
        if text.trim().is_empty() {
            self.wrong("is empty", faults);
            return None;
        }
        Some(text)
    }

    /// A whole number that is not negative; a text that is one counts, as placeholders make it.
    pub(crate) fn count(&self, faults: &mut Faults<'_>) -> Option<u32> {
        let number = match &self.node.kind {
            Kind::Number(number, _) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            Kind::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            return self.mistyped("a whole number from 0 on", faults);
        }
        number
    }

    /// A truth value.
    pub(crate) fn flag(&self, faults: &mut Faults<'_>) -> Option<bool> {
        match &self.node.kind {
            Kind::Bool(value, _) => Some(*value),
            _ => self.mistyped("true or false", faults),
        }
    }

    /// A Kubernetes quantity, as it is spelled.
    pub(crate) fn quantity(&self, faults: &mut Faults<'_>) -> Option<String> {
        let text = self.text(faults)?;
        match quantity::check(&text) {
            Ok(()) => Some(text),
            Err(problem) => {
                self.wrong(problem.message, faults);
                None
            }
        }
    }

    /// A length of time, as the command line takes it.
    pub(crate) fn duration(&self, faults: &mut Faults<'_>) -> Option<Duration> {
        match duration::parse(&self.text(faults)?) {
            Ok(duration) => Some(duration),
            Err(problem) => {
                self.wrong(problem.to_string(), faults);
                None
            }
        }
    }

    /// One of these words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)], faults: &mut Faults<'_>) -> Option<T> {
        let text = self.text(faults)?;
        let chosen = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.wrong(format!("{text:?} is none of {}", words.join(", ")), faults);
        }
        chosen.map(|(_, value)| *value)
    }

    /// The fields of a mapping whose keys are the user's own.
    pub(crate) fn entries(&self, faults: &mut Faults<'_>) -> Vec<Field<'a>> {
        match &self.node.kind {
            Kind::Map(entries) => entries.iter().map(|entry| Field::of(entry, &self.path)).collect(),
            _ => self.mistyped("a mapping", faults).unwrap_or_default(),
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self, faults: &mut Faults<'_>) -> Vec<Field<'a>> {
        let Kind::List(items) = &self.node.kind else {
            return self.mistyped("a list", faults).unwrap_or_default();
        };
        let item = |(index, node): (usize, &'a Node)| Field {
            key: "",
            path: format!("{}[{index}]", self.path),
            at: node.at,
            node,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// The fields of a mapping whose keys are known.
    pub(crate) fn fields(&self, faults: &mut Faults<'_>) -> Option<Fields<'a>> {
        Fields::of(self.node, &self.path, faults)
    }

    fn mistyped<T>(&self, wanted: &str, faults: &mut Faults<'_>) -> Option<T> {
        let is = match &self.node.kind {
            Kind::Text(text) => format!("{text:?}"),
            Kind::Number(_, spelled) | Kind::Bool(_, spelled) => spelled.clone(),
            _ => self.node.noun().to_owned(),
        };
        self.wrong(format!("is {is}; it must be {wanted}"), faults);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let known = ["cpu_limit", "memory_limit", "config_path"];
        assert_eq!(nearest("memroy_limit", &known), Some("memory_limit"));
        assert_eq!(nearest("memoryLimit", &known), Some("memory_limit"));
        assert_eq!(nearest("configpath", &known), Some("config_path"));
        assert_eq!(nearest("colour", &known), None);
    }
}
