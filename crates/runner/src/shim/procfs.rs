//! What `/proc` says of processes: start times, children, marks in their environment, and who holds a pipe.
//! It knows no run; processes that go away meanwhile answer `None` or nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::runtime::Key;

/// The variable by which a run's descendants are recognised, whatever became of their parents.
pub(crate) const MARK: &str = "WINDLASS_RUN";

/// The mark's value for a run.
pub(crate) fn mark(key: &Key) -> String {
    format!("{}/{}/{}", key.pod, key.container, key.attempt)
}

/// The kernel's id of this boot.
pub(crate) fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The fields of `/proc/PID/stat` that matter here (proc_pid_stat(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    /// It ended and waits to be reaped.
    pub(crate) is_zombie: bool,
    /// Its process group.
    pub(crate) group: i32,
    /// Its session.
    pub(crate) session: i32,
    /// When it started, in clock ticks since boot: with the pid, its identity.
    pub(crate) ticks: u64,
}

/// When a process started, as closely as whoever started it knows: its `ticks` are at least these, and at most `spread`
/// more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Birth {
    pub(crate) ticks: u64,
    pub(crate) spread: u64,
}

impl Birth {
    /// The birth of a process that is started between two looks at the clock. Reading it from `/proc` would cost as
    /// much as reaping.
    pub(crate) fn between(before: Duration, after: Duration) -> Birth {
        // SAFETY: sysconf(3) takes any number.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        let per_second = u128::from(u64::try_from(per_second).unwrap_or(100).max(1));
        // Rounded down, as the kernel does.
        let ticks = |time: Duration| {
            u64::try_from(time.as_nanos() / (1_000_000_000 / per_second)).unwrap_or(u64::MAX)
        };
        Birth { ticks: ticks(before), spread: ticks(after) - ticks(before) }
    }

    /// Whether a process that has this start time may be that one.
    pub(crate) fn is(&self, ticks: u64) -> bool {
        (self.ticks..=self.ticks.saturating_add(self.spread)).contains(&ticks)
    }
}

/// Reads a process's state.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    stat_of(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// What the text of `/proc/PID/stat` says.
pub(crate) fn stat_of(text: &[u8]) -> Option<Stat> {
    // The name is in parentheses and may hold anything, parentheses too.
    let after_name = text.iter().rposition(|&byte| byte == b')')? + 2;
    let mut fields = std::str::from_utf8(text.get(after_name..)?).ok()?.split(' ');
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let ticks = fields.nth(15)?.parse().ok()?;
    Some(Stat { is_zombie: matches!(state, "Z" | "X"), group, session, ticks })
}

/// The children of one thread. Orphans that a subreaper adopts are put with its first thread.
pub(crate) fn thread_children(pid: i32, thread: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A process and everything below it that has not been re-parented, itself first.
pub(crate) fn tree(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let pid = found[at];
        at += 1;
        for thread in numbers(&format!("/proc/{pid}/task")) {
            found.extend(thread_children(pid, thread));
        }
    }
    found
}

/// The file that a process executes, by device and number, if it may be looked at.
pub(crate) fn program(pid: i32) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Every process there is.
pub(crate) fn all() -> Vec<i32> {
    numbers("/proc")
}

fn numbers(directory: &str) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The run that a process was started for, if it kept the mark and may be looked at.
pub(crate) fn mark_of(pid: i32) -> Option<String> {
    mark_in(&std::fs::read(format!("/proc/{pid}/environ")).ok()?)
}

/// The mark in an environment.
pub(crate) fn mark_in(environ: &[u8]) -> Option<String> {
    let value = environ
        .split(|&byte| byte == 0)
        .find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    String::from_utf8(value.to_vec()).ok()
}

/// Whether the process's stdout or stderr is one of these files (`pipe:[4711]`).
pub(crate) fn writes_to(pid: i32, names: &[String]) -> bool {
    [1, 2].into_iter().any(|fd| {
        std::fs::read_link(format!("/proc/{pid}/fd/{fd}"))
            .is_ok_and(|link| names.iter().any(|name| OsStr::from_bytes(name.as_bytes()) == link.as_os_str()))
    })
}

/// The name that `/proc` gives an open descriptor of this process.
pub(crate) fn name_of(fd: i32) -> Option<String> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.to_str().map(str::to_owned)
}
