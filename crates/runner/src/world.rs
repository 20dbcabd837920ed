//! The one place where this crate reads the clocks. It knows nothing of what the time is for.

use std::time::{Duration, Instant};

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

/// The time since boot, sleep included: what the kernel notes of a process's start.
pub(crate) fn since_boot() -> Duration {
    // SAFETY: an all-zero timespec is a valid value of that plain C struct.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` is a valid place to write to. It cannot fail: every Linux since 2.6.39 has the clock.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Rests, so that what happens meanwhile is found together. For the shim's threads, which have no runtime.
#[expect(clippy::disallowed_methods, reason = "the shim's one rest")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
