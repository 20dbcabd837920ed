//! Which of this process's stdin a job gets: what it is, what was asked for, and what follows from both.
//!
//! As with `ssh`, what is piped or a file is passed on; a terminal is not, unless it is asked for. What has nothing in
//! it (`/dev/null`, a file at its end, a pipe without a writer) costs nothing: the job reads `/dev/null`.

use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{major, minor};
use serde_json::Value;
use tokio::sync::watch;
use windlass::manifest::{ContainerEdit, Edit, Manifest};
use windlass::{JobManager, StdinEnd, Submitted};

use super::terminal::{self, Shown};
use crate::args::high::{PassStdin, RunOptions};
use crate::env::Env;
use crate::fail::{Failure, Outcome};
use crate::out::Notes;

/// stdin, read without holding up anything else.
pub(super) fn reader() -> Outcome<tokio::fs::File> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned();
    let stdin = stdin.map_err(|error| Failure::new("stdin", error))?;
    Ok(tokio::fs::File::from_std(stdin.into()))
}

/// What stdin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing can come from it.
    Nothing,
    /// Somebody may type there.
    Terminal,
    /// A pipe, a file, a socket.
    Bytes,
}

/// What the job gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdio {
    /// `/dev/null`.
    Nothing,
    /// The bytes of stdin, and their end.
    Bytes,
    /// A terminal.
    Terminal {
        /// Whether it is typed to.
        stdin: bool,
    },
}

impl Kind {
    /// Looks at it.
    pub(super) fn of_stdin() -> Kind {
        let stdin = std::io::stdin();
        let Ok(meta) =
            stdin.as_fd().try_clone_to_owned().map(std::fs::File::from).and_then(|file| file.metadata())
        else {
            return Kind::Nothing;
        };
        let file_type = meta.file_type();
        if file_type.is_file() {
            return if is_at_end(&stdin, meta.len()) { Kind::Nothing } else { Kind::Bytes };
        }
        if file_type.is_char_device() && (major(meta.rdev()), minor(meta.rdev())) == (1, 3) {
            return Kind::Nothing;
        }
        if nix::unistd::isatty(&stdin).unwrap_or(false) {
            return Kind::Terminal;
        }
        if file_type.is_dir() || has_no_writer(&stdin) {
            return Kind::Nothing;
        }
        wait_for_bytes(&stdin);
        Kind::Bytes
    }
}

fn is_at_end(stdin: impl AsFd, length: u64) -> bool {
    let place = nix::unistd::lseek(stdin, 0, nix::unistd::Whence::SeekCur);
    place.is_ok_and(|place| u64::try_from(place).is_ok_and(|place| place >= length))
}

/// A pipe that is empty and will stay so.
fn has_no_writer(stdin: impl AsFd) -> bool {
    let mut ends = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let is_ready = poll(&mut ends, PollTimeout::ZERO).is_ok_and(|count| count > 0);
    let seen = ends[0].revents().unwrap_or(PollFlags::empty());
    is_ready && seen.contains(PollFlags::POLLHUP) && !seen.contains(PollFlags::POLLIN)
}

/// A descriptor that somebody made not to wait would end at once; shells make it wait, too.
fn wait_for_bytes(stdin: impl AsFd) {
    if let Ok(flags) = fcntl(&stdin, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate)
        && flags.contains(OFlag::O_NONBLOCK)
    {
        // Then it is as it was, and reading it says why it cannot be read.
        _ = fcntl(&stdin, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK));
    }
}

impl Stdio {
    /// What a job of this manifest gets.
    ///
    /// # Errors
    /// A job of several pods, or of several attempts, that would have to share one stdin; a terminal that is none.
    pub(super) fn decide(options: &RunOptions, kind: Kind, manifest: &Manifest) -> Outcome<Stdio> {
        let stdio = match (options.tty, options.stdin, kind) {
            (true, PassStdin::Never, _) | (true, _, Kind::Nothing) => Stdio::Terminal { stdin: false },
            (true, _, Kind::Terminal) => Stdio::Terminal { stdin: true },
            (true, _, Kind::Bytes) => {
                let failure = Failure::new("--tty", "stdin is no terminal");
                return Err(failure.way_out("leave --tty out, or pass on no stdin with --no-stdin"));
            }
            (false, PassStdin::Never, _) | (false, _, Kind::Nothing) => Stdio::Nothing,
            (false, PassStdin::Piped, Kind::Terminal) => Stdio::Nothing,
            (false, ..) => Stdio::Bytes,
        };
        match sharers(manifest.job()).filter(|_| stdio != Stdio::Nothing) {
            None => Ok(stdio),
            Some(sharers) => {
                let what = if options.tty { "a terminal" } else { "stdin" };
                let failure =
                    Failure::new("run", format!("{what} is for one process, and this job has {sharers}"));
                Err(failure.way_out("pass on no stdin: --no-stdin, or < /dev/null"))
            }
        }
    }

