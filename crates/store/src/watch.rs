//! Watches: a cursor into the log and a wake-up, nothing more.

use std::sync::Arc;

use tokio::sync::watch;

use crate::TagFilter;
use crate::errors::WatchError;
use crate::shared::{Shared, Wake};
use crate::state::Logged;
use crate::sync::read;
use crate::types::{Change, Revision};

/// How many changes are looked at under one lock.
const STEP: usize = 4096;

/// A position in the change log. It costs a cursor, not a queue: who reads too slowly is told
/// `WatchError::Compacted` when the log has moved past it.
pub struct Watch {
    shared: Arc<Shared>,
    prefix: String,
    filter: Option<TagFilter>,
    seen: Revision,
    /// Whether changes tell what was there before.
    tells_before: bool,
    wake: watch::Receiver<Wake>,
}

impl Watch {
    /// A watch that goes on after a revision.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        prefix: &str,
        after: Revision,
        filter: Option<TagFilter>,
    ) -> Result<Watch, WatchError> {
        let wake = shared.wake.subscribe();
        let state = read(&shared.state);
        let (oldest, newest) = (state.floor(), state.revision());
        if after > newest {
            return Err(WatchError::Ahead { asked: after, newest });
        }
        if after < oldest {
            return Err(WatchError::Compacted { asked: after, oldest });
        }
        Ok(Watch {
            shared: shared.clone(),
            prefix: prefix.to_owned(),
            filter,
            seen: after,
            tells_before: true,
            wake,
        })
    }

    /// The same watch for somebody who does not ask what was there before a change: it is not read.
    #[must_use]
    pub fn without_before(self) -> Watch {
        Watch { tells_before: false, ..self }
    }

    /// Waits for the next changes: at least one, at most `max` (0 counts as 1), and no more than
    /// [`Bounds::watch_bytes`](crate::Bounds) of their values. A future that is dropped
    /// loses nothing: the next call goes on where this one was.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Change>, WatchError> {
        loop {
            let closed = self.wake.borrow_and_update().closed;
            let (changes, at_end) = self.step(max.max(1))?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            if at_end {
                if closed {
                    return Err(WatchError::Closed);
                }
                // The sender lives in `shared`, which this watch holds.
                self.wake.changed().await.map_err(|_| WatchError::Closed)?;
            }
        }
    }

    /// The revision up to which everything has been seen (also what the filter held back); what a bookmark says.
    #[must_use]
    pub fn seen(&self) -> Revision {
        self.seen
    }

    /// Looks at the next changes, and whether they were the last.
    fn step(&mut self, max: usize) -> Result<(Vec<Change>, bool), WatchError> {
        let mut seen = self.seen;
        let (mut passed, mut bytes) = (Vec::new(), 0);
        let state = read(&self.shared.state);
        if self.seen < state.floor() {
            return Err(WatchError::Compacted { asked: self.seen, oldest: state.floor() });
        }
        for (revision, change) in state.changes(self.seen).take(STEP) {
            let is_wanted = self.wants(change);
            if is_wanted {
                bytes += change.bytes();
                if bytes > self.shared.bounds.watch_bytes && !passed.is_empty() {
                    break;
                }
            }
            seen = revision;
            if is_wanted {
                passed.push((revision, change.clone()));
                if passed.len() == max {
                    break;
                }
            }
        }
        let at_end = seen == state.revision();
        let _pin = self.shared.pins.pin(self.seen);
        drop(state);
        let changes = passed.into_iter().map(|(revision, change)| self.resolve(revision, &change));
        let changes = changes.collect::<Result<_, _>>()?;
        self.seen = seen;
        Ok((changes, at_end))
    }

    fn wants(&self, change: &Logged) -> bool {
        let sides = [&change.before, &change.after];
        change.key.starts_with(&self.prefix)
            && self.filter.as_ref().is_none_or(|filter| sides.into_iter().flatten().any(|v| filter(&v.tags)))
    }

    fn resolve(&self, revision: Revision, change: &Logged) -> Result<Change, WatchError> {
        let entry = |version| self.shared.entry(&change.key, version).map_err(WatchError::Io);
        let after = change.after.as_ref().map(entry).transpose()?;
        let before = change.before.as_ref().filter(|_| self.tells_before).map(entry).transpose()?;
        Ok(Change { revision, key: change.key.clone(), after, before })
    }
}
