//! `SOURCE:PATH[:ro]`, as `--volume` takes it.

use crate::edit::{MOUNT_FORMS, Mount, VolumeSource};
use crate::fields::{Faults, Field};

/// Reads one. A file has no directory of its own, so a relative one is refused.
pub(super) fn read(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Mount> {
    let text = field.text(faults)?;
    let mount = Mount::parse(&text).and_then(|mount| match &mount.source {
        VolumeSource::Host(path) if !path.starts_with('/') => {
            Err("names no absolute directory, and a file has no directory of its own")
        }
        _ => Ok(mount),
    });
    mount.map_err(|why| field.wrong(format!("{text:?} {why}; {MOUNT_FORMS}"), faults)).ok()
}
