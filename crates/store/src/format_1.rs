//! The records of format 1, which are only read any more: for the migration to the present format.
//! Numbers, text, revisions and values are as in [`crate::format`].

use crate::format::{Input, Malformed};
use crate::state::{Logged, Version};
use crate::tags::Tags;
use crate::types::Key;

/// Reads the record of a version.
pub(crate) fn read_version(bytes: &[u8]) -> Result<Version, Malformed> {
    let mut input = Input::of(bytes);
    let version = input.version(tags)?;
    input.end(version)
}

const BEFORE: u64 = 1;
const AFTER: u64 = 2;
const SAME_TAGS: u64 = 4;

/// Reads the record of a change.
pub(crate) fn read_change(bytes: &[u8]) -> Result<Logged, Malformed> {
    let mut input = Input::of(bytes);
    let flags = input.number()?;
    // One in which nothing happens is none; the present format has no way to write it.
    if !matches!(flags, 1..=3 | 7) {
        return Err(Malformed::Number);
    }
    let at_ms = input.number()?;
    let key: Key = input.text()?.into();
    let (mut before, mut after) = (None, None);
    if flags & BEFORE != 0 {
        before = Some(input.version(tags)?);
    }
    if flags & AFTER != 0 {
        after = Some(match &before {
            Some(before) if flags & SAME_TAGS != 0 => input.version(|_| Ok(before.tags.clone()))?,
            _ => input.version(tags)?,
        });
    }
    input.end(Logged { at_ms, key, before, after })
}

fn tags(input: &mut Input<'_>) -> Result<Tags, Malformed> {
    let mut pairs = Vec::new();
    for _ in 0..input.number()? {
        let name = input.text()?;
        pairs.push((name.into(), input.text()?.into()));
    }
    Ok(Tags::new(pairs))
}
