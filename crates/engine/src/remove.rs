//! Removes a directory with all that is in it, entry by entry, so that its caller may rest in between.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Removes it, and calls `removed` after each entry. Links are not followed; a directory that a process has closed to
/// itself is opened again. That nothing is there is no error.
pub(crate) fn directory(folder: &Path, mut removed: impl FnMut()) -> io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.last().cloned() {
        let before = open.len();
        for entry in entries(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                gone(fs::remove_file(entry.path()), &mut removed)?;
            }
        }
        if open.len() == before {
            gone(fs::remove_dir(&folder), &mut removed)?;
            open.pop();
        }
    }
    Ok(())
}

/// The entries of a directory; none if it is not there.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    let list = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        other => {
            let is_closed = fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o700 != 0o700);
            if is_closed {
                fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            }
            Some(if other.is_err() { fs::read_dir(folder)? } else { other? })
        }
    };
    Ok(list.into_iter().flatten())
}

fn gone(result: io::Result<()>, removed: &mut impl FnMut()) -> io::Result<()> {
    match result {
        Ok(()) => {
            removed();
            Ok(())
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_directory_goes_and_nothing_that_it_links_to() {
        let folder = tempfile::tempdir().unwrap();
        let (pod, host) = (folder.path().join("pod"), folder.path().join("host"));
        fs::create_dir_all(pod.join("volume/closed/deep")).unwrap();
        fs::create_dir(&host).unwrap();
        for file in ["pod/volume/closed/file", "pod/volume/closed/deep/file", "host/file"] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(&host, pod.join("volume/link")).unwrap();
        fs::set_permissions(pod.join("volume/closed"), Permissions::from_mode(0o000)).unwrap();
        let mut count = 0;
        directory(&pod, || count += 1).unwrap();
        assert_eq!(count, 7);
        assert!(!pod.exists() && host.join("file").exists());
        directory(&pod, || panic!("nothing is there")).unwrap();
    }
}
