//! Controllers as pure functions: (objects, now) -> plan. No I/O, no clock, no randomness, no `Result`.

pub mod claims;
pub mod cron;
pub mod garbage;
pub mod job;
pub mod namespace;
pub mod retention;
pub mod schedule;
pub mod view;
