//! The two streams of the program: data to stdout, everything else to stderr.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fail::{Failure, Outcome};
use crate::progress;

/// Writes data to stdout.
///
/// # Errors
/// A silent failure if the reader is gone, a loud one if the disk is full.
pub(crate) fn data(text: &str) -> Outcome<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| fault(&error))
}

/// What a failed write to stdout means.
pub(crate) fn fault(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::new("stdout", error),
    }
}

/// Whether the terminal ends no line by itself.
static RAW: AtomicBool = AtomicBool::new(false);

/// The terminal shows bytes as they are, from now on or no longer.
pub(crate) fn set_raw(raw: bool) {
    RAW.store(raw, Ordering::Relaxed);
}

/// Writes a line for a person to stderr. Nobody may be there to read it: that is no fault.
pub(crate) fn say(text: &str) {
    progress::clear();
    say_at_once(text);
}

/// As [`say`], by somebody who must wait for nobody: whoever draws the progress may be the one that panics.
pub(crate) fn say_at_once(text: &str) {
    let mut stderr = std::io::stderr().lock();
    _ = if RAW.load(Ordering::Relaxed) {
        write!(stderr, "\r{}\r\n", text.replace('\n', "\r\n"))
    } else {
        writeln!(stderr, "{text}")
    };
}

/// What goes to stderr besides errors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notes {
    /// Say nothing.
    pub quiet: bool,
}

impl Notes {
    /// Says `windlass: text`, unless it is to be quiet.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            say(&format!("windlass: {text}"));
        }
    }
}

/// A value as JSON with a line end.
pub(crate) fn json(value: &impl serde::Serialize) -> Outcome<String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new("json", error))?;
    Ok(text + "\n")
}

/// A value as YAML. It goes through JSON, so that both have the same fields.
pub(crate) fn yaml(value: &impl serde::Serialize) -> Outcome<String> {
    let value = serde_json::to_value(value).map_err(|error| Failure::new("yaml", error))?;
    let mut text = serde_saphyr::to_string(&value).map_err(|error| Failure::new("yaml", error))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
