//! Why something did not work: opening, reading, committing, watching.

use std::sync::Arc;

use crate::types::{Expect, Key, Revision};

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory or a file in it.
    #[error("{place}: {cause}")]
    Io {
        /// The path.
        place: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Someone else has it open.
    #[error("{0}: the store is in use by another process")]
    InUse(String),
    /// Made by a newer Windlass.
    #[error("{place}: the store has format {found}, this Windlass reads up to {known}; use a newer one")]
    Newer {
        /// The path.
        place: String,
        /// Its format.
        found: u32,
        /// The newest this program reads.
        known: u32,
    },
    /// It cannot be read as a store.
    #[error("{place}: not a readable store: {cause}; move it away to start empty")]
    Corrupt {
        /// The path.
        place: String,
        /// What is wrong.
        cause: String,
    },
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The revision asked for is no longer kept.
    #[error("revision {} is gone; the oldest kept is {}", asked.0, oldest.0)]
    Compacted {
        /// The revision asked for.
        asked: Revision,
        /// The oldest readable one.
        oldest: Revision,
    },
    /// The revision asked for has not come yet.
    #[error("revision {} is ahead of {}", asked.0, newest.0)]
    Ahead {
        /// The revision asked for.
        asked: Revision,
        /// The newest one.
        newest: Revision,
    },
    /// The disk.
    #[error("reading the store: {0}")]
    Io(Arc<std::io::Error>),
}

/// Why a commit changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A write's expectation did not hold.
    #[error("{key}: {expected:?} was expected, found {found:?}")]
    Conflict {
        /// Which write, counted from 0.
        index: usize,
        /// Its key.
        key: Key,
        /// What it expected.
        expected: Expect,
        /// The revision that is there.
        found: Option<Revision>,
    },
    /// A value is over the bound, or a key.
    #[error("{key}: {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its key.
        key: Key,
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// A key is empty.
    #[error("write {index} has an empty key")]
    NoKey {
        /// Which write, counted from 0.
        index: usize,
    },
    /// A template's hole is outside its bytes.
    #[error("{key}: the revision is to be put at byte {at} of {bytes}")]
    Hole {
        /// Its key.
        key: Key,
        /// Where the hole is said to be.
        at: u32,
        /// The template's size.
        bytes: usize,
    },
    /// A key appears twice.
    #[error("{0} appears twice in one transaction")]
    Twice(Key),
    /// Too much is waiting; try again later.
    #[error("the store has {0} bytes waiting to be written")]
    Busy(usize),
    /// The disk is full. Nothing of this transaction is shown; later commits are tried again and work when there is
    /// room. Should the disk have kept the transaction all the same, it is there whole after that.
    #[error("writing the store: {0}; it takes writes again when there is room")]
    Full(Arc<std::io::Error>),
    /// The disk. Nothing of this transaction is shown, and writes are refused until the store is opened again. Should
    /// the disk have kept the transaction all the same, it is there whole after that.
    #[error("writing the store: {0}")]
    Io(Arc<std::io::Error>),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a watch ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The log no longer reaches back so far: list again.
    #[error("too old resource version: {} ({})", asked.0, oldest.0)]
    Compacted {
        /// The revision asked for or reached.
        asked: Revision,
        /// The oldest the log can go on from.
        oldest: Revision,
    },
    /// The revision has not come yet.
    #[error("revision {} is ahead of {}", asked.0, newest.0)]
    Ahead {
        /// The revision asked for.
        asked: Revision,
        /// The newest one.
        newest: Revision,
    },
    /// The disk.
    #[error("reading the store: {0}")]
    Io(Arc<std::io::Error>),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
