//! What a person does to a command that follows a job: Ctrl-C, a closed terminal, a CI system's TERM.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::fail::{Failure, Outcome};

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// Ctrl-C or TERM.
    Stop,
    /// The terminal is gone.
    HangUp,
}

/// The signals that are listened to. One that was ignored when the process started (`nohup`, a shell's `&`) stays so.
pub(super) struct Interrupts {
    int: Option<Signal>,
    term: Option<Signal>,
    hangup: Option<Signal>,
}

impl Interrupts {
    /// Takes the signals over.
    pub(super) fn take() -> Outcome<Interrupts> {
        let ignored = ignored();
        let take = |kind: SignalKind| {
            let bit = 1u64 << (kind.as_raw_value() - 1);
            let taken = (ignored & bit == 0).then(|| signal(kind)).transpose();
            taken.map_err(|error| Failure::new("signals", error))
        };
        Ok(Interrupts {
            int: take(SignalKind::interrupt())?,
            term: take(SignalKind::terminate())?,
            hangup: take(SignalKind::hangup())?,
        })
    }

    /// The next one; may never come.
    pub(super) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            () = one(&mut self.int) => Interrupt::Stop,
            () = one(&mut self.term) => Interrupt::Stop,
            () = one(&mut self.hangup) => Interrupt::HangUp,
        }
    }
}

/// Waits for a signal; forever if it is not listened to.
async fn one(signal: &mut Option<Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

/// The mask of ignored signals, where the system shows it (Linux); else none are taken to be.
pub(super) fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
