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
use tokio::sync::watch;
use windlass::{AttachEvent, AttachInput, AttachOutput, AttachTo, Attachment, JobManager, Submitted};

use super::stdin::Passed;
use crate::clock;
use crate::fail::{Failure, Outcome};
use crate::out::{self, Notes};

/// How often in a row a lost connection is made again.
const AGAIN: u32 = 20;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(500);
/// A connection that lived so long was a good one.
const LIVED: Duration = Duration::from_secs(10);
/// How much is typed or pasted at once, in bytes.
const CHUNK: usize = 4 << 10;

/// What of a job's terminal was shown here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// How often something was written.
    pub(super) writes: u64,
    /// Something is being written: this terminal may be slow, or held.
    pub(super) is_writing: bool,
}

/// Ends when nothing more was shown for so long, and nothing is being written.
pub(super) async fn silent(mut shown: watch::Receiver<Shown>, long: Duration) {
    loop {
        let is_writing = shown.borrow_and_update().is_writing;
        let changed = async {
            if shown.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        if is_writing {
            changed.await;
        } else if tokio::time::timeout(long, changed).await.is_err() {
            return;
        }
    }
}

/// How often in a row it was tried in vain.
#[derive(Default)]
struct Tries(u32);

impl Tries {
    /// Whether to try again after a connection that lived so long.
    fn again(&mut self, lived: Duration) -> bool {
        self.0 = if lived >= LIVED { 1 } else { self.0 + 1 };
        self.0 < AGAIN
    }
}

/// Shows a job's terminal until its end. A lost connection is made again.
///
/// # Errors
/// A terminal that could not be shown at all.
pub(super) async fn show(
    manager: &JobManager,
    submitted: &Submitted,
    stdin: bool,
    notes: Notes,
    show: watch::Sender<Shown>,
) -> Outcome<Passed> {
    let mut screen = Screen::new(stdin, show)?;
    let mut was_shown = false;
    let mut tries = Tries::default();
    loop {
        let (begun, mut lived) = (clock::after(Duration::ZERO), Duration::ZERO);
        let failure = match manager.attach(submitted, AttachTo::Terminal { stdin }).await {
            Ok(None) => return Ok(Passed::Terminal(was_shown)),
            Ok(Some(mut attachment)) => {
                let raw = stdin.then(Raw::enter).transpose()?;
                let end = screen.serve(&mut attachment, !was_shown).await?;
                drop(raw);
                lived = clock::after(Duration::ZERO) - begun;
                match end {
                    AttachEvent::Cut(why) => {
                        was_shown = true;
                        notes.say(&format!(
                            "{name}: the connection to its terminal was lost ({why}) and is made again; what it \
                             showed meanwhile: `windlass logs {name}`",
                            name = submitted.name
                        ));
                    }
                    AttachEvent::Refused(_) => {}
                    _ => return Ok(Passed::Terminal(true)),
                }
                Failure::new(&submitted.name, "its terminal cannot be reached")
            }
            Err(error) if was_shown => error.into(),
            Err(error) => return Err(error.into()),
        };
        match tries.again(lived) {
            true => tokio::time::sleep(PAUSE).await,
            false if was_shown => return Ok(Passed::TerminalLost(failure)),
            false => return Err(failure.way_out("it was cancelled, because nobody could type to it")),
        }
    }
}

/// This terminal.
struct Screen {
    stdout: File,
    keys: Option<File>,
    size: tokio::signal::unix::Signal,
    shown: watch::Sender<Shown>,
}

impl Screen {
    fn new(stdin: bool, shown: watch::Sender<Shown>) -> Outcome<Screen> {
        let stdout = std::io::stdout().as_fd().try_clone_to_owned().map_err(|error| out::fault(&error))?;
        let size = signal(SignalKind::window_change()).map_err(|error| Failure::new("signals", error))?;
        let keys = stdin.then(super::stdin::reader).transpose()?;
        Ok(Screen { stdout: File::from_std(stdout.into()), keys, size, shown })
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
        if bytes.is_empty() {
            return Ok(());
        }
        self.shown.send_modify(|shown| shown.is_writing = true);
        let mut written = self.stdout.write_all(bytes).await;
        if written.is_ok() {
            written = self.stdout.flush().await;
        }
        self.shown.send_modify(|shown| *shown = Shown { writes: shown.writes + 1, is_writing: false });
        written.map_err(|error| out::fault(&error))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_that_fail_in_a_row_are_counted() {
        let mut tries = Tries::default();
        assert!((0..1000).all(|_| tries.again(LIVED)), "a session that is cut now and then goes on");
        let quick = (0..100).take_while(|_| tries.again(Duration::ZERO)).count();
        assert_eq!(quick, AGAIN as usize - 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_that_still_shows_something_is_not_silent() {
        let (show, shown) = watch::channel(Shown::default());
        let long = Duration::from_secs(2);
        let begun = clock::after(Duration::ZERO);
        let busy = async move {
            for writes in 1..=5 {
                tokio::time::sleep(long * 3 / 4).await;
                show.send_replace(Shown { writes, is_writing: false });
            }
            show.send_modify(|shown| shown.is_writing = true);
            tokio::time::sleep(long * 10).await;
            show.send_modify(|shown| shown.is_writing = false);
            show
        };
        let ((), _show) = tokio::join!(silent(shown, long), busy);
        let waited = clock::after(Duration::ZERO) - begun;
        assert_eq!(waited.as_secs_f64().round(), (long * 15 / 4 + long * 11).as_secs_f64().round());
    }
}
