//! Reading what memory holds of a store: all keys, and the log of recent changes.
//!
//! A change tells only what was before it. What came after is told by the next change of the same key, or at last by
//! the key itself; so the keys and the log prove each other, and a part that was lost is noticed.

use std::collections::{BTreeMap, HashMap, VecDeque};

use fjall::UserValue;

use super::durable::{LoadError, Parts};
use super::header::Header;
use crate::format::{self, Malformed, Past};
use crate::state::{Logged, State, Version};
use crate::types::{Key, Revision};

/// Reads a store. The log's last change tells the revision; a store without one is new.
pub(super) fn load(parts: &Parts, header: &Header) -> Result<State, LoadError> {
    let (index, log) = std::thread::scope(|scope| {
        let log = scope.spawn(|| read_log(parts));
        let index = read_index(parts);
        (index, log.join().unwrap_or(Err(LoadError::Panic)))
    });
    let (index, (floor, log)) = (index?, log?);
    let revision = floor.map_or(header.first_revision, |floor| Revision(floor.0 + log.len() as u64));
    let newest = index.values().map(|version| version.modified).max();
    let reached = newest.unwrap_or_default().max(header.reached);
    if reached > revision {
        return Err(LoadError::Short { reached, revision });
    }
    let log = complete(&log, revision, &index)?;
    Ok(State::new(revision, index, log))
}

fn read_index(parts: &Parts) -> Result<BTreeMap<Key, Version>, LoadError> {
    let mut sorted: Vec<(Key, Version)> = Vec::new();
    for pair in parts.meta.iter() {
        let (key, record) = pair.into_inner()?;
        let key = std::str::from_utf8(&key).map_err(|_| Malformed::Text)?;
        sorted.push((key.into(), format::read_version(&record)?));
    }
    Ok(sorted.into_iter().collect())
}

/// The records of the log, and the revision before its first change.
fn read_log(parts: &Parts) -> Result<(Option<Revision>, Vec<UserValue>), LoadError> {
    let mut floor = None;
    let mut log = Vec::new();
    for pair in parts.log.iter() {
        let (revision, record) = pair.into_inner()?;
        let revision = format::read_revision(&revision)?;
        let floor = floor.get_or_insert(Revision(revision.0.saturating_sub(1)));
        log.push(record);
        if revision.0 != floor.0 + log.len() as u64 {
            return Err(LoadError::Hole(revision));
        }
    }
    Ok((floor, log))
}

/// Gives each change what came after it, from the newest to the oldest.
fn complete(
    log: &[UserValue],
    newest: Revision,
    index: &BTreeMap<Key, Version>,
) -> Result<VecDeque<Logged>, LoadError> {
    let mut completed = VecDeque::with_capacity(log.len());
    // What the keys were before the changes that were seen already.
    let mut earlier: HashMap<Key, Option<Version>> = HashMap::new();
    let mut told = 0;
    for (record, revision) in log.iter().rev().zip((0..=newest.0).rev().map(Revision)) {
        let past = format::read_change(record)?;
        if revision == newest {
            told = past.keys;
        }
        let (key, after) = match earlier.remove_entry(past.key) {
            Some((key, after)) => (key, after),
            None => match index.get_key_value(past.key) {
                Some((key, after)) => (key.clone(), Some(after.clone())),
                None => (past.key.into(), None),
            },
        };
        if !agrees(&past, after.as_ref(), revision) {
            return Err(LoadError::Disagree(revision));
        }
        let mut before = past.before;
        if let (true, Some(before), Some(after)) = (past.same_tags, &mut before, &after) {
            before.tags = after.tags.clone();
        }
        earlier.insert(key.clone(), before.clone());
        completed.push_front(Logged { at_ms: past.at_ms, key, before, after });
    }
    if told != index.len() as u64 {
        return Err(LoadError::Keys { found: index.len() as u64, told });
    }
    Ok(completed)
}

fn agrees(past: &Past<'_>, after: Option<&Version>, revision: Revision) -> bool {
    let Some(after) = after else { return !past.put };
    let created = past.before.as_ref().map_or(revision, |before| before.created);
    past.put && after.modified == revision && after.created == created
}
