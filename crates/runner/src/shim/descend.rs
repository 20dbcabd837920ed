//! Which processes belong to a run besides its first, and how they are reached.
//! It knows nothing of pipes' contents, ledgers and clients.

use std::os::fd::{AsRawFd, OwnedFd};

use super::children::Children;
use super::run::{Run, State};
use super::stdio::terminal_name;
use super::{procfs, spawn};
use crate::runtime::Key;

/// Sends a signal to a run's process group and to every descendant outside it.
pub(crate) fn signal_all(children: &Children, pid: i32, key: &Key, signal: i32) {
    let mark = procfs::mark(key);
    children.while_unreaped(pid, || {
        let mut outside = procfs::tree(pid);
        outside
            .extend(orphans().into_iter().filter(|&orphan| procfs::mark_of(orphan).as_ref() == Some(&mark)));
        outside.retain(|&other| other != pid && procfs::stat(other).is_some_and(|stat| stat.group != pid));
        spawn::kill_group(pid, signal);
        for other in outside {
            spawn::kill_one(other, signal);
        }
    });
}

/// Kills the orphans of runs whose first process has ended, with everything below them. Answers which were killed.
///
/// An orphan belongs to a run by its process group, its mark, or by holding the run's output. One that has nothing of
/// these left (`ssh-agent`: a session of its own, other outputs, an environment that cannot be read) can be told from
/// another run's only when `no_other` run is open: then it belongs to these.
pub(crate) fn end_orphans(children: &Children, ending: &[(u64, &Run)], no_other: bool) -> Vec<(u64, i32)> {
    if orphans().is_empty() {
        return Vec::new();
    }
    // While nothing is reaped an orphan's pid means the orphan.
    children.holding_reaper(|| {
        let mut killed = Vec::new();
        for orphan in orphans() {
            let Some(stat) = procfs::stat(orphan).filter(|stat| !stat.is_zombie) else { continue };
            let mark = procfs::mark_of(orphan);
            let owner = ending.iter().find(|(_, run)| {
                let State::Live(live) = &run.state else { return false };
                stat.group == live.pid
                    || mark.as_ref().is_some_and(|mark| *mark == procfs::mark(&run.key))
                    || procfs::writes_to(orphan, &pipe_names(run))
            });
            let owner = owner.or(ending.first().filter(|_| no_other));
            if let Some((id, _)) = owner {
                for pid in procfs::tree(orphan) {
                    spawn::kill_one(pid, libc::SIGKILL);
                }
                killed.push((*id, orphan));
            }
        }
        killed
    })
}

/// Kills a program beside a run with everything below it.
pub(crate) fn end_beside(children: &Children, pid: i32) {
    children.while_unreaped(pid, || {
        let tree = procfs::tree(pid);
        spawn::kill_group(pid, libc::SIGKILL);
        tree.into_iter().for_each(|below| spawn::kill_one(below, libc::SIGKILL));
    });
}

/// Kills what such a program has left in its session after it was ended. The number of a session is nobody else's as long
/// as somebody is in it.
pub(crate) fn end_session(children: &Children, session: i32) {
    children.holding_reaper(|| {
        let is_left = |stat: procfs::Stat| stat.session == session && !stat.is_zombie;
        for orphan in orphans().into_iter().filter(|orphan| procfs::stat(*orphan).is_some_and(is_left)) {
            for pid in procfs::tree(orphan) {
                spawn::kill_one(pid, libc::SIGKILL);
            }
        }
    });
}

fn pipe_names(run: &Run) -> Vec<String> {
    let State::Live(live) = &run.state else { return Vec::new() };
    let name = |pipe: &OwnedFd| terminal_name(pipe).or_else(|| procfs::name_of(pipe.as_raw_fd()));
    live.pipes.iter().flatten().filter_map(name).collect()
}

/// The children that the kernel gave to the shim. The threads that start children are others than the first, and
/// orphans go to the first: so this list is short.
fn orphans() -> Vec<i32> {
    let me = std::process::id().cast_signed();
    procfs::thread_children(me, me)
}
