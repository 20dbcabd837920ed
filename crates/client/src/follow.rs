//! Follow: status and logs of one job in one stream that ends with its outcome.

use futures::future::{self, BoxFuture, Either};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use windlass_manifest::JobStatus;

use crate::attention::{Attention, Due};
use crate::feed::{Feed, Sight};
use crate::logs::Pump;
use crate::{JobManager, LogEvent, LogOptions, Outcome, Result, Submitted, limits};

/// What happens while a job is followed.
#[derive(Clone, Debug, PartialEq)]
pub enum FollowEvent {
    /// The status changed.
    Status(Box<JobStatus>),
    /// Something of the logs.
    Log(LogEvent),
    /// It has waited for 30 s ([`JobManager::giving_up_after`]) for what never resolves itself. Said once; nothing is
    /// done about it.
    Stuck(Box<JobStatus>),
    /// Its payload ended 10 s ago, and other containers keep its pod running. Said once; the job goes on.
    Outlived(Box<Outcome>),
    /// The job has ended and all its logs were handed out. The last event.
    Ended(Box<Outcome>),
}

impl JobManager {
    /// Follows a job to its end. The stream ends after `Ended`, or after an error. Logs are handed out in full
    /// before `Ended`; a fault of theirs is a gap and changes nothing else.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/engine.inc"));
    /// # fn main() { with_engine(async |jobs, _folder| {
    /// use futures::StreamExt;
    /// use windlass::manifest::{Base, make};
    /// use windlass::model::{JobRequest, Place};
    /// use windlass::{FollowEvent, LogEvent, LogOptions, SubmitOptions};
    ///
    /// let command = ["sh", "-c", "echo one; echo two"].map(str::to_owned).to_vec();
    /// let manifest = make(&Base::Request(Box::new(JobRequest::new(command, Place::Host))), &[])?;
    /// let job = jobs.submit(&manifest, &SubmitOptions::default()).await?;
    ///
    /// let mut events = jobs.follow(&job.name, LogOptions::default());
    /// let mut output = Vec::new();
    /// while let Some(event) = events.next().await {
    ///     match event? {
    ///         FollowEvent::Log(LogEvent::Chunk(chunk)) => output.extend(chunk.bytes),
    ///         FollowEvent::Log(LogEvent::Gap { reason, .. }) => eprintln!("missing: {reason}"),
    ///         FollowEvent::Log(LogEvent::StreamsMerged) => eprintln!("stderr comes on stdout"),
    ///         FollowEvent::Log(LogEvent::Crowded { pod, .. }) => eprintln!("the output of {pod} comes later"),
    ///         FollowEvent::Status(status) => eprintln!("{}", status.verdict.text),
    ///         FollowEvent::Stuck(status) => eprintln!("waits in vain: {}", status.verdict.text),
    ///         FollowEvent::Outlived(_) => eprintln!("its other containers live on"),
    ///         FollowEvent::Ended(outcome) => assert_eq!(outcome.exit.code(), 0),
    ///     }
    /// }
    /// assert_eq!(output, b"one\ntwo\n");
    /// # Ok(()) }); }
    /// ```
    pub fn follow(&self, name: &str, options: LogOptions) -> BoxStream<'static, Result<FollowEvent>> {
        let (manager, name) = (self.clone(), name.to_owned());
        let follower = async move {
            let feed = Feed::open(&manager, &name, true).await?;
            options.check_index(feed.job())?;
            let options = options.of_task(feed.job())?;
            Ok(Follower::new(manager, feed, options))
        };
        stream::once(follower).flat_map(events).boxed()
    }

    /// Follows a job that was just submitted, as [`JobManager::follow`] does, without asking for it again.
    pub fn follow_submitted(
        &self,
        submitted: &Submitted,
        options: LogOptions,
    ) -> BoxStream<'static, Result<FollowEvent>> {
        let manager = self.in_namespace(&submitted.namespace);
        let feed = Feed::of_submitted(&manager, submitted);
        events(Ok(Follower::new(manager, feed, options)))
    }

    /// Follows a job that was just submitted, as [`JobManager::follow_submitted`] does, and reads no log.
    pub fn follow_without_logs(&self, submitted: &Submitted) -> BoxStream<'static, Result<FollowEvent>> {
        let manager = self.in_namespace(&submitted.namespace);
        let feed = Feed::of_submitted(&manager, submitted);
        let mut follower = Follower::new(manager, feed, LogOptions::default());
        (follower.reads_logs, follower.is_gap_said) = (false, true);
        events(Ok(follower))
    }
}

fn events(follower: Result<Follower>) -> BoxStream<'static, Result<FollowEvent>> {
    match follower {
        Err(error) => stream::iter([Err(error)]).boxed(),
        Ok(follower) => stream::unfold(Some(follower), |state| async move {
            let mut follower = state?;
            let event = follower.next().await;
            let is_last = matches!(event, Err(_) | Ok(FollowEvent::Ended(_)));
            Some((event, (!is_last).then_some(follower)))
        })
        .boxed(),
    }
}

