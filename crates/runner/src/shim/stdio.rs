//! A child's three streams: pipes, `/dev/null` or a terminal. It knows no run and starts nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;

use crate::exec::Exec;
use crate::input::resize;
use crate::runtime::{Stdin, Stdio};

/// A terminal's size until somebody says another.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// The shim's ends of a child's streams.
pub(crate) struct Ends {
    /// What it writes: stdout, and stderr where that is another.
    pub(crate) outputs: [Option<OwnedFd>; 2],
    /// Where it is written to, and its terminal told its size.
    pub(crate) input: Option<InputEnd>,
    /// The child's side of its terminal, held so that a moment in which no process has it open is not its end.
    pub(crate) terminal: Option<OwnedFd>,
}

/// Where somebody may write to a child.
pub(crate) struct InputEnd {
    pub(crate) end: OwnedFd,
    pub(crate) is_terminal: bool,
    /// It ends with the first who had it.
    pub(crate) once: bool,
}

/// The child's ends.
pub(crate) enum ChildEnds {
    /// stdin, stdout and stderr, each if there is one.
    Pipes([Option<OwnedFd>; 3]),
    /// All three.
    Terminal(OwnedFd),
}

/// Makes both sides.
pub(crate) fn make(stdio: Stdio) -> io::Result<(Ends, ChildEnds)> {
    if stdio.tty {
        return terminal();
    }
    let (stdout, stdout_child) = output_pipe()?;
    let (stderr, stderr_child) = output_pipe()?;
    let (input, stdin_child) = match stdio.stdin {
        Stdin::Null => (None, None),
        Stdin::Once | Stdin::Open => {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            no_waiting(&write)?;
            let input = InputEnd { end: write, is_terminal: false, once: stdio.stdin == Stdin::Once };
            (Some(input), Some(read))
        }
    };
    let ends = Ends { outputs: [Some(stdout), Some(stderr)], input, terminal: None };
    Ok((ends, ChildEnds::Pipes([stdin_child, Some(stdout_child), Some(stderr_child)])))
}

/// Makes both sides of the streams of a program beside a run: those that somebody asked for.
pub(crate) fn make_beside(exec: &Exec) -> io::Result<(Ends, ChildEnds)> {
    if exec.tty {
        return terminal();
    }
    let (input, stdin_child) = if exec.stdin {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        no_waiting(&write)?;
        (Some(InputEnd { end: write, is_terminal: false, once: true }), Some(read))
    } else {
        (None, None)
    };
    let output = |wanted: bool| wanted.then(output_pipe).transpose();
    let (stdout, stdout_child) = output(exec.stdout)?.unzip();
    let (stderr, stderr_child) = output(exec.stderr)?.unzip();
    let ends = Ends { outputs: [stdout, stderr], input, terminal: None };
    Ok((ends, ChildEnds::Pipes([stdin_child, stdout_child, stderr_child])))
}

/// Both sides are made to close when somebody else starts a child at this moment.
fn terminal() -> io::Result<(Ends, ChildEnds)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened = posix_openpt(flags)?;
    grantpt(&opened)?;
    unlockpt(&opened)?;
    let terminal = open(ptsname_r(&opened)?.as_str(), flags, Mode::empty())?;
    let ours = opened.as_fd().try_clone_to_owned()?;
    no_waiting(&ours)?;
    resize(&ours, COLUMNS, ROWS)?;
    // No byte is a terminal's end of file, so nothing ends with its first user.
    let input = InputEnd { end: ours.try_clone()?, is_terminal: true, once: false };
    let child = terminal.try_clone()?;
    let ends = Ends { outputs: [Some(ours), None], input: Some(input), terminal: Some(terminal) };
    Ok((ends, ChildEnds::Terminal(child)))
}

/// The name of a terminal by the side that the shim holds: what its processes have open.
pub(crate) fn terminal_name(end: &OwnedFd) -> Option<String> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the descriptor is open, and TIOCGPTN writes a number; of what is no terminal it answers an error.
    let done = unsafe { libc::ioctl(end.as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    (done == 0).then(|| format!("/dev/pts/{number}"))
}

fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    no_waiting(&read)?;
    Ok((read, write))
}

fn no_waiting(end: &OwnedFd) -> nix::Result<()> {
    fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

impl ChildEnds {
    /// stdin, stdout and stderr. `nothing` is what is read where there is nothing to read, `nowhere` what is written to
    /// where nobody reads.
    pub(crate) fn in_order<'a>(
        &'a self,
        nothing: BorrowedFd<'a>,
        nowhere: BorrowedFd<'a>,
    ) -> [BorrowedFd<'a>; 3] {
        match self {
            ChildEnds::Pipes([stdin, stdout, stderr]) => {
                let or = |end: &'a Option<OwnedFd>, null| end.as_ref().map_or(null, AsFd::as_fd);
                [or(stdin, nothing), or(stdout, nowhere), or(stderr, nowhere)]
            }
            ChildEnds::Terminal(terminal) => [terminal.as_fd(); 3],
        }
    }

    /// Whether they are a terminal, which wants a session of its own.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, ChildEnds::Terminal(_))
    }
}
