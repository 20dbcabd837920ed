//! Making the connection to the shim, and starting a shim if there is none. It keeps no state between connections.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;
use tokio::time::timeout;

use super::ability::Abilities;
use super::setup::socket_path;
use super::wire::{self, Frames, PROTOCOL, Reply, Request};
use crate::runtime::Event;

/// How long a shim may take to begin (it first ends what a dead one left) and to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// One that leaves just now takes connections until it is gone and answers none: it is asked again after a pause.
const ATTEMPTS: u32 = 50;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no shim to speak to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Its directory cannot be used.
    #[error("the shim's directory {path} cannot be used: {cause}")]
    Directory {
        /// The directory.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Its program cannot be started.
    #[error("the shim {program} cannot be started: {cause}")]
    Program {
        /// The first word of its command line.
        program: String,
        /// What the system said.
        cause: io::Error,
    },
    /// It began and refused.
    #[error("the shim did not begin to work: {0}")]
    Refused(String),
    /// It speaks another version of the protocol.
    #[error(
        "the shim that runs here speaks version {theirs}, this program speaks {PROTOCOL}; end it with the program that started it"
    )]
    Version {
        /// Its version.
        theirs: u32,
    },
    /// It did not answer.
    #[error("the shim did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// The connection broke while it was made, again and again.
    #[error("the connection to the shim broke: {0}")]
    Broken(io::Error),
}

/// A connection after both sides said hello and the shim said what it knows.
pub(crate) struct Link {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) pid: u32,
    pub(crate) abilities: Abilities,
}

/// Replies as they come.
pub(crate) struct Reader {
    half: OwnedReadHalf,
    frames: Frames,
    chunk: Vec<u8>,
}

/// Requests as they go.
pub(crate) struct Writer(OwnedWriteHalf);

/// Connects to the shim of `directory`, started if need be. Answers also what it knows.
pub(crate) async fn open(directory: &Path, argv: &[OsString]) -> Result<(Link, Vec<Event>), ConnectError> {
    let unusable = |cause| ConnectError::Directory { path: directory.display().to_string(), cause };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
    let handle = File::open(directory).map_err(unusable)?;
    let mut last = io::Error::from(io::ErrorKind::NotConnected);
    for _ in 0..ATTEMPTS {
        match connect(&handle) {
            Ok(stream) => match timeout(PATIENCE, greet(stream)).await {
                Ok(Ok(greeted)) => return greeted,
                Ok(Err(error)) => {
                    last = error;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => return Err(ConnectError::Silent),
            },
            Err(error) if is_absence(&error) => launch(directory, argv).await?,
            Err(error) => return Err(unusable(error)),
        }
    }
    Err(ConnectError::Broken(last))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn connect(directory: &File) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::connect(socket_path(directory))?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// The outer error is worth another attempt, the inner one is not.
async fn greet(stream: UnixStream) -> io::Result<Result<(Link, Vec<Event>), ConnectError>> {
    let (read, write) = stream.into_split();
    let mut reader = Reader { half: read, frames: Frames::default(), chunk: vec![0; 64 << 10] };
    let mut writer = Writer(write);
    let mut hello = Vec::new();
    wire::put(&mut hello, &Request::Hello { protocol: PROTOCOL })?;
    writer.send(&hello).await?;
    let (mut their_pid, mut abilities) = (None, Abilities::default());
    let mut known = Vec::new();
    let mut is_synced = false;
    loop {
        for reply in reader.receive().await? {
            match reply {
                Reply::Hello { protocol, .. } if protocol != PROTOCOL => {
                    return Ok(Err(ConnectError::Version { theirs: protocol }));
                }
                Reply::Hello { pid, can, .. } => (their_pid, abilities) = (Some(pid), Abilities::said(can)),
                Reply::Event(event) => known.push(event),
                // What came along with it is news already, and stays in order behind what is known.
                Reply::Synced => is_synced = true,
            }
        }
        if is_synced {
            let pid = their_pid.ok_or(io::ErrorKind::InvalidData)?;
            return Ok(Ok((Link { reader, writer, pid, abilities }, known)));
        }
    }
}

/// Starts a shim and waits until it listens. Nothing of the engine's environment goes with it.
async fn launch(directory: &Path, argv: &[OsString]) -> Result<(), ConnectError> {
    let program = argv.first().cloned().unwrap_or_default();
    let failed = |cause| ConnectError::Program { program: program.to_string_lossy().into_owned(), cause };
    let mut command = Command::new(&program);
    command.args(argv.iter().skip(1)).arg(directory).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(false);
    let mut child = command.spawn().map_err(failed)?;
    let stdout = child.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
    let mut line = String::new();
    let mut words = BufReader::new(stdout.take(4096));
    match timeout(PATIENCE, words.read_line(&mut line)).await {
        Ok(Ok(_)) if line.trim() == "ready" => Ok(()),
        Ok(Ok(0)) => Err(ConnectError::Refused("it ended without a word".to_owned())),
        Ok(Ok(_)) => Err(ConnectError::Refused(line.trim().to_owned())),
        Ok(Err(cause)) => Err(failed(cause)),
        Err(_) => {
            // It waits for a lock that a shim holds which does not listen.
            child.start_kill().map_err(failed)?;
            Err(ConnectError::Silent)
        }
    }
}

impl Reader {
    /// The next frames, at least one.
    pub(crate) async fn receive(&mut self) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::new();
        while replies.is_empty() {
            let count = self.half.read(&mut self.chunk).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.frames.add(&self.chunk[..count]);
            while let Some(reply) = self.frames.next().map_err(io::Error::other)? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }
}

impl Writer {
    /// Sends frames.
    pub(crate) async fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.0.write_all(frames).await
    }
}
