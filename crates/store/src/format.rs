//! The bytes of the store's records on disk, format 2: numbers as LEB128, text with its length before it.
//! It knows nothing of files; what it cannot read it says.

use bytes::Bytes;

use crate::state::{Logged, Version};
use crate::tags::Tags;
use crate::types::{Revision, Value};

/// Why a record cannot be read.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Malformed {
    /// It ends too early.
    #[error("a record ends too early")]
    Short,
    /// It goes on after its end.
    #[error("a record is too long")]
    Long,
    /// A number is too large, or a flag unknown.
    #[error("a record holds an impossible number")]
    Number,
    /// Text that is none.
    #[error("a record holds text that is not UTF-8")]
    Text,
    /// Tags that are none.
    #[error("a record holds tags that cannot be")]
    Tags,
}

/// The record of a version: under its key.
pub(crate) fn version(version: &Version) -> Vec<u8> {
    let (names, values) = version.tags.parts();
    let mut out = Vec::with_capacity(32 + names.len() + values.len());
    put_version(&mut out, version);
    put_tags(&mut out, &version.tags);
    out
}

/// Reads the record of a version.
pub(crate) fn read_version(bytes: &[u8]) -> Result<Version, Malformed> {
    let mut input = Input(bytes);
    let version = input.version(Input::tags)?;
    input.end(version)
}

/// A change as it is written: what the newest version of its key does not tell.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Past<'a> {
    /// When it was committed, in milliseconds since the epoch.
    pub(crate) at_ms: u64,
    /// How many keys there were after it.
    pub(crate) keys: u64,
    /// The key.
    pub(crate) key: &'a str,
    /// The version before, if there was one. Without its tags if they stayed the same.
    pub(crate) before: Option<Version>,
    /// Whether the tags stayed the same.
    pub(crate) same_tags: bool,
    /// Whether the key was there afterwards.
    pub(crate) put: bool,
}

const BEFORE: u64 = 1;
const PUT: u64 = 2;
const SAME_TAGS: u64 = 4;

/// The record of a change: under its revision. What came after is told by the change after it, or at last by the
/// key's version.
pub(crate) fn change(change: &Logged, keys: u64) -> Vec<u8> {
    let Logged { at_ms, key, before, after } = change;
    let same = matches!((before, after), (Some(b), Some(a)) if b.tags == a.tags);
    let flag = |set: bool, flag| if set { flag } else { 0 };
    let mut out = Vec::with_capacity(64 + key.len());
    put_number(&mut out, flag(before.is_some(), BEFORE) | flag(after.is_some(), PUT) | flag(same, SAME_TAGS));
    put_number(&mut out, *at_ms);
    put_number(&mut out, keys);
    put_text(&mut out, key);
    if let Some(before) = before {
        put_version(&mut out, before);
        if !same {
            put_tags(&mut out, &before.tags);
        }
    }
    out
}

/// Reads the record of a change.
pub(crate) fn read_change(bytes: &[u8]) -> Result<Past<'_>, Malformed> {
    let mut input = Input(bytes);
    let flags = input.number()?;
    let (put, same_tags) = (flags & PUT != 0, flags & SAME_TAGS != 0);
    if !matches!(flags, 1..=3 | 7) {
        return Err(Malformed::Number);
    }
    let (at_ms, keys) = (input.number()?, input.number()?);
    let key = input.text()?;
    let mut before = None;
    if flags & BEFORE != 0 {
        before = Some(match same_tags {
            true => input.version(|_| Ok(Tags::default()))?,
            false => input.version(Input::tags)?,
        });
    }
    input.end(Past { at_ms, keys, key, before, same_tags, put })
}

/// The record of a value: where its hole is, then its bytes.
pub(crate) fn value(value: &Value) -> Vec<u8> {
    let (revision_at, digits) = value.hole();
    let mut out = Vec::with_capacity(8 + value.bytes().len());
    put_number(&mut out, revision_at.map_or(0, |at| u64::from(at) + 1));
    put_number(&mut out, u64::from(digits));
    out.extend_from_slice(value.bytes());
    out
}

/// Reads the record of a value.
pub(crate) fn read_value(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut input = Input(bytes);
    let at = input.number()?.checked_sub(1).map(u32::try_from).transpose().map_err(|_| Malformed::Number)?;
    let digits = u8::try_from(input.number()?).map_err(|_| Malformed::Number)?;
    if at.is_some_and(|at| at as usize + usize::from(digits) > input.0.len()) {
        return Err(Malformed::Short);
    }
    Ok(Value::from_parts(Bytes::copy_from_slice(input.0), at, digits))
}

/// A revision as a key whose order is the revisions' order.
pub(crate) fn revision(revision: Revision) -> [u8; 8] {
    revision.0.to_be_bytes()
}

/// Reads a revision from a key.
pub(crate) fn read_revision(bytes: &[u8]) -> Result<Revision, Malformed> {
    bytes.try_into().map(|bytes| Revision(u64::from_be_bytes(bytes))).map_err(|_| Malformed::Short)
}

fn put_version(out: &mut Vec<u8>, version: &Version) {
    put_number(out, version.modified.0);
    // A creation is not after its modification; the distance is a small number.
    put_number(out, version.modified.0 - version.created.0);
    put_number(out, u64::from(version.size));
}

fn put_tags(out: &mut Vec<u8>, tags: &Tags) {
    let (names, values) = tags.parts();
    put_text(out, names);
    put_text(out, values);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is left to read of a record.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of a record.
    pub(crate) fn of(record: &'a [u8]) -> Input<'a> {
        Input(record)
    }

    /// A number.
    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed::Short)?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return Err(Malformed::Number);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed::Number)
    }

    /// A text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed::Number)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed::Text)
    }

    /// A version, its tags as they are told.
    pub(crate) fn version(
        &mut self,
        tags: impl FnOnce(&mut Self) -> Result<Tags, Malformed>,
    ) -> Result<Version, Malformed> {
        let modified = self.number()?;
        let created = modified.checked_sub(self.number()?).ok_or(Malformed::Number)?;
        let size = u32::try_from(self.number()?).map_err(|_| Malformed::Number)?;
        let tags = tags(self)?;
        Ok(Version { created: Revision(created), modified: Revision(modified), size, tags })
    }

    fn tags(&mut self) -> Result<Tags, Malformed> {
        let names = self.text()?;
        Tags::from_parts(names, self.text()?).ok_or(Malformed::Tags)
    }

    /// What was read, if that was all.
    pub(crate) fn end<T>(self, record: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(record) } else { Err(Malformed::Long) }
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
