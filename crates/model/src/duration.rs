//! Durations as people write them: `90`, `90s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

use crate::Problem;

/// Reads a duration: a number of seconds, or numbers with the units `s`, `m`, `h`, `d`, `w` in falling order.
///
/// # Errors
/// A [`Problem`] without a path that says what was expected.
pub fn parse(text: &str) -> Result<Duration, Problem> {
    todo!("{text}")
}

/// `1h30m`, `45s`, `2d`: what [`parse`] reads, rounded down to seconds.
pub fn format(duration: Duration) -> String {
    todo!("{duration:?}")
}
