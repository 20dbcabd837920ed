//! The room that request bodies have: all together, and those of one user. It knows no body.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::rights::{Role, User};

/// Bytes that one permit stands for.
const UNIT: usize = 1 << 10;
/// What one user's bodies may take of all room, at most: one in so many. Whoever announces bodies and does not send
/// them keeps their own room taken, and no one else's.
const SHARE: usize = 8;

/// The room that all bodies have. The administrator is not bounded but by that.
pub(super) struct Bodies {
    all: Arc<Semaphore>,
    share: usize,
    /// The share of each user who has a body under way.
    users: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Room for one body; free again when dropped.
pub(super) struct Room {
    _all: OwnedSemaphorePermit,
    _own: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// So many bytes for all; one body may have `largest`, whoever sends it.
    pub(super) fn new(bytes: usize, largest: usize) -> Bodies {
        let all = bytes.div_ceil(UNIT);
        let share = (all / SHARE).max(largest.div_ceil(UNIT)).min(all);
        Bodies { all: Arc::new(Semaphore::new(all)), share, users: Mutex::default() }
    }

    /// Waits for room.
    pub(super) async fn take(&self, user: &User, bytes: usize) -> Result<Room, AcquireError> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let own = match user.role {
            Role::Administrator => None,
            _ => Some(self.share_of(&user.name).acquire_many_owned(units).await?),
        };
        let all = Arc::clone(&self.all).acquire_many_owned(units).await?;
        Ok(Room { _all: all, _own: own })
    }

    fn share_of(&self, user: &str) -> Arc<Semaphore> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = users.get(user).and_then(Weak::upgrade) {
            return share;
        }
        users.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        users.insert(user.to_owned(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn user(name: &str, role: Role) -> User {
        User { name: name.to_owned(), role, ..User::owner() }
    }

    #[tokio::test]
    async fn who_hoards_room_hoards_their_own() {
        let bodies = Bodies::new(64 << 10, 3 << 10);
        let (hoarder, other) = (user("hoarder", Role::Nothing), user("other", Role::Submit));
        let first = bodies.take(&hoarder, 5 << 10).await.unwrap();
        let _second = bodies.take(&hoarder, 3 << 10).await.unwrap();
        assert!(bodies.take(&hoarder, 1).now_or_never().is_none(), "an eighth is taken");
        let _third = bodies.take(&other, 8 << 10).now_or_never().unwrap().unwrap();
        let admin = user("admin", Role::Administrator);
        let _fourth = bodies.take(&admin, 48 << 10).now_or_never().unwrap().unwrap();
        assert!(bodies.take(&admin, 1).now_or_never().is_none(), "nothing is left");
        drop(first);
        let _fifth = bodies.take(&hoarder, 5 << 10).now_or_never().unwrap().unwrap();
        assert!(bodies.users.lock().unwrap().len() <= 2);
    }

    #[tokio::test]
    async fn one_body_has_room_whoever_sends_it() {
        let bodies = Bodies::new(8 << 10, 3 << 10);
        let small = user("small", Role::Nothing);
        assert!(bodies.take(&small, 3 << 10).now_or_never().unwrap().is_ok());
    }
}
