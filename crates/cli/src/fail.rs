//! The one shape of an error that a user sees: the place, the cause, the way out.

use std::fmt;

use crate::exit::Exit;
use crate::print::plain;

/// Why a command ends without having done what was asked.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    place: String,
    cause: String,
    way_out: Option<String>,
    exit: Exit,
}

/// What a command returns.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

impl Failure {
    /// A failure of `place` (a file, a context, a job, an option) because of `cause`; ends with 125.
    pub(crate) fn new(place: impl Into<String>, cause: impl fmt::Display) -> Failure {
        Failure { place: place.into(), cause: cause.to_string(), way_out: None, exit: Exit::FAILED }
    }

    /// A failure whose cause names its place itself.
    pub(crate) fn bare(cause: impl fmt::Display) -> Failure {
        Failure::new("", cause)
    }

    /// The reader of stdout went away. Says nothing: the user asked for it.
    pub(crate) fn reader_gone() -> Failure {
        Failure { place: String::new(), cause: String::new(), way_out: None, exit: Exit::READER_GONE }
    }

    /// The terminal that was written to is closed. Says nothing: nobody is there.
    pub(crate) fn terminal_gone() -> Failure {
        Failure { exit: Exit::INTERRUPTED, ..Failure::reader_gone() }
    }

    /// What the user can do about it.
    pub(crate) fn way_out(mut self, text: impl Into<String>) -> Failure {
        self.way_out = Some(text.into());
        self
    }

    /// Ends with another code than 125.
    pub(crate) fn exit(mut self, exit: Exit) -> Failure {
        self.exit = exit;
        self
    }

    /// The code to end with.
    pub(crate) fn code(&self) -> Exit {
        self.exit
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.cause.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.place.is_empty() { "" } else { ": " };
        // A server's words may be in it.
        let indented = |text: &str| text.split('\n').map(plain).collect::<Vec<_>>().join("\n  ");
        write!(f, "windlass: {}{separator}{}", plain(&self.place), indented(self.cause.trim_end()))?;
        match &self.way_out {
            Some(text) => write!(f, "\n  {}", indented(text)),
            None => Ok(()),
        }
    }
}

/// An error and its causes in one line, each said once: many errors repeat their cause in their own text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_place_cause_way_out() {
        let failure = Failure::new("context 'lab'", "connection refused").way_out("log in again");
        assert_eq!(failure.to_string(), "windlass: context 'lab': connection refused\n  log in again");
        assert_eq!(failure.code(), Exit::FAILED);
    }

    #[test]
    fn a_servers_words_cannot_write_on_the_terminal() {
        let failure = Failure::new("lab", "no\u{1b}[2Jscreen\nsecond").way_out("ask\u{7}");
        let text = failure.to_string();
        assert!(!text.contains(['\u{1b}', '\u{7}']) && text.contains("\n  second\n  ask"), "{text:?}");
    }

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);
    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl std::error::Error for Layer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|e| e as _)
        }
    }

    #[test]
    fn a_cause_that_is_already_in_the_text_is_not_said_again() {
        let root = Layer("refused", Some(Box::new(Layer("refused", None))));
        assert_eq!(chain(&Layer("connect", Some(Box::new(root)))), "connect: refused");
    }
}
