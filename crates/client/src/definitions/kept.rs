//! A file that is read again when it has changed, and whose last good version is kept while the newest is not good.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use windlass_manifest::ReadError;
use windlass_manifest::read::MAX_FILE;

use crate::{Error, Result};

/// What tells one version of a file from another: times, size and inode. A file that was replaced within a tick of the
/// clock by one of the same size is another file by its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    changed: (i64, i64),
    size: u64,
    inode: (u64, u64),
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Stamp> {
        let meta = path.metadata()?;
        Ok(Stamp {
            modified: meta.modified().ok(),
            changed: (meta.ctime(), meta.ctime_nsec()),
            size: meta.len(),
            inode: (meta.dev(), meta.ino()),
        })
    }
}

/// What was made of a file.
#[derive(Debug)]
pub(super) struct Kept<T> {
    /// Of the version that was looked at last; none if it could not be.
    stamp: Option<Stamp>,
    good: Option<Arc<T>>,
    /// What is wrong with the version that was looked at last.
    fault: Option<String>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { stamp: None, good: None, fault: None }
    }
}

/// What looking at a file came to.
pub(super) struct Look<T> {
    /// The newest good version.
    pub(super) good: Result<Arc<T>>,
    /// What is wrong with the newest version; only when it was not said before.
    pub(super) news: Option<Error>,
}

impl<T> Kept<T> {
    /// Looks at the file; reads it if it is another version than the one before.
    pub(super) fn look(
        &mut self,
        path: &Path,
        parse: impl FnOnce(&str) -> Result<T, Vec<ReadError>>,
    ) -> Look<T> {
        let stamp = Stamp::of(path);
        if let (Ok(stamp), Some(good)) = (&stamp, &self.good)
            && self.stamp.as_ref() == Some(stamp)
        {
            return Look { good: Ok(good.clone()), news: None };
        }
        let made = match &stamp {
            Ok(_) => read(path).and_then(|text| parse(&text).map_err(Error::Template)),
            Err(error) => Err(unreadable(path, error)),
        };
        // It may have been written to while it was read: then it is looked at again the next time.
        let after = Stamp::of(path).ok();
        self.stamp = stamp.ok().filter(|stamp| after.as_ref() == Some(stamp));
        match made {
            Ok(value) => {
                let value = Arc::new(value);
                (self.good, self.fault) = (Some(value.clone()), None);
                Look { good: Ok(value), news: None }
            }
            Err(error) => self.keep(error),
        }
    }

    fn keep(&mut self, error: Error) -> Look<T> {
        let Some(good) = self.good.clone() else { return Look { good: Err(error), news: None } };
        let words = error.to_string();
        let is_known = self.fault.as_ref() == Some(&words);
        self.fault = Some(words);
        Look { good: Ok(good), news: (!is_known).then_some(error) }
    }

    /// What is wrong with the newest version, while an older one is used.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::File { path: path.display().to_string(), message: error.to_string() }
}

/// A file's text: one byte more than is accepted, so that a longer one is refused and not cut.
fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut file = file.take(MAX_FILE as u64 + 1);
    file.read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    Ok(text)
}
