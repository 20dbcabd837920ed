//! The guest's side of the shim's door: asks for a run's input. It keeps no state.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};

use super::door::{Answer, Question, door_path};
use super::wire;
use crate::input::Input;
use crate::runtime::{InputError, Key};

/// How long the shim may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the shim of `directory`.
pub(crate) async fn enter(directory: PathBuf, key: Key) -> Result<Input, InputError> {
    let asked = tokio::task::spawn_blocking(move || ask(&directory, key)).await;
    let (answer, end, stream) =
        asked.map_err(|error| InputError::Broken(io::Error::other(error)))?.map_err(InputError::Broken)?;
    match (answer, end) {
        (Answer::Here { is_terminal }, Some(end)) => {
            Input::new(end, is_terminal, Some(stream.into())).map_err(InputError::Broken)
        }
        (Answer::Here { .. }, None) => Err(InputError::Broken(io::ErrorKind::InvalidData.into())),
        (Answer::NotRunning, _) => Err(InputError::NotRunning),
        (Answer::NoStdin, _) => Err(InputError::NoStdin),
        (Answer::Ended, _) => Err(InputError::Ended),
        (Answer::Full, _) => Err(InputError::TooMany),
    }
}

fn ask(directory: &Path, key: Key) -> io::Result<(Answer, Option<OwnedFd>, UnixStream)> {
    let handle = File::open(directory)?;
    let mut stream = UnixStream::connect(door_path(&handle))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    wire::put(&mut line, &Question { key })?;
    // One that is full answers and closes before it is asked: the answer says more than the broken pipe.
    let sent = io::Write::write_all(&mut stream, &line);
    match listen(&stream) {
        Ok((answer, end)) => Ok((answer, end, stream)),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

/// Reads the answer, one line. The descriptor comes with its first byte.
fn listen(stream: &UnixStream) -> io::Result<(Answer, Option<OwnedFd>)> {
    let (mut line, mut end) = (Vec::new(), None);
    let mut chunk = [0; 256];
    let mut space = cmsg_space!([std::os::fd::RawFd; 1]);
    while !line.ends_with(b"\n") {
        let mut into = [IoSliceMut::new(&mut chunk)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut into, Some(&mut space), flags)?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(ends) = control {
                // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows them.
                end = ends.into_iter().map(|end| unsafe { OwnedFd::from_raw_fd(end) }).next_back().or(end);
            }
        }
        let count = message.bytes;
        if count == 0 || line.len() > chunk.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&chunk[..count]);
    }
    Ok((serde_json::from_slice(&line)?, end))
}
