//! Time enters here: the wall clock, and moments to wait for.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The moment that is so far from now.
pub(crate) fn after(duration: Duration) -> Instant {
    Instant::now() + duration
}
