//! From mounts to the steps that make them, in order. It reads the host's directories and changes nothing.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::{Cause, Mount, MountError, Space};

/// Entries of a directory that are bound back beside a new one.
const MOST_ENTRIES: usize = 2000;
/// Mounts of one run.
const MOST_MOUNTS: usize = 256;
/// The child's descriptors for covers, and for sources. What else it has there closes with its program's start.
const COVER: i32 = 100;
const SOURCE: i32 = COVER + 300;
/// From here on they are nobody's.
pub(crate) const FREE: i32 = SOURCE + 300;

/// One system call or two, in the child.
#[derive(Debug, PartialEq)]
pub(crate) enum Op {
    /// An empty file system of this mode, in memory.
    Tmpfs(CString, CString),
    /// What is mounted here is left out when a directory above is bound.
    Hide(CString),
    Directory(CString),
    File(CString),
    Symlink(CString, CString),
    /// An entry of a covered directory, bound back with all that is mounted below. One that has gone is no loss.
    Keep(CString, CString),
    Move(CString, CString),
    /// From here on this is `/`; the old one stays until `Leave`.
    Pivot(CString),
    /// Holds a path under this descriptor, whatever is mounted over it later.
    Hold(i32, CString),
    /// Binds, with all that is mounted below.
    Bind(CString, CString),
    ReadOnly(CString),
    Leave,
    Enter(CString),
}

/// A step, and what to say if it fails.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) what: String,
}

/// A directory of the host that is shown with more entries than it has.
struct Cover {
    mode: u32,
    /// What it gets: relative paths, and whether a file.
    new: Vec<(PathBuf, bool)>,
}

/// A mount with its place.
struct Placed<'a> {
    mount: &'a Mount,
    /// Without symbolic links, as far as it exists.
    target: PathBuf,
    /// Below which other mount, by its number, and the path there that is to be made.
    missing_in: Option<PathBuf>,
}

/// The steps that lead into the space, and then to `cwd`.
pub(super) fn plan(space: &Space, cwd: &Path) -> Result<Vec<Step>, MountError> {
    let mut covers = BTreeMap::new();
    let placed = place(&space.mounts, &mut covers)?;
    let mut steps = Steps::default();
    let result = write(&mut steps, space, &placed, &covers, cwd);
    match result {
        Ok(()) => Ok(steps.0),
        Err(cause) => {
            let target = placed.first().map_or(PathBuf::from("/"), |placed| placed.target.clone());
            Err(MountError { target, cause })
        }
    }
}

fn place<'a>(
    mounts: &'a [Mount],
    covers: &mut BTreeMap<PathBuf, Cover>,
) -> Result<Vec<Placed<'a>>, MountError> {
    let mut placed: Vec<Placed<'_>> = Vec::new();
    let mut sorted: Vec<&Mount> = mounts.iter().collect();
    // What is mounted below another mount comes after it.
    sorted.sort_by_key(|mount| mount.target.components().count());
    for mount in sorted {
        let fault = |cause| MountError { target: mount.target.clone(), cause };
        if placed.len() == MOST_MOUNTS {
            return Err(fault(Cause::TooManyMounts(MOST_MOUNTS)));
        }
        let (existing, rest) = resolve(&mount.target).map_err(fault)?;
        let target = if rest.as_os_str().is_empty() { existing.clone() } else { existing.join(&rest) };
        let above = placed.iter().rev().find(|other| target.starts_with(&other.target));
        let missing_in = match above {
            Some(other) => below(other, &target, mount).map_err(fault)?,
            None => {
                on_host(existing, rest, mount, covers).map_err(fault)?;
                None
            }
        };
        placed.push(Placed { mount, target, missing_in });
    }
    Ok(placed)
}

