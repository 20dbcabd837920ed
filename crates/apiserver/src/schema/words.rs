//! What types and fields mean, a line each, as `kubectl explain` shows it. It knows no shapes: `table.txt` has those, and
//! a test holds that each of them has its words.
//!
//! The files in `words/` are written by hand: `@TYPE TEXT`, and below it `FIELD TEXT`.

use std::collections::BTreeMap;

/// All files. What they say is part of the documents' hash.
pub(super) const TEXTS: [&str; 5] = [
    include_str!("words/batch_meta.txt"),
    include_str!("words/core_pods.txt"),
    include_str!("words/core_rest.txt"),
    include_str!("words/core_volumes.txt"),
    include_str!("words/groups.txt"),
];

const API_VERSION: &str = "Group and version of the API by which this object is written, such as batch/v1; only the \
version in the core group, such as v1.";
const KIND: &str = "What the object is, such as Job, in CamelCase and singular. It cannot be changed.";

/// The words by type and field; a type's own are those of the field without a name. Read anew for each document, since
/// few ask for one.
pub(super) struct Words(BTreeMap<(&'static str, &'static str), &'static str>);

impl Words {
    /// Reads the files.
    pub(super) fn read() -> Words {
        let mut words = BTreeMap::new();
        for text in TEXTS {
            let mut of = "";
            for line in text.lines() {
                let (name, said) = line.split_once(' ').unwrap_or((line, ""));
                match name.strip_prefix('@') {
                    Some(name) => {
                        of = name;
                        words.insert((of, ""), said);
                    }
                    None => _ = words.insert((of, name), said),
                }
            }
        }
        Words(words)
    }

    /// What a type is, by its short name (`batch.v1.JobSpec`).
    pub(super) fn of_type(&self, name: &str) -> Option<&'static str> {
        self.0.get(&(name, "")).copied()
    }

    /// What a field says.
    pub(super) fn of_field(&self, name: &str, field: &str) -> Option<&'static str> {
        match (self.0.get(&(name, field)), field) {
            (Some(said), _) => Some(said),
            (None, "apiVersion") => Some(API_VERSION),
            (None, "kind") => Some(KIND),
            (None, _) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&(&'static str, &'static str), &'static str)> {
        self.0.iter().map(|(place, said)| (place, *said))
    }
}
