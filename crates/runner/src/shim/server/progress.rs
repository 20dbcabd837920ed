//! What happens to runs: started, spoken, ended, swept up after.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::Server;
use crate::log::Output as Channel;
use crate::runtime::{Event, StartFailure};
use crate::shim::children::{Exit, News};
use crate::shim::descend;
use crate::shim::ledger::Record;
use crate::shim::output::Output;
use crate::shim::procfs::Birth;
use crate::shim::run::{Ending, Live, Looks, Run, State};
use crate::shim::spawn::Surroundings;
use crate::shim::stdio::Ends;
use crate::world;

const CHANNELS: [Channel; 2] = [Channel::Stdout, Channel::Stderr];
/// How often an ended run's pipe is read in a row: thrice its capacity.
const DRAINED: usize = 3;
/// How long the pipes of an ended process may stay open when no descendant is left.
const PIPES: Duration = Duration::from_secs(2);
/// How long killed descendants may take to be gone.
const LEFTOVERS: Duration = Duration::from_secs(10);

impl Server {
    pub(super) fn on_news(&mut self) {
        let mut has_orphans = false;
        let (mut started, mut ended) = (Vec::new(), Vec::new());
        let (all, relief) = self.children.take_news();
        self.relief = relief;
        for news in all {
            match news {
                News::Started { id, pid, birth, at, ends, surroundings } => {
                    self.on_started(id, pid, birth, at, *ends, surroundings);
                    started.push(id);
                }
                News::StartedBeside { id, pid, ends } => self.on_started_beside(id, pid, *ends),
                News::Failed { id, failure, message, .. } if self.beside.contains_key(&id) => {
                    self.on_failed_beside(id, failure, message);
                    has_orphans = true;
                }
                News::Reaped { id, exit } if self.beside.contains_key(&id) => {
                    self.on_reaped_beside(id, exit);
                    has_orphans = true;
                }
                News::Failed { id, failure, message, at } => self.on_failed(id, failure, message, at),
                News::Reaped { id, exit } => {
                    self.on_reaped(id, exit);
                    ended.push(id);
                    has_orphans = true;
                }
                News::OrphanReaped { pid } => {
                    self.on_orphan_reaped(pid);
                    has_orphans = true;
                }
            }
        }
        if has_orphans {
            self.sweep();
        }
        // What has ended is read to its end here and now; only what goes on has to be waited for.
        for id in ended {
            self.drain(id);
        }
        for id in started {
            self.watch_pipes(id);
        }
        if has_orphans {
            for id in self.ending.clone() {
                self.finish(id);
            }
        }
    }