/// The part of a path that exists, without symbolic links, and the rest.
fn resolve(target: &Path) -> Result<(PathBuf, PathBuf), Cause> {
    let names: Vec<&OsStr> = target
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    let has_backsteps = target.components().any(|part| part == Component::ParentDir);
    if !target.is_absolute() || names.is_empty() || has_backsteps {
        return Err(Cause::NoPlace);
    }
    if target.as_os_str().as_bytes().contains(&0) {
        return Err(Cause::Nul);
    }
    let mut existing = PathBuf::from("/");
    for (at, name) in names.iter().enumerate() {
        let next = existing.join(name);
        match fs::canonicalize(&next) {
            Ok(real) => existing = real,
            Err(_) if fs::symlink_metadata(&next).is_ok_and(|meta| meta.is_symlink()) => {
                return Err(Cause::Dangling(next));
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Ok((existing, names[at..].iter().collect()));
            }
            Err(cause) => return Err(Cause::Unreadable { directory: existing, cause }),
        }
    }
    Ok((existing, PathBuf::new()))
}

/// A mount below another: what is to be made in that one.
fn below(other: &Placed<'_>, target: &Path, mount: &Mount) -> Result<Option<PathBuf>, Cause> {
    let inner = target.strip_prefix(&other.target).unwrap_or(Path::new(""));
    match fs::metadata(other.mount.source.join(inner)) {
        Ok(meta) => same_kind(meta.is_dir(), mount).map(|()| None),
        Err(_) if other.mount.is_own && !other.mount.is_file => Ok(Some(inner.to_owned())),
        Err(_) => Err(Cause::NotOwn(other.target.clone())),
    }
}

fn on_host(
    existing: PathBuf,
    rest: PathBuf,
    mount: &Mount,
    covers: &mut BTreeMap<PathBuf, Cover>,
) -> Result<(), Cause> {
    let unreadable = |directory: &Path| {
        let directory = directory.to_owned();
        move |cause| Cause::Unreadable { directory, cause }
    };
    let meta = fs::metadata(&existing).map_err(unreadable(&existing))?;
    if rest.as_os_str().is_empty() {
        return same_kind(meta.is_dir(), mount);
    }
    if !meta.is_dir() {
        return Err(Cause::OtherKind { is: "below a file", wanted: "below a directory" });
    }
    if ["/proc", "/sys"].iter().any(|kernel| existing.starts_with(kernel)) {
        return Err(Cause::Kernel(existing));
    }
    let mode = meta.permissions().mode() & 0o7777;
    let cover = covers.entry(existing).or_insert_with(|| Cover { mode, new: Vec::new() });
    cover.new.push((rest, mount.is_file));
    Ok(())
}

