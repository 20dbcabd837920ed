//! Logs as a record: every container and attempt of a job, from the first byte, without loss or repetition.

mod line;
mod merge;
mod pump;
mod reader;
mod state;
mod turns;

/// What the fuzz targets ask of logs.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::line::{Cursor, Cutter};
    pub(crate) use super::merge::Merger;
}

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use windlass_manifest::tasks::{self, Numbering};
use windlass_model::Problem;

use crate::{FollowEvent, JobManager, Result};

pub(crate) use pump::Pump;

/// Which logs to read.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Goes on until the job has ended; otherwise what there is now.
    pub follow: bool,
    /// Only this container.
    pub container: Option<String>,
    /// Only the pod of this completion index.
    pub index: Option<u32>,
    /// Only the pods of the task with this number: of an array its submitter's number, else the index.
    pub task: Option<u32>,
    /// Only the last lines of each container, of both streams together: all goes to stdout.
    pub tail: Option<u32>,
    /// Only what is younger than this.
    pub since: Option<Duration>,
    /// Only the attempt before the newest, of containers that were started again.
    pub previous: bool,
    /// Each line begins with its time.
    pub timestamps: bool,
}

impl LogOptions {
    /// The same with the index of the task that is meant.
    pub(crate) fn of_task(mut self, job: &Job) -> Result<LogOptions, Problem> {
        if let Some(number) = self.task.take() {
            let wrong = |text: String| Problem::new("task", text);
            let count = tasks::task_count(job)
                .ok_or_else(|| wrong("the job is not Indexed: its tasks have no numbers".to_owned()))?;
            let index = Numbering::of(job).index(number).filter(|index| *index < count);
            let index =
                index.ok_or_else(|| wrong(format!("the job has no task {number}; it has {count} tasks")))?;
            self.index = Some(index);
        }
        Ok(self)
    }

    /// Whether the job can have pods with such logs.
    pub(crate) fn check_index(&self, job: &Job) -> Result<(), Problem> {
        let Some(spec) = &job.spec else { return Ok(()) };
        if let Some(index) = self.index {
            let count = spec.completions.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
            if spec.completion_mode.as_deref() != Some("Indexed") {
                return Err(Problem::new("index", "the job is not Indexed: its pods have no index"));
            }
            if index >= count {
                let text =
                    format!("the job has no index {index}: it has {count} completions, counted from 0");
                return Err(Problem::new("index", text));
            }
        }
        Ok(())
    }

    /// Whether one of the pods, or of those to come, has the container. A cluster may add containers to pods.
    pub(crate) fn check_container(&self, job: &Job, pods: &[Pod]) -> Result<(), Problem> {
        let template = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let specs = template.into_iter().chain(pods.iter().filter_map(|pod| pod.spec.as_ref()));
        let containers = specs.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        let names: BTreeSet<&str> = containers.map(|container| container.name.as_str()).collect();
        match &self.container {
            Some(wanted) if !names.contains(wanted.as_str()) => {
                let names: Vec<&str> = names.into_iter().collect();
                let text = format!("the job has no container {wanted:?}; it has {}", names.join(", "));
                Err(Problem::new("container", text))
            }
            _ => Ok(()),
        }
    }
}

/// Which of a process's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStream {
    /// Standard output; also everything, where the server cannot tell the two apart.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Whole lines of one container's stream (the last may lack its line end when the container ended so).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// Name of the pod.
    pub pod: String,
    /// The pod's completion index, of an Indexed job.
    pub index: Option<u32>,
    /// How many pods of the same index were made before it, of those that were there to be read; 0 without an index.
    pub pods_before: u32,
    /// Name of the container.
    pub container: String,
    /// The container's attempt inside this pod, from 0 (its restart count).
    pub attempt: u32,
    /// Which stream.
    pub stream: LogStream,
    /// The bytes as the process wrote them.
    pub bytes: Vec<u8>,
}

/// What reading logs gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// Bytes.
    Chunk(LogChunk),
    /// Something is missing here, and why. Never a reason for the job's result.
    Gap {
        /// Name of the pod.
        pod: String,
        /// Name of the container.
        container: String,
        /// Why.
        reason: String,
    },
    /// Said once: the server does not tell stdout and stderr apart, all goes to stdout.
    StreamsMerged,
    /// Said once: more containers run than are read at a time. The logs of this pod, and of more, come when others have
    /// ended. Nothing is lost unless the cluster throws a log away before its turn.
    Crowded {
        /// Name of the first pod that waits.
        pod: String,
        /// Its completion index, of an Indexed job.
        index: Option<u32>,
        /// How many containers are read at a time.
        readers: usize,
    },
}

impl LogEvent {
    /// All that there is for a user who may not list the job's pods.
    pub(crate) fn of_hidden_pods() -> LogEvent {
        let reason = "the pods of the job may not be read".to_owned();
        LogEvent::Gap { pod: String::new(), container: String::new(), reason }
    }
}

impl JobManager {
    /// The logs of all pods of a job, from the first byte. The stream ends when all is read; with `follow`, when
    /// the job has ended and all is read.
    ///
    /// A user who may not list the job's pods gets one gap.
    pub fn logs(&self, name: &str, options: LogOptions) -> BoxStream<'static, Result<LogEvent>> {
        if options.follow {
            let only_logs = |event| async move {
                match event {
                    Ok(FollowEvent::Log(event)) => Some(Ok(event)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                }
            };
            return self.follow(name, options).filter_map(only_logs).boxed();
        }
        let (manager, name) = (self.clone(), name.to_owned());
        let all = async move { manager.read_logs(&name, options).await };
        stream::once(all)
            .flat_map(|events| events.unwrap_or_else(|error| stream::iter([Err(error)]).boxed()))
            .boxed()
    }

    async fn read_logs(
        &self,
        name: &str,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogEvent>>> {
        let job = self.job(name).await?;
        options.check_index(&job)?;
        let options = options.of_task(&job)?;
        let Some(pods) = self.readable(self.pods_of(&job).await, name)? else {
            return Ok(stream::iter([Ok(LogEvent::of_hidden_pods())]).boxed());
        };
        options.check_container(&job, &pods)?;
        let mut pump = Pump::new(self, options);
        pump.see(pods.iter());
        Ok(stream::unfold(pump, |mut pump| async move { Some((Ok(pump.next().await?), pump)) }).boxed())
    }

    /// Whether the server can tell stdout and stderr apart, as far as its version says: one before 1.32 takes the
    /// question for no question and answers with both (KEP 3288).
    pub(crate) async fn splits_streams(&self) -> bool {
        !self.memo.refuses_streams() && self.version().await.is_ok_and(|version| version >= (1, 32))
    }
}