    pub(super) fn on_started(
        &mut self,
        id: u64,
        pid: i32,
        birth: Birth,
        at: Timestamp,
        ends: Ends,
        surroundings: Arc<Surroundings>,
    ) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let State::Queued { log, log_limit } = &mut run.state else { return };
        let output = Output::new(std::mem::take(log), *log_limit, Arc::clone(&self.packer));
        let key = run.key.clone();
        let Ends { outputs: pipes, input, terminal } = ends;
        let (had_input, is_watched, paced_until, ending) = (input.is_some(), false, None, None);
        let live = Live {
            pid,
            birth,
            at,
            pipes,
            is_watched,
            paced_until,
            input,
            had_input,
            surroundings,
            beside: BTreeSet::new(),
            terminal,
            output,
            ending,
        };
        run.state = State::Live(Box::new(live));
        self.ledger.put(&Record::started(key.clone(), pid, birth, at));
        let signalled = run.signalled;
        self.events.extend(run.told());
        for signal in (1..=64).filter(|signal| signalled & (1 << (signal - 1)) != 0) {
            descend::signal_all(&self.children, pid, &key, signal);
        }
    }

    pub(super) fn on_failed(&mut self, id: u64, failure: StartFailure, message: String, at: Timestamp) {
        let Some(run) = self.runs.get(&id) else { return };
        let event = Event::Failed { key: run.key.clone(), failure, message, at };
        self.over(id, event);
    }

    pub(super) fn over(&mut self, id: u64, event: Event) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        self.ledger.put(&Record::Over(event.clone()));
        run.state = State::Over(event.clone());
        self.open -= 1;
        self.ending.remove(&id);
        self.events.push(event);
    }

    pub(super) fn on_reaped(&mut self, id: u64, exit: Exit) {
        let now = world::monotonic();
        if let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) {
            let leftovers = BTreeSet::new();
            let ending = Ending {
                exit,
                leftovers,
                pipes_until: now + PIPES,
                until: now + LEFTOVERS,
                looks: Looks::default(),
            };
            live.ending = Some(ending);
            live.terminal = None;
            if let Some(group) = &live.surroundings.group {
                group.kill();
            }
            self.ending.insert(id);
            for beside in live.beside.clone() {
                self.end_beside(beside);
            }
        }
    }

    pub(super) fn on_orphan_reaped(&mut self, pid: i32) {
        for id in &self.ending {
            if let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(id)
                && let Some(ending) = &mut live.ending
            {
                ending.leftovers.remove(&pid);
            }
        }
    }

    /// Ends the descendants that ended runs left behind.
    pub(super) fn sweep(&mut self) {
        if self.ending.is_empty() {
            return;
        }
        let ending: Vec<(u64, &Run)> =
            self.ending.iter().filter_map(|id| Some((*id, self.runs.get(id)?))).collect();
        let killed = descend::end_orphans(&self.children, &ending, ending.len() == self.open);
        for (id, pid) in killed {
            if let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id)
                && let Some(ending) = &mut live.ending
            {
                ending.leftovers.insert(pid);
            }
        }
    }

    /// Waits for the output of a run that goes on.
    pub(super) fn watch_pipes(&mut self, id: u64) {
        let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) else { return };
        live.is_watched = true;
        for (channel, pipe) in live.pipes.iter().enumerate() {
            let Some(pipe) = pipe else { continue };
            let interest = EpollEvent::new(EpollFlags::EPOLLIN, id * 2 + channel as u64);
            // Fails only without memory; the pipe then closes with the run.
            let _ = self.epoll.add(pipe, interest);
        }
    }

    /// Reads what an ended run has left in its pipes.
    fn drain(&mut self, id: u64) {
        for channel in 0..CHANNELS.len() {
            // What a descendant adds meanwhile is bounded by its end, which is near.
            for _ in 0..DRAINED {
                if !self.on_pipe(id, channel) {
                    break;
                }
            }
        }
    }

    /// Reads once. `true`: there may be more.
    pub(super) fn on_pipe(&mut self, id: u64, channel: usize) -> bool {
        let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) else { return false };
        let Some(pipe) = &live.pipes[channel] else { return false };
        let past = live.output.past_limit();
        let written = match nix::unistd::read(pipe, &mut self.chunk) {
            Ok(0) => {
                self.close_pipe(id, channel);
                return false;
            }
            Ok(count) => {
                self.is_flooded |= count == self.chunk.len();
                let (output, now) = (&mut live.output, world::now());
                let pushed = output.push(CHANNELS[channel], &self.chunk[..count], now);
                // Whoever writes to it may wait for a prompt, which has no line end.
                if live.had_input { pushed.and(output.finish(CHANNELS[channel], now)) } else { pushed }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return false,
            // Of a terminal this is the end.
            Err(Errno::EIO) => {
                self.close_pipe(id, channel);
                return false;
            }
            Err(error) => {
                self.note(&format!("a pipe cannot be read: {error}"));
                self.close_pipe(id, channel);
                return false;
            }
        };
        let grown = live.output.past_limit() - past;
        if grown > 0 {
            self.pace(id, grown);
        }
        self.note_log_fault(id, written);
        true
    }

    pub(super) fn close_pipe(&mut self, id: u64, channel: usize) {
        let Some(Run { state: State::Live(live), .. }) = self.runs.get_mut(&id) else { return };
        let Some(pipe) = live.pipes[channel].take() else { return };
        // Taken out before it is closed: a child that is just being started may hold a copy.
        if live.is_watched {
            let _ = self.epoll.delete(pipe.as_fd());
        }
        drop(pipe);
        let written = live.output.finish(CHANNELS[channel], world::now());
        self.note_log_fault(id, written);
        self.finish(id);
    }

    /// A log that cannot be written never changes the result.
    pub(super) fn note_log_fault(&mut self, id: u64, written: io::Result<()>) {
        if let (Err(error), Some(run)) = (written, self.runs.get(&id)) {
            let words = format!("the log of {:?} lacks something: {error}", run.key);
            self.note(&words);
        }
    }

    pub(super) fn finish(&mut self, id: u64) {
        let Some(Run { state: State::Live(live), key, .. }) = self.runs.get_mut(&id) else { return };
        if !live.is_done(world::monotonic()) {
            return;
        }
        if let Some(event) = live.exited(key) {
            if let Some(group) = &live.surroundings.group {
                self.groups.give_back(group);
            }
            self.over(id, event);
            self.children.closed();
        }
    }

    pub(super) fn on_time(&mut self) {
        if self.is_timeless() {
            return;
        }
        let now = world::monotonic();
        self.listen_again(now);
        if self.relief.is_some_and(|at| at <= now) {
            let (hired, due_again) = self.children.relieve();
            self.relief = due_again;
            if let Err(error) = hired {
                self.note(&format!("nothing can be started beside what hangs: {error}"));
            }
        }
        self.resume(now);
        let due: Vec<u64> = self
            .ending
            .iter()
            .copied()
            .filter(|id| self.next_look(*id).is_some_and(|at| at <= now))
            .collect();
        for id in due {
            let Some(Run { state: State::Live(live), .. }) = self.runs.get(&id) else { continue };
            if live.given_up().is_some_and(|at| at > now) {
                self.finish(id);
                continue;
            }
            self.note("a pipe or a descendant outlived its container");
            self.close_pipe(id, 0);
            self.close_pipe(id, 1);
            self.finish(id);
        }
    }
}
