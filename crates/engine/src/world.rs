//! The one place where the wall clock and randomness enter the engine.

use jiff::Timestamp;
use windlass_apiserver::world::World;

/// The machine's clock and the system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl World for System {
    #[expect(clippy::disallowed_methods, reason = "this is the engine's one clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the engine's one source of randomness")]
    fn random(&self, buffer: &mut [u8]) {
        // The system's generator only fails before it is seeded at boot, when no engine can run yet.
        getrandom::fill(buffer).expect("the system's random generator is seeded");
    }
}

/// Milliseconds since the epoch, never before it.
pub(crate) fn millis(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}

/// A time as the API writes it: whole seconds, UTC.
pub(crate) fn rfc3339(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// `count` random bytes as lower-case hexadecimal text.
pub(crate) fn hex(world: &dyn World, count: usize) -> String {
    let mut bytes = vec![0u8; count];
    world.random(&mut bytes);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Waits until a time of the world's clock; for ever if there is none.
pub(crate) async fn sleep_until(world: &dyn World, at: Option<Timestamp>) {
    match at {
        // A long sleep is cut, so that a clock that was set forward is noticed.
        Some(at) => {
            let wait = at.duration_since(world.now()).unsigned_abs();
            let wait = if at <= world.now() { std::time::Duration::ZERO } else { wait };
            tokio::time::sleep(wait.min(std::time::Duration::from_secs(30))).await;
        }
        None => std::future::pending().await,
    }
}

/// The monotonic clock of the runtime (virtual where tests pause it).
pub(crate) fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Rests. For threads that have all the time in the world.
#[expect(clippy::disallowed_methods, reason = "the engine's one rest")]
pub(crate) fn rest(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Waits.
pub(crate) async fn pause(wait: std::time::Duration) {
    tokio::time::sleep(wait).await;
}
