//! Controllers as pure functions: (objects, now) -> plan. No I/O, no clock, no randomness, no `Result`.

pub mod claims;
pub mod cron;
pub mod event;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod garbage;
pub mod job;
pub mod namespace;
#[doc(hidden)]
pub mod planted;
pub mod retention;
pub mod schedule;
pub mod view;
