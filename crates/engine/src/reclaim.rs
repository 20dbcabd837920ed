//! The directories of claims' volumes that go: each goes with its volume, also when the engine dies in between.
//!
//! That a directory is to go is written beside it before the store is asked (`.going-NAME`, an empty file). Once the store
//! has it the directory is renamed (`.gone-NAME`), and removed when there is time. (That no volume names a directory
//! says nothing by itself: those with the policy `Retain` are kept without one.)

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use windlass_store::Key;

use crate::claims::VOLUMES;
use crate::tick::Tick;

/// How the names begin. No object's name begins so.
const GOING: &str = ".going-";
const GONE: &str = ".gone-";

impl Tick {
    /// These directories go if what is about to be written is. A disk without room takes no notice: then a crash right
    /// after the write leaves the directory behind.
    pub(crate) fn announce(&self, places: &[PathBuf]) {
        for place in places {
            if let Err(cause) = File::create(named(place, GOING))
                && cause.kind() != ErrorKind::NotFound
            {
                tracing::debug!(place = %place.display(), %cause, "it is not noted that a directory goes");
            }
        }
    }

    /// It was not written: they stay.
    pub(crate) fn withdraw(&self, places: &[PathBuf]) {
        places.iter().for_each(|place| forget(place));
    }

    /// The directory of a volume that has gone.
    pub(crate) fn give_up_directory(&self, place: &Path) {
        let gone = named(place, GONE);
        match fs::rename(place, &gone) {
            Ok(()) => self.sweeper.remove_directory(gone),
            // No pod ever mounted it.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            // The next engine tries again.
            Err(_) => return self.sweeper.remove_directory(place.to_owned()),
        }
        forget(place);
    }

    /// Removes the directories that earlier engines have given up and not removed. To be called when all volumes are
    /// known.
    pub(crate) fn sweep_directories(&self) {
        for entry in fs::read_dir(self.home.volumes()).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(GONE) {
                self.sweeper.remove_directory(path);
            } else if let Some(volume) = name.strip_prefix(GOING) {
                let place = path.with_file_name(volume);
                let is_there = self.claims.volumes.contains(&Key::from(format!("{VOLUMES}{volume}")));
                if is_there { forget(&place) } else { self.give_up_directory(&place) }
            }
        }
    }
}

fn named(place: &Path, how: &str) -> PathBuf {
    place.with_file_name(format!("{how}{}", place.file_name().unwrap_or_default().to_string_lossy()))
}

/// That a directory goes, or has gone, is noted no longer.
fn forget(place: &Path) {
    if let Err(cause) = fs::remove_file(named(place, GOING))
        && cause.kind() != ErrorKind::NotFound
    {
        tracing::warn!(place = %place.display(), %cause, "a note that a directory goes stays behind");
    }
}
