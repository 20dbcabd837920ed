//! How long an ended container waits before it is started again: not at all the first time, then 10 s, 20 s, ...
//! 300 s from its end. A run of ten minutes makes the next restart immediate, and the one after it waits 10 s again.
//! As upstream's `initialCrashLoopBackOff` and `MaxCrashLoopBackOff` (pkg/kubelet/kubelet.go), whose entries expire
//! after twice the longest wait (client-go's util/flowcontrol/backoff.go). Like a kubelet's, the memory of long runs
//! does not outlive the engine; without it the wait is the longer one.

use jiff::{SignedDuration, Timestamp};

use super::standing::End;

const FIRST: i64 = 10;
const LONGEST: i64 = 300;
const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// The wait before the attempt that follows this end.
pub(super) fn wait(end: &End) -> SignedDuration {
    if end.attempt <= end.steady || is_steady(end.started_at, end.finished_at) {
        return SignedDuration::ZERO;
    }
    let doublings = (end.attempt - end.steady - 1).min(5);
    SignedDuration::from_secs((FIRST << doublings).min(LONGEST))
}

/// Whether a run was long enough for the crashes before it to be forgiven.
pub(super) fn is_steady(started_at: Timestamp, finished_at: Timestamp) -> bool {
    finished_at.duration_since(started_at) >= FORGIVEN_AFTER
}

/// When the status begins to say that it waits, and no longer how it ended. Upstream's kubelet says so when it looks at
/// the pod again: older ones ten to fifteen seconds after the end (`backOffPeriod` in pkg/kubelet/kubelet.go), that of
/// 1.36 when the wait is over, or earlier if something else makes it look.
pub(super) fn told_at(end: &End) -> Timestamp {
    end.finished_at.checked_add(wait(end).min(SignedDuration::from_secs(FIRST))).unwrap_or(Timestamp::MAX)
}

/// When that attempt may start.
pub(super) fn until(end: &End) -> Timestamp {
    // Saturates at the end of time, some 8,000 years away.
    end.finished_at.checked_add(wait(end)).unwrap_or(Timestamp::MAX)
}
