//! The writer: one thread that takes whatever transactions wait, decides them in order, makes them durable with
//! one write and one sync, shows them to readers and only then answers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{debug, error, info};

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
    /// Whether the writer sleeps: only then somebody has to wake it.
    asleep: bool,
    /// With how many transactions the writer wants to be woken.
    wanted: usize,
    /// How many were under way when the writer last looked.
    busy: usize,
    /// Who wants the log to be cut, and to hear when that is done.
    trims: Vec<oneshot::Sender<()>>,
}

/// What the writer has to do next.
struct Taken {
    /// The transactions.
    group: VecDeque<Pending>,
    /// Who waits for the log to be cut.
    trims: Vec<oneshot::Sender<()>>,
}

/// How often the writer looks whether the log has become too old while nobody writes.
const LOOK: Duration = Duration::from_secs(10);

/// Bytes of values that are worth a rest: the backend then writes what it holds in memory.
const REST: u64 = 1 << 20;

/// How many changes are forgotten at once while nobody writes.
const TRIM: usize = 4096;

/// The longest that the writer waits for the next of those who just had an answer to come back, and how often in all.
/// It waits only while many write at once: then a sync for some of them costs all of them more than the wait, because
/// what those who wait do meanwhile has to be done anyway.
const REGROUP: Duration = Duration::from_micros(300);
const REGROUPS: usize = 8;

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
        if waiting.asleep && waiting.pending.len() >= waiting.wanted {
            waiting.asleep = false;
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Asks for the log to be cut. The answer comes when that is done, or when somebody writes: then it goes on
    /// beside the writes. There is none when the queue is closed.
    pub(crate) fn trim(&self) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        if !waiting.closed {
            waiting.trims.push(reply);
            self.arrived.notify_one();
        }
        drop(waiting);
        answer
    }

    /// Whether transactions wait.
    fn is_busy(&self) -> bool {
        let waiting = lock(&self.waiting);
        waiting.closed || !waiting.pending.is_empty()
    }

    /// Refuses whatever comes from now on.
    pub(crate) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.arrived.notify_one();
    }

    /// Everything that waits, when something does, or nothing after a while; none when the queue is closed and
    /// empty. While many write at once, it waits a moment for most of them: who was answered together asks again
    /// together.
    fn take(&self) -> Option<Taken> {
        let mut waiting = lock(&self.waiting);
        while waiting.pending.is_empty() && waiting.trims.is_empty() && !waiting.closed {
            (waiting.wanted, waiting.asleep) = (1, true);
            let woken = self.arrived.wait_timeout(waiting, LOOK).unwrap_or_else(PoisonError::into_inner);
            waiting = woken.0;
            if woken.1.timed_out() {
                break;
            }
        }
        let most = waiting.busy - waiting.busy / 4;
        for _ in 0..REGROUPS {
            let there = waiting.pending.len();
            if waiting.busy < REGROUP_FROM || !(1..most).contains(&there) || waiting.closed {
                break;
            }
            (waiting.wanted, waiting.asleep) = (most, true);
            let enough = |waiting: &mut Waiting| waiting.pending.len() < waiting.wanted && !waiting.closed;
            let woken = self.arrived.wait_timeout_while(waiting, REGROUP, enough);
            (waiting, _) = woken.unwrap_or_else(PoisonError::into_inner);
            if waiting.pending.len() == there {
                // Nobody came: they do something else.
                break;
            }
        }
        waiting.asleep = false;
        let group = std::mem::take(&mut waiting.pending);
        waiting.busy = group.len();
        let trims = std::mem::take(&mut waiting.trims);
        (!group.is_empty() || !waiting.closed).then_some(Taken { group, trims })
    }

    fn done(&self, bytes: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.bytes -= bytes;
        waiting.busy += waiting.pending.len();
    }

    /// Ends the queue for good: what still waits is told so by the loss of its reply.
    fn abandon(&self) {
        self.close();
        let mut waiting = lock(&self.waiting);
        waiting.pending.clear();
        waiting.trims.clear();
    }
}

