//! The wall clock enters here.

use jiff::Timestamp;

/// The time.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
