//! The shim's own group below which the groups of its runs are: made with the first run that has limits, found again
//! by a file in the shim's directory, removed when it is empty.
//!
//! In version 2 a group that has groups below has no processes (the "no internal processes" rule), so there the engine
//! and the shim first go to a leaf beside the runs' groups. They do so only if nobody else is in the group.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{AccessFlags, access, geteuid};

use super::delegate::{self, Look};
use super::group::{Place, RunGroup, processes, put, remove_all};
use super::hierarchy::{Controller, Seat, Table, Version};
use super::{Lack, Limits, Reason, Unlimited};
use crate::shim::procfs::{program, tree};
use crate::world;

/// The file in the shim's directory that lists its groups, one a line.
const LIST: &str = "groups";
/// In version 2: where the engine and the shim are, and runs without limits.
const LEAF: &str = "engine";
/// How a run's group begins.
const RUN: &str = "run-";
/// How often processes that come while others are moved are looked for.
const ROUNDS: usize = 16;
/// The most groups that are kept to be removed later because something hangs in them.
const MOST_LEFT: usize = 1024;
/// How long what a dead shim's runs left may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks where there is nothing to wait for.
const MOMENT: Duration = Duration::from_millis(5);

/// The groups of one shim.
pub(crate) struct Groups {
    /// The name of its own group: one that no other shim of this machine has.
    name: String,
    list: PathBuf,
    /// The engine's pid, once it has come.
    engine: AtomicI32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where runs' groups can be made, by controller.
    bases: BTreeMap<Controller, Base>,
    next: u64,
    /// Groups that could not be removed yet.
    left: Vec<RunGroup>,
}

#[derive(Clone)]
struct Base {
    version: Version,
    directory: PathBuf,
}

/// Why there is no such place.
type Fault = (Reason, String);

impl Groups {
    /// For the shim of a directory. Nothing is looked at yet.
    pub(crate) fn new(directory: &Path, handle: &File) -> io::Result<Groups> {
        let meta = handle.metadata()?;
        Ok(Groups {
            name: format!("windlass-{:x}-{:x}", meta.dev(), meta.ino()),
            list: directory.join(LIST),
            engine: AtomicI32::new(0),
            state: Mutex::default(),
        })
    }

    /// Who is connected.
    pub(crate) fn engine_is(&self, pid: i32) {
        self.engine.store(pid, Ordering::Release);
    }

    /// Makes a group that holds what of the limits can be held, and says what cannot.
    pub(crate) fn make(&self, limits: &Limits) -> (Option<RunGroup>, Option<Unlimited>) {
        let mut state = self.state();
        state.left.retain(|group| !group.remove());
        let wanted = [
            (Controller::Memory, limits.memory_bytes),
            (Controller::Cpu, limits.cpu_millis),
            (Controller::Pids, limits.pids),
        ];
        let mut lacks = Vec::new();
        let mut places: Vec<(Base, Vec<Controller>)> = Vec::new();
        for (controller, _) in wanted.into_iter().filter(|(_, limit)| limit.is_some()) {
            match self.base(&mut state, controller) {
                Ok(base) => match places.iter_mut().find(|(known, _)| known.directory == base.directory) {
                    Some((_, controllers)) => controllers.push(controller),
                    None => places.push((base, vec![controller])),
                },
                Err((reason, cause)) => lacks.push(Lack { controller, reason, cause }),
            }
        }
        let mut group = RunGroup { places: Vec::new() };
        for (Base { version, directory }, controllers) in places {
            let refused = |(controller, error): (Controller, io::Error)| {
                let cause = format!("a control group in {} cannot be made: {error}", directory.display());
                Lack { controller, reason: Reason::Refused, cause }
            };
            match new_directory(&directory, &mut state.next) {
                Ok(made) => {
                    let place = Place { version, directory: made, controllers };
                    lacks.extend(place.furnish(limits).err().map(refused));
                    group.places.push(place);
                }
                Err(error) => {
                    // Somebody has removed it: made anew for the next run.
                    state.bases.retain(|_, base| base.directory != directory);
                    let error = |controller| (controller, io::Error::from(error.kind()));
                    lacks.extend(controllers.into_iter().map(error).map(refused));
                }
            }
        }
        let unlimited = Unlimited::of(&lacks, geteuid().is_root());
        ((!group.places.is_empty()).then_some(group), unlimited)
    }

