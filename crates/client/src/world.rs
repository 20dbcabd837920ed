//! The one place where this crate meets clock, sleep, randomness and the environment.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;

/// What is not a function of the arguments. Tests give their own.
pub trait World: Send + Sync {
    /// The wall clock, for records that people read. It may jump: nothing is measured with it.
    fn now(&self) -> Timestamp;
    /// The monotonic clock, with which patience, budgets and deadlines are measured. The runtime's own clock unless
    /// a world says otherwise, so that tests may stop it.
    fn instant(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
    /// Ends after this long.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Fills the buffer with random bytes.
    fn random(&self, buffer: &mut [u8]);
    /// A variable of the environment, if it is set and UTF-8. Asked for by the one constructor that says so; a world
    /// has none unless it says otherwise.
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}

/// The machine's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

impl World for Real {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that takes randomness")]
    fn random(&self, buffer: &mut [u8]) {
        if let Err(error) = getrandom::fill(buffer) {
            // Linux gives randomness since 3.17; what has none cannot speak TLS either.
            panic!("the operating system gives no randomness: {error}");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
