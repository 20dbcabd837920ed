//! How long an ended container waits before it is started again: not at all the first time, then 10 s, 20 s, ...
//! 300 s from its end. A run of more than ten minutes makes the next restart immediate.

use jiff::{SignedDuration, Timestamp};

use super::standing::End;

const FIRST: i64 = 10;
const LONGEST: i64 = 300;
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// The wait before the attempt that follows this end.
pub(super) fn wait(end: &End) -> SignedDuration {
    if end.attempt == 0 || end.finished_at.duration_since(end.started_at) >= FORGIVEN_AFTER {
        return SignedDuration::ZERO;
    }
    let doublings = (end.attempt - 1).min(5);
    SignedDuration::from_secs((FIRST << doublings).min(LONGEST))
}

/// When that attempt may start.
pub(super) fn until(end: &End) -> Timestamp {
    // Saturates at the end of time, some 8,000 years away.
    end.finished_at.checked_add(wait(end)).unwrap_or(Timestamp::MAX)
}
