//! The shape of fjall's journals (its format 3), looked at before they are opened. Where the embedded store meets
//! what it does not understand, it drops all that follows. That is right for what a crash has torn at the end, and
//! would lose acknowledged writes were it done for damage in the middle: such a journal is refused, and not touched.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

/// What each batch ends with.
pub(crate) const END: &[u8; 4] = b"FJL\x03";

/// Where the zeros begin with which a journal is made, to a page.
pub(crate) fn used(bytes: &[u8]) -> usize {
    const PAGE: [u8; 4096] = [0; 4096];
    let pages = bytes.chunks(PAGE.len()).rposition(|page| page != &PAGE[..page.len()]);
    pages.map_or(0, |last| bytes.len().min((last + 1) * PAGE.len()))
}

/// The journals in the order in which they were written.
pub(crate) fn all(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for file in fs::read_dir(data)? {
        let path = file?.path();
        if let (Some("jnl"), Some(stem)) =
            (path.extension().and_then(|e| e.to_str()), path.file_stem().and_then(|s| s.to_str()))
        {
            journals.extend(stem.parse::<u64>().ok().map(|number| (number, path)));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// Damage that is no torn end.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The file.
    pub(crate) journal: PathBuf,
    /// Where, in bytes from its start.
    pub(crate) at: u64,
}

/// Looks for damage before the end of what was written.
pub(crate) fn check(data: &Path) -> io::Result<Option<Damage>> {
    let journals = if data.exists() { all(data)? } else { Vec::new() };
    for (number, journal) in journals.iter().enumerate() {
        let newest = number + 1 == journals.len();
        let Some(at) = damage(journal)? else { continue };
        if !newest || goes_on(&fs::read(journal)?[at as usize..]) {
            return Ok(Some(Damage { journal: journal.clone(), at }));
        }
    }
    Ok(None)
}

/// Whether after a batch that cannot be read another one follows.
pub(crate) fn goes_on(rest: &[u8]) -> bool {
    let Some(end) = rest.windows(END.len()).position(|window| window == END) else { return false };
    let after = &rest[end + END.len()..];
    after.windows(END.len()).any(|window| window == END)
}

/// Walks over all batches of a journal; where the first begins that cannot be read.
fn damage(journal: &Path) -> io::Result<Option<u64>> {
    let file = File::open(journal)?;
    let length = file.metadata()?.len();
    damage_in(file, length)
}

pub(crate) fn damage_in(file: impl Read + Seek, length: u64) -> io::Result<Option<u64>> {
    let mut reader = Reader { file: BufReader::with_capacity(1 << 16, file), left: length };
    while reader.left > 0 {
        let at = length - reader.left;
        match reader.batch() {
            Ok(true) => {}
            Ok(false) => return Ok(Some(at)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some(at)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

struct Reader<R> {
    file: BufReader<R>,
    left: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads a batch, or the zeros with which a journal is made, to its end; whether it is one.
    fn batch(&mut self) -> io::Result<bool> {
        match self.take()? {
            [1] => {}
            [0] => return self.zeros(),
            _ => return Ok(false),
        }
        let many = u32::from_le_bytes(self.take()?);
        self.skip(8)?;
        for _ in 0..many {
            if !self.item()? {
                return Ok(false);
            }
        }
        let [tag] = self.take()?;
        self.skip(8)?;
        Ok(tag == 3 && self.take()? == *END)
    }

    /// Reads a write of a batch.
    fn item(&mut self) -> io::Result<bool> {
        let [tag] = self.take()?;
        // The kind of write, the compression (one byte each), the part (eight).
        self.skip(10)?;
        let key = u16::from_le_bytes(self.take()?);
        self.skip(4)?;
        let value = u32::from_le_bytes(self.take()?);
        self.skip(u64::from(key) + u64::from(value))?;
        Ok(tag == 2)
    }

    fn zeros(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut buffer)? {
                0 => break,
                many if buffer[..many].iter().any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
        self.left = 0;
        Ok(true)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.left = self.left.saturating_sub(N as u64);
        Ok(bytes)
    }

    fn skip(&mut self, many: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(many).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.file.seek_relative(many.cast_signed())
    }
}
