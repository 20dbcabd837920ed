//! The words of `windlass clock`.

use clap::{Args, Subcommand};

/// `windlass clock`
#[derive(Args, Debug)]
#[command(
    after_help = "Only an engine of `windlass up --ephemeral` has a clock that can be set forward: docs/testing.md."
)]
pub(crate) struct Clock {
    #[command(subcommand)]
    pub verb: Option<ClockVerb>,
}

/// How it is set forward.
#[derive(Subcommand, Debug)]
pub(crate) enum ClockVerb {
    /// Set it forward by a span, through all that is due until then
    Advance {
        /// How far, like 90s, 1h30m or 2d
        #[arg(value_name = "SPAN", allow_hyphen_values = true)]
        span: String,
    },
    /// Set it forward to a time, through all that is due until then
    To {
        /// When, like 2030-01-01T00:00:00Z
        #[arg(value_name = "TIME", allow_hyphen_values = true)]
        time: String,
    },
}