    /// That a run's process could not be put into its group.
    pub(crate) fn not_entered(&self, limits: &Limits, error: &io::Error) -> Option<Unlimited> {
        let cause = format!("the process cannot be put into its control group: {error}");
        let wanted = [
            (Controller::Memory, limits.memory_bytes),
            (Controller::Cpu, limits.cpu_millis),
            (Controller::Pids, limits.pids),
        ];
        let lacks = wanted.into_iter().filter(|(_, limit)| limit.is_some());
        let lacks =
            lacks.map(|(controller, _)| Lack { controller, reason: Reason::Refused, cause: cause.clone() });
        Unlimited::of(&lacks.collect::<Vec<_>>(), geteuid().is_root())
    }

    /// Removes the group of a run that is over, now or later.
    pub(crate) fn give_back(&self, group: &RunGroup) {
        if !group.remove() {
            group.kill();
            let mut state = self.state();
            if state.left.len() < MOST_LEFT {
                state.left.push(group.clone());
            }
        }
    }

    /// Removes what can be removed: the shim leaves.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.left.retain(|group| !group.remove());
        let bases: BTreeSet<_> =
            std::mem::take(&mut state.bases).into_values().map(|base| base.directory).collect();
        let gone = bases.iter().filter(|base| std::fs::remove_dir(base).is_err()).count() == 0;
        if gone && !bases.is_empty() {
            let _ = std::fs::remove_file(&self.list);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base(&self, state: &mut State, controller: Controller) -> Result<Base, Fault> {
        if let Some(base) = state.bases.get(&controller) {
            return Ok(base.clone());
        }
        let table = table();
        let leaf = format!("/{}/{LEAF}", self.name);
        let seat = delegate::judge(&table, controller, &leaf, &Files)?;
        let directory = seat.directory.join(&self.name);
        let refused = |error: io::Error| {
            (Reason::Refused, format!("the control group {} cannot be made: {error}", directory.display()))
        };
        self.remember(&directory).map_err(refused)?;
        make_directory(&directory).map_err(refused)?;
        if seat.version == Version::V2 {
            let enabled = self.make_room(&seat, &directory).and_then(|()| {
                enable(&seat.directory, controller)?;
                enable(&directory, controller)
            });
            if let Err(fault) = enabled {
                // Nothing of it stays, if nothing is in it.
                remove_all(&directory);
                return Err(fault);
            }
        }
        let base = Base { version: seat.version, directory };
        state.bases.insert(controller, base.clone());
        Ok(base)
    }

    /// Writes down where groups will be, for the shim that comes after this one.
    fn remember(&self, directory: &Path) -> io::Result<()> {
        let line = format!("{}\n", directory.display());
        let known = std::fs::read_to_string(&self.list).unwrap_or_default();
        if known.lines().any(|known| known == line.trim_end()) {
            return Ok(());
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(&self.list)?.write_all(line.as_bytes())
    }

    /// Takes the engine and the shim, with what they run, out of the group that is to have groups below.
    fn make_room(&self, seat: &Seat, base: &Path) -> Result<(), Fault> {
        if is_whole(seat) {
            return Ok(());
        }
        let leaf = base.join(LEAF);
        for _ in 0..ROUNDS {
            let here = processes(&seat.directory);
            if here.is_empty() {
                return Ok(());
            }
            nobody_else(seat, &here, &self.ours())?;
            let moved = make_directory(&leaf).and_then(|()| {
                here.iter().try_for_each(|pid| match put(&leaf, "cgroup.procs", &pid.to_string()) {
                    // It has ended meanwhile.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
                    moved => moved,
                })
            });
            moved.map_err(|error| {
                let cause = format!("the engine cannot go to the control group {}: {error}", leaf.display());
                (Reason::Refused, cause)
            })?;
        }
        Err((Reason::Shared, format!("processes come to the control group {} all the time", seat.path)))
    }

    /// The shim, the engine, and all that they have started.
    fn ours(&self) -> BTreeSet<i32> {
        let me = std::process::id().cast_signed();
        let engine = self.engine.load(Ordering::Acquire);
        tree(me).into_iter().chain([engine]).collect()
    }
}

/// What would not be enforced of the limits of runs if an engine were started where this process is. Nothing is changed.
#[must_use]
pub fn look() -> Option<Unlimited> {
    let table = table();
    let me = BTreeSet::from([std::process::id().cast_signed()]);
    let lacks =
        [Controller::Memory, Controller::Cpu, Controller::Pids].into_iter().filter_map(|controller| {
            let judged =
                delegate::judge(&table, controller, "", &Files).and_then(|seat| match seat.version {
                    Version::V2 if !is_whole(&seat) => nobody_else(&seat, &processes(&seat.directory), &me),
                    _ => Ok(()),
                });
            judged.err().map(|(reason, cause)| Lack { controller, reason, cause })
        });
    Unlimited::of(&lacks.collect::<Vec<_>>(), geteuid().is_root())
}

fn table() -> Table {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Table::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

/// Whether it is the machine's own topmost group, in which there may be processes whatever is below. It has no such file.
fn is_whole(seat: &Seat) -> bool {
    !seat.directory.join("cgroup.type").exists()
}

/// A group whose processes are all ours, or who else is there.
fn nobody_else(seat: &Seat, here: &[i32], ours: &BTreeSet<i32>) -> Result<(), Fault> {
    let Some(other) = here.iter().find(|pid| !ours.contains(pid) && !is_ours(**pid)) else { return Ok(()) };
    let name = std::fs::read_to_string(format!("/proc/{other}/comm")).unwrap_or_default();
    let cause =
        format!("the process {other} ({}) is in the engine's control group {}", name.trim(), seat.path);
    Err((Reason::Shared, cause))
}

/// Whether a process runs the shim's own program: the command line, or an engine.
fn is_ours(pid: i32) -> bool {
    let mine = program(std::process::id().cast_signed());
    mine.is_some() && program(pid) == mine
}

/// Gives the groups below a group a controller.
fn enable(directory: &Path, controller: Controller) -> Result<(), Fault> {
    let name = controller.name();
    put(directory, "cgroup.subtree_control", &format!("+{name}")).map_err(|error| {
        let reason = match error.raw_os_error() {
            Some(libc::EBUSY) => Reason::Shared,
            Some(libc::EACCES | libc::EPERM) => Reason::NotDelegated,
            _ => Reason::NoController,
        };
        (
            reason,
            format!(
                "the control group {} cannot pass on the controller {name}: {error}",
                directory.display()
            ),
        )
    })
}

fn make_directory(directory: &Path) -> io::Result<()> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// A directory for one run. Those of a shim before this one are passed by.
fn new_directory(base: &Path, next: &mut u64) -> io::Result<PathBuf> {
    loop {
        let directory = base.join(format!("{RUN}{next}"));
        *next += 1;
        match std::fs::create_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| directory),
        }
    }
}

/// Ends and removes what a shim before this one left in its groups: none of its runs runs any more.
pub(crate) fn clean_up(directory: &Path) {
    let list = directory.join(LIST);
    let Ok(text) = std::fs::read_to_string(&list) else { return };
    let deadline = world::monotonic() + PATIENCE;
    let mut all_gone = true;
    for base in text.lines().map(Path::new) {
        let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
        let runs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(RUN));
        for run in runs.map(|entry| entry.path()) {
            let version = if run.join("cgroup.events").exists() { Version::V2 } else { Version::V1 };
            let place = Place { version, directory: run, controllers: Vec::new() };
            end(&RunGroup { places: vec![place] }, deadline);
        }
        let _ = std::fs::remove_dir(base.join(LEAF));
        all_gone &= std::fs::remove_dir(base).is_ok() || !base.exists();
    }
    if all_gone {
        let _ = std::fs::remove_file(list);
    }
}

