//! Situations of a Job and what becomes of it, in the simulated cluster.

mod failing;
mod indexed;
mod lifecycle;
mod manifest;
mod ownership;
mod policies;
