//! Slowing down whoever fills its log: past the log's limit every new byte throws an old one away, and nobody is
//! served by doing that as fast as the disk and a core can. Its pipes are left full for a while, so that it waits.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::Server;
use crate::shim::run::{Run, State};
use crate::world;

/// Bytes of log a second, once it is past its limit.
const PACE: u64 = 32 << 20;
/// Being so far ahead of that is no reason to wait.
const AHEAD: Duration = Duration::from_millis(50);

impl Server {
    /// A run's log has grown past its limit by so many bytes: it may have to wait.
    pub(super) fn pace(&mut self, id: u64, grown: u64) {
        let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) else { return };
        let now = world::monotonic();
        let behind = live.paced_until.map_or(now, |until| until.max(now));
        let until = behind + Duration::from_micros(grown.saturating_mul(1_000_000) / PACE);
        live.paced_until = Some(until);
        if until.saturating_duration_since(now) < AHEAD || !live.is_watched {
            return;
        }
        for pipe in live.pipes.iter().flatten() {
            let _ = self.epoll.delete(pipe.as_fd());
        }
        live.is_watched = false;
        self.paced.insert((until, id));
    }

    /// Those whose time has come are read again.
    pub(super) fn resume(&mut self, now: Instant) {
        while let Some((until, id)) = self.paced.first().copied().filter(|(until, _)| *until <= now) {
            self.paced.remove(&(until, id));
            self.watch_pipes(id);
        }
    }
}
