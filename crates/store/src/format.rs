//! The bytes of the store's records on disk, format 1: numbers as LEB128, text with its length before it.
//! It knows nothing of files; what it cannot read it says.

use std::sync::Arc;

use bytes::Bytes;

use crate::state::{Logged, Version};
use crate::types::{Key, Revision, Tags, Value};

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
}

/// The record of a version: under its key.
pub(crate) fn version(version: &Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + version.tags.bytes());
    put_version(&mut out, version);
    put_tags(&mut out, &version.tags);
    out
}

/// Reads the record of a version.
pub(crate) fn read_version(bytes: &[u8]) -> Result<Version, Malformed> {
    let mut input = Input(bytes);
    let mut version = input.version()?;
    version.tags = input.tags()?;
    input.end(version)
}

const BEFORE: u64 = 1;
const AFTER: u64 = 2;
const SAME_TAGS: u64 = 4;

/// The record of a change: under its revision. Tags that stayed the same are written once.
pub(crate) fn change(change: &Logged) -> Vec<u8> {
    let Logged { at_ms, key, before, after } = change;
    let same = matches!((before, after), (Some(b), Some(a)) if b.tags == a.tags);
    let flag = |set: bool, flag| if set { flag } else { 0 };
    let mut out = Vec::with_capacity(64 + key.len());
    put_number(
        &mut out,
        flag(before.is_some(), BEFORE) | flag(after.is_some(), AFTER) | flag(same, SAME_TAGS),
    );
    put_number(&mut out, *at_ms);
    put_text(&mut out, key);
    if let Some(before) = before {
        put_version(&mut out, before);
        put_tags(&mut out, &before.tags);
    }
    if let Some(after) = after {
        put_version(&mut out, after);
        if !same {
            put_tags(&mut out, &after.tags);
        }
    }
    out
}

/// Reads the record of a change.
pub(crate) fn read_change(bytes: &[u8]) -> Result<Logged, Malformed> {
    let mut input = Input(bytes);
    let flags = input.number()?;
    if flags > 7 || (flags & SAME_TAGS != 0 && flags != 7) {
        return Err(Malformed::Number);
    }
    let at_ms = input.number()?;
    let key: Key = input.text()?.into();
    let (mut before, mut after) = (None, None);
    if flags & BEFORE != 0 {
        let tagless = input.version()?;
        before = Some(Version { tags: input.tags()?, ..tagless });
    }
    if flags & AFTER != 0 {
        let tagless = input.version()?;
        let tags = match &before {
            Some(before) if flags & SAME_TAGS != 0 => before.tags.clone(),
            _ => input.tags()?,
        };
        after = Some(Version { tags, ..tagless });
    }
    input.end(Logged { at_ms, key, before, after })
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
    put_number(out, tags.iter().count() as u64);
    for (name, value) in tags.iter() {
        put_text(out, name);
        put_text(out, value);
    }
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
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn number(&mut self) -> Result<u64, Malformed> {
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

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed::Number)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed::Text)
    }

    /// A version still without its tags.
    fn version(&mut self) -> Result<Version, Malformed> {
        let modified = self.number()?;
        let created = modified.checked_sub(self.number()?).ok_or(Malformed::Number)?;
        let size = u32::try_from(self.number()?).map_err(|_| Malformed::Number)?;
        Ok(Version { created: Revision(created), modified: Revision(modified), size, tags: Arc::default() })
    }

    fn tags(&mut self) -> Result<Arc<Tags>, Malformed> {
        let mut pairs = Vec::new();
        for _ in 0..self.number()? {
            let name = self.text()?;
            pairs.push((name.into(), self.text()?.into()));
        }
        Ok(Arc::new(Tags::new(pairs)))
    }

    fn end<T>(self, record: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(record) } else { Err(Malformed::Long) }
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
