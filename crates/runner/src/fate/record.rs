//! The log of a run that is played, in the form that the shim writes: one segment, since what it says fits into an
//! annotation.

use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use jiff::Timestamp;
use windlass_fate::Line;

use crate::log::Output;
use crate::log::stamps::Stamps;

/// Where a longer line is cut, as the shim and upstream's runtimes cut it.
const MAX_LINE: usize = 16 << 10;

/// Lines as a log has them.
pub(super) fn entries<'a>(stamps: &mut Stamps, lines: impl Iterator<Item = (Timestamp, Line<'a>)>) -> String {
    let mut text = String::new();
    for (at, line) in lines {
        let output = if line.is_stderr { Output::Stderr } else { Output::Stdout };
        let mut rest = line.text;
        loop {
            let end = rest.floor_char_boundary(MAX_LINE);
            let tag = if end < rest.len() { 'P' } else { 'F' };
            let time = String::from_utf8_lossy(stamps.next(at));
            // A String takes all that is written to it.
            let _ = writeln!(text, "{time} {} {tag} {}", output.name(), &rest[..end]);
            rest = &rest[end..];
            if tag == 'F' {
                break;
            }
        }
    }
    text
}

/// Adds entries to a log, which the first ones make.
pub(super) fn append(path: &Path, text: &str) -> io::Result<()> {
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let mut file = match (open(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            open()?
        }
        (opened, _) => opened?,
    };
    file.write_all(text.as_bytes())
}

/// Removes a log that is written anew.
pub(super) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, log = %path.display(), "a played run's log has lines twice");
    }
}