    /// What it makes of the job.
    pub(super) fn edits(self, env: &Env) -> Vec<Edit> {
        let mut edits = match self {
            Stdio::Nothing => Vec::new(),
            Stdio::Bytes => vec![ContainerEdit::Stdin { once: true }],
            // Several clients may come to a terminal, one after the other, so its stdin ends with none of them.
            Stdio::Terminal { stdin } => {
                let stdin = stdin.then_some(ContainerEdit::Stdin { once: false });
                stdin.into_iter().chain([ContainerEdit::Terminal]).collect()
            }
        };
        if let (Stdio::Terminal { .. }, Some(term)) = (self, env.get("TERM")) {
            edits.push(ContainerEdit::Env("TERM".to_owned(), term.to_owned()));
        }
        edits.into_iter().map(Edit::FirstContainer).collect()
    }

    /// Begins to pass it on; `None` if there is nothing to do.
    pub(super) fn pass(
        self,
        manager: &JobManager,
        submitted: &Submitted,
        notes: Notes,
        show: watch::Sender<Shown>,
    ) -> Option<Passing> {
        if self != Stdio::Nothing && !submitted.created {
            notes.say(&format!("{} was submitted before: stdin is not passed on again", submitted.name));
            return None;
        }
        let (manager, submitted) = (manager.clone(), submitted.clone());
        match self {
            Stdio::Nothing => None,
            Stdio::Bytes => Some(Box::pin(async move {
                let end = manager.pass_stdin(&submitted, &mut reader()?).await;
                end.map(Passed::Bytes).map_err(Failure::from)
            })),
            Stdio::Terminal { stdin } => {
                Some(Box::pin(async move { terminal::show(&manager, &submitted, stdin, notes, show).await }))
            }
        }
    }
}

/// The passing on of a job's stdin.
pub(super) type Passing = std::pin::Pin<Box<dyn Future<Output = Outcome<Passed>>>>;

/// How it ended.
#[derive(Debug, PartialEq)]
pub(super) enum Passed {
    /// The bytes of stdin.
    Bytes(StdinEnd),
    /// A terminal, and whether anything of it was shown.
    Terminal(bool),
    /// A terminal that was shown, and cannot be reached any more.
    TerminalLost(Failure),
}

impl Passed {
    /// What of the stdin is missing, in words.
    pub(super) fn missing(&self) -> Option<String> {
        match self {
            Passed::Bytes(StdinEnd::Cut { sent, message }) => Some(format!(
                "its stdin was cut off after {sent} bytes at most, because the connection was lost ({message}); the \
                 command took that for all of it"
            )),
            Passed::Bytes(StdinEnd::Unreadable { sent, message }) => {
                Some(format!("its stdin could not be read on after {sent} bytes: {message}"))
            }
            Passed::Bytes(StdinEnd::Delivered | StdinEnd::NotWanted)
            | Passed::Terminal(_)
            | Passed::TerminalLost(_) => None,
        }
    }
}

/// Who would have to share a stdin.
fn sharers(job: &Value) -> Option<String> {
    let count = |field: &str| job["spec"][field].as_u64();
    let pods = count("completions").unwrap_or(1).max(count("parallelism").unwrap_or(1));
    match (pods, count("backoffLimit")) {
        (2.., _) => Some(format!("{pods} pods")),
        (_, Some(retries @ 1..)) => Some(format!("{} attempts (--retries)", retries + 1)),
        // The default of Kubernetes.
        (_, None) => Some("7 attempts (spec.backoffLimit)".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "stdin_tests.rs"]
mod tests;
