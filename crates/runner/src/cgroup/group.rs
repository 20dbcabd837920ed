//! The group of one run: its limits, its processes, what the kernel counted of it, its end.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::Limits;
use super::hierarchy::{Controller, Version};
use crate::shim::spawn::pidfd;

/// The time in which a share of the CPU is counted, microseconds, and the smallest share of it that the kernel takes
/// (upstream: `QuotaPeriod` and `MinQuotaPeriod` in pkg/kubelet/cm/helpers_linux.go).
const PERIOD_US: u64 = 100_000;
const LEAST_US: u64 = 1_000;
/// More than any machine has, and less than the kernel refuses.
const MOST_US: u64 = 1 << 40;
/// As many processes as the kernel can number: more is refused.
const MOST_PIDS: u64 = 1 << 22;
/// How often processes that come while others are killed are looked for.
const ROUNDS: usize = 64;
/// The most processes that are killed one by one in a row, before others have their turn.
const MOST_KILLED: usize = 4096;
/// The most handles that are held at once: no more than the shim keeps descriptors for.
const MOST_HANDLES: usize = 32;
/// The most groups below a run's own that are walked: a run may make some itself.
const MOST_BELOW: usize = 1_000;

/// A run's group: a directory in each hierarchy that holds one of its limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RunGroup {
    pub(super) places: Vec<Place>,
}

/// One such directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) version: Version,
    pub(super) directory: PathBuf,
    pub(super) controllers: Vec<Controller>,
}

/// What the kernel counted of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counted {
    /// The kernel killed a process of the run because memory was short.
    pub(crate) out_of_memory: bool,
    /// CPU time of all that ever was in the group, microseconds, where it is counted.
    pub(crate) cpu_us: Option<u64>,
}

impl RunGroup {
    /// The files through which a process comes into the group: it writes "0" to each.
    pub(crate) fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |place: &Place| {
            Ok(OpenOptions::new().write(true).open(place.directory.join("cgroup.procs"))?.into())
        };
        self.places.iter().map(open).collect()
    }

    /// The same, to where a process of the run is: in version 2 one that has divided its group is below it, and nobody may
    /// come into the group itself any more (upstream: runc goes where the container's first process is).
    pub(crate) fn doors_beside(&self, first: i32) -> io::Result<Vec<OwnedFd>> {
        let groups = text(Path::new(&format!("/proc/{first}")), "cgroup");
        let places = self.places.iter().map(|Place { version, directory, controllers }| {
            let below = tail(directory).filter(|_| *version == Version::V2);
            let below = below.and_then(|tail| below_tail(&groups, &tail)).unwrap_or_default();
            Place { version: *version, directory: directory.join(below), controllers: controllers.clone() }
        });
        RunGroup { places: places.collect() }.doors()
    }

    /// Kills whatever is in it, or much of it. It may take a moment until it is gone.
    pub(crate) fn kill(&self) {
        let at_once = |place: &&Place| {
            place.version == Version::V2 && put(&place.directory, "cgroup.kill", "1").is_ok()
        };
        if self.places.iter().find(at_once).is_none()
            && let Some(place) = self.places.first()
        {
            kill_listed(&place.directory);
        }
    }

    /// Whether nothing lives in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.first().is_none_or(Place::is_empty)
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        for Place { version, directory, controllers } in &self.places {
            if controllers.contains(&Controller::Memory) {
                let file = if *version == Version::V2 { "memory.events" } else { "memory.oom_control" };
                counted.out_of_memory |=
                    field(&text(directory, file), "oom_kill").is_some_and(|count| count > 0);
            }
            counted.cpu_us = counted.cpu_us.or(match version {
                Version::V2 => field(&text(directory, "cpu.stat"), "usage_usec"),
                // There if the two controllers are mounted together, as they mostly are; nanoseconds.
                Version::V1 => text(directory, "cpuacct.usage").trim().parse().ok().map(|ns: u64| ns / 1000),
            });
        }
        counted
    }

    /// Removes it. False: something is still in it.
    pub(crate) fn remove(&self) -> bool {
        self.places.iter().filter(|place| !remove_all(&place.directory)).count() == 0
    }

    /// Handles on what is in it, or on some of it, to wait for.
    pub(super) fn handles(&self) -> Vec<File> {
        let directories = self.places.first().map(|place| below(&place.directory)).unwrap_or_default();
        let listed = directories.iter().flat_map(|directory| processes(directory));
        listed.filter_map(pidfd).take(MOST_HANDLES).collect()
    }
}

impl Place {
    /// Makes the directory and writes what of the limits this hierarchy holds; an error says which one failed.
    pub(super) fn furnish(&self, limits: &Limits) -> Result<(), (Controller, io::Error)> {
        self.controllers
            .iter()
            .try_for_each(|controller| self.limit(*controller, limits).map_err(|error| (*controller, error)))
    }

