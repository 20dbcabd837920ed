//! Signals that a command in our place is to get: taken as they come, with whether the terminal sent them, which
//! sends them to the command as well.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::unix::AsyncFd;

use super::interrupt::ignored;
use crate::fail::{Failure, Outcome};

const TAKEN: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Came {
    /// Which.
    pub signal: Signal,
    /// The kernel sent it, to all processes of the terminal: Ctrl-C.
    pub by_terminal: bool,
}

/// The signals, as something to read. Must be taken before the process has a second thread.
pub(super) struct Signals(AsyncFd<SignalFd>);

impl Signals {
    /// Takes the signals over, but for those that were ignored when the process started.
    pub(super) fn take() -> Outcome<Signals> {
        let fault = |error: &dyn std::fmt::Display| Failure::new("signals", error);
        let ignored = ignored();
        let mut mask = SigSet::empty();
        for signal in TAKEN.into_iter().filter(|signal| ignored & (1 << (*signal as i32 - 1)) == 0) {
            mask.add(signal);
        }
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).map_err(|error| fault(&error))?;
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC);
        let fd = fd.map_err(|error| fault(&error))?;
        // SAFETY: a SignalFd owns its descriptor, the same one as long as it lives.
        let fd = unsafe { AsyncFd::register(fd) }.map_err(|error| fault(&error))?;
        Ok(Signals(fd))
    }

    /// The next one; may never come.
    pub(super) async fn next(&mut self) -> Came {
        loop {
            match self.0.readable().await {
                Ok(mut ready) => match self.read() {
                    Some(came) => return came,
                    None => ready.clear_ready(),
                },
                Err(_) => std::future::pending().await,
            }
        }
    }

    fn read(&self) -> Option<Came> {
        let info = self.0.get_ref().read_signal().ok()??;
        let signal = Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()?;
        Some(Came { signal, by_terminal: info.ssi_code == libc::SI_KERNEL })
    }
}

/// Gives a process between fork and exec the signals back.
pub(super) fn give_back() -> std::io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}