/// The body of the writer's thread: runs until the queue is closed and empty.
pub(crate) fn run(shared: &Arc<Shared>) {
    let _end = End(shared);
    let mut writer = Writer { shared, forgotten: Vec::new(), broken: None, gathered: 0 };
    while let Some(Taken { group, trims }) = shared.queue.take() {
        if group.is_empty() || !trims.is_empty() {
            writer.trim();
            writer.rest();
        }
        if !group.is_empty() {
            writer.commit(group);
        }
        for trim in trims {
            // Whoever stopped waiting does not want the answer.
            let _ = trim.send(());
        }
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
    /// Bytes that were written since the backend was last told to rest.
    gathered: u64,
}

impl Writer<'_> {
    fn commit(&mut self, group: VecDeque<Pending>) {
        self.mend();
        let bytes = group.iter().map(|p| p.bytes).sum();
        let now_ms = (self.shared.now_ms)();
        let (answers, staged) = self.decide(group, now_ms);
        let outcome = match staged.is_empty() {
            true => Ok(()),
            false => self.write(staged),
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
    fn write(&mut self, staged: Vec<Staged>) -> Result<(), CommitError> {
        if let Some(error) = &self.broken {
            // Decided on what was there before: what is there now may differ.
            return Err(self.refusal(error.clone()));
        }
        // A few changes more than come in, so that the log shrinks without a burst.
        let keys = self.forget(4 * staged.len());
        let batch = Batch { keys, staged: &staged, forgotten: &self.forgotten };
        if let Err(error) = self.shared.with_backend(|backend| backend.write(&batch)) {
            let error = self.fail(error);
            return Err(self.refusal(error));
        }
        let revision = staged.last().map_or(Revision::default(), |s| s.revision);
        self.gathered +=
            staged.iter().filter_map(|s| Some(s.value.as_ref()?.bytes().len() as u64)).sum::<u64>();
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

    /// Cuts the log while nobody writes.
    fn trim(&mut self) {
        while self.broken.is_none() {
            let keys = self.forget(TRIM);
            if self.forgotten.is_empty() {
                break;
            }
            let batch = Batch { keys, staged: &[], forgotten: &self.forgotten };
            if let Err(error) = self.shared.with_backend(|backend| backend.write(&batch)) {
                self.fail(error);
                break;
            }
            self.shared.remember(&[], &self.forgotten);
            self.forgotten.clear();
            if self.shared.queue.is_busy() {
                break;
            }
        }
    }

    /// After a failure that may pass (the disk was full), tries to go on with what the disk has.
    fn mend(&mut self) {
        let Some(broken) = &self.broken else { return };
        let mut backend = write(&self.shared.backend);
        let Some(backend) = backend.as_deref_mut().filter(|backend| backend.is_mendable(broken)) else {
            return;
        };
        let there = match backend.mend() {
            Ok(there) => there,
            Err(error) => return debug!(%error, "the store still cannot be written to"),
        };
        let mut state = write(&self.shared.state);
        let before = state.revision();
        if there.revision() < before {
            return error!(
                has = before.0,
                disk = there.revision().0,
                "the disk has lost what was acknowledged"
            );
        }
        // What was refused and is on the disk all the same is there, whole.
        for (_, change) in there.changes(before) {
            state.apply(change.clone());
        }
        self.broken = None;
        let revision = state.revision();
        drop(state);
        info!(revision = revision.0, "the store takes writes again");
        self.shared.wake.send_modify(|wake| wake.revision = revision);
    }

    /// Lets the backend give memory back.
    fn rest(&mut self) {
        if self.broken.is_none() && self.gathered >= REST {
            self.gathered = 0;
            // Without a backend there is nothing to give back.
            _ = self.shared.with_backend(|backend| {
                backend.rest();
                Ok(())
            });
        }
    }

    /// Takes no more writes: what the disk holds is not known.
    fn fail(&mut self, error: io::Error) -> Arc<io::Error> {
        error!(%error, "the disk failed; the store takes no writes until there is room again, or it is opened again");
        self.broken.insert(Arc::new(error)).clone()
    }

    /// What a write is answered that failed, or that was not tried because one before it did.
    fn refusal(&self, error: Arc<io::Error>) -> CommitError {
        let full = self.shared.with_backend(|backend| {
            Ok(backend.is_mendable(&error).then(|| backend.place().map(|place| place.display().to_string())))
        });
        match full {
            Ok(Some(Some(place))) => {
                CommitError::Full(Arc::new(io::Error::new(error.kind(), format!("{place}: {error}"))))
            }
            Ok(Some(None)) => CommitError::Full(error),
            Ok(None) | Err(_) => CommitError::Io(error),
        }
    }

    /// Cuts the log a little, and says how many keys there are.
    /// Memory forgets first: who reads from now on is told, who reads already holds a pin.
    fn forget(&mut self, budget: usize) -> u64 {
        let bounds = &self.shared.bounds;
        let now_ms = (self.shared.now_ms)();
        let mut state = write(&self.shared.state);
        let cut = Cut {
            bytes: bounds.log_bytes,
            before_ms: now_ms.saturating_sub(bounds.log_age_ms),
            pinned: self.shared.pins.oldest().unwrap_or(state.revision()),
            budget,
        };
        self.forgotten.extend(state.forget(&cut));
        state.keys()
    }
}
