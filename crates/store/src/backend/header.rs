//! The store's directory: its lock, and its header with the format and the identity.
//!
//! The header is written before the data with `complete` false and after it with true, so that a store whose
//! making was interrupted is told from one that lost a part.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::errors::OpenError;
use crate::types::{Options, Revision};

/// The format that this program writes, and the newest it reads.
const FORMAT: u32 = 2;

/// The folder of the data. Each format has its own, so that a migration leaves the old one as it was.
pub(crate) const DATA: &str = "data-2";
/// The folder of the data of format 1.
const DATA_1: &str = "data";
/// The header of format 1, kept beside its data.
const HEADER_1: &str = "store-1.json";
const HEADER: &str = "store.json";
const DRAFT: &str = "store.json.new";
const LOCK: &str = "lock";
/// Written and removed to see whether there is room.
pub(crate) const PROBE: &str = "probe";

/// What the header says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    format: u32,
    /// The store's identity.
    pub(crate) store: String,
    /// Where it began to count.
    #[serde(with = "number")]
    pub(crate) first_revision: Revision,
    /// A revision that it has surely reached: when it was last opened or closed.
    #[serde(with = "number")]
    pub(crate) reached: Revision,
    complete: bool,
}

/// A directory that is locked and ready for its data.
pub(crate) struct Prepared {
    /// What the header says.
    pub(crate) header: Header,
    /// Holds the lock while it is open.
    pub(crate) lock: File,
    /// What has to be migrated first.
    pub(crate) older: Option<Older>,
}

/// A store of format 1.
pub(crate) struct Older {
    /// Its data.
    pub(crate) data: PathBuf,
}

impl Older {
    /// Keeps the header of the old format: with it the old data is a whole store again.
    pub(crate) fn keep_header(&self, dir: &Path) -> Result<(), OpenError> {
        let copy = dir.join(HEADER_1);
        let keep = || fs::copy(dir.join(HEADER), &copy).and_then(|_| File::open(&copy)?.sync_all());
        keep().map_err(|cause| io_error(&copy, cause))
    }
}

/// Makes or finds the directory, locks it and reads its header.
pub(crate) fn prepare(dir: &Path, options: &Options) -> Result<Prepared, OpenError> {
    let at_dir = |cause| io_error(dir, cause);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at_dir)?;
    refuse_foreign(dir)?;
    let lock = lock(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(at_dir)?;
    // Left behind only by a crash.
    let _ = fs::remove_file(dir.join(PROBE));
    let data = dir.join(DATA);
    let there = exists(&data)?;
    match read(dir)? {
        Some(header) if header.format < FORMAT && header.complete => return older(dir, header, lock),
        Some(header) if header.complete && there => return Ok(Prepared { header, lock, older: None }),
        Some(header) if header.complete => return Err(corrupt(&data, "it is missing")),
        Some(header) => remove_begun(dir, &header)?,
        None if there || exists(&dir.join(DATA_1))? => {
            return Err(corrupt(&dir.join(HEADER), "it is missing"));
        }
        None => {}
    }
    let Options { first_revision, ref new_id, .. } = *options;
    let header = Header {
        format: FORMAT,
        store: new_id.clone(),
        first_revision,
        reached: first_revision,
        complete: false,
    };
    write(dir, &header)?;
    Ok(Prepared { header, lock, older: None })
}

/// A store of format 1: its identity goes on.
fn older(dir: &Path, header: Header, lock: File) -> Result<Prepared, OpenError> {
    let data = dir.join(DATA_1);
    if !exists(&data)? {
        return Err(corrupt(&data, "it is missing"));
    }
    let header = Header { format: FORMAT, complete: false, ..header };
    Ok(Prepared { header, lock, older: Some(Older { data }) })
}

/// Removes what the interrupted making of a store has left.
fn remove_begun(dir: &Path, header: &Header) -> Result<(), OpenError> {
    let data = dir.join(if header.format == FORMAT { DATA } else { DATA_1 });
    match fs::remove_dir_all(&data) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_error(&data, cause)),
        _ => Ok(()),
    }
}

fn exists(place: &Path) -> Result<bool, OpenError> {
    place.try_exists().map_err(|cause| io_error(place, cause))
}

/// Says that the data is there, and up to which revision.
pub(crate) fn complete(dir: &Path, header: &Header, reached: Revision) -> Result<(), OpenError> {
    let told = Header { complete: true, reached, ..header.clone() };
    if told == *header { Ok(()) } else { write(dir, &told) }
}

/// A directory that was somebody else's stays as it is.
fn refuse_foreign(dir: &Path) -> Result<(), OpenError> {
    let at_dir = |cause| io_error(dir, cause);
    for file in fs::read_dir(dir).map_err(at_dir)? {
        let name = file.map_err(at_dir)?.file_name();
        if ![DATA, HEADER, DRAFT, LOCK, PROBE, DATA_1, HEADER_1].iter().any(|ours| name == *ours) {
            let cause = format!("it holds {}, which is no part of a store", name.display());
            return Err(corrupt(dir, &cause));
        }
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let place = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&place);
    let file = file.map_err(|cause| io_error(&place, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.display().to_string())),
        Err(TryLockError::Error(cause)) => Err(io_error(&place, cause)),
    }
}

fn read(dir: &Path) -> Result<Option<Header>, OpenError> {
    /// The one field that every format has.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let place = dir.join(HEADER);
    let bytes = match fs::read(&place) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(io_error(&place, cause)),
    };
    let unreadable = |error: serde_json::Error| corrupt(&place, &error.to_string());
    let Format { format } = serde_json::from_slice(&bytes).map_err(unreadable)?;
    match format {
        1..=FORMAT => serde_json::from_slice(&bytes).map(Some).map_err(unreadable),
        0 => Err(corrupt(&place, "there is no format 0")),
        found => Err(OpenError::Newer { place: place.display().to_string(), found, known: FORMAT }),
    }
}

/// Replaces the header whole, and durably.
fn write(dir: &Path, header: &Header) -> Result<(), OpenError> {
    let place = dir.join(HEADER);
    let replace = || -> io::Result<()> {
        let draft = dir.join(DRAFT);
        let mut file = File::create(&draft)?;
        serde_json::to_writer(&file, header)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&draft, &place)?;
        File::open(dir)?.sync_all()
    };
    replace().map_err(|cause| io_error(&place, cause))
}

fn io_error(place: &Path, cause: io::Error) -> OpenError {
    OpenError::Io { place: place.display().to_string(), cause }
}

fn corrupt(place: &Path, cause: &str) -> OpenError {
    OpenError::Corrupt { place: place.display().to_string(), cause: cause.to_owned() }
}

/// A revision as a bare number.
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::types::Revision;

    pub(super) fn serialize<S: Serializer>(revision: &Revision, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(revision.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Revision, D::Error> {
        u64::deserialize(input).map(Revision)
    }
}
