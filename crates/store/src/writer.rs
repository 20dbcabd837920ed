//! The writer: one thread that takes whatever transactions wait, decides them in order, makes them durable with
//! one write and one sync, shows them to readers and only then answers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::error;

use crate::backend::Batch;
use crate::errors::CommitError;
use crate::shared::Shared;
use crate::staging::{Staged, Staging};
use crate::state::{Cut, Forgotten};
use crate::sync::{lock, read, write};
use crate::types::{Committed, Revision, Write};

/// What a transaction is answered.
pub(crate) type Answer = Result<Committed, CommitError>;

/// A transaction that waits.
pub(crate) struct Pending {
    /// Its writes.
    pub(crate) writes: Vec<Write>,
    /// What it brings, in bytes.
    pub(crate) bytes: usize,
    /// Who asked.
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// The transactions that wait, bounded by bytes.
pub(crate) struct Queue {
    limit: usize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    pending: VecDeque<Pending>,
    /// Bytes that wait or are being written.
    bytes: usize,
    closed: bool,
    /// With how many transactions the writer wants to be woken.
    wanted: usize,
    /// How many were under way when the writer last looked.
    busy: usize,
}

/// The longest that the writer waits for those who just had an answer to come back. It waits only while many
/// write at once: then one sync more costs all of them more than this.
const REGROUP: Duration = Duration::from_micros(300);

/// From so many writers on, waiting for them pays.
const REGROUP_FROM: usize = 4;

impl Queue {
    /// An empty queue that holds at most `limit` bytes. A single transaction may be larger.
    pub(crate) fn new(limit: usize) -> Queue {
        Queue { limit, waiting: Mutex::default(), arrived: Condvar::new() }
    }

    /// Adds a transaction.
    pub(crate) fn push(&self, pending: Pending) -> Result<(), CommitError> {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return Err(CommitError::Closed);
        }
        if waiting.bytes > 0 && waiting.bytes + pending.bytes > self.limit {
            return Err(CommitError::Busy(waiting.bytes));
        }
        waiting.bytes += pending.bytes;
        waiting.pending.push_back(pending);
        if waiting.pending.len() >= waiting.wanted {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Refuses whatever comes from now on.
    pub(crate) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.arrived.notify_one();
    }

    /// Everything that waits, when something does; nothing when the queue is closed and empty. While many
    /// write at once, it waits a moment for most of them: who was answered together asks again together.
    fn take(&self) -> Option<VecDeque<Pending>> {
        let mut waiting = lock(&self.waiting);
        while waiting.pending.is_empty() && !waiting.closed {
            waiting.wanted = 1;
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let most = waiting.busy - waiting.busy / 4;
        if waiting.busy >= REGROUP_FROM && waiting.pending.len() < most && !waiting.closed {
            waiting.wanted = most;
            let enough = |waiting: &mut Waiting| waiting.pending.len() < waiting.wanted && !waiting.closed;
            let woken = self.arrived.wait_timeout_while(waiting, REGROUP, enough);
            (waiting, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let group = std::mem::take(&mut waiting.pending);
        waiting.busy = group.len();
        (!group.is_empty()).then_some(group)
    }

    fn done(&self, bytes: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.bytes -= bytes;
        waiting.busy += waiting.pending.len();
    }

    /// Ends the queue for good: what still waits is told so by the loss of its reply.
    fn abandon(&self) {
        self.close();
        lock(&self.waiting).pending.clear();
    }
}

/// The body of the writer's thread: runs until the queue is closed and empty.
pub(crate) fn run(shared: &Arc<Shared>) {
    let _end = End(shared);
    let mut writer = Writer { shared, forgotten: Vec::new(), broken: None };
    while let Some(group) = shared.queue.take() {
        writer.commit(group);
    }
    if writer.broken.is_none() {
        let revision = read(&shared.state).revision();
        // Without a backend there is nothing to tell.
        _ = shared.with_backend(|backend| {
            backend.end(revision);
            Ok(())
        });
    }
}

/// Tells everyone that the writer ended, also when it panicked.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.queue.abandon();
        self.0.wake.send_modify(|wake| wake.closed = true);
    }
}

struct Writer<'a> {
    shared: &'a Shared,
    /// What left the log and is still on the disk.
    forgotten: Vec<Forgotten>,
    /// The error after which nothing is written any more: what the disk holds is not known then.
    broken: Option<Arc<io::Error>>,
}

impl Writer<'_> {
    fn commit(&mut self, group: VecDeque<Pending>) {
        let bytes = group.iter().map(|p| p.bytes).sum();
        let now_ms = (self.shared.now_ms)();
        let (answers, staged) = self.decide(group, now_ms);
        let outcome = match staged.is_empty() {
            true => Ok(()),
            false => self.write(staged, now_ms),
        };
        self.shared.queue.done(bytes);
        for (reply, answer) in answers {
            let answer = outcome.clone().and(answer);
            // Whoever stopped waiting does not want the answer.
            let _ = reply.send(answer);
        }
    }

    fn decide(
        &self,
        group: VecDeque<Pending>,
        now_ms: u64,
    ) -> (Vec<(oneshot::Sender<Answer>, Answer)>, Vec<Staged>) {
        let state = read(&self.shared.state);
        let read = |revision| self.shared.value(revision).map_err(CommitError::Io);
        let mut staging = Staging::new(&state, &read, now_ms);
        let answers = group.into_iter().map(|p| (p.reply, staging.add(p.writes))).collect();
        (answers, staging.finish())
    }

    /// Makes the changes durable, then visible. An error leaves everything as it was.
    fn write(&mut self, staged: Vec<Staged>, now_ms: u64) -> Result<(), CommitError> {
        if let Some(error) = &self.broken {
            return Err(CommitError::Io(error.clone()));
        }
        self.forget(staged.len(), now_ms);
        let batch = Batch { staged: &staged, forgotten: &self.forgotten };
        if let Err(error) = self.shared.with_backend(|backend| backend.write(&batch)) {
            error!(%error, writes = staged.len(), "the disk failed; the store takes no more writes");
            return Err(CommitError::Io(self.broken.insert(Arc::new(error)).clone()));
        }
        let revision = staged.last().map_or(Revision::default(), |s| s.revision);
        self.shared.remember(&staged, &self.forgotten);
        self.forgotten.clear();
        let mut state = write(&self.shared.state);
        for staged in staged {
            state.apply(staged.change);
        }
        drop(state);
        self.shared.wake.send_modify(|wake| wake.revision = revision);
        Ok(())
    }

    /// Cuts the log a little: a few changes more than come in, so that it shrinks without a burst.
    /// Memory forgets first: who reads from now on is told, who reads already holds a pin.
    fn forget(&mut self, writes: usize, now_ms: u64) {
        let bounds = &self.shared.bounds;
        let mut state = write(&self.shared.state);
        let cut = Cut {
            bytes: bounds.log_bytes,
            before_ms: now_ms.saturating_sub(bounds.log_age_ms),
            pinned: self.shared.pins.oldest().unwrap_or(state.revision()),
            budget: 4 * writes,
        };
        self.forgotten.extend(state.forget(&cut));
    }
}
