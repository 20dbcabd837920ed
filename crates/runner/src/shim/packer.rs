//! Packs closed segments of logs, on a thread of its own that begins with the first: nobody waits for it.
//! What cannot be packed stays as it is. It knows no run.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lz4_flex::frame::FrameEncoder;

use crate::log::segments::packed;

/// Segments that may wait. One that finds no place stays unpacked.
const WAITING: usize = 64;
/// Other threads come first.
const NICENESS: i32 = 10;

/// The thread, once there is one.
#[derive(Default)]
pub(crate) struct Packer {
    queue: OnceLock<Option<SyncSender<PathBuf>>>,
}

impl Packer {
    /// One that packs nothing.
    #[cfg(test)]
    pub(crate) fn idle() -> Packer {
        Packer { queue: OnceLock::from(None) }
    }

    /// Packs a closed segment some time.
    pub(crate) fn pack(&self, segment: PathBuf) {
        let begin = || {
            let (queue, wanted) = sync_channel(WAITING);
            let thread = std::thread::Builder::new().name("packer".to_owned());
            thread.spawn(move || work(&wanted)).ok().map(|_| queue)
        };
        if let Some(queue) = self.queue.get_or_init(begin) {
            let _ = queue.try_send(segment);
        }
    }
}

fn work(wanted: &Receiver<PathBuf>) {
    // SAFETY: both calls take and give plain numbers. Of the calling thread alone: Linux's threads are its processes.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, libc::gettid().cast_unsigned(), NICENESS) };
    for segment in wanted {
        let target = packed(&segment, 0);
        if pack(&segment, &target).is_err() {
            let _ = std::fs::remove_file(draft(&target));
        } else if std::fs::remove_file(&segment).is_err() {
            // It was removed meanwhile as the oldest one, or with its pod.
            let _ = std::fs::remove_file(&target);
        }
    }
}

fn draft(target: &Path) -> PathBuf {
    target.with_extension("new")
}

/// Packs one now.
pub(crate) fn pack(segment: &Path, target: &Path) -> io::Result<()> {
    let mut plain = File::open(segment)?;
    let draft = draft(target);
    let _ = std::fs::remove_file(&draft);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&draft)?;
    let mut encoder = FrameEncoder::new(file);
    io::copy(&mut plain, &mut encoder)?;
    encoder.finish().map_err(io::Error::other)?;
    std::fs::rename(&draft, target)
}
