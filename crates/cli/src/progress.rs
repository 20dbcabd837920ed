//! One line at the bottom of a terminal that tells how far a job is: shown until the job itself writes there, taken
//! back before anything else is said.
//!
//! A process has one terminal, so there is one line.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::env::Env;

/// Whether it may be shown.
static ON: AtomicBool = AtomicBool::new(false);
/// Whether it is there.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// The longest line, characters: one that wraps could not be taken back.
pub(crate) const WIDTH: usize = 78;
/// Takes the line back (ECMA-48: carriage return, erase to the end of the line).
const BACK: &str = "\r\x1b[K";

/// Allows the line, on a terminal that can take it back.
pub(crate) fn begin(env: &Env) {
    ON.store(env.stderr_terminal && env.get("TERM") != Some("dumb"), Ordering::Relaxed);
}

/// Whether what is shown is seen.
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Shows a text in place of the one before.
pub(crate) fn show(text: &str) {
    if !is_on() {
        return;
    }
    let text: String = text.chars().take(WIDTH).collect();
    let mut stderr = std::io::stderr().lock();
    // Nobody may be there to see it.
    _ = write!(stderr, "{BACK}{text}").and_then(|()| stderr.flush());
    SHOWN.store(true, Ordering::Relaxed);
}

/// Takes it back, if there is one.
pub(crate) fn clear() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        let mut stderr = std::io::stderr().lock();
        _ = stderr.write_all(BACK.as_bytes()).and_then(|()| stderr.flush());
    }
}

/// The job is about to write to stdout, or to stderr: from then on a terminal is the job's.
pub(crate) fn yield_to_job(to_stdout: bool) {
    if is_on() && (!to_stdout || std::io::stdout().is_terminal()) {
        clear();
        ON.store(false, Ordering::Relaxed);
    }
}
