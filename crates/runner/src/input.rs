//! The way into a run: bytes for its stdin, and the size of its terminal. It knows no run; whoever drops it lets go
//! of the stdin.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The writing end of a run's stdin, or its terminal.
pub struct Input {
    end: AsyncFd<OwnedFd>,
    is_terminal: bool,
    /// Whoever holds the other end of this learns that the input was dropped.
    _lease: Option<OwnedFd>,
}

impl Input {
    /// An input of a descriptor that does not block. Needs a tokio runtime with I/O around it.
    pub(crate) fn new(end: OwnedFd, is_terminal: bool, lease: Option<OwnedFd>) -> io::Result<Input> {
        // SAFETY: an OwnedFd is the same open descriptor from its first to its last day.
        let end = unsafe { AsyncFd::register_with_interest(end, Interest::WRITABLE) }?;
        Ok(Input { end, is_terminal, _lease: lease })
    }

    /// Whether the run has a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes all of it, as fast as the run reads.
    ///
    /// # Errors
    /// `BrokenPipe` if nobody will ever read it: the run has ended or has closed its stdin.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |end: &OwnedFd| match nix::unistd::write(end, bytes) {
                // A terminal whose last process is gone.
                Err(Errno::EIO) if self.is_terminal => Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) => Err(io::Error::from(error)),
                Ok(count) => Ok(count),
            };
            match self.end.async_io(Interest::WRITABLE, write).await {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells the terminal its size; the run hears of it by SIGWINCH. Of a pipe it is nothing.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        if self.is_terminal { resize(self.end.get_ref(), columns, rows) } else { Ok(()) }
    }
}

/// Sets a terminal's size.
pub(crate) fn resize(terminal: impl AsFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and TIOCSWINSZ reads a winsize.
    let done = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}
