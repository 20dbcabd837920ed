//! Tags: what an index may ask of an entry without its value, in as little memory as that takes.
//!
//! The names of many tag sets are the same, so they are kept once (a [`Shape`]); the values of one set lie in one
//! piece of text, in which a value that repeats an earlier one is only a reference to it. On the disk both lie in
//! the same form.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex};

use crate::sync::lock;

/// So many pairs are few.
const FEW: usize = 24;

/// Name-value pairs, sorted; names may repeat. A clone shares them.
#[derive(Clone)]
pub struct Tags {
    shape: Arc<Shape>,
    /// For each name a number: twice the length of the value that follows, or twice the place of an equal one before,
    /// and one.
    values: Arc<str>,
}

impl Tags {
    /// Tags from pairs in any order.
    #[must_use]
    pub fn new(pairs: Vec<(Box<str>, Box<str>)>) -> Tags {
        let (names, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let mut pairs: Vec<_> = names.iter().map(|name| ["", &**name]).zip(values).collect();
        Tags::of(&mut pairs)
    }

    /// The same from names that are given in two parts.
    #[must_use]
    pub fn of<V: AsRef<str>>(pairs: &mut [([&str; 2], V)]) -> Tags {
        pairs.sort_unstable_by(|(name, value), (other_name, other)| {
            by_name(name, other_name).then_with(|| value.as_ref().cmp(other.as_ref()))
        });
        let (mut names, mut values) = (String::new(), String::new());
        let mut firsts = HashMap::new();
        for (at, ([head, rest], value)) in pairs.iter().enumerate() {
            put_number(&mut names, head.len() + rest.len());
            names.extend([*head, *rest]);
            let value = value.as_ref();
            // A reference that would be longer than the value is none.
            let first = match value.len() {
                0 | 1 => at,
                // Of few values each is sooner found by looking at all.
                _ if pairs.len() <= FEW => {
                    pairs.iter().position(|(_, other)| other.as_ref() == value).unwrap_or(at)
                }
                _ => *firsts.entry(value).or_insert(at),
            };
            match first {
                earlier if earlier < at => put_number(&mut values, earlier * 2 + 1),
                _ => {
                    put_number(&mut values, value.len() * 2);
                    values.push_str(value);
                }
            }
        }
        Tags { shape: intern(&names), values: values.into() }
    }

    /// The first value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_in(name, "")
    }

    /// The first value under a name that is given in two parts.
    #[must_use]
    pub fn get_in(&self, head: &str, rest: &str) -> Option<&str> {
        let name = || head.bytes().chain(rest.bytes());
        let at = self.shape.names.partition_point(|n| n.bytes().cmp(name()).is_lt());
        let found = self.shape.names.get(at).is_some_and(|n| n.bytes().eq(name()));
        found.then(|| self.value(at))
    }

    /// All values under a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let first = self.shape.names.partition_point(|n| &**n < name);
        let many = self.shape.names[first..].iter().take_while(|n| &***n == name).count();
        // Whoever has none of that name need not read the values.
        let values = (many > 0).then(|| self.values());
        values.into_iter().flatten().skip(first).take(many)
    }

    /// All pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shape.names.iter().map(|name| &**name).zip(self.values())
    }

    /// All values in order, read in one go.
    fn values(&self) -> impl Iterator<Item = &str> {
        let mut rest = &*self.values;
        let mut values = Vec::with_capacity(self.shape.names.len());
        for _ in 0..self.shape.names.len() {
            // Text that is none of ours was refused when these tags were made.
            let Some((number, after)) = take_number(rest) else { break };
            let length = if number % 2 == 0 { number / 2 } else { 0 };
            let Some((own, after)) = after.split_at_checked(length) else { break };
            rest = after;
            values.push(if number % 2 == 0 {
                own
            } else {
                values.get(number / 2).copied().unwrap_or_default()
            });
        }
        values.into_iter()
    }

    /// The bytes that these tags take for themselves.
    pub(crate) fn bytes(&self) -> usize {
        self.values.len()
    }

    /// The names and the values as they are written to the disk.
    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.shape.text, &self.values)
    }

    /// Tags from what [`Tags::parts`] gave; none if it did not give this.
    pub(crate) fn from_parts(names: &str, values: &str) -> Option<Tags> {
        let shape = find(names).or_else(|| read_names(names).map(|_| intern(names)))?;
        let mut rest = values;
        for at in 0..shape.names.len() {
            let (number, after) = take_number(rest)?;
            rest = match number % 2 {
                0 => after.get(number / 2..)?,
                _ if number / 2 < at => after,
                _ => return None,
            };
        }
        rest.is_empty().then(|| Tags { shape, values: values.into() })
    }

    /// The value at a place, which is one of the shape's.
    fn value(&self, at: usize) -> &str {
        let mut rest = &*self.values;
        for place in 0.. {
            // Text that is none of ours was refused when these tags were made.
            let Some((number, after)) = take_number(rest) else { break };
            if number % 2 == 1 {
                if place == at {
                    return self.value(number / 2);
                }
                rest = after;
                continue;
            }
            let Some((value, after)) = after.split_at_checked(number / 2) else { break };
            if place == at {
                return value;
            }
            rest = after;
        }
        ""
    }
}

