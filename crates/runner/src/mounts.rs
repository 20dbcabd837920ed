//! A file system of a run's own: directories and files mounted at its paths, seen by its processes alone.
//!
//! [`check`] says whether that can be done, the shim does it in the child, before the program: a mount namespace of
//! its own, for ordinary users in a user namespace that maps them to themselves. Nothing is made on the host: where a
//! mount path does not exist, the directory above it is covered by an empty one that its entries are bound back into.
//! It knows no pod and no volume.

mod enter;
mod join;
mod plan;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

pub(crate) use self::enter::{Entrance, Failure};
pub(crate) use self::join::Join;
pub(crate) use self::plan::FREE;

/// What a run sees beside the host's files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Space {
    /// A directory that nobody else uses for anything; it stays empty.
    pub stage: PathBuf,
    /// What is mounted.
    pub mounts: Vec<Mount>,
}

/// A directory or file that is mounted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mount {
    /// What: a path of the host.
    pub source: PathBuf,
    /// Where: an absolute path.
    pub target: PathBuf,
    /// Whether it is a file and not a directory.
    pub is_file: bool,
    /// Whether it can only be read.
    pub is_read_only: bool,
    /// Whether it was made for the pod, so that a directory may be made in it for another mount below.
    pub is_own: bool,
}

/// Why something cannot be mounted.
#[derive(Debug, thiserror::Error)]
#[error("nothing can be mounted at {}: {cause}", target.display())]
pub struct MountError {
    /// Where it was to be mounted.
    pub target: PathBuf,
    /// What keeps it from there.
    pub cause: Cause,
}

/// What keeps a mount from its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// No absolute path, or `/` itself.
    #[error("it must be an absolute path below /")]
    NoPlace,
    /// A NUL byte.
    #[error("a path cannot hold a NUL byte")]
    Nul,
    /// A file over a directory, or the other way round.
    #[error("on this host it is {is}, and what is to be mounted is {wanted}; choose another mount path")]
    OtherKind {
        /// `a file` or `a directory`.
        is: &'static str,
        /// The other.
        wanted: &'static str,
    },
    /// Below a directory that the kernel makes up.
    #[error("{} belongs to the kernel and takes no new entries; choose another mount path", .0.display())]
    Kernel(PathBuf),
    /// A link to nowhere.
    #[error("{} is a symbolic link to something that is not there", .0.display())]
    Dangling(PathBuf),
    /// It does not exist, and the directory above cannot be seen.
    #[error("it does not exist on this host, and {} cannot be read, so that it cannot be shown with a new entry: \
             {cause}; make the directory, or choose another mount path", directory.display())]
    Unreadable {
        /// The directory above.
        directory: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It does not exist, and the directory above has too many entries.
    #[error("it does not exist on this host, and {} has more than {most} entries to show beside it; make the \
             directory, or choose another mount path", directory.display())]
    TooMany {
        /// The directory above.
        directory: PathBuf,
        /// How many would do.
        most: usize,
    },
    /// It is below another mount that is the host's own.
    #[error("it is in what is mounted at {}, which is the host's own and has no such entry; make it there", .0.display())]
    NotOwn(PathBuf),
    /// More than one run may have.
    #[error("a container may have {0} mounts")]
    TooManyMounts(usize),
}

/// Whether the mounts have their places on this host as it is now. That the machine lets this user mount at all is
/// [`probe`]'s to say; that sources exist is the caller's.
///
/// # Errors
/// The first mount that has no place.
pub fn check(space: &Space) -> Result<(), MountError> {
    plan::plan(space, Path::new("/")).map(drop)
}

/// The argument that makes the shim's program try whether it may mount.
pub(crate) const PROBE: &str = "--probe-mounts";

/// Whether this machine lets this user mount in a namespace of its own: tried by the shim's program, in the stage.
///
/// # Errors
/// Why not, in words, with the way out.
pub fn probe(shim: &[OsString], stage: &Path) -> Result<(), String> {
    let Some((program, arguments)) = shim.split_first() else { return Err("there is no shim".to_owned()) };
    let mut command = Command::new(program);
    let output = command.args(arguments).arg(PROBE).arg(stage).env_clear().output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(cause) => Err(format!("{}: {cause}", program.display())),
    }
}

/// The probe itself, in a process of its own.
pub(crate) fn try_out(stage: &Path) -> ExitCode {
    let space = Space { stage: stage.to_owned(), mounts: Vec::new() };
    let tried = Entrance::probe(&space);
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            crate::shim::say(&format!("{cause}; {}", way_out(nix::unistd::geteuid().is_root())));
            ExitCode::FAILURE
        }
    }
}

fn way_out(is_root: bool) -> &'static str {
    if is_root {
        "the engine runs as root without the right to mount (CAP_SYS_ADMIN): give it that, or use the host's paths as \
         they are"
    } else {
        "this machine keeps ordinary users from namespaces of their own: allow them (sysctl \
         kernel.unprivileged_userns_clone=1, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0), \
         run the engine as root, or use the host's paths as they are"
    }
}
