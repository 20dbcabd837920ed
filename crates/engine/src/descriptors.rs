//! File descriptors: as many as the system lets this process have. Clients get a share, so that no flood of them takes
//! what the store, the logs and the pods need.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More are never asked for: a table of so many is enough for every bound of ours.
const MOST: u64 = 65_536;
/// The soft limit that this process began with.
static BEFORE: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit as far as the hard one allows; how many descriptors there may be.
pub(crate) fn raise() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    BEFORE.get_or_init(|| soft);
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

/// The soft limit before it was raised, if it was: what the user's programs expect. Some close every descriptor up to
/// it, one by one, before they begin; some cannot use one above 1024 (select).
pub(crate) fn before() -> Option<u64> {
    BEFORE.get().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_is_allowed_and_what_it_was_is_remembered() {
        let (first, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        let raised = raise();
        assert_eq!(raised as u64, hard.min(MOST).max(first));
        assert_eq!(raise(), raised);
        assert_eq!(before(), Some(first));
    }
}