impl Default for Tags {
    fn default() -> Tags {
        Tags { shape: intern(""), values: Arc::default() }
    }
}

impl PartialEq for Tags {
    fn eq(&self, other: &Tags) -> bool {
        // Equal names are one shape; equal values have one form.
        Arc::ptr_eq(&self.shape, &other.shape) && self.values == other.values
    }
}

impl Eq for Tags {}

impl std::fmt::Debug for Tags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The names of a tag set.
struct Shape {
    names: Box<[Box<str>]>,
    /// The same in one piece: before each its length.
    text: Box<str>,
}

/// A shape, found by its text.
struct ByText(Arc<Shape>);

impl Borrow<str> for ByText {
    fn borrow(&self) -> &str {
        &self.0.text
    }
}

impl Hash for ByText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl PartialEq for ByText {
    fn eq(&self, other: &ByText) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for ByText {}

/// The order of names in two parts: that of their bytes.
fn by_name([head, rest]: &[&str; 2], [other_head, other]: &[&str; 2]) -> Ordering {
    if head == other_head {
        return rest.cmp(other);
    }
    head.bytes().chain(rest.bytes()).cmp(other_head.bytes().chain(other.bytes()))
}

/// The shapes in use, and as many at most that are not.
#[derive(Default)]
struct Shapes {
    known: HashSet<ByText>,
    /// From so many on, those that are in use no more are dropped.
    sweep_at: usize,
}

static SHAPES: LazyLock<Mutex<Shapes>> = LazyLock::new(Mutex::default);

thread_local! {
    /// What this thread found last: most that is read one after the other is of one shape.
    static LAST: RefCell<Option<Arc<Shape>>> = const { RefCell::new(None) };
}

/// The one shape of these names if there is one.
fn find(text: &str) -> Option<Arc<Shape>> {
    LAST.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|last| *last.text != *text) {
            *last = lock(&SHAPES).known.get(text).map(|known| known.0.clone());
        }
        last.clone()
    })
}

/// The one shape of these names.
fn intern(text: &str) -> Arc<Shape> {
    let mut shapes = lock(&SHAPES);
    if let Some(known) = shapes.known.get(text) {
        return known.0.clone();
    }
    if shapes.known.len() >= shapes.sweep_at {
        shapes.known.retain(|shape| Arc::strong_count(&shape.0) > 1);
        shapes.sweep_at = 64.max(2 * shapes.known.len());
    }
    let names = read_names(text).unwrap_or_default();
    let shape = Arc::new(Shape { names: names.into(), text: text.into() });
    shapes.known.insert(ByText(shape.clone()));
    shape
}

fn read_names(mut text: &str) -> Option<Vec<Box<str>>> {
    let mut names: Vec<Box<str>> = Vec::new();
    while !text.is_empty() {
        let (length, rest) = take_number(text)?;
        let (name, rest) = rest.split_at_checked(length)?;
        if names.last().is_some_and(|last| **last > *name) {
            return None;
        }
        names.push(name.into());
        text = rest;
    }
    Some(names)
}

/// Adds a number as text: six bits a character, the lowest first; the seventh says that more follow.
fn put_number(out: &mut String, mut number: usize) {
    while number >= 0x40 {
        out.push(char::from(number as u8 & 0x3f | 0x40));
        number >>= 6;
    }
    out.push(char::from(number as u8));
}

fn take_number(text: &str) -> Option<(usize, &str)> {
    let mut number = 0;
    // Five characters are 30 bits: no text of ours is so long.
    for (at, byte) in text.bytes().enumerate().take(5) {
        number |= usize::from(byte & 0x3f) << (6 * at);
        if byte < 0x40 {
            return Some((number, &text[at + 1..]));
        }
        if byte >= 0x80 {
            return None;
        }
    }
    None
}

#[cfg(test)]
#[path = "tags_tests.rs"]
mod tests;