struct Follower {
    manager: JobManager,
    feed: Feed,
    pump: Pump,
    /// As long as no pod was seen: a cluster may add containers to pods, so the template does not tell them all.
    unchecked: Option<LogOptions>,
    last: Option<JobStatus>,
    attention: Attention,
    reads_logs: bool,
    /// It was said that the pods may not be read.
    is_gap_said: bool,
    /// Log events handed out since the job was last looked at.
    logs: usize,
    /// Known once the job has ended; logs may still be on their way.
    outcome: Option<Outcome>,
}

impl Follower {
    fn new(manager: JobManager, feed: Feed, options: LogOptions) -> Self {
        let unchecked = options.container.is_some().then(|| options.clone());
        let pump = Pump::new(&manager, LogOptions { follow: true, ..options });
        let mut attention = Attention::new(manager.stuck_after);
        // Of a new job no first list is read: what keeps its cluster from doing anything brings no change either.
        attention.see(&feed.status(), manager.world.instant());
        let (last, outcome, logs) = (None, None, 0);
        let (reads_logs, is_gap_said) = (true, false);
        Follower { manager, feed, pump, unchecked, last, attention, reads_logs, is_gap_said, logs, outcome }
    }

    async fn next(&mut self) -> Result<FollowEvent> {
        loop {
            if self.feed.is_forbidden() && !std::mem::replace(&mut self.is_gap_said, true) {
                return Ok(FollowEvent::Log(LogEvent::of_hidden_pods()));
            }
            if let Some(outcome) = &self.outcome {
                let outcome = outcome.clone();
                return Ok(self
                    .drain()
                    .await
                    .map_or_else(|| FollowEvent::Ended(Box::new(outcome)), FollowEvent::Log));
            }
            // A job that never stops writing is looked after all the same; and when it has ended, the question how is
            // not asked anew with every line.
            let has_ended = self.feed.has_ended();
            let is_turn = self.logs >= limits::LOGS_IN_A_ROW && !has_ended;
            let (is_idle, due) = (self.pump.is_idle() || is_turn || has_ended, self.due());
            let rest = async {
                // Whoever waits for nothing is heard now or not at all.
                if is_turn { tokio::task::yield_now().await } else { future::pending().await }
            };
            let sight = tokio::select! {
                biased;
                log = self.pump.next(), if !is_idle => match log {
                    Some(event) => {
                        self.logs += 1;
                        return Ok(FollowEvent::Log(event));
                    }
                    None => continue,
                },
                sight = self.feed.next() => sight?,
                () = due => match self.attend().await {
                    Some(event) => return Ok(event),
                    None => continue,
                },
                () = rest => Sight::Nothing,
            };
            self.logs = 0;
            if let Some(options) = self.unchecked.take_if(|_| !self.feed.pods().is_empty()) {
                options.check_container(self.feed.job(), self.feed.pods())?;
            }
            if let Some(event) = self.see(sight) {
                return Ok(event);
            }
        }
    }

    /// Ends when something is due; of a job that has ended only the end is still to be told.
    fn due(&self) -> BoxFuture<'static, ()> {
        match self.attention.next().filter(|_| !self.feed.has_ended()) {
            Some(at) => self.manager.world.sleep(at.saturating_duration_since(self.manager.world.instant())),
            None => future::pending().boxed(),
        }
    }

    /// Does what is due.
    async fn attend(&mut self) -> Option<FollowEvent> {
        // It may have ended in this very moment: its pods are read first, else its exit code and its logs were lost.
        if self.feed.has_ended() {
            return None;
        }
        match self.attention.take(self.manager.world.instant())? {
            Due::Look => {
                let status = self.feed.look().await;
                self.see(Sight::Status(Box::new(status)))
            }
            Due::Stuck => self.last.clone().map(|status| FollowEvent::Stuck(Box::new(status))),
            Due::Outlived => {
                let status = self.last.as_ref()?;
                let outcome = Outcome::of_payload(status.payload.as_ref()?, status);
                Some(FollowEvent::Outlived(Box::new(outcome)))
            }
        }
    }

    fn see(&mut self, sight: Sight) -> Option<FollowEvent> {
        let Sight::Status(status) = sight else { return None };
        if self.reads_logs {
            self.pump.see(self.feed.pods().iter());
        }
        if let Some(outcome) = Outcome::of((*status).clone()) {
            self.pump.close();
            self.outcome = Some(outcome);
        }
        self.attention.see(&status, self.manager.world.instant());
        if self.last.as_ref() == Some(&*status) {
            return None;
        }
        self.last = Some((*status).clone());
        Some(FollowEvent::Status(status))
    }

    /// What is left of the logs after the job's end, as long as it keeps coming.
    async fn drain(&mut self) -> Option<LogEvent> {
        loop {
            let silence = self.manager.world.sleep(limits::LOG_SILENCE);
            if let Either::Left((event, _)) = future::select(std::pin::pin!(self.pump.next()), silence).await
            {
                return event;
            }
            // What waits behind a log that does not come is read before all is given up.
            if !self.pump.release() {
                break;
            }
        }
        let reason =
            format!("the rest did not come within {} s of the job's end", limits::LOG_SILENCE.as_secs());
        self.pump.abandon().then_some(LogEvent::Gap { pod: String::new(), container: String::new(), reason })
    }
}
