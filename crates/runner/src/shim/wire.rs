//! What the engine and the shim say to each other: one JSON value a line over a unix socket.
//! It knows nothing of sockets.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runtime::{Event, Key, Start};

/// The version of these messages. Both sides say theirs first, and part if they differ.
pub(crate) const PROTOCOL: u32 = 1;

/// The longest frame in bytes. Linux allows 2 MiB of arguments and environment; escapes may triple it.
pub(crate) const MAX_FRAME: usize = 8 << 20;

/// From the engine to the shim.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first frame.
    Hello { protocol: u32 },
    /// Start this, unless the key is known already.
    Start(Box<Start>),
    /// Send a signal to the run and its descendants, once per signal.
    Signal { key: Key, signal: i32 },
    /// The end of these runs is recorded elsewhere.
    Forget(Vec<Key>),
    /// Leave: at once after ending all runs, or when the last of them has ended by itself.
    Shutdown { end_runs: bool },
}

/// From the shim to the engine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The first frame.
    Hello {
        protocol: u32,
        pid: u32,
        /// What it can do (see [`Abilities`](super::ability::Abilities)); of an older one nothing is known.
        #[serde(default)]
        can: Vec<String>,
    },
    /// What is known of a run, or what has just happened to it.
    Event(Event),
    /// Everything that was known when the connection was made has been said.
    Synced,
}

/// Appends one frame. Ours always serialise: their maps have string keys.
pub(crate) fn put<T: Serialize>(out: &mut Vec<u8>, frame: &T) -> serde_json::Result<()> {
    let before = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, frame) {
        out.truncate(before);
        return Err(error);
    }
    out.push(b'\n');
    Ok(())
}

/// Takes complete frames out of a growing buffer.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Up to here there is no newline.
    searched: usize,
    /// Up to here frames were taken.
    taken: usize,
}

/// What came is not our protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame is longer than {MAX_FRAME} bytes")]
    TooLong,
    #[error("a frame cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Frames {
    /// Adds bytes as they were read.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.searched -= self.taken;
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let end = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n');
        let Some(end) = end.map(|at| at + self.searched) else {
            self.searched = self.buffer.len();
            if self.buffer.len() - self.taken > MAX_FRAME {
                return Err(FrameError::TooLong);
            }
            return Ok(None);
        };
        let frame = serde_json::from_slice(&self.buffer[self.taken..end]);
        self.taken = end + 1;
        self.searched = end + 1;
        Ok(Some(frame?))
    }
}
