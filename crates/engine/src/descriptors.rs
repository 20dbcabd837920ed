//! File descriptors: as many as the system lets this process have. Clients get a share, so that no flood of them takes
//! what the store, the logs and the pods need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More are never asked for. What the shim starts inherits the limit, and there are programs that close every
/// descriptor up to it, one by one, before they begin.
const MOST: u64 = 65_536;

/// Raises the soft limit as far as the hard one allows; how many descriptors there may be.
pub(crate) fn raise() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let wanted = hard.min(MOST).max(soft);
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(cause) => {
            tracing::warn!(%cause, soft, "the limit of file descriptors cannot be raised");
            soft
        }
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_is_allowed_and_never_lowered() {
        let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        let raised = raise();
        assert_eq!(raised as u64, hard.min(MOST).max(before));
        assert_eq!(raise(), raised);
    }
}
