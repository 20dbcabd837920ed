//! Volumes of files that are changed all at once: what is made of ConfigMaps, Secrets, a pod's own fields, and tokens.
//!
//! The files lie in a directory of their own whose name begins with the time; `..data` leads there, and each name at the top
//! of the volume leads through `..data`. A change is a new directory, to which `..data` is turned in one step: whoever
//! reads finds the old files or the new ones. Programs that watch their configuration watch `..data`. Whatever breaks off
//! in the middle leaves the one state or the other; the next change removes what it left.
//!
//! Source: upstream `pkg/volume/util/atomic_writer.go`. Unlike there names that are new lead to nothing for a moment before
//! the turn, not after it: no file of a change is there later than another.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{File, directory, hand_over};
use crate::world;

/// What leads to the files.
const DATA: &str = "..data";
/// The same, before it is turned.
const NEW_DATA: &str = "..data_tmp";
/// A name's link, before it is put in the place of something.
const NEW_LINK: &str = "..link";
/// No file of a volume has a name that begins like this: the API refuses it.
const OWN: &str = "..";
/// The bits that files of a group's volume have at least.
const GROUP_BITS: u32 = 0o440;

/// What a volume holds: bytes and mode, by path.
type Payload = BTreeMap<PathBuf, (Vec<u8>, u32)>;

/// Makes a volume, whole or not at all; one that is there stays as it is.
pub(super) fn make(place: &Path, files: &[File]) -> io::Result<()> {
    if place.is_dir() {
        return Ok(());
    }
    let draft = place.with_extension("new");
    match fs::remove_dir_all(&draft) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => directory(&draft, 0o755, 0o700)?,
    }
    put(&draft, &payload(files, None))?;
    fs::rename(&draft, place)
}

/// Puts a file into a volume that is there, beside or in place of what it has.
///
/// # Errors
/// What the system said. The volume is as it was.
pub fn renew(volume: &Path, file: &File) -> io::Result<()> {
    let mut payload = read(volume)?.unwrap_or_default();
    let group = group(volume)?;
    payload.extend(self::payload(std::slice::from_ref(file), group));
    bring(volume, &payload)
}

/// Makes a volume that is there hold what it is to hold now, and nothing else. Files in `kept` are somebody else's: they
/// stay as they are.
///
/// # Errors
/// What the system said. The volume has its old files or the new ones; the next call goes on.
pub fn update(volume: &Path, files: &[File], kept: &BTreeSet<PathBuf>) -> io::Result<()> {
    let old = read(volume)?.unwrap_or_default();
    let mut payload: Payload = old.into_iter().filter(|(path, _)| kept.contains(path)).collect();
    payload.extend(self::payload(files, group(volume)?));
    bring(volume, &payload)
}

/// Of sources that name the same path the last counts.
fn payload(files: &[File], group: Option<u32>) -> Payload {
    let more = if group.is_some() { GROUP_BITS } else { 0 };
    let clean = |path: &Path| path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    files.iter().map(|file| (clean(&file.path), (file.bytes.clone(), file.mode | more))).collect()
}

/// The group that a volume was handed over to.
fn group(volume: &Path) -> io::Result<Option<u32>> {
    let meta = fs::metadata(volume)?;
    Ok((meta.mode() & 0o2000 != 0).then_some(meta.gid()))
}

/// Brings a volume to a state, if it is in another one, and removes what is no part of it.
fn bring(volume: &Path, payload: &Payload) -> io::Result<()> {
    let is_there = fs::read_link(volume.join(DATA)).is_ok() && read(volume)?.as_ref() == Some(payload);
    if !is_there {
        return put(volume, payload);
    }
    link(volume, payload, false)?;
    clean(volume, payload)
}

/// Gives a volume new files.
fn put(volume: &Path, payload: &Payload) -> io::Result<()> {
    let name = new_directory(volume)?;
    let place = volume.join(&name);
    let is_first = fs::symlink_metadata(volume.join(DATA)).is_err();
    let turned = fill(&place, payload).and_then(|()| {
        if let Some(group) = group(volume)? {
            hand_over(&place, group, GROUP_BITS)?;
        }
        link(volume, payload, is_first)?;
        turn(volume, &name)
    });
    if let Err(cause) = turned {
        // It may be there in part, and nobody needs it.
        let _ = fs::remove_dir_all(&place);
        return Err(cause);
    }
    link(volume, payload, false)?;
    clean(volume, payload)
}

