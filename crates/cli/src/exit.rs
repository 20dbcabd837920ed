//! The exit codes of `windlass`: a frozen table, part of its interface.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | what was asked for was done; for `run`, `wait` and `submit --wait`: the jobs succeeded |
//! | 1-123 | the job's own code |
//! | 2 | wrong usage (125 for `run`, `wait` and `submit`, whose codes are jobs') |
//! | 124 | the job's deadline, or `wait --timeout` |
//! | 125 | Windlass failed, or the job never started |
//! | 126, 127 | the command may not be executed, was not found |
//! | 128+n | signal n ended the job |
//! | 130 | interrupted, or cancelled by anyone |
//! | 141 | the reader of stdout went away |

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Exit(pub u8);

impl Exit {
    /// Done.
    pub(crate) const OK: Exit = Exit(0);
    /// Wrong usage of a verb whose exit code is not a job's.
    pub(crate) const USAGE: Exit = Exit(2);
    /// A deadline or a timeout.
    pub(crate) const TIMEOUT: Exit = Exit(124);
    /// Windlass failed, or the job never started.
    pub(crate) const FAILED: Exit = Exit(125);
    /// Interrupted, or cancelled.
    pub(crate) const INTERRUPTED: Exit = Exit(130);
    /// The reader of stdout went away: what SIGPIPE would have done.
    pub(crate) const READER_GONE: Exit = Exit(141);
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit.0)
    }
}
