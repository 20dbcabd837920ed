//! Follow: status and logs of one job in one stream that ends with its outcome.

use futures::StreamExt;
use futures::future::{self, Either};
use futures::stream::{self, BoxStream};
use windlass_manifest::JobStatus;

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
    /// The job has ended and all its logs were handed out. The last event.
    Ended(Box<Outcome>),
}

impl JobManager {
    /// Follows a job to its end. The stream ends after `Ended`, or after an error. Logs are handed out in full
    /// before `Ended`; a fault of theirs is a gap and changes nothing else.
    pub fn follow(&self, name: &str, options: LogOptions) -> BoxStream<'static, Result<FollowEvent>> {
        let (manager, name) = (self.clone(), name.to_owned());
        let follower = async move {
            let feed = Feed::open(&manager, &name, true).await?;
            options.check_index(feed.job())?;
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
        let feed = match submitted.is_new {
            true => Feed::of_new(&manager, submitted.job.clone()),
            false => Feed::of(&manager, submitted.job.clone(), true),
        };
        events(Ok(Follower::new(manager, feed, options)))
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
    /// It was said that the pods may not be read.
    is_gap_said: bool,
    /// Known once the job has ended; logs may still be on their way.
    outcome: Option<Outcome>,
}

impl Follower {
    fn new(manager: JobManager, feed: Feed, options: LogOptions) -> Self {
        let unchecked = options.container.is_some().then(|| options.clone());
        let pump = Pump::new(&manager, LogOptions { follow: true, ..options });
        Follower { manager, feed, pump, unchecked, last: None, is_gap_said: false, outcome: None }
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
            let sight = {
                let feed = std::pin::pin!(self.feed.next());
                if self.pump.is_idle() {
                    feed.await?
                } else {
                    let log = std::pin::pin!(self.pump.next());
                    match future::select(log, feed).await {
                        Either::Left((Some(event), _)) => return Ok(FollowEvent::Log(event)),
                        Either::Left((None, _)) => continue,
                        Either::Right((sight, _)) => sight?,
                    }
                }
            };
            if let Some(options) = self.unchecked.take_if(|_| !self.feed.pods().is_empty()) {
                options.check_container(self.feed.job(), self.feed.pods())?;
            }
            if let Some(event) = self.see(sight) {
                return Ok(event);
            }
        }
    }

    fn see(&mut self, sight: Sight) -> Option<FollowEvent> {
        let Sight::Status(status) = sight else { return None };
        self.pump.see(self.feed.pods().iter());
        if let Some(outcome) = Outcome::of((*status).clone()) {
            self.pump.close();
            self.outcome = Some(outcome);
        }
        if self.last.as_ref() == Some(&*status) {
            return None;
        }
        self.last = Some((*status).clone());
        Some(FollowEvent::Status(status))
    }

    /// What is left of the logs after the job's end, as long as it keeps coming.
    async fn drain(&mut self) -> Option<LogEvent> {
        let silence = self.manager.world.sleep(limits::LOG_SILENCE);
        match future::select(std::pin::pin!(self.pump.next()), silence).await {
            Either::Left((event, _)) => return event,
            Either::Right(_) => {}
        }
        let reason =
            format!("the rest did not come within {} s of the job's end", limits::LOG_SILENCE.as_secs());
        self.pump.abandon().then_some(LogEvent::Gap { pod: String::new(), container: String::new(), reason })
    }
}
