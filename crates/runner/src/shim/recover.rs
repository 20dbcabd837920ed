//! What a new shim does with the ledger of a dead one: end what is left, and say what cannot be known.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ledger::Entry;
use super::procfs::Birth;
use super::{procfs, spawn};
use crate::runtime::{Event, Key};
use crate::world;

/// How long killed processes may take to be gone. Beyond it they hang in the kernel, where no signal helps.
const PATIENCE: Duration = Duration::from_secs(10);

/// One event for each run of the ledger, all of them ends.
pub(crate) fn recover(entries: BTreeMap<Key, Entry>, boot: &str) -> Vec<Event> {
    let left: BTreeMap<String, Option<(i32, Birth)>> = entries
        .iter()
        .filter_map(|(key, entry)| match entry {
            Entry::Asked { boot: then } if then == boot => Some((procfs::mark(key), None)),
            Entry::Started { boot: then, pid, birth, .. } if then == boot => {
                Some((procfs::mark(key), Some((*pid, *birth))))
            }
            _ => None,
        })
        .collect();
    if !left.is_empty() {
        end_leftovers(&left);
    }
    entries.into_iter().map(|(key, entry)| end(key, entry, boot)).collect()
}

fn end(key: Key, entry: Entry, boot: &str) -> Event {
    let message = match entry {
        Entry::Over(event) => return event,
        Entry::Asked { boot: then } | Entry::Started { boot: then, .. } if then != boot => {
            "the machine was restarted while the container ran"
        }
        Entry::Asked { .. } => "the process that watches over the containers died while it started this one",
        Entry::Started { .. } => {
            "the process that watches over the containers died; what was left of this one was ended"
        }
    };
    Event::Lost { key, message: message.to_owned(), at: world::now() }
}

/// Kills until nothing of these runs is found: the first processes by pid and start time with their groups, and
/// whatever carries a run's mark.
fn end_leftovers(left: &BTreeMap<String, Option<(i32, Birth)>>) {
    let firsts: BTreeMap<i32, Birth> = left.values().copied().flatten().collect();
    let deadline = world::monotonic() + PATIENCE;
    loop {
        let mut handles = Vec::new();
        for pid in procfs::all() {
            let Some(handle) = spawn::pidfd(pid) else { continue };
            let Some(stat) = procfs::stat(pid).filter(|stat| !stat.is_zombie) else { continue };
            let is_first = firsts.get(&pid).is_some_and(|birth| birth.is(stat.ticks));
            if is_first {
                for below in procfs::tree(pid) {
                    spawn::kill_one(below, libc::SIGKILL);
                }
                spawn::kill_group(pid, libc::SIGKILL);
            }
            if is_first || procfs::mark_of(pid).is_some_and(|mark| left.contains_key(&mark)) {
                spawn::kill_one(pid, libc::SIGKILL);
                handles.push(handle);
            }
        }
        if handles.is_empty() {
            return;
        }
        for handle in handles {
            let left = deadline.saturating_duration_since(world::monotonic());
            if left.is_zero() {
                return;
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            // Interrupted or not: the next round looks again.
            let _ = poll(&mut [PollFd::new(handle.as_fd(), PollFlags::POLLIN)], timeout);
        }
    }
}
