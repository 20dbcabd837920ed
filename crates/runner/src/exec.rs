//! A program beside a container's own process, as whoever asked for it holds it: its streams, its terminal, its end.
//! It knows no container; whoever drops the end before it came ends the program.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;

use bytes::Bytes;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::UnixStream;

use crate::input::Input;
use crate::runtime::{Ended, Key, StartFailure};

/// The most bytes of arguments, their ends included.
pub const MAX_ARGUMENTS: usize = 256 << 10;
/// How much is read at a time.
const CHUNK: usize = 64 << 10;
/// The longest word about an end.
const MAX_WORD: usize = 256;

/// A program to run beside a container's own process, in its surroundings: its environment, directory, mounts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exec {
    /// The run. The program ends with it, and so does what the program started.
    pub key: Key,
    /// Program and arguments. The program is looked up in `PATH` of the run's environment, which it has, too; besides it
    /// finds the pid of the run's first process in `WINDLASS_PID`.
    pub argv: Vec<String>,
    /// Its stdin is a pipe (or its terminal is written to); else it reads nothing.
    pub stdin: bool,
    /// Its stdout is read; else it goes nowhere.
    pub stdout: bool,
    /// Its stderr is read; else it goes nowhere. With `tty` there is none beside stdout.
    pub stderr: bool,
    /// It has a terminal of its own, which controls it.
    pub tty: bool,
}

/// A program that runs beside a container's own process.
pub struct Session {
    /// Where it is written to, if that was asked for. To drop it ends its stdin, but not that of a terminal.
    pub stdin: Option<Input>,
    /// Its terminal, to be told its size.
    pub terminal: Option<Input>,
    /// What it writes, if that was asked for; of a terminal this is all.
    pub stdout: Option<Output>,
    /// What it writes to stderr.
    pub stderr: Option<Output>,
    /// Its end. To drop it before it came kills the program with everything below it.
    pub end: End,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The run has not begun, has ended, or is unknown.
    #[error("it does not run")]
    NotRunning,
    /// The program did not begin.
    #[error("{message}")]
    Failed {
        /// The class of the cause.
        failure: StartFailure,
        /// The cause in words.
        message: String,
    },
    /// More than [`MAX_ARGUMENTS`].
    #[error("its arguments have more than {MAX_ARGUMENTS} bytes")]
    TooLong,
    /// Too many programs run beside containers, or too many clients are attached.
    #[error("too many programs run in containers, or clients are attached to them, already")]
    TooMany,
    /// This runtime has none: nothing is run.
    #[error("nothing is run here: no program can be run beside it")]
    Unsupported,
    /// The process that runs it is of an older build, and does not know how.
    #[error(
        "the process that runs the containers (the shim) is of an older Windlass, which runs no program beside one; \
         it is replaced when none of its containers runs any more, or at once by windlass down --force and windlass up: {0}"
    )]
    Older(io::Error),
    /// The process that runs it does not do it.
    #[error("the process that runs the containers does not run a program beside one: {0}")]
    Broken(io::Error),
}

/// A stream that a program writes.
pub struct Output {
    end: AsyncFd<OwnedFd>,
    chunk: Vec<u8>,
}

impl Output {
    /// An output of a descriptor that does not block. Needs a tokio runtime with I/O around it.
    pub(crate) fn new(end: OwnedFd) -> io::Result<Output> {
        // SAFETY: an OwnedFd is the same open descriptor from its first to its last day.
        let end = unsafe { AsyncFd::register_with_interest(end, Interest::READABLE) }?;
        Ok(Output { end, chunk: vec![0; CHUNK] })
    }

    /// What comes next; nothing at its end, which is there when no process can write to it any more.
    ///
    /// # Errors
    /// The system's.
    pub async fn read(&mut self) -> io::Result<Bytes> {
        let Output { end, chunk } = self;
        loop {
            match end.async_io(Interest::READABLE, |end| take(end, chunk)).await {
                Ok(count) => return Ok(Bytes::copy_from_slice(&chunk[..count])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What is there now.
    fn left(&mut self) -> Option<&[u8]> {
        match take(self.end.get_ref(), &mut self.chunk) {
            Ok(count) if count > 0 => Some(&self.chunk[..count]),
            _ => None,
        }
    }
}

fn take(end: impl AsFd, chunk: &mut [u8]) -> io::Result<usize> {
    match nix::unistd::read(end, chunk) {
        // A terminal whose last process is gone.
        Err(Errno::EIO) => Ok(0),
        read => Ok(read?),
    }
}

/// The last word on a program, as one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct LastWord {
    pub(crate) ended: Ended,
}

/// A program's end, told by whoever runs it.
pub struct End {
    stream: UnixStream,
    said: Vec<u8>,
}

impl End {
    /// The end that is told as a [`LastWord`] over this stream, of which this much was `said`. Needs a tokio runtime
    /// with I/O around it.
    pub(crate) fn new(stream: std::os::unix::net::UnixStream, said: Vec<u8>) -> io::Result<End> {
        stream.set_nonblocking(true)?;
        Ok(End { stream: UnixStream::from_std(stream)?, said })
    }

    /// How the program ended, once it has. What it wrote may still be there to be read. May be dropped and called
    /// again.
    ///
    /// # Errors
    /// Nobody will ever say: what runs the containers is gone, and the program with it.
    pub async fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Some((b'\n', word)) = self.said.split_last() {
                return Ok(serde_json::from_slice::<LastWord>(word)?.ended);
            }
            let mut space = [0; MAX_WORD];
            let mut chunk = ReadBuf::new(&mut space);
            poll_fn(|context| Pin::new(&mut self.stream).poll_read(context, &mut chunk)).await?;
            if chunk.filled().is_empty() || self.said.len() > MAX_WORD {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.said.extend_from_slice(chunk.filled());
        }
    }
}

impl Session {
    /// Waits for the end without writing anything: how it ended and what it wrote, stdout and stderr as they came. Of
    /// that the first `limit` bytes are kept. Whoever has it still open after the end is not waited for.
    ///
    /// # Errors
    /// As [`End::wait`], and the system's.
    pub async fn collect(mut self, limit: usize) -> io::Result<(Ended, Vec<u8>)> {
        self.stdin = None;
        let mut written = Vec::new();
        let mut keep = |bytes: &[u8]| {
            let room = limit - written.len();
            written.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        let ended = loop {
            let (stdout, stderr) = (read_or_wait(&mut self.stdout), read_or_wait(&mut self.stderr));
            tokio::select! {
                ended = self.end.wait() => break ended?,
                bytes = stdout => keep(&bytes?),
                bytes = stderr => keep(&bytes?),
            }
        };
        for output in [&mut self.stdout, &mut self.stderr].into_iter().flatten() {
            // No more than was written before the end fits into a pipe or a terminal.
            for _ in 0..LEFT {
                match output.left() {
                    Some(bytes) => keep(bytes),
                    None => break,
                }
            }
        }
        Ok((ended, written))
    }
}

/// How often is read what an ended program has left: a pipe may hold 64 KiB, and 1 MiB if its writer asked for it.
const LEFT: usize = 17;

/// The next bytes; an output that has ended, or is none, has none ever.
async fn read_or_wait(output: &mut Option<Output>) -> io::Result<Bytes> {
    if let Some(open) = output {
        let bytes = open.read().await?;
        if !bytes.is_empty() {
            return Ok(bytes);
        }
        *output = None;
    }
    std::future::pending().await
}
