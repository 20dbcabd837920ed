//! Reads the logs of all containers of a job at the same time, a bounded number of them, into one queue.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::merge::Merger;
use super::reader::{Ended, Reader, Target};
use super::state::{self, ContainerState};
use super::turns::{self, Turns};
use super::{LogChunk, LogEvent, LogOptions, LogStream};
use crate::{JobManager, limits};

/// The logs of one job. Dropping it ends the reading.
pub(crate) struct Pump {
    manager: JobManager,
    options: LogOptions,
    sender: mpsc::Sender<LogEvent>,
    events: mpsc::Receiver<LogEvent>,
    tasks: JoinSet<()>,
    /// By pod uid and container.
    containers: BTreeMap<(String, String), watch::Sender<ContainerState>>,
    turns: Turns,
    is_merged_said: bool,
}

impl Pump {
    pub(crate) fn new(manager: &JobManager, options: LogOptions) -> Self {
        let (sender, events) = mpsc::channel(limits::LOG_QUEUE);
        Pump {
            manager: manager.clone(),
            options,
            sender,
            events,
            tasks: JoinSet::new(),
            containers: BTreeMap::new(),
            turns: Turns::new(),
            is_merged_said: false,
        }
    }

    /// Takes notice of pods: starts to read what has started, tells the readers what has ended.
    pub(crate) fn see<'a>(&mut self, pods: impl Iterator<Item = &'a Pod>) {
        let mut new = Vec::new();
        for pod in pods {
            let index = crate::view::index(pod);
            if self.options.index.is_some() && self.options.index != index {
                continue;
            }
            for (container, state) in state::of_pod(pod) {
                if self.options.container.as_ref().is_some_and(|wanted| *wanted != container) {
                    continue;
                }
                let key = (pod.metadata.uid.clone().unwrap_or_default(), container);
                match self.containers.get(&key) {
                    Some(known) => {
                        known.send_if_modified(|before| std::mem::replace(before, state) != state);
                    }
                    None => new.push((pod, key, state)),
                }
            }
        }
        new.sort_by_cached_key(|(pod, ..)| turns::order(pod));
        for (pod, key, state) in new {
            self.begin(pod, key, state);
        }
    }

    /// Reads a container as soon as it is its turn.
    fn begin(&mut self, pod: &Pod, key: (String, String), state: ContainerState) {
        let (sender, receiver) = watch::channel(state);
        let index = crate::view::index(pod);
        let (mut turn, pods_before, reading) = self.turns.next(index, &key.1, receiver.clone());
        let task = ContainerTask {
            manager: self.manager.clone(),
            options: self.options.clone(),
            out: self.sender.clone(),
            pod: pod.metadata.name.clone().unwrap_or_default(),
            index,
            pods_before,
            container: key.1.clone(),
        };
        self.containers.insert(key, sender);
        self.tasks.spawn(async move {
            // Dropped at the end, also of a task that is given up.
            let _reading = reading;
            turn.after_the_one_before(&*task.manager.world).await;
            // The semaphore is never closed: without a turn there is nothing to read for.
            if let Some(_turn) =
                turn.room(&*task.manager.world, async || task.say_crowd(&receiver).await).await
            {
                task.run(receiver).await;
            }
        });
    }

    /// The job has ended: no attempt comes after those that are known.
    pub(crate) fn close(&mut self) {
        for state in self.containers.values() {
            state.send_if_modified(|state| {
                let before = *state;
                (state.over, state.gone) = (true, !state.ended);
                before != *state
            });
        }
    }

    /// Gives up what is still being read; true if there was something.
    pub(crate) fn abandon(&mut self) -> bool {
        let had_some = !self.tasks.is_empty();
        self.tasks.abort_all();
        had_some
    }

    /// Pods are no longer read one after the other where that holds some of them up; true if it did.
    pub(crate) fn release(&mut self) -> bool {
        self.turns.release()
    }

    /// Whether nothing is being read, and nothing waits to be handed out.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.events.is_empty()
    }

    /// The next event; `None` when all that is known was read.
    pub(crate) async fn next(&mut self) -> Option<LogEvent> {
        loop {
            let event = if self.tasks.is_empty() {
                self.events.try_recv().ok()?
            } else {
                tokio::select! {
                    biased;
                    Some(event) = self.events.recv() => event,
                    _ = self.tasks.join_next() => continue,
                }
            };
            if event == LogEvent::StreamsMerged && std::mem::replace(&mut self.is_merged_said, true) {
                continue;
            }
            return Some(event);
        }
    }
}

/// All attempts of one container, one after the other.
struct ContainerTask {
    manager: JobManager,
    options: LogOptions,
    out: mpsc::Sender<LogEvent>,
    pod: String,
    index: Option<u32>,
    pods_before: u32,
    container: String,
}