    fn limit(&self, controller: Controller, limits: &Limits) -> io::Result<()> {
        let directory = &self.directory;
        let bytes = limits.memory_bytes.unwrap_or(u64::MAX);
        let quota =
            (limits.cpu_millis.unwrap_or(0).saturating_mul(PERIOD_US) / 1000).clamp(LEAST_US, MOST_US);
        match (controller, self.version) {
            (Controller::Memory, Version::V2) => {
                put(directory, "memory.max", &bytes.to_string())?;
                // Where the kernel has no swap there is no such file.
                ignore_absence(put(directory, "memory.swap.max", "0"))?;
                // All of a container or nothing of it (upstream: kuberuntime_container_linux.go); since Linux 4.19.
                ignore_absence(put(directory, "memory.oom.group", "1"))
            }
            (Controller::Memory, Version::V1) => {
                put(directory, "memory.limit_in_bytes", &bytes.to_string())?;
                ignore_absence(put(directory, "memory.memsw.limit_in_bytes", &bytes.to_string()))
            }
            (Controller::Cpu, Version::V2) => put(directory, "cpu.max", &format!("{quota} {PERIOD_US}")),
            (Controller::Cpu, Version::V1) => {
                put(directory, "cpu.cfs_period_us", &PERIOD_US.to_string())?;
                put(directory, "cpu.cfs_quota_us", &quota.to_string())
            }
            (Controller::Pids, _) => {
                put(directory, "pids.max", &limits.pids.unwrap_or(MOST_PIDS).min(MOST_PIDS).to_string())
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self.version {
            Version::V2 => field(&text(&self.directory, "cgroup.events"), "populated") != Some(1),
            Version::V1 => below(&self.directory).iter().all(|directory| processes(directory).is_empty()),
        }
    }
}

/// Writes a value to a file that is there.
pub(super) fn put(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(directory.join(file))?.write_all(value.as_bytes())
}

fn ignore_absence(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

fn text(directory: &Path, file: &str) -> String {
    std::fs::read_to_string(directory.join(file)).unwrap_or_default()
}

/// A number out of lines of names and numbers.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The processes of one group. Those of another pid namespace, which are all called 0, are left out.
pub(super) fn processes(directory: &Path) -> Vec<i32> {
    let pids = text(directory, "cgroup.procs");
    pids.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// A group and those below it, the deepest last.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    let mut at = 0;
    while at < found.len() && found.len() < MOST_BELOW {
        let entries = std::fs::read_dir(&found[at]).into_iter().flatten().flatten();
        found.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
        at += 1;
    }
    found
}

/// Removes a group and those below it. That it is gone already is as good.
pub(super) fn remove_all(directory: &Path) -> bool {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(()) => true,
    };
    if gone(std::fs::remove_dir(directory)) {
        return true;
    }
    below(directory).iter().rev().filter(|directory| !gone(std::fs::remove_dir(directory))).count() == 0
}

/// Kills what is listed in a group and below it, each by a handle that is open for that moment only: a number that has come
/// to mean another process meanwhile is in no such group. Of very many some: whoever finds the rest asks again.
fn kill_listed(directory: &Path) {
    let Some(tail) = tail(directory) else { return };
    let mut killed = BTreeSet::new();
    for _ in 0..ROUNDS {
        let listed = below(directory).into_iter().flat_map(|directory| processes(&directory));
        let fresh: Vec<i32> = listed.filter(|pid| !killed.contains(pid)).collect();
        if fresh.is_empty() {
            return;
        }
        for pid in fresh {
            if let Some(handle) = pidfd(pid)
                && is_member(&text(Path::new(&format!("/proc/{pid}")), "cgroup"), &tail)
            {
                // SAFETY: pidfd_send_signal(2) takes any numbers, and no siginfo; there is no wrapper in libc or nix.
                unsafe {
                    libc::syscall(
                        libc::SYS_pidfd_send_signal,
                        handle.as_raw_fd(),
                        libc::SIGKILL,
                        std::ptr::null::<libc::siginfo_t>(),
                        0,
                    )
                };
            }
            killed.insert(pid);
            if killed.len() >= MOST_KILLED {
                return;
            }
        }
    }
}

/// What the paths of a run's group and of those below it have in common with nobody else's on this machine: the names of
/// the shim's group and of the run's.
fn tail(directory: &Path) -> Option<String> {
    let run = directory.file_name()?.to_str()?;
    let base = directory.parent()?.file_name()?.to_str()?;
    Some(format!("/{base}/{run}/"))
}

/// Where below the group of that tail, in version 2, a process is whose groups are these; empty: in the group itself. None: elsewhere.
pub(super) fn below_tail(groups: &str, tail: &str) -> Option<String> {
    // The line of version 2.
    let paths = groups.lines().filter_map(|line| line.strip_prefix("0::"));
    let mut found = paths.filter_map(|path| Some(format!("{path}/").split_once(tail)?.1.to_owned()));
    found.next().map(|below| below.trim_end_matches('/').to_owned())
}

/// Whether a process whose groups are these (`/proc/PID/cgroup`) is in the group of that tail, or below it.
pub(super) fn is_member(groups: &str, tail: &str) -> bool {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.map(|path| format!("{path}/")).any(|path| path.contains(tail))
}
