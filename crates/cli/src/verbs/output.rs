//! Where the output of a followed job goes: to this process's streams, to a file a task, to both, or nowhere.
//!
//! One process's output is `run`'s own. That of several numbered tasks comes with their numbers in front; that of an
//! array's tasks, of which there may be thousands, only when it is asked for.

use k8s_openapi::api::batch::v1::Job;
use windlass::LogEvent;
use windlass::manifest::tasks::{Numbering, task_count};

use super::log_files::LogFiles;
use super::pump::Pump;
use crate::args::high::RunOptions;
use crate::fail::Outcome;
use crate::out::Notes;

/// Where it goes.
#[derive(Default)]
pub(super) struct Output {
    pump: Option<Pump>,
    files: Option<LogFiles>,
}

impl Output {
    /// That of a job. `files` is the directory that was asked for.
    ///
    /// # Errors
    /// No descriptor is left; a file of an earlier run cannot be removed.
    pub(super) fn of(
        options: &RunOptions,
        files: Option<LogFiles>,
        job: &Job,
        notes: Notes,
    ) -> Outcome<Output> {
        let numbering = Numbering::of(job);
        let several = task_count(job).is_some_and(|count| count > 1);
        let is_shown = options.logs || options.log_dir.is_none() && !(several && numbering.keeps_numbers());
        let pump = is_shown.then(|| Pump::new(notes, several || options.logs)).transpose()?;
        let pump = pump.map(|pump| pump.with_numbers(numbering));
        Ok(Output { pump, files: files.map(|files| files.of_job(job)).transpose()? })
    }

    /// Whether there is any use in reading the job's logs.
    pub(super) fn is_wanted(&self) -> bool {
        self.pump.is_some() || self.files.is_some()
    }

    /// Writes what came.
    ///
    /// # Errors
    /// A silent failure if the reader of stdout is gone, a loud one if a file cannot be written.
    pub(super) async fn take(&mut self, event: LogEvent) -> Outcome<()> {
        // What is said of it is said once.
        if let Some(files) = &mut self.files
            && (self.pump.is_none() || matches!(event, LogEvent::Chunk(_)))
        {
            files.take(&event)?;
        }
        match &mut self.pump {
            Some(pump) => pump.take(event).await,
            None => Ok(()),
        }
    }
}
