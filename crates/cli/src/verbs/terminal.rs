//! A job's terminal in this one: keys to it, what it shows from it, its size after this one's.
//!
//! This terminal is made raw as long as the job's is shown, and is what it was before after every end: return, panic,
//! or a signal.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use windlass::{AttachEvent, AttachInput, AttachOutput, AttachTo, Attachment, JobManager, Submitted};

use crate::fail::{Failure, Outcome};
use crate::out::{self, Notes};

/// How often a lost connection is made again.
const AGAIN: u32 = 20;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(500);
/// How much is typed or pasted at once, in bytes.
const CHUNK: usize = 4 << 10;

/// Shows a job's terminal until its end; whether anything was shown. A lost connection is made again.
pub(super) async fn show(
    manager: &JobManager,
    submitted: &Submitted,
    stdin: bool,
    notes: Notes,
) -> Outcome<bool> {
    let mut screen = Screen::new(stdin)?;
    let mut shown = false;
    for _ in 0..AGAIN {
        let Some(mut attachment) = manager.attach(submitted, AttachTo::Terminal { stdin }).await? else {
            return Ok(shown);
        };
        let raw = stdin.then(Raw::enter).transpose()?;
        let end = screen.serve(&mut attachment, !shown).await?;
        drop(raw);
        shown = true;
        match end {
            AttachEvent::Cut(why) => notes.say(&format!(
                "{}: the connection to its terminal was lost ({why}) and is made again; what it showed meanwhile: \
                 `windlass logs {}`",
                submitted.name, submitted.name
            )),
            AttachEvent::Refused(_) => shown = false,
            _ => return Ok(true),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let failure = Failure::new(&submitted.name, "its terminal cannot be reached");
    Err(failure.way_out(format!("the job goes on: `windlass logs -f {}`", submitted.name)))
}

/// This terminal.
struct Screen {
    stdout: File,
    keys: Option<File>,
    size: tokio::signal::unix::Signal,
}

impl Screen {
    fn new(stdin: bool) -> Outcome<Screen> {
        let stdout = std::io::stdout().as_fd().try_clone_to_owned().map_err(|error| out::fault(&error))?;
        let size = signal(SignalKind::window_change()).map_err(|error| Failure::new("signals", error))?;
        let keys = stdin.then(super::stdin::reader).transpose()?;
        Ok(Screen { stdout: File::from_std(stdout.into()), keys, size })
    }

    /// Serves one connection; answers with what ended it.
    async fn serve(&mut self, attachment: &mut Attachment, first: bool) -> Outcome<AttachEvent> {
        if let Some((columns, rows)) = size() {
            // Whether it arrives is told by what comes next, here and below.
            attachment.input.resize(columns, rows).await;
        }
        if first {
            let (shown, end) = attachment.begin().await;
            self.write(&shown).await?;
            if let Some(end) = end {
                return Ok(end);
            }
        }
        let Attachment { input, output, .. } = attachment;
        let mut chunk = [0; CHUNK];
        loop {
            tokio::select! {
                event = output.next() => match event {
                    AttachEvent::Output(bytes) => self.write(&bytes).await?,
                    AttachEvent::Quiet => _ = input.sign().await,
                    AttachEvent::Delivered => {}
                    end => return Ok(end),
                },
                Some(()) = self.size.recv() => if let Some((columns, rows)) = size() {
                    input.resize(columns, rows).await;
                },
                read = read(&mut self.keys, &mut chunk) => match read {
                    Ok(count) if count > 0 => {
                        if let Some(end) = self.send(input, output, &chunk[..count]).await? {
                            return Ok(end);
                        }
                    }
                    // A terminal that is gone hangs up, which is listened to elsewhere.
                    _ => self.keys = None,
                },
            }
        }
    }

    /// Sends keys; what is shown meanwhile is shown, because the job may have to be read before it reads.
    async fn send(
        &mut self,
        input: &mut AttachInput,
        output: &mut AttachOutput,
        keys: &[u8],
    ) -> Outcome<Option<AttachEvent>> {
        let mut sending = std::pin::pin!(input.write(keys));
        loop {
            tokio::select! {
                biased;
                _ = &mut sending => return Ok(None),
                event = output.next() => match event {
                    AttachEvent::Output(bytes) => self.write(&bytes).await?,
                    AttachEvent::Quiet | AttachEvent::Delivered => {}
                    end => return Ok(Some(end)),
                },
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        let written = async {
            self.stdout.write_all(bytes).await?;
            self.stdout.flush().await
        };
        written.await.map_err(|error| out::fault(&error))
    }
}

/// What is typed; never, if nothing is.
async fn read(keys: &mut Option<File>, chunk: &mut [u8]) -> std::io::Result<usize> {
    match keys {
        Some(keys) => keys.read(chunk).await,
        None => std::future::pending().await,
    }
}

/// This terminal's size, in columns and rows, if one of the three streams is a terminal.
fn size() -> Option<(u16, u16)> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()].into_iter().find_map(|fd: BorrowedFd<'_>| {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open, and TIOCGWINSZ writes a winsize.
        let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
        (done == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
    })
}

/// What the terminal was before it was first made raw: for the signals that leave no time for more.
static BEFORE: OnceLock<libc::termios> = OnceLock::new();

/// A terminal's bytes are not to be changed on their way to this one, as long as the value lives. `None`: stdin is no
/// terminal, or cannot be made so.
pub(super) fn raw() -> Option<Raw> {
    Raw::enter().ok()
}

/// The terminal is raw as long as this lives.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    fn enter() -> Outcome<Raw> {
        let fault = |error: nix::Error| Failure::new("the terminal", error);
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).map_err(fault)?;
        BEFORE.get_or_init(|| before.clone().into());
        for signal in ENDINGS {
            let action = SigAction::new(SigHandler::Handler(restore), SaFlags::SA_RESETHAND, SigSet::empty());
            // SAFETY: the handler makes two system calls that are safe at any point.
            unsafe { sigaction(signal, &action) }.map_err(fault)?;
        }
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSADRAIN, &raw).map_err(fault)?;
        out::set_raw(true);
        Ok(Raw { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        out::set_raw(false);
        // A terminal that is gone needs nothing.
        _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}

/// The signals that end this process and are not listened to.
const ENDINGS: [Signal; 6] =
    [Signal::SIGQUIT, Signal::SIGABRT, Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGUSR1, Signal::SIGALRM];

/// Gives the terminal back and lets the signal do what it does.
extern "C" fn restore(number: libc::c_int) {
    if let Some(before) = BEFORE.get() {
        // SAFETY: tcsetattr(3) is safe in a handler; the value was read from this terminal and does not change.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, before) };
    }
    // SAFETY: raise(3) is safe in a handler; the action was reset when this one began.
    unsafe { libc::raise(number) };
}
