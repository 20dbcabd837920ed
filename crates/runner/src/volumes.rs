//! Volumes as directories and files of the host: found, checked and made. It knows no pod and no API object.
//!
//! What is made for a pod lies in one directory of its own (0700) and goes with it; what is the host's stays.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::mounts::Mount;

mod files;
#[cfg(test)]
mod tests;

pub use self::files::{renew, update};

/// A volume, ready to be made or found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Its name in the pod.
    pub name: String,
    /// What is in it.
    pub content: Content,
    /// The group that what is made of it belongs to (`fsGroup`), if not simply the user's.
    pub group: Option<u32>,
}

/// What a volume holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Nothing, on disk.
    Empty,
    /// Nothing, in memory.
    Memory,
    /// Files, which containers can only read.
    Files(Vec<File>),
    /// A path of the host.
    Host {
        /// Which.
        path: PathBuf,
        /// What must be there.
        kind: HostKind,
        /// Whether it can only be read, whatever the mount says.
        is_read_only: bool,
    },
}

/// A file of a volume. Its bytes may be a secret, and are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Where, below the volume.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its mode.
    pub mode: u32,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({}, {} bytes, {:o})", self.path.display(), self.bytes.len(), self.mode)
    }
}

/// What must be at a path of the host (`hostPath.type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostKind {
    /// Anything; a directory is made if nothing is there.
    Any,
    /// Anything that is there.
    There,
    /// A directory, made if nothing is there.
    DirectoryOrCreate,
    /// A directory.
    Directory,
    /// A file, made if nothing is there.
    FileOrCreate,
    /// A file.
    File,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// Where a container mounts a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeMount {
    /// The volume's name.
    pub volume: String,
    /// The mount path.
    pub target: PathBuf,
    /// The part of the volume that is mounted.
    pub sub_path: Option<PathBuf>,
    /// Whether the container may only read.
    pub is_read_only: bool,
}

/// The directories in which a pod's volumes are made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Folders {
    /// On disk.
    pub disk: PathBuf,
    /// In memory; none if this machine has no such place.
    pub memory: Option<PathBuf>,
}

/// Why a volume cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {cause}")]
pub struct VolumeFault {
    /// Its name.
    pub volume: String,
    /// Why.
    pub cause: FaultCause,
}

/// What a volume fails at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultCause {
    /// Something else is there (upstream's words: `pkg/volume/hostpath`).
    #[error("hostPath type check failed: {} is not {wanted}", path.display())]
    OtherKind {
        /// Where.
        path: PathBuf,
        /// `a directory` and the like.
        wanted: &'static str,
    },
    /// Nothing is there.
    #[error("{} does not exist on this host; make it", .0.display())]
    NotThere(PathBuf),
    /// Nothing is there, and this user cannot change that.
    #[error("{} does not exist on this host, and this user cannot make it in {}; make it, or choose another path",
        path.display(), above.display())]
    NotOurs {
        /// Where.
        path: PathBuf,
        /// What of it exists.
        above: PathBuf,
    },
    /// No absolute path.
    #[error("{} is no absolute path", .0.display())]
    NotAbsolute(PathBuf),
    /// There is no such part of it.
    #[error("it has no {}, which subPath asks for", .0.display())]
    NoSubPath(PathBuf),
    /// A part of it that is not in it.
    #[error("subPath {} leads out of the volume", .0.display())]
    OutOfVolume(PathBuf),
    /// There is no memory to keep files in.
    #[error("this machine has no file system in memory at /dev/shm; leave medium away")]
    NoMemory,
    /// The system.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// A mount of a volume that the pod does not have.
    #[error("the pod has no such volume")]
    Unknown,
}

/// Looks whether volumes are as they should be on this host, and says what a container of the pod mounts where. Makes
/// nothing.
///
/// # Errors
/// The first volume that cannot be had.
pub fn find(
    volumes: &[Volume],
    mounts: &[VolumeMount],
    folders: &Folders,
    container: &str,
) -> Result<Vec<Mount>, VolumeFault> {
    for volume in volumes {
        check(volume, folders).map_err(|cause| VolumeFault { volume: volume.name.clone(), cause })?;
    }
    let found = mounts.iter().map(|mount| {
        let fault = |cause| VolumeFault { volume: mount.volume.clone(), cause };
        let volume = volumes.iter().find(|volume| volume.name == mount.volume);
        let volume = volume.ok_or_else(|| fault(FaultCause::Unknown))?;
        one(volume, mount, folders, container).map_err(fault)
    });
    found.collect()
}