impl ContainerTask {
    async fn run(self, mut state: watch::Receiver<ContainerState>) {
        let now = *state.borrow();
        // A cluster keeps the log of the attempt before the newest one, and of none before that.
        let mut attempt = now.attempt.saturating_sub(1);
        if self.options.previous {
            match now.attempt {
                0 => _ = self.gap("there is no attempt before the newest".to_owned()).await,
                _ => _ = self.attempt(attempt, &state).await,
            }
            return;
        }
        if attempt > 0 && !self.gap(format!("attempts 0 to {} are no longer kept", attempt - 1)).await {
            return;
        }
        loop {
            if self.attempt(attempt, &state).await == Ended::Unheard {
                return;
            }
            let more =
                |now: &ContainerState| now.attempt > attempt || now.over || now.gone || !self.options.follow;
            let Ok(now) = state.wait_for(more).await.map(|now| *now) else { return };
            if now.attempt <= attempt {
                return;
            }
            attempt += 1;
        }
    }

    /// One attempt: its two streams side by side where the server tells them apart, else both as one.
    async fn attempt(&self, attempt: u32, state: &watch::Receiver<ContainerState>) -> Ended {
        // A server takes `tailLines` only for both streams together.
        if self.options.tail.is_none() && self.manager.splits_streams().await {
            let has_ended = state.borrow().ended || state.borrow().attempt > attempt || !self.options.follow;
            let (stdout, stderr) = match has_ended {
                true => self.in_a_row(attempt, state).await,
                false => self.side_by_side(attempt, state).await,
            };
            match (stdout, stderr) {
                (Ended::Refused, _) | (_, Ended::Refused) => self.manager.memo.set_refuses_streams(),
                (Ended::Unheard, _) | (_, Ended::Unheard) => return Ended::Unheard,
                _ => return Ended::Done,
            }
        }
        if self.options.tail.is_none() && self.out.send(LogEvent::StreamsMerged).await.is_err() {
            return Ended::Unheard;
        }
        self.reader(attempt, None, state, &self.options, &self.out).run().await
    }

    /// Both streams as they come: what is being written is handed out at once.
    async fn side_by_side(&self, attempt: u32, state: &watch::Receiver<ContainerState>) -> (Ended, Ended) {
        let read = |stream| self.reader(attempt, Some(stream), state, &self.options, &self.out).run();
        futures::future::join(read(LogStream::Stdout), read(LogStream::Stderr)).await
    }

    /// Both streams of what was written already, in the order of their times.
    async fn in_a_row(&self, attempt: u32, state: &watch::Receiver<ContainerState>) -> (Ended, Ended) {
        let options = LogOptions { timestamps: true, ..self.options.clone() };
        let (stdout, from_stdout) = mpsc::channel(2);
        let (stderr, from_stderr) = mpsc::channel(2);
        // The readers own the senders: a side is closed when its reader has ended.
        let reader =
            |stream, out: mpsc::Sender<LogEvent>| self.reader(attempt, Some(stream), state, &options, &out);
        let (stdout, stderr) = (reader(LogStream::Stdout, stdout), reader(LogStream::Stderr, stderr));
        let both = futures::future::join(stdout.run(), stderr.run());
        let (ended, _) = futures::future::join(both, self.merge([from_stdout, from_stderr])).await;
        ended
    }

    async fn merge(&self, mut sides: [mpsc::Receiver<LogEvent>; 2]) -> Option<()> {
        let mut merger = Merger::new(self.options.timestamps);
        let mut chunk = None;
        loop {
            while let Some((side, bytes)) = merger.next() {
                let template: &LogChunk = chunk.as_ref()?;
                let stream = if side == 0 { LogStream::Stdout } else { LogStream::Stderr };
                let event = LogEvent::Chunk(LogChunk { stream, bytes, ..template.clone() });
                self.out.send(event).await.ok()?;
            }
            let side = merger.wants()?;
            match sides[side].recv().await {
                Some(LogEvent::Chunk(next)) => {
                    merger.push(side, &next.bytes);
                    chunk.get_or_insert(LogChunk { bytes: Vec::new(), ..next });
                }
                Some(other) => self.out.send(other).await.ok()?,
                None => merger.close(side),
            }
        }
    }

    fn reader(
        &self,
        attempt: u32,
        stream: Option<LogStream>,
        state: &watch::Receiver<ContainerState>,
        options: &LogOptions,
        out: &mpsc::Sender<LogEvent>,
    ) -> Reader {
        let (pod, container) = (self.pod.clone(), self.container.clone());
        let (index, pods_before) = (self.index, self.pods_before);
        let target = Target { pod, index, pods_before, container, attempt, stream };
        Reader::new(self.manager.clone(), target, options.clone(), out.clone(), state.clone())
    }

    /// Says that it waits, if its container writes meanwhile. What has ended is soon read.
    async fn say_crowd(&self, state: &watch::Receiver<ContainerState>) {
        let writes = !state.borrow().ended && self.options.follow;
        if writes {
            let (pod, index) = (self.pod.clone(), self.index);
            // Whoever no longer listens needs no turn either.
            _ = self.out.send(LogEvent::Crowded { pod, index, readers: limits::LOG_READERS }).await;
        }
    }

    async fn gap(&self, reason: String) -> bool {
        let (pod, container) = (self.pod.clone(), self.container.clone());
        self.out.send(LogEvent::Gap { pod, container, reason }).await.is_ok()
    }
}
