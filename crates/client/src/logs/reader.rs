//! Reads one attempt's log, or one of its two streams, to its end: reconnected without loss or repetition.

use std::time::{Duration, Instant};

use futures::future::{self, Either};
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::sync::{mpsc, watch};

use super::line::{Cursor, Cutter};
use super::state::ContainerState;
use super::{LogChunk, LogEvent, LogOptions, LogStream};
use crate::patience::Patience;
use crate::transport::{Call, Fault, segment};
use crate::{JobManager, limits};

/// What is said where the log no longer goes back to what was handed out.
const CUT: &str = "the server has thrown away a part of it";

/// The trailer by which the engine says that a followed log is complete (`apiserver/src/http/pod.rs`). Elsewhere a log
/// that ends may only have lost its connection, and is asked for once more when its container has ended.
const COMPLETE: &str = "windlass-log-complete";

/// Which log.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) pod: String,
    pub(crate) index: Option<u32>,
    pub(crate) pods_before: u32,
    pub(crate) container: String,
    pub(crate) attempt: u32,
    /// One of the two streams; `None` is both, as one.
    pub(crate) stream: Option<LogStream>,
}

/// How reading ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All of it was handed out, or what is missing is marked.
    Done,
    /// The server does not tell the two streams apart; nothing was handed out.
    Refused,
    /// Nobody listens.
    Unheard,
}

pub(crate) struct Reader {
    pub(crate) manager: JobManager,
    pub(crate) target: Target,
    pub(crate) options: LogOptions,
    pub(crate) out: mpsc::Sender<LogEvent>,
    pub(crate) state: watch::Receiver<ContainerState>,
    cursor: Cursor,
    patience: Patience,
    /// How often it was asked in vain for more of a log that goes on.
    vain: u32,
    /// What the last connection brought behind the last whole line. It comes again if the log is read again.
    rest: Vec<LogEvent>,
    begun: Instant,
}

/// What a connection brings.
enum Piece {
    Bytes(bytes::Bytes),
    Complete,
}

/// What one connection came to.
enum Connection {
    /// The server sent all it had.
    Whole,
    /// The same, and it says that nothing comes after it.
    Complete,
    /// It broke off.
    Broken(String),
    Unheard,
}

impl Reader {
    pub(crate) fn new(
        manager: JobManager,
        target: Target,
        options: LogOptions,
        out: mpsc::Sender<LogEvent>,
        state: watch::Receiver<ContainerState>,
    ) -> Self {
        let cursor = Cursor::new(options.tail.is_none() && options.since.is_none());
        let patience = Patience::new(limits::STREAM_BUDGET);
        let begun = manager.world.instant();
        Reader { manager, target, options, out, state, cursor, patience, vain: 0, rest: Vec::new(), begun }
    }

    /// Reads to the end.
    pub(crate) async fn run(mut self) -> Ended {
        let (mut was_whole, mut was_there) = (false, false);
        loop {
            let before = *self.state.borrow_and_update();
            let previous = match before.attempt.saturating_sub(self.target.attempt) {
                0 => false,
                1 => true,
                _ if was_whole => return self.done().await,
                _ => return self.gap("a later attempt has taken its log's place").await,
            };
            let ended = previous || before.ended;
            let follow = self.options.follow && !ended && !before.gone;
            let body = match self.manager.open(&self.call(previous, follow)).await {
                Ok(response) => response.into_body(),
                Err(fault) if self.is_refusal(&fault) => return Ended::Refused,
                // 400: the container is not as far as its pod's status said. 404 of a log that was there: a kubelet
                // that was started again does not know its pods at once, and they run on.
                Err(fault)
                    if fault.may_pass()
                        || fault.code == 400 && !ended
                        || fault.code == 404 && was_there && !ended && !before.gone =>
                {
                    match self.wait_a_little(&fault).await {
                        true => continue,
                        false => return self.gap(&fault.message).await,
                    }
                }
                Err(_) if was_whole => return self.done().await,
                Err(fault) => return self.gap(&fault.message).await,
            };
            was_there = true;
            let last = ended || !self.options.follow || before.gone;
            match self.read(body, follow, last).await {
                Connection::Unheard => return Ended::Unheard,
                Connection::Complete => return Ended::Done,
                Connection::Whole if last => return Ended::Done,
                Connection::Whole if self.state.borrow().over && self.state.borrow().gone => {
                    return self.done().await;
                }
                Connection::Whole => {
                    was_whole = true;
                    let pause = limits::FIRST_PAUSE.saturating_mul(8 << self.vain.min(8));
                    self.vain += 1;
                    self.wait_for_news(pause.min(limits::LONGEST_PAUSE)).await;
                }
                Connection::Broken(reason) => {
                    let (pod, container) = (&self.target.pod, &self.target.container);
                    tracing::debug!(pod, container, reason, "log lost");
                    was_whole = false;
                    if !self.wait_a_little(&Fault::silent(&reason)).await {
                        return self.gap(&reason).await;
                    }
                }
            }
        }
    }

