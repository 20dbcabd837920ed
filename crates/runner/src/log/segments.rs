//! The files of one log. It begins in the file that it is named by; when that has grown to a segment it is closed (its
//! mode loses the right to write) and the log goes on in a file with a number behind the name, and so forth. Closed
//! segments are packed (LZ4 frames, `.lz4`), and past the log's limit the oldest are removed.
//! It knows no entry.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lz4_flex::frame::FrameDecoder;

/// No segment is larger when it is unpacked: one batch of short lines may go over a segment's size.
const MAX_UNPACKED: u64 = 64 << 20;
pub(super) const PACKED: &str = ".lz4";

/// The file of a segment that is not packed.
pub(crate) fn plain(base: &Path, number: u64) -> PathBuf {
    if number == 0 { base.to_owned() } else { with(base, &format!(".{number}")) }
}

/// The file of a packed segment.
pub(crate) fn packed(base: &Path, number: u64) -> PathBuf {
    with(&plain(base, number), PACKED)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A segment that can be read.
pub(super) enum Segment {
    /// As it was written, and whether it was closed when it was opened.
    Plain(File),
    /// Unpacked.
    Unpacked(Vec<u8>),
}

/// Opens a segment; none if it is not there.
pub(super) fn open(base: &Path, number: u64) -> io::Result<Option<Segment>> {
    let plain = || found(File::open(plain(base, number)));
    if let Some(file) = plain()? {
        return Ok(Some(Segment::Plain(file)));
    }
    if let Some(file) = found(File::open(packed(base, number)))? {
        let mut bytes = Vec::new();
        FrameDecoder::new(file).take(MAX_UNPACKED).read_to_end(&mut bytes)?;
        return Ok(Some(Segment::Unpacked(bytes)));
    }
    // It may have come just now.
    Ok(plain()?.map(Segment::Plain))
}

/// The numbers of the segments that there are.
pub(crate) fn list(base: &Path) -> io::Result<BTreeSet<u64>> {
    let (Some(folder), Some(name)) = (base.parent(), base.file_name().and_then(|name| name.to_str())) else {
        return Ok(BTreeSet::new());
    };
    let Some(files) = found(std::fs::read_dir(folder))? else { return Ok(BTreeSet::new()) };
    let number = |file: std::fs::DirEntry| {
        let file = file.file_name();
        let rest = file.to_str()?.strip_prefix(name)?;
        match rest.strip_suffix(PACKED).unwrap_or(rest) {
            "" => Some(0),
            rest => rest.strip_prefix('.')?.parse().ok(),
        }
    };
    Ok(files.flatten().filter_map(number).collect())
}

/// The segment that follows one, as far as there is one. The second one of a long log is found without a look at the
/// whole folder, which the logs of many pods share.
pub(super) fn next(base: &Path, number: u64) -> io::Result<Option<u64>> {
    let next = number + 1;
    if plain(base, next).exists() || packed(base, next).exists() {
        return Ok(Some(next));
    }
    if !is_long(base, number) {
        return Ok(None);
    }
    Ok(list(base)?.range(next..).next().copied())
}

/// Whether a segment was closed or is gone: then others may follow.
fn is_long(base: &Path, number: u64) -> bool {
    plain(base, number).metadata().map_or(true, |meta| meta.permissions().mode() & 0o200 == 0)
}

impl Segment {
    /// Whether nothing more will be written to it.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Segment::Plain(file) => file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o200 == 0),
            Segment::Unpacked(_) => true,
        }
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        match self {
            Segment::Plain(file) => Ok(file.metadata()?.len()),
            Segment::Unpacked(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Reads from a place on; nothing at the end.
    pub(super) fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        match self {
            Segment::Plain(file) => loop {
                match file.read_at(buffer, place) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    done => return done,
                }
            },
            Segment::Unpacked(bytes) => {
                let rest = usize::try_from(place).ok().and_then(|place| bytes.get(place..)).unwrap_or(&[]);
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
        }
    }
}

fn found<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
