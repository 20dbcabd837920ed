//! The files of one log. It begins in the file that it is named by; when that has grown to a segment it is closed (its
//! mode loses the right to write) and the log goes on in a file with a number behind the name, and so forth. Closed
//! segments are packed (LZ4 frames, `.lz4`), and past the log's limit the oldest are removed.
//! It knows no entry.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lz4_flex::frame::FrameDecoder;

/// No segment is larger when it is unpacked: one batch of short lines may go over a segment's size.
const MAX_UNPACKED: u64 = 64 << 20;
pub(super) const PACKED: &str = ".lz4";
/// How a frame begins. Source: the LZ4 frame format, "Magic Number".
const FRAME: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

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
    /// Packed, and unpacked as far as it is read: whoever reads slowly holds a few blocks of it, not the whole.
    Packed(Mutex<Unpacking>),
    /// Unpacked.
    Unpacked(Vec<u8>),
}

/// A packed segment and how far it has been unpacked.
pub(super) struct Unpacking {
    decoder: FrameDecoder<File>,
    at: u64,
    /// Whether its frame has ended. What stands behind it is nobody's.
    is_over: bool,
}

/// Opens a segment to be read from a place on, however slowly; none if it is not there.
pub(super) fn open(base: &Path, number: u64) -> io::Result<Option<Segment>> {
    open_as(base, number, |file| Ok(Segment::Packed(Mutex::new(Unpacking::new(file)?))))
}

/// Opens a segment to be read from its end, here and now; none if it is not there.
pub(super) fn open_whole(base: &Path, number: u64) -> io::Result<Option<Segment>> {
    open_as(base, number, |file| unpack_whole(file).map(Segment::Unpacked))
}

fn unpack_whole(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decoder(file)?.take(MAX_UNPACKED).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Unpacks a file from its start. That is a frame: of the older form that is read too no file of ours is, and of a damaged
/// one the reader panics.
fn decoder(file: File) -> io::Result<FrameDecoder<File>> {
    let mut magic = [0; 4];
    let length = file.read_at(&mut magic, 0)?;
    if length > 0 && magic != FRAME {
        return Err(io::Error::new(ErrorKind::InvalidData, "this is no packed log"));
    }
    Ok(FrameDecoder::new(file))
}

fn open_as(
    base: &Path,
    number: u64,
    unpack: impl FnOnce(File) -> io::Result<Segment>,
) -> io::Result<Option<Segment>> {
    let plain = || found(File::open(plain(base, number)));
    if let Some(file) = plain()? {
        return Ok(Some(Segment::Plain(file)));
    }
    if let Some(file) = found(File::open(packed(base, number)))? {
        return unpack(file).map(Some);
    }
    // It may have come just now.
    Ok(plain()?.map(Segment::Plain))
}

impl Unpacking {
    fn new(file: File) -> io::Result<Unpacking> {
        Ok(Unpacking { decoder: decoder(file)?, at: 0, is_over: false })
    }

    fn read_at(&mut self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        if place < self.at {
            let mut file = self.decoder.get_ref().try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            *self = Unpacking::new(file)?;
        }
        let before = place.min(MAX_UNPACKED).saturating_sub(self.at);
        if !self.is_over {
            self.at += io::copy(&mut self.decoder.by_ref().take(before), &mut io::sink())?;
        }
        self.is_over |= self.at < place;
        if self.is_over || place >= MAX_UNPACKED {
            return Ok(0);
        }
        let count = loop {
            match self.decoder.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.at += count as u64;
        self.is_over = count == 0 && !buffer.is_empty();
        Ok(count)
    }
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
            Segment::Packed(_) | Segment::Unpacked(_) => true,
        }
    }

    /// How long it is. Of a packed one that is being read it takes as long as to read it.
    pub(super) fn len(&self) -> io::Result<u64> {
        match self {
            Segment::Plain(file) => Ok(file.metadata()?.len()),
            Segment::Packed(unpacking) => {
                let mut unpacking = unpacking.lock().unwrap_or_else(PoisonError::into_inner);
                unpacking.read_at(&mut [], MAX_UNPACKED)?;
                Ok(unpacking.at)
            }
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
            Segment::Packed(unpacking) => {
                unpacking.lock().unwrap_or_else(PoisonError::into_inner).read_at(buffer, place)
            }
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

/// What the fuzz targets ask: packed bytes as they are read in one go, piece by piece, and then from a place on.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn unpacked(packed: &[u8], place: u64) -> io::Result<[io::Result<Vec<u8>>; 3]> {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let file = File::from(nix::sys::memfd::memfd_create("packed", flags)?);
    file.write_all_at(packed, 0)?;
    let whole = unpack_whole(file.try_clone()?);
    (&file).seek(SeekFrom::Start(0))?;
    let mut unpacking = Unpacking::new(file);
    let mut rest = |place: u64| {
        let unpacking = unpacking.as_mut().map_err(|error| io::Error::from(error.kind()))?;
        let (mut read, mut chunk) = (Vec::new(), [0; 1000]);
        loop {
            match unpacking.read_at(&mut chunk, place + read.len() as u64)? {
                0 => return Ok(read),
                count => read.extend_from_slice(&chunk[..count]),
            }
        }
    };
    Ok([whole, rest(0), rest(place)])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::FrameEncoder;

    use super::*;

    #[test]
    fn packed_segment_is_read_from_any_place_as_if_it_were_not() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("0.log");
        let bytes: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut encoder = FrameEncoder::new(File::create(packed(&base, 3)).unwrap());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap();
        let (slow, whole) = (open(&base, 3).unwrap().unwrap(), open_whole(&base, 3).unwrap().unwrap());
        assert!(slow.is_closed() && matches!(slow, Segment::Packed(_)));
        for place in [0, 70_000, 70_001, 1_999_990, 5, 1_500_000, 2_000_000, 3_000_000, 0] {
            let sixteen = |segment: &Segment| -> Vec<u8> {
                let mut read = Vec::new();
                let mut chunk = [0; 16];
                loop {
                    let count = segment.read_at(&mut chunk[read.len()..], place + read.len() as u64).unwrap();
                    let from = read.len();
                    read.extend_from_slice(&chunk[from..from + count]);
                    if count == 0 || read.len() == 16 {
                        return read;
                    }
                }
            };
            assert_eq!(sixteen(&slow), sixteen(&whole), "{place}");
        }
        assert_eq!((slow.len().unwrap(), whole.len().unwrap()), (2_000_000, 2_000_000));
    }
}