/// Kills until nothing is left, and removes the group.
fn end(group: &RunGroup, deadline: std::time::Instant) {
    while !group.is_empty() {
        let left = deadline.saturating_duration_since(world::monotonic());
        if left.is_zero() {
            break;
        }
        let handles = group.handles();
        group.kill();
        if handles.is_empty() {
            // They are just going, or are of another pid namespace.
            world::pause(MOMENT);
        }
        for handle in handles {
            let left = deadline.saturating_duration_since(world::monotonic());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            // Interrupted or not: the next round looks again.
            let _ = poll(&mut [PollFd::new(handle.as_fd(), PollFlags::POLLIN)], timeout);
        }
    }
    group.remove();
}

/// The files as they are.
struct Files;

impl Look for Files {
    fn is_root(&self) -> bool {
        geteuid().is_root()
    }

    fn may_write(&self, path: &Path) -> bool {
        access(path, AccessFlags::W_OK).is_ok()
    }

    fn is_marked(&self, directory: &Path) -> bool {
        // What systemd sets: the one since version 251, the other for root alone before.
        [c"user.delegate", c"trusted.delegate"]
            .iter()
            .any(|name| attribute(directory, name).as_deref() == Some(b"1"))
    }

    fn text(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }
}

/// A short extended attribute of a directory.
fn attribute(directory: &Path, name: &std::ffi::CStr) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(directory.as_os_str().as_bytes()).ok()?;
    let mut value = [0u8; 16];
    // SAFETY: both strings end with NUL, and the buffer is as long as said.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    Some(value.get(..usize::try_from(length).ok()?)?.to_vec())
}
