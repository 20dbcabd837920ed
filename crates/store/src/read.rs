//! Reads: one key, or a page of keys at a revision. They run beside the writer and never wait for its disk.

use std::io;
use std::sync::Arc;

use crate::errors::ReadError;
use crate::shared::Shared;
use crate::state::{State, Version};
use crate::sync::read;
use crate::tags::Tags;
use crate::types::{Entry, Key, ListRequest, Page, Revision};

/// The newest version of a key.
pub(crate) fn get(shared: &Shared, key: &str) -> Result<Option<Entry>, ReadError> {
    let state = read(&shared.state);
    let Some((key, version)) = state.get(key).map(|(k, v)| (k.clone(), v.clone())) else {
        return Ok(None);
    };
    let _pin = shared.pins.pin(state.revision());
    drop(state);
    shared.entry(&key, &version).map(Some).map_err(ReadError::Io)
}

/// One page of keys, with their values.
pub(crate) fn list(shared: &Shared, request: &ListRequest<'_>) -> Result<Page, ReadError> {
    let state = read(&shared.state);
    let revision = request.at.unwrap_or(state.revision());
    check(&state, revision)?;
    let found = page(&state, request, revision);
    let _pin = shared.pins.pin(revision);
    drop(state);
    let entries = resolve(shared, &found.versions).map_err(ReadError::Io)?;
    Ok(Page { entries, revision, more: found.more, remaining: found.remaining })
}

/// How many keys a scan looks at under one lock.
const SLICE: usize = 1024;

/// Shows every key below a prefix with its creation, its newest change and its tags, as they are at one revision.
/// The keys are taken in slices, so that a writer waits for one slice at most; none is shown under a lock.
pub(crate) fn scan(
    shared: &Shared,
    prefix: &str,
    visit: &mut dyn FnMut(&Key, Revision, Revision, &Tags),
) -> Revision {
    let mut state = read(&shared.state);
    let revision = state.revision();
    // What changes meanwhile is undone from the log, which keeps it for as long.
    let _pin = shared.pins.pin(revision);
    let mut after: Option<Key> = None;
    loop {
        let keys = state.keys_at(revision, prefix, after.as_deref(), None);
        let slice: Vec<(Key, Version)> = keys.take(SLICE).map(|(k, v)| (k.clone(), v.clone())).collect();
        drop(state);
        for (key, version) in &slice {
            visit(key, version.created, version.modified, &version.tags);
        }
        let Some((last, _)) = slice.last().filter(|_| slice.len() == SLICE) else { return revision };
        after = Some(last.clone());
        state = read(&shared.state);
    }
}

/// The versions with their values. Those are read in the order in which they were written: they lie so on disk.
fn resolve(shared: &Shared, versions: &[(Key, Version)]) -> Result<Vec<Entry>, Arc<io::Error>> {
    let mut order: Vec<_> = versions.iter().enumerate().collect();
    order.sort_unstable_by_key(|(_, (_, version))| version.modified);
    let mut entries = Vec::with_capacity(versions.len());
    for (at, (key, version)) in order {
        entries.push((at, shared.entry(key, version)?));
    }
    entries.sort_unstable_by_key(|(at, _)| *at);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn check(state: &State, asked: Revision) -> Result<(), ReadError> {
    let (oldest, newest) = (state.floor(), state.revision());
    if asked > newest {
        return Err(ReadError::Ahead { asked, newest });
    }
    if asked < oldest {
        return Err(ReadError::Compacted { asked, oldest });
    }
    Ok(())
}

/// A page without its values.
struct Found {
    versions: Vec<(Key, Version)>,
    more: bool,
    remaining: Option<usize>,
}

fn page(state: &State, request: &ListRequest<'_>, at: Revision) -> Found {
    let ListRequest { prefix, after_key, tagged, filter, .. } = *request;
    let limit = request.limit.unwrap_or(usize::MAX);
    let passes = |version: &Version| filter.is_none_or(|filter| filter(&version.tags));
    let mut keys = state.keys_at(at, prefix, after_key, tagged).filter(|(_, version)| passes(version));
    let versions: Vec<_> = keys.by_ref().take(limit).map(|(k, v)| (k.clone(), v.clone())).collect();
    let more = keys.next().is_some();
    let last = versions.last().map(|(key, _)| &**key).or(after_key);
    let remaining = match (filter.is_some() || tagged.is_some(), more) {
        (true, _) => None,
        (false, true) => Some(state.count_at(at, prefix, last)),
        (false, false) => Some(0),
    };
    Found { versions, more, remaining }
}