/// Makes what is to be made of volumes, once: what is there already stays as it is. The mounts are those of containers
/// that are about to begin.
///
/// # Errors
/// The first volume that cannot be made.
pub fn make(volumes: &[Volume], mounts: &[Mount], folders: &Folders) -> Result<(), VolumeFault> {
    for volume in volumes {
        let place = place(volume, folders);
        let made = match &volume.content {
            Content::Empty => directory(&place, 0o777, 0o700),
            // What a file system in memory has, which it is elsewhere.
            Content::Memory => directory(&place, 0o1777, 0o700),
            Content::Files(files) => files::make(&place, files),
            // Containerd makes what a plain path lacks (internal/cri/server: `os.MkdirAll(src, 0755)`).
            Content::Host { kind: HostKind::DirectoryOrCreate | HostKind::Any, .. } => {
                directory(&place, 0o755, 0o755)
            }
            Content::Host { kind: HostKind::FileOrCreate, .. } => file(&place),
            Content::Host { .. } => Ok(()),
        };
        let made = made.and_then(|()| match (volume.group, &volume.content) {
            (None, _) | (_, Content::Host { .. }) => Ok(()),
            (Some(group), Content::Files(_)) => hand_over(&place, group, 0o440),
            (Some(group), Content::Empty | Content::Memory) => hand_over(&place, group, 0o660),
        });
        let made = made.and_then(|()| match &volume.content {
            Content::Files(_) => mounts.iter().try_for_each(|mount| files::show(&place, &mount.source)),
            _ => Ok(()),
        });
        let io = |cause| FaultCause::Io { path: place.clone(), cause };
        made.map_err(|cause| VolumeFault { volume: volume.name.clone(), cause: io(cause) })?;
    }
    // The parts of volumes that mounts name and that are not there yet.
    for mount in mounts.iter().filter(|mount| !mount.is_file) {
        let io = |cause| FaultCause::Io { path: mount.source.clone(), cause };
        let volume = mount.target.display().to_string();
        directory(&mount.source, 0o755, 0o755).map_err(|cause| VolumeFault { volume, cause: io(cause) })?;
    }
    Ok(())
}

/// The most entries of a directory that are counted: what a larger one holds is taken for what was counted.
const COUNTED: usize = 200_000;

/// How many bytes a directory takes on its disk, with all that is below; it stops counting when that is more than
/// `enough`. What cannot be read counts nothing, and what has several names counts each time.
#[must_use]
pub fn used(place: &Path, enough: u64) -> u64 {
    let (mut bytes, mut left, mut open) = (0, COUNTED, vec![place.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            // Of a link its own size, not that of what it leads to.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                open.push(entry.path());
            }
            bytes += meta.blocks() * 512;
            left -= 1;
            if bytes > enough || left == 0 {
                return bytes;
            }
        }
    }
    bytes
}

fn place(volume: &Volume, folders: &Folders) -> PathBuf {
    match &volume.content {
        Content::Host { path, .. } => path.clone(),
        Content::Memory => folders.memory.as_ref().unwrap_or(&folders.disk).join(&volume.name),
        Content::Empty | Content::Files(_) => folders.disk.join(&volume.name),
    }
}

fn check(volume: &Volume, folders: &Folders) -> Result<(), FaultCause> {
    match &volume.content {
        Content::Memory if folders.memory.is_none() => Err(FaultCause::NoMemory),
        Content::Host { path, kind, .. } => check_host(path, *kind),
        Content::Empty | Content::Memory | Content::Files(_) => Ok(()),
    }
}