    fn call(&self, previous: bool, follow: bool) -> Call {
        let pod = self.manager.core_path("pods");
        let call = Call::get(format!("{pod}/{}/log", segment(&self.target.pod)))
            .query("container", &self.target.container)
            .query("timestamps", "true")
            .query_if("follow", follow.then_some("true"))
            .query_if("previous", previous.then_some("true"))
            .query_if("stream", self.target.stream.map(name));
        if let Some(since) = self.cursor.since() {
            return call.query("sinceTime", &since);
        }
        // Of a moment that does not move: the later the question, the longer ago it is.
        let waited = self.manager.world.instant().saturating_duration_since(self.begun);
        let waited = waited.as_secs() + u64::from(waited.subsec_nanos() > 0);
        let seconds = self.options.since.map(|since| (since.as_secs().max(1) + waited).to_string());
        let tail = self.options.tail.map(|lines| lines.to_string());
        call.query_if("sinceSeconds", seconds.as_deref()).query_if("tailLines", tail.as_deref())
    }

    /// A server that knows the question and does not answer it: 422 from the API server, 400 from a kubelet.
    fn is_refusal(&self, fault: &Fault) -> bool {
        let about_streams = fault.code == 422 || fault.code == 400 && fault.message.contains("stream");
        self.target.stream.is_some() && self.cursor.is_fresh() && about_streams
    }

    /// Hands out what a connection brings. `last` says that nothing comes after what the server sends.
    async fn read(&mut self, mut body: Body, follow: bool, last: bool) -> Connection {
        self.rest.clear();
        let mut cutter = Cutter::new(std::mem::take(&mut self.cursor), self.options.timestamps);
        let mut silence = follow.then(|| self.state.clone());
        let result = loop {
            let mut out = Vec::new();
            match self.frame(&mut body, &mut silence).await {
                Some(Ok(Piece::Complete)) => break Connection::Complete,
                Some(Ok(Piece::Bytes(bytes))) => {
                    self.patience.renewed();
                    self.vain = 0;
                    for part in bytes.chunks(limits::LOG_CHUNK) {
                        cutter.take(part, &mut out);
                        if cutter.is_cut() && !self.say_gap(CUT.to_owned()).await {
                            return Connection::Unheard;
                        }
                        if !self.say_gaps(&mut cutter).await || !self.send(std::mem::take(&mut out)).await {
                            return Connection::Unheard;
                        }
                    }
                }
                Some(Err(reason)) => break Connection::Broken(reason),
                None => break Connection::Whole,
            }
        };
        self.cursor = cutter.cursor();
        let is_complete = matches!(result, Connection::Complete);
        if is_complete || matches!(result, Connection::Whole) {
            let mut out = Vec::new();
            let cursor = cutter.finish(&mut out);
            self.rest = cutter.gaps().into_iter().map(|reason| self.gap_of(reason)).collect();
            self.rest.extend(self.chunk(out));
            if last || is_complete {
                self.cursor = cursor;
                if self.done().await == Ended::Unheard {
                    return Connection::Unheard;
                }
            }
        }
        result
    }

