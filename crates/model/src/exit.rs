//! The exit codes of `windlass`, a frozen table: scripts depend on it.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | the job, or all that was waited for, succeeded |
//! | 1-255 | the job's own code, passed through (of several pods: the first failed index's last attempt) |
//! | 124 | the job's deadline passed, or `wait --timeout` did |
//! | 125 | Windlass failed, or the job never started |
//! | 126 | the command was found and could not be executed |
//! | 127 | the command was not found |
//! | 128+n | signal n ended the command |
//! | 130 | interrupted, or cancelled by anyone |

/// How a command line ends. See the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: it succeeded.
    Success,
    /// The job's own code.
    Job(u8),
    /// The number of the signal that ended the command.
    Signal(u8),
    /// 124: the job's deadline, or the time that `wait` was given, is over.
    TimedOut,
    /// 125: Windlass failed, or the job never started.
    Windlass,
    /// 126: the command was found and could not be executed.
    CannotExecute,
    /// 127: the command was not found.
    NotFound,
    /// 130: interrupted, or cancelled by anyone.
    Cancelled,
}

impl ExitCode {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Success => 0,
            ExitCode::Job(code) => code,
            ExitCode::Signal(signal) => 128u8.saturating_add(signal),
            ExitCode::TimedOut => 124,
            ExitCode::Windlass => 125,
            ExitCode::CannotExecute => 126,
            ExitCode::NotFound => 127,
            ExitCode::Cancelled => 130,
        }
    }

    /// The code of a container that ended: Kubernetes reports signals as 128+n and numbers up to 255.
    pub fn of_container(code: i32) -> Self {
        match u8::try_from(code) {
            Ok(0) => ExitCode::Success,
            Ok(code) => ExitCode::Job(code),
            Err(_) => ExitCode::Job(255),
        }
    }
}
