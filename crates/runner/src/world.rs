//! The one place where this crate reads the clocks. It knows nothing of what the time is for.

use std::time::Instant;

use jiff::Timestamp;

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the crate's one reading of the wall clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The clock that never goes back.
#[expect(clippy::disallowed_methods, reason = "the crate's one reading of the monotonic clock")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
