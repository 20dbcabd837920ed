//! The guest's side of the shim's door: asks for a run's input, or for a program beside a run. It keeps no state.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};

use super::door::{Answer, MAX_QUESTION, Question, door_path};
use super::wire;
use crate::exec::{End, Exec, ExecError, MAX_ARGUMENTS, Output, Session};
use crate::input::Input;
use crate::runtime::{InputError, Key};

/// How long the shim may take to answer. A program's start may have to wait for others'.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer in bytes: words about a failure.
const MAX_ANSWER: usize = 64 << 10;
/// stdin, stdout and stderr.
const MOST_ENDS: usize = 3;

/// Asks the shim of `directory`.
pub(crate) async fn enter(directory: PathBuf, key: Key) -> Result<Input, InputError> {
    let question = Question::Input { key };
    let Answered { answer, ends, stream, .. } = ask(directory, question).await.map_err(InputError::Broken)?;
    match (answer, ends.into_iter().next_back()) {
        (Answer::Here { is_terminal }, Some(end)) => {
            Input::new(end, is_terminal, Some(stream.into())).map_err(InputError::Broken)
        }
        (Answer::Here { .. }, None) | (Answer::Begun | Answer::Failed { .. }, _) => {
            Err(InputError::Broken(io::ErrorKind::InvalidData.into()))
        }
        (Answer::NotRunning, _) => Err(InputError::NotRunning),
        (Answer::NoStdin, _) => Err(InputError::NoStdin),
        (Answer::Ended, _) => Err(InputError::Ended),
        (Answer::Full, _) => Err(InputError::TooMany),
    }
}

/// Asks the shim of `directory` for a program beside a run.
pub(crate) async fn exec(directory: PathBuf, exec: Exec) -> Result<Session, ExecError> {
    if exec.argv.iter().map(|word| word.len() + 1).sum::<usize>() > MAX_ARGUMENTS {
        return Err(ExecError::TooLong);
    }
    let wanted = exec.clone();
    let asked = ask(directory, Question::Exec { exec }).await;
    let Answered { answer, ends, more, stream } = asked.map_err(ExecError::Broken)?;
    match answer {
        Answer::Begun => {
            let end = End::new(stream, more).map_err(ExecError::Broken)?;
            session(&wanted, ends, end).map_err(ExecError::Broken)
        }
        Answer::Failed { failure, message } => Err(ExecError::Failed { failure, message }),
        Answer::NotRunning => Err(ExecError::NotRunning),
        Answer::Full => Err(ExecError::TooMany),
        Answer::Here { .. } | Answer::NoStdin | Answer::Ended => {
            Err(ExecError::Broken(io::ErrorKind::InvalidData.into()))
        }
    }
}

/// The streams that were asked for, in order; of a terminal there is one end for all.
fn session(wanted: &Exec, ends: Vec<OwnedFd>, end: End) -> io::Result<Session> {
    let mut ends = ends.into_iter();
    let mut next = || ends.next().ok_or(io::Error::from(io::ErrorKind::InvalidData));
    if wanted.tty {
        let ours = next()?;
        let input = |ours: OwnedFd| Input::new(ours, true, None);
        let stdin = wanted.stdin.then(|| input(ours.try_clone()?)).transpose()?;
        let terminal = Some(input(ours.try_clone()?)?);
        // Read also where nobody wants it: a terminal that is full holds its program up.
        return Ok(Session { stdin, terminal, stdout: Some(Output::new(ours)?), stderr: None, end });
    }
    let stdin = wanted.stdin.then(|| Input::new(next()?, false, None)).transpose()?;
    let stdout = wanted.stdout.then(|| Output::new(next()?)).transpose()?;
    let stderr = wanted.stderr.then(|| Output::new(next()?)).transpose()?;
    Ok(Session { stdin, terminal: None, stdout, stderr, end })
}

async fn ask(directory: PathBuf, question: Question) -> io::Result<Answered> {
    let asked = tokio::task::spawn_blocking(move || ask_now(&directory, &question)).await;
    asked.map_err(io::Error::other)?
}

fn ask_now(directory: &Path, question: &Question) -> io::Result<Answered> {
    let handle = File::open(directory)?;
    let mut stream = UnixStream::connect(door_path(&handle))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    wire::put(&mut line, question)?;
    if line.len() > MAX_QUESTION {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    stream.set_write_timeout(Some(PATIENCE))?;
    // One that is full answers and closes before it is asked: the answer says more than the broken pipe.
    let sent = io::Write::write_all(&mut stream, &line);
    listen(stream).map_err(|error| sent.err().unwrap_or(error))
}

/// What was answered: the line, the descriptors that came with its first byte, and what followed it already.
struct Answered {
    answer: Answer,
    ends: Vec<OwnedFd>,
    more: Vec<u8>,
    stream: UnixStream,
}

/// Reads the answer, one line.
fn listen(stream: UnixStream) -> io::Result<Answered> {
    let (mut line, mut ends): (Vec<u8>, Vec<OwnedFd>) = (Vec::new(), Vec::new());
    let mut chunk = [0; 256];
    let mut space = cmsg_space!([std::os::fd::RawFd; MOST_ENDS]);
    let end = loop {
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            break end;
        }
        let mut into = [IoSliceMut::new(&mut chunk)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut into, Some(&mut space), flags)?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(came) = control {
                // SAFETY: the kernel has just made these descriptors for this process, and nobody else knows them.
                ends.extend(came.into_iter().map(|end| unsafe { OwnedFd::from_raw_fd(end) }));
            }
        }
        let count = message.bytes;
        if count == 0 || line.len() > MAX_ANSWER {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&chunk[..count]);
    };
    let more = line.split_off(end + 1);
    Ok(Answered { answer: serde_json::from_slice(&line)?, ends, more, stream })
}

/// What the fuzz targets ask: an answer that is there, and what came after it.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn heard(stream: UnixStream) -> io::Result<(Answer, Vec<u8>)> {
    listen(stream).map(|Answered { answer, more, .. }| (answer, more))
}
