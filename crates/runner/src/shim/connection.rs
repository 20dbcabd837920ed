//! The one client of the shim: frames in, frames out, never blocking. It knows no run.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;

use super::ability::Abilities;
use super::wire::{self, Frames, PROTOCOL, Reply, Request};

/// A client that has left more than this unread is dropped; when it comes again it is told the state.
const MAX_UNREAD: usize = 64 << 20;

/// A connection.
pub(crate) struct Connection {
    stream: UnixStream,
    frames: Frames,
    out: Vec<u8>,
    sent: usize,
    is_greeted: bool,
    waits: bool,
    peer: i32,
}

impl Connection {
    /// Takes a connection of the same user, and says who is here.
    pub(crate) fn greet(stream: UnixStream) -> io::Result<Connection> {
        let peer = getsockopt(&stream, sockopt::PeerCredentials)?;
        if peer.uid() != geteuid().as_raw() {
            let words = format!("the user with id {} is not this one", peer.uid());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        stream.set_nonblocking(true)?;
        let mut connection = Connection {
            stream,
            frames: Frames::default(),
            out: Vec::new(),
            sent: 0,
            is_greeted: false,
            waits: false,
            peer: peer.pid(),
        };
        let can = Abilities::own().names();
        connection.say(&Reply::Hello { protocol: PROTOCOL, pid: std::process::id(), can });
        Ok(connection)
    }

    /// The client's process id.
    pub(crate) fn peer(&self) -> i32 {
        self.peer
    }

    /// Whether both said who they are.
    pub(crate) fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// Reads what is there: the requests, and why the connection is over if it is.
    pub(crate) fn receive(&mut self) -> (Vec<Request>, Option<String>) {
        let mut requests = Vec::new();
        let mut chunk = [0; 64 << 10];
        let end = loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break Some("closed".to_owned()),
                Ok(count) => self.frames.add(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Some(error.to_string()),
            }
            if let Err(error) = self.take(&mut requests) {
                break Some(error);
            }
        };
        (requests, end)
    }

    fn take(&mut self, requests: &mut Vec<Request>) -> Result<(), String> {
        while let Some(request) = self.frames.next().map_err(|error| error.to_string())? {
            match request {
                Request::Hello { protocol: PROTOCOL } => self.is_greeted = true,
                Request::Hello { protocol } => return Err(format!("it speaks version {protocol}")),
                _ if !self.is_greeted => return Err("it did not say hello".to_owned()),
                _ => {}
            }
            requests.push(request);
        }
        Ok(())
    }

    /// Adds a frame to what is sent next.
    pub(crate) fn say(&mut self, reply: &Reply) {
        // Ours always serialise: they have no maps but those with string keys.
        let _ = wire::put(&mut self.out, reply);
    }

    /// Sends as much as fits. `true`: something is left.
    pub(crate) fn send(&mut self) -> io::Result<bool> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        } else if self.out.len() - self.sent > MAX_UNREAD {
            return Err(io::Error::other("it does not read"));
        }
        Ok(self.sent < self.out.len())
    }

    /// Whether what is waited for changes with this.
    pub(crate) fn changes_interest(&mut self, waits: bool) -> bool {
        std::mem::replace(&mut self.waits, waits) != waits
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
