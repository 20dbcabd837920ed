//! The door to the children's streams: a socket of its own, at which a guest names a run and is handed the writing end
//! of its stdin, or its terminal, or the streams of a program that runs beside it. What is written goes straight there
//! and never through the shim; the guest's connection stays open as long as it writes or the program runs, so that its
//! end is known. It knows no run.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, getsockopt, sendmsg, sockopt};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use super::wire;
use crate::exec::{Exec, MAX_ARGUMENTS};
use crate::runtime::{Key, StartFailure};

/// The most guests at once, however many descriptors there are.
pub(crate) const MAX_GUESTS: usize = 512;
/// The longest question in bytes: a byte of an argument may take six, and the names and uids of Kubernetes are short.
pub(crate) const MAX_QUESTION: usize = 6 * MAX_ARGUMENTS + (4 << 10);
/// How much is read at a time.
pub(super) const CHUNK: usize = 16 << 10;

/// What a guest asks, as one line. A shim that knows but the first form shows out who uses the other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Question {
    /// The input of a run.
    Input { key: Key },
    /// A program beside a run.
    Exec { exec: Exec },
}

/// What it is answered, as one line; with [`Answer::Here`] comes the descriptor, with [`Answer::Begun`] come those of the
/// streams that were asked for, in order, or of the terminal; after it a [`LastWord`](crate::exec::LastWord).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Here it is.
    Here { is_terminal: bool },
    /// It does not run.
    NotRunning,
    /// It has none.
    NoStdin,
    /// It has ended.
    Ended,
    /// Too many are here.
    Full,
    /// The program runs.
    Begun,
    /// It does not.
    Failed { failure: StartFailure, message: String },
}

/// The listening socket and who came.
pub(crate) struct Door {
    listener: UnixListener,
    guests: BTreeMap<u64, Guest>,
    next: u64,
    max_guests: usize,
}

/// One who came.
pub(crate) struct Guest {
    stream: UnixStream,
    said: Vec<u8>,
    /// One question is all that a guest has.
    has_asked: bool,
    /// The run whose input it was given.
    pub(crate) run: Option<u64>,
    /// The program that was begun for it.
    pub(crate) beside: Option<u64>,
}

/// What a guest did.
pub(crate) enum Heard {
    /// Nothing that matters yet.
    Nothing,
    /// It asks.
    Question(Question),
    /// It went away, or makes no sense.
    Gone,
}

/// The socket, by a name that is short however deep the directory is.
pub(crate) fn door_path(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/input.sock", directory.as_raw_fd()))
}

impl Door {
    /// Listens in the shim's directory, and lets so many in at once.
    pub(crate) fn open(directory: &File, max_guests: usize) -> io::Result<Door> {
        let path = door_path(directory);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Door { listener, guests: BTreeMap::new(), next: 0, max_guests })
    }

    /// Lets one in who is of this user: its number, and what to wait for.
    pub(crate) fn accept(&mut self) -> io::Result<(u64, BorrowedFd<'_>)> {
        let (stream, _) = self.listener.accept()?;
        let peer = getsockopt(&stream, sockopt::PeerCredentials)?;
        if peer.uid() != geteuid().as_raw() {
            let words = format!("the user with id {} is not this one", peer.uid());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        stream.set_nonblocking(true)?;
        let mut guest = Guest::new(stream);
        if self.guests.len() >= self.max_guests {
            guest.answer(&Answer::Full, &[])?;
            return Err(io::Error::other("too many write to containers already"));
        }
        self.next += 1;
        let guest = self.guests.entry(self.next).or_insert(guest);
        Ok((self.next, guest.stream.as_fd()))
    }

    /// A guest by its number.
    pub(crate) fn guest(&mut self, number: u64) -> Option<&mut Guest> {
        self.guests.get_mut(&number)
    }

    /// Shows a guest out.
    pub(crate) fn dismiss(&mut self, number: u64) -> Option<Guest> {
        self.guests.remove(&number)
    }
}

impl Guest {
    /// One who came over this stream, which does not block.
    pub(super) fn new(stream: UnixStream) -> Guest {
        Guest { stream, said: Vec::new(), has_asked: false, run: None, beside: None }
    }

    /// Reads what is there.
    pub(crate) fn hear(&mut self) -> Heard {
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Heard::Gone,
            Ok(count) if self.said.len() + count <= MAX_QUESTION => {
                self.said.extend_from_slice(&chunk[..count]);
            }
            Ok(_) => return Heard::Gone,
            Err(error) => {
                let waits = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                return if waits { Heard::Nothing } else { Heard::Gone };
            }
        }
        match self.said.iter().position(|&byte| byte == b'\n') {
            _ if self.has_asked => Heard::Gone,
            Some(end) if end + 1 == self.said.len() => {
                let heard = serde_json::from_slice(&self.said[..end]).map_or(Heard::Gone, Heard::Question);
                (self.has_asked, self.said) = (true, Vec::new());
                heard
            }
            // More than a line, however it came.
            Some(_) => Heard::Gone,
            None => Heard::Nothing,
        }
    }

    /// Answers, with the descriptors that are given. The answer is short: a socket that does not take it at once is of
    /// somebody who does not read.
    pub(crate) fn answer(&mut self, answer: &impl Serialize, ends: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut line = Vec::new();
        wire::put(&mut line, answer)?;
        let ends: Vec<_> = ends.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&ends)];
        let with: &[ControlMessage<'_>] = if ends.is_empty() { &[] } else { &rights };
        let to = self.stream.as_raw_fd();
        sendmsg::<UnixAddr>(to, &[IoSlice::new(&line)], with, MsgFlags::MSG_NOSIGNAL, None)?;
        Ok(())
    }
}

impl AsFd for Guest {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