    /// Nothing comes after what the last connection brought.
    async fn done(&mut self) -> Ended {
        for event in std::mem::take(&mut self.rest) {
            if self.out.send(event).await.is_err() {
                return Ended::Unheard;
            }
        }
        Ended::Done
    }

    /// The next bytes. A connection that stays silent long after its container has ended counts as broken.
    async fn frame(
        &self,
        body: &mut Body,
        state: &mut Option<watch::Receiver<ContainerState>>,
    ) -> Option<Result<Piece, String>> {
        loop {
            let frame = match state {
                Some(state) => {
                    let attempt = self.target.attempt;
                    let world = &self.manager.world;
                    let stale = async {
                        let ended = |now: &ContainerState| now.ended || now.gone || now.attempt > attempt;
                        if state.wait_for(ended).await.is_err() {
                            future::pending::<()>().await;
                        }
                        world.sleep(limits::LOG_DRAIN).await;
                    };
                    match future::select(body.frame(), std::pin::pin!(stale)).await {
                        Either::Left((frame, _)) => frame,
                        Either::Right(_) => {
                            return Some(Err("the log stays open after its container's end".to_owned()));
                        }
                    }
                }
                // All of it is there: it should come.
                None => match future::select(body.frame(), self.manager.world.sleep(limits::REQUEST)).await {
                    Either::Left((frame, _)) => frame,
                    Either::Right(_) => return Some(Err("the log stops in the middle".to_owned())),
                },
            };
            match frame? {
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => return Some(Ok(Piece::Bytes(bytes))),
                    Err(frame) if frame.trailers_ref().is_some_and(|said| said.contains_key(COMPLETE)) => {
                        return Some(Ok(Piece::Complete));
                    }
                    Err(_other_trailers) => {}
                },
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }

    async fn send(&self, bytes: Vec<u8>) -> bool {
        match self.chunk(bytes) {
            Some(event) => self.out.send(event).await.is_ok(),
            None => true,
        }
    }

    fn chunk(&self, bytes: Vec<u8>) -> Option<LogEvent> {
        if bytes.is_empty() {
            return None;
        }
        Some(LogEvent::Chunk(LogChunk {
            pod: self.target.pod.clone(),
            index: self.target.index,
            pods_before: self.target.pods_before,
            container: self.target.container.clone(),
            attempt: self.target.attempt,
            stream: self.target.stream.unwrap_or(LogStream::Stdout),
            bytes,
        }))
    }

    async fn gap(&self, reason: &str) -> Ended {
        if self.say_gap(reason.to_owned()).await { Ended::Done } else { Ended::Unheard }
    }

    async fn say_gap(&self, reason: String) -> bool {
        self.out.send(self.gap_of(reason)).await.is_ok()
    }

    fn gap_of(&self, reason: String) -> LogEvent {
        let (pod, container) = (self.target.pod.clone(), self.target.container.clone());
        LogEvent::Gap { pod, container, reason }
    }

    /// What the server says is missing.
    async fn say_gaps(&self, cutter: &mut Cutter) -> bool {
        for gap in cutter.gaps() {
            if !self.say_gap(gap).await {
                return false;
            }
        }
        true
    }

    /// Waits before the next try, or until the container's state changes; false if there is no point in one.
    async fn wait_a_little(&mut self, fault: &Fault) -> bool {
        let Some(pause) = self.manager.pause(&mut self.patience, fault) else { return false };
        if fault.code == 400 {
            self.wait_for_news(pause).await;
        } else {
            self.manager.world.sleep(pause).await;
        }
        true
    }

    /// Waits until the container's state changes, or a little while: the status follows the log's end.
    async fn wait_for_news(&mut self, pause: Duration) {
        let pause = self.manager.world.sleep(pause);
        let changed = std::pin::pin!(self.state.changed());
        future::select(changed, pause).await;
    }
}

fn name(stream: LogStream) -> &'static str {
    match stream {
        LogStream::Stdout => "Stdout",
        LogStream::Stderr => "Stderr",
    }
}
