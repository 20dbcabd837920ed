//! The keys by the tags that are asked for often, so that a list of the few that have one need not look at all.
//! It knows the newest versions only.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use crate::tags::Tags;
use crate::types::Key;

/// An index over the tags of some names.
#[derive(Default, Debug)]
pub(crate) struct TagIndex {
    names: Vec<Box<str>>,
    /// The place of the name, the tag's value, the key.
    keys: BTreeSet<(usize, Box<str>, Key)>,
}

impl TagIndex {
    /// An index over tags of these names with what there is.
    pub(crate) fn build<'a>(names: &[Box<str>], all: impl Iterator<Item = (&'a Key, &'a Tags)>) -> TagIndex {
        let names = names.to_vec();
        let keys = all.flat_map(|(key, tags)| {
            let named = names.iter().enumerate();
            named.flat_map(move |(at, name)| tags.all(name).map(move |value| (at, value.into(), key.clone())))
        });
        TagIndex { keys: keys.collect(), names }
    }

    /// The tags of a key change. Most changes leave those that are indexed as they are.
    pub(crate) fn change(&mut self, key: &Key, old: Option<&Tags>, new: Option<&Tags>) {
        for (at, name) in self.names.iter().enumerate() {
            if values(old, name).eq(values(new, name)) {
                continue;
            }
            for value in values(old, name) {
                self.keys.remove(&(at, value.into(), key.clone()));
            }
            self.keys.extend(values(new, name).map(|value| (at, value.into(), key.clone())));
        }
    }

    /// The keys that have a tag, in order, from a place on; none if tags of this name are not indexed.
    pub(crate) fn keys<'a>(
        &'a self,
        (name, value): (&str, &str),
        start: Bound<&str>,
    ) -> Option<impl Iterator<Item = &'a Key> + use<'a>> {
        let at = self.names.iter().position(|known| &**known == name)?;
        let value: Box<str> = value.into();
        let place = |key: &str| (at, value.clone(), Arc::from(key));
        let start = match start {
            Bound::Included(key) => Bound::Included(place(key)),
            Bound::Excluded(key) => Bound::Excluded(place(key)),
            Bound::Unbounded => Bound::Included(place("")),
        };
        let range = self.keys.range((start, Bound::Unbounded));
        let range = range.take_while(move |(of, tag, _)| *of == at && *tag == value);
        Some(range.map(|(_, _, key)| key))
    }
}

fn values<'a>(tags: Option<&'a Tags>, name: &'a str) -> impl Iterator<Item = &'a str> {
    tags.into_iter().flat_map(move |tags| tags.all(name))
}