fn check_host(path: &Path, kind: HostKind) -> Result<(), FaultCause> {
    if !path.is_absolute() {
        return Err(FaultCause::NotAbsolute(path.to_owned()));
    }
    let there = match fs::metadata(path) {
        Ok(meta) => Some(meta.file_type()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(FaultCause::Io { path: path.to_owned(), cause }),
    };
    let (is_right, wanted) = match (kind, there) {
        (HostKind::DirectoryOrCreate | HostKind::FileOrCreate, None)
        | (HostKind::Any | HostKind::There, Some(_)) => return Ok(()),
        (HostKind::Any, None) => return may_make(path),
        (HostKind::There, None) => return Err(FaultCause::NotThere(path.to_owned())),
        (HostKind::DirectoryOrCreate | HostKind::Directory, there) => {
            (there.is_some_and(|there| there.is_dir()), "a directory")
        }
        (HostKind::FileOrCreate | HostKind::File, there) => {
            (there.is_some_and(|there| there.is_file()), "a file")
        }
        (HostKind::Socket, there) => (there.is_some_and(|there| there.is_socket()), "a socket file"),
        (HostKind::CharDevice, there) => {
            (there.is_some_and(|there| there.is_char_device()), "a character device")
        }
        (HostKind::BlockDevice, there) => {
            (there.is_some_and(|there| there.is_block_device()), "a block device")
        }
    };
    if is_right { Ok(()) } else { Err(FaultCause::OtherKind { path: path.to_owned(), wanted }) }
}

/// Whether this user can make a directory that is not there.
fn may_make(path: &Path) -> Result<(), FaultCause> {
    let above = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
    match access(above, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) if above.is_dir() => Ok(()),
        _ => Err(FaultCause::NotOurs { path: path.to_owned(), above: above.to_owned() }),
    }
}

fn one(
    volume: &Volume,
    mount: &VolumeMount,
    folders: &Folders,
    container: &str,
) -> Result<Mount, FaultCause> {
    let base = place(volume, folders);
    let (source, is_file) = match &mount.sub_path {
        Some(part) => sub_path(volume, &base, part, container)?,
        None => {
            let is_new_file = matches!(volume.content, Content::Host { kind: HostKind::FileOrCreate, .. });
            let is_file = match fs::metadata(&base) {
                Ok(meta) => !meta.is_dir(),
                Err(_) => is_new_file,
            };
            (base, is_file)
        }
    };
    let (is_host, is_fixed) = match &volume.content {
        Content::Host { is_read_only, .. } => (true, *is_read_only),
        Content::Files(_) => (false, true),
        Content::Empty | Content::Memory => (false, false),
    };
    let target = mount.target.clone();
    Ok(Mount { source, target, is_file, is_read_only: mount.is_read_only || is_fixed, is_own: !is_host })
}

/// A part of a volume; one that is not there is made as a directory, except among files.
fn sub_path(
    volume: &Volume,
    base: &Path,
    part: &Path,
    container: &str,
) -> Result<(PathBuf, bool), FaultCause> {
    let whole = base.join(part);
    if let Content::Files(files) = &volume.content {
        if files.iter().any(|file| file.path == part) {
            return Ok((whole, true));
        }
        let has_below = files.iter().any(|file| file.path.starts_with(part));
        let seen = files::seen_by(base, container).join(part);
        return if has_below { Ok((seen, false)) } else { Err(FaultCause::NoSubPath(part.to_owned())) };
    }
    match (fs::canonicalize(&whole), fs::canonicalize(base)) {
        (Ok(real), Ok(base)) if !real.starts_with(&base) => Err(FaultCause::OutOfVolume(part.to_owned())),
        (Ok(real), _) => {
            let is_file = !real.is_dir();
            Ok((real, is_file))
        }
        (Err(_), _) => Ok((whole, false)),
    }
}

/// Gives a directory that was made for a pod, with all that is in it, to a group: files get these bits, directories also
/// those to go through them and to hand the group on (upstream: pkg/volume/volume_linux.go). Once: one that belongs to
/// the group already stays as it is.
fn hand_over(place: &Path, group: u32, bits: u32) -> io::Result<()> {
    let is_done = |meta: &fs::Metadata| meta.gid() == group && meta.mode() & 0o2000 != 0;
    if is_done(&fs::metadata(place)?) {
        return Ok(());
    }
    // The topmost last, because it says that all is done.
    let mut open = vec![place.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            open.extend(
                fs::read_dir(&path)?.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()),
            );
        }
        found.push(path);
    }
    for path in found.into_iter().rev() {
        std::os::unix::fs::lchown(&path, None, Some(group))?;
        let meta = fs::symlink_metadata(&path)?;
        let more = if meta.is_dir() { bits | 0o2110 } else { bits };
        if !meta.is_symlink() {
            fs::set_permissions(&path, Permissions::from_mode(meta.mode() & 0o7777 | more))?;
        }
    }
    Ok(())
}

/// A directory that is there afterwards; a new one has this mode, whatever the umask, and new ones above it the other.
fn directory(path: &Path, mode: u32, above: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(above).create(parent)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(cause),
    }
}

fn file(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
        _ => Ok(()),
    }
}