/// A directory for files, named by the time.
fn new_directory(volume: &Path) -> io::Result<OsString> {
    let now = world::now();
    let second = now.strftime("%Y_%m_%d_%H_%M_%S");
    let mut number = now.subsec_nanosecond().unsigned_abs();
    loop {
        let name = format!("{OWN}{second}.{number}");
        match DirBuilder::new().mode(0o755).create(volume.join(&name)) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|()| name.into()),
        }
    }
}

fn fill(place: &Path, payload: &Payload) -> io::Result<()> {
    // Whatever the umask is.
    fs::set_permissions(place, Permissions::from_mode(0o755))?;
    for (path, (bytes, mode)) in payload {
        let mut below = place.to_owned();
        for folder in path.parent().into_iter().flat_map(Path::components) {
            below.push(folder);
            directory(&below, 0o755, 0o755)?;
        }
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(place.join(path))?;
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(*mode))?;
    }
    Ok(())
}

/// The names at the top of a volume.
fn tops(payload: &Payload) -> BTreeSet<&OsStr> {
    payload.keys().filter_map(|path| path.iter().next()).collect()
}

/// Has each name lead to its files; what stands there itself (`spares`) is left until there are some that it can lead to.
fn link(volume: &Path, payload: &Payload, spares: bool) -> io::Result<()> {
    for name in tops(payload) {
        let (place, to) = (volume.join(name), Path::new(DATA).join(name));
        match symlink(&to, &place) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                if !spares && fs::read_link(&place).ok().as_ref() != Some(&to) {
                    exchange(volume, &place, &to)?;
                }
            }
            made => made?,
        }
    }
    Ok(())
}

/// Puts a link in the place of a file or a directory, in one step. Volumes that an engine made before there was `..data`
/// have such.
fn exchange(volume: &Path, place: &Path, to: &Path) -> io::Result<()> {
    let draft = volume.join(NEW_LINK);
    remove(&draft)?;
    symlink(to, &draft)?;
    match renameat2(AT_FDCWD, &draft, AT_FDCWD, place, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => remove(&draft),
        // Not every file system can.
        Err(Errno::EINVAL | Errno::ENOSYS) => remove(place).and_then(|()| fs::rename(&draft, place)),
        Err(cause) => Err(cause.into()),
    }
}

/// Turns a volume to its new files.
fn turn(volume: &Path, name: &OsStr) -> io::Result<()> {
    let draft = volume.join(NEW_DATA);
    remove(&draft)?;
    symlink(name, &draft)?;
    fs::rename(&draft, volume.join(DATA))
}

/// Removes what leads nowhere any more, and the files of former states.
fn clean(volume: &Path, payload: &Payload) -> io::Result<()> {
    let (tops, now) = (tops(payload), fs::read_link(volume.join(DATA))?);
    for entry in fs::read_dir(volume)? {
        let name = entry?.file_name();
        let is_own = name.as_encoded_bytes().starts_with(OWN.as_bytes());
        let is_needed = if is_own { name == DATA || now == Path::new(&name) } else { tops.contains(&*name) };
        if !is_needed {
            remove(&volume.join(name))?;
        }
    }
    Ok(())
}

/// That it is gone already is as good.
fn remove(place: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(place) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(cause) => Err(cause),
    };
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The bytes of a file of ours. One that its owner may not read, as a mode of the pod's may have it, may be for this moment.
fn bytes(place: &Path, mode: u32) -> io::Result<Vec<u8>> {
    match fs::read(place) {
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {}
        read => return read,
    }
    fs::set_permissions(place, Permissions::from_mode(mode | 0o400))?;
    let read = fs::read(place);
    fs::set_permissions(place, Permissions::from_mode(mode))?;
    read
}

/// What a volume holds. None: nothing that can be read whole; of a volume that is not there an error.
fn read(volume: &Path) -> io::Result<Option<Payload>> {
    fs::metadata(volume)?;
    let data = volume.join(DATA);
    // Before there was `..data` the files lay in the volume itself.
    let top = if fs::symlink_metadata(&data).is_ok() { data } else { volume.to_owned() };
    let (mut payload, mut folders) = (Payload::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(top.join(&folder)) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let (path, meta) = (folder.join(entry.file_name()), entry.metadata()?);
            if path.as_os_str().as_encoded_bytes().starts_with(OWN.as_bytes()) {
                continue;
            }
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_file() {
                let mode = meta.mode() & 0o7777;
                payload.insert(path, (bytes(&entry.path(), mode)?, mode));
            }
        }
    }
    Ok(Some(payload))
}