fn same_kind(is_directory: bool, mount: &Mount) -> Result<(), Cause> {
    match (is_directory, mount.is_file) {
        (true, true) => Err(Cause::OtherKind { is: "a directory", wanted: "a file" }),
        (false, false) => Err(Cause::OtherKind { is: "a file", wanted: "a directory" }),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn push(&mut self, op: Op, what: impl Into<String>) {
        self.0.push(Step { op, what: what.into() });
    }
}

fn write(
    steps: &mut Steps,
    space: &Space,
    placed: &[Placed<'_>],
    covers: &BTreeMap<PathBuf, Cover>,
    cwd: &Path,
) -> Result<(), Cause> {
    if !covers.is_empty() {
        let what = format!("making room in {}", space.stage.display());
        steps.push(Op::Tmpfs(c(&space.stage)?, mode(0o755)), what.clone());
        steps.push(Op::Hide(c(&space.stage)?), what);
    }
    for (number, (directory, cover)) in covers.iter().rev().enumerate() {
        let place = space.stage.join(number.to_string());
        let what = format!("showing {} with new entries", directory.display());
        steps.push(Op::Directory(c(&place)?), what.clone());
        steps.push(Op::Tmpfs(c(&place)?, mode(cover.mode)), what.clone());
        steps.push(Op::Hold(descriptor(COVER, number), c(&place)?), what);
    }
    // The deepest first, so that a cover above shows those below it; `/` last. The stage itself may get out of sight.
    for (number, (directory, cover)) in covers.iter().rev().enumerate() {
        let built = held(COVER, number);
        build(steps, &built, directory, cover)?;
        let what = format!("showing {} with new entries", directory.display());
        let op = match directory.parent() {
            Some(_) => Op::Move(c(&built)?, c(directory)?),
            None => Op::Pivot(c(&built)?),
        };
        steps.push(op, what);
    }
    attach(steps, placed)?;
    for (directory, _) in covers.iter().filter(|(_, cover)| !is_shared(cover)) {
        steps.push(Op::ReadOnly(c(directory)?), format!("keeping {} as it is", directory.display()));
    }
    if covers.contains_key(Path::new("/")) {
        steps.push(Op::Leave, "leaving the host's root");
    }
    steps.push(Op::Enter(c(cwd)?), String::new());
    Ok(())
}

/// A directory with the host's entries and the new ones.
fn build(steps: &mut Steps, built: &Path, directory: &Path, cover: &Cover) -> Result<(), Cause> {
    let unreadable = |cause| Cause::Unreadable { directory: directory.to_owned(), cause };
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    for (count, entry) in entries.enumerate() {
        if count == MOST_ENTRIES {
            return Err(Cause::TooMany { directory: directory.to_owned(), most: MOST_ENTRIES });
        }
        let entry = entry.map_err(unreadable)?;
        let Ok(kind) = entry.file_type() else { continue };
        let (here, there) = (entry.path(), built.join(entry.file_name()));
        let what = format!("keeping {} in sight", here.display());
        if kind.is_symlink() {
            let Ok(to) = fs::read_link(&here) else { continue };
            steps.push(Op::Symlink(c(&to)?, c(&there)?), what);
            continue;
        }
        let place = if kind.is_dir() { Op::Directory(c(&there)?) } else { Op::File(c(&there)?) };
        steps.push(place, what.clone());
        steps.push(Op::Keep(c(&here)?, c(&there)?), what);
    }
    for (path, is_file) in &cover.new {
        make(steps, built, path, *is_file)?;
    }
    Ok(())
}

/// A path below a directory, with all that is missing above it.
fn make(steps: &mut Steps, base: &Path, path: &Path, is_file: bool) -> Result<(), Cause> {
    let parts: Vec<&OsStr> = path.iter().collect();
    let mut at = base.to_owned();
    for (number, part) in parts.iter().enumerate() {
        at.push(part);
        let is_last = number + 1 == parts.len();
        let op = if is_last && is_file { Op::File(c(&at)?) } else { Op::Directory(c(&at)?) };
        steps.push(op, format!("making {}", path.display()));
    }
    Ok(())
}

fn attach(steps: &mut Steps, placed: &[Placed<'_>]) -> Result<(), Cause> {
    // All are held before one is mounted, because a mount may hide the source of the next.
    for (number, placed) in placed.iter().enumerate() {
        let source = &placed.mount.source;
        steps.push(Op::Hold(descriptor(SOURCE, number), c(source)?), format!("finding {}", source.display()));
    }
    for (number, placed) in placed.iter().enumerate() {
        let target = &placed.target;
        if let Some(missing) = &placed.missing_in {
            let base = target.ancestors().nth(missing.iter().count()).unwrap_or(target);
            make(steps, base, missing, placed.mount.is_file)?;
        }
        let what = format!("mounting {} at {}", placed.mount.source.display(), target.display());
        steps.push(Op::Bind(c(&held(SOURCE, number))?, c(target)?), what);
    }
    for placed in placed.iter().filter(|placed| placed.mount.is_read_only) {
        let what = format!("making {} read-only", placed.target.display());
        steps.push(Op::ReadOnly(c(&placed.target)?), what);
    }
    Ok(())
}

fn descriptor(first: i32, number: usize) -> i32 {
    // There are at most so many mounts, and covers no more than mounts.
    first + i32::try_from(number).unwrap_or(0)
}

/// The path of what a descriptor holds.
fn held(first: i32, number: usize) -> PathBuf {
    format!("/proc/self/fd/{}", descriptor(first, number)).into()
}

/// A directory like `/tmp`, in which everybody makes entries: the run may make its own, which go with it.
fn is_shared(cover: &Cover) -> bool {
    cover.mode & 0o1777 == 0o1777
}

fn mode(mode: u32) -> CString {
    // Digits and letters hold no NUL.
    CString::new(format!("mode={mode:o}")).unwrap_or_default()
}

fn c(path: &Path) -> Result<CString, Cause> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Cause::Nul)
}
