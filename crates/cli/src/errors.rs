//! Errors of the library as failures of a command.

use windlass::Error;

use crate::exit::Exit;
use crate::fail::Failure;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match &error {
            Error::TimedOut { .. } => Exit::TIMEOUT,
            _ => Exit::FAILED,
        };
        // The library's message has place, cause and way out in one sentence; the way out is what follows the last `; `.
        let text = error.to_string();
        if matches!(error, Error::Template(_)) {
            // Each line of it has all three.
            return Failure::bare(text).exit(exit);
        }
        match text.rsplit_once("; ") {
            Some((cause, way_out)) => Failure::bare(cause).way_out(way_out),
            None => Failure::bare(text),
        }
        .exit(exit)
    }
}
