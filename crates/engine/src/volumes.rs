//! The volumes of pods on this machine: where they lie, whether they can be mounted, made before a pod starts, and
//! removed after it has ended.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use windlass_runner::mounts::{self, Mount, Space};
use windlass_runner::process::Process;
use windlass_runner::runtime::{Event, Start};
use windlass_runner::volumes::{self, Content, Folders, Volume};

use crate::draft::Draft;
use crate::home::Home;
use crate::messages;
use crate::tick::Tick;

/// A file system in memory that every process of the machine may use, if it is one.
const MEMORY: &str = "/dev/shm";

/// Volumes to be made for a pod before it starts.
#[derive(Default)]
pub(crate) struct Furniture {
    pub(crate) volumes: Vec<Volume>,
    pub(crate) mounts: Vec<Mount>,
    /// Files for termination messages.
    pub(crate) messages: Vec<PathBuf>,
}

/// What the engine knows of volumes on this machine.
pub(crate) struct Volumes {
    home: Home,
    shim: Vec<OsString>,
    /// Whether this machine lets this user mount; asked when the first pod wants to.
    may_mount: OnceLock<Result<(), String>>,
    /// Pods that have directories.
    furnished: HashSet<String>,
}

/// The processes to start, the volumes they need, and the containers that cannot have one: name, reason, message.
pub(crate) type Prepared = (Vec<Start>, Option<Furniture>, Vec<(String, &'static str, String)>);

/// Why a pod's volumes cannot be mounted: reason and message of the container's waiting state.
pub(crate) type Blocked = (&'static str, String);

impl Volumes {
    /// Finds what earlier engines left.
    pub(crate) fn new(home: Home, shim: Vec<OsString>) -> Volumes {
        let mut places = vec![home.pods()];
        places.extend(memory(&home));
        let furnished = places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
        let furnished = furnished.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        Volumes { home, shim, may_mount: OnceLock::new(), furnished }
    }

    /// The file system of a container's own; none if it mounts nothing. Reads the host, and makes nothing.
    pub(crate) fn space(
        &self,
        uid: &str,
        (container, attempt): (&str, u32),
        process: &Process,
    ) -> Result<Option<(Box<Space>, Furniture)>, Blocked> {
        if process.mounts.is_empty() && process.message.is_none() {
            return Ok(None);
        }
        let refused = |message: String| ("CreateContainerConfigError", message);
        self.may_mount().map_err(|why| {
            let targets = process.mounts.iter().map(|mount| &mount.target).chain(&process.message);
            let paths: Vec<String> = targets.map(|target| target.display().to_string()).collect();
            refused(format!("nothing can be mounted at {}: {why}", paths.join(", ")))
        })?;
        let found = volumes::find(&process.volumes, &process.mounts, &self.folders(uid), container);
        let mut mounts = found.map_err(|cause| ("ContainerCreating", cause.to_string()))?;
        let message =
            process.message.iter().map(|target| self.message_mount(uid, container, attempt, target));
        mounts.extend(message);
        let space = Space { stage: self.stage(), mounts };
        mounts::check(&space).map_err(|cause| refused(cause.to_string()))?;
        let messages =
            if process.message.is_some() { vec![self.message(uid, container, attempt)] } else { Vec::new() };
        let (volumes, mounts) = (process.volumes.clone(), space.mounts.clone());
        let furniture = Furniture { volumes, mounts, messages };
        Ok(Some((Box::new(space), furniture)))
    }

    fn may_mount(&self) -> Result<(), &str> {
        let tried = self.may_mount.get_or_init(|| {
            let stage = self.stage();
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&stage)
                .map_err(|cause| format!("{}: {cause}", stage.display()))?;
            mounts::probe(&self.shim, &stage)
        });
        tried.as_ref().copied().map_err(String::as_str)
    }

    fn stage(&self) -> PathBuf {
        self.home.shim().join("stage")
    }

    /// Where the volumes of a pod lie that are not in memory.
    pub(crate) fn disk(&self, uid: &str) -> PathBuf {
        self.home.pods().join(uid)
    }

    /// Where one of a pod's empty directories lies.
    pub(crate) fn place(&self, uid: &str, volume: &str, is_memory: bool) -> PathBuf {
        let Folders { disk, memory } = self.folders(uid);
        memory.filter(|_| is_memory).unwrap_or(disk).join(volume)
    }

    fn folders(&self, uid: &str) -> Folders {
        Folders { disk: self.disk(uid), memory: memory(&self.home).map(|place| place.join(uid)) }
    }

    /// The directories of a pod that has ended: to be removed. Empty if it has none.
    pub(crate) fn leave(&mut self, uid: &str) -> Vec<PathBuf> {
        if self.furnished.is_empty() || !self.furnished.remove(uid) {
            return Vec::new();
        }
        let Folders { disk, memory } = self.folders(uid);
        std::iter::once(disk).chain(memory).collect()
    }

    /// The pods that have directories.
    pub(crate) fn furnished(&self) -> impl Iterator<Item = &str> {
        self.furnished.iter().map(String::as_str)
    }

    fn furnish(&mut self, uid: &str, furniture: &Furniture) -> Result<(), String> {
        self.furnished.insert(uid.to_owned());
        if furniture.volumes.iter().any(|volume| volume.content == Content::Memory)
            && let Some(place) = memory(&self.home)
        {
            own(&place)?;
        }
        volumes::make(&furniture.volumes, &furniture.mounts, &self.folders(uid))
            .map_err(|cause| cause.to_string())?;
        furniture.messages.iter().try_for_each(|file| messages::make(file))
    }

    /// Whether a pod has directories.
    pub(crate) fn has(&self, uid: &str) -> bool {
        !self.furnished.is_empty() && self.furnished.contains(uid)
    }
}

/// Where volumes in memory lie; none without a file system in memory.
fn memory(home: &Home) -> Option<PathBuf> {
    let stat = nix::sys::statfs::statfs(MEMORY).ok()?;
    if stat.filesystem_type() != nix::sys::statfs::TMPFS_MAGIC {
        return None;
    }
    // One home, one directory: the path with its slashes written otherwise.
    let name = home.root().to_string_lossy().replace('-', "--").replace('/', "-");
    let name: String = name.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
    Some(Path::new(MEMORY).join(format!("windlass{name}")))
}

/// Makes a directory where everybody may, and makes sure that it is ours.
fn own(place: &Path) -> Result<(), String> {
    let fault = |cause: std::io::Error| format!("{}: {cause}", place.display());
    match DirBuilder::new().mode(0o700).create(place) {
        Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => return Err(fault(cause)),
        _ => {}
    }
    let meta = fs::symlink_metadata(place).map_err(fault)?;
    let is_ours = meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw();
    if !is_ours || meta.permissions().mode() & 0o077 != 0 {
        return Err(format!("{} is not a directory of this user's alone", place.display()));
    }
    Ok(())
}

impl Tick {
    /// Makes the volumes of the pods that are about to start. A pod whose volumes cannot be made is not started; its
    /// containers have failed.
    pub(crate) fn make_volumes(&mut self, draft: &mut Draft) -> Vec<Event> {
        let mut failed: BTreeMap<String, String> = BTreeMap::new();
        for (uid, furniture) in std::mem::take(&mut draft.furniture) {
            match self.volumes.furnish(&uid, &furniture) {
                Ok(()) => {
                    self.tokens_made(&uid);
                    self.living_begins(&uid);
                }
                Err(message) => drop(failed.insert(uid, message)),
            }
        }
        let mut events = Vec::new();
        if failed.is_empty() {
            return events;
        }
        let at = self.world.now();
        let (starts, not): (Vec<Start>, Vec<Start>) = std::mem::take(&mut draft.starts)
            .into_iter()
            .partition(|start| !failed.contains_key(&start.key.pod));
        draft.starts = starts;
        for start in not {
            let message = failed.get(&start.key.pod).cloned().unwrap_or_default();
            let failure = windlass_runner::runtime::StartFailure::Other;
            self.runs.starting(&start.key);
            events.push(Event::Failed { key: start.key, failure, message, at });
        }
        events
    }

    /// A pod has ended: its volumes go.
    pub(crate) fn unfurnish(&mut self, uid: &str) {
        self.tokens_gone(uid);
        self.living_ends(uid);
        self.sizes_end(uid);
        for place in self.volumes.leave(uid) {
            self.sweeper.remove_directory(place);
        }
    }

    /// The volumes that earlier engines made: those of pods that ended while no engine ran go.
    pub(crate) fn adopt_volumes(&mut self) {
        let needs = |uid: &String| self.cache.key_of(uid).is_some_and(|key| self.cache.held(key).is_some());
        let (kept, gone): (Vec<String>, Vec<String>) =
            self.volumes.furnished().map(str::to_owned).partition(needs);
        for uid in gone {
            self.unfurnish(&uid);
        }
        for uid in kept {
            self.tokens_found(&uid);
            self.living_found(&uid);
        }
        self.refresh_volumes();
    }
}
