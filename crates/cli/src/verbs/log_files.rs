//! `--log-dir`: the output of each task in a file of its own, as it comes.
//!
//! A file is emptied when the first bytes of its task come; each further attempt begins with a line that says so.
//! However many tasks write at once, a bounded number of files is open.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use k8s_openapi::api::batch::v1::Job;
use windlass::manifest::tasks::Numbering;
use windlass::{LogChunk, LogEvent};

use crate::fail::{Failure, Outcome};
use crate::out::Notes;
use crate::print::plain;
use crate::random;

/// Files that are open at a time.
const OPEN: usize = 64;
/// Gaps that are said one by one.
const GAPS: u32 = 5;

/// A directory for logs.
pub(super) struct LogFiles {
    directory: PathBuf,
    notes: Notes,
    numbering: Numbering,
    /// The container that is the task itself.
    payload: Option<String>,
    files: BTreeMap<String, Written>,
    /// Those that are open, the longest unused first.
    open: VecDeque<String>,
    gaps: u32,
}

/// What was written to a file.
struct Written {
    file: Option<File>,
    /// The last attempt: pod and restart.
    attempt: (String, u32),
    attempts: u32,
    /// The last byte ended a line.
    is_at_begin: bool,
}

impl LogFiles {
    /// Makes the directory if it is not there, and makes sure that it takes files.
    ///
    /// # Errors
    /// It cannot be made, or takes none.
    pub(super) fn open(directory: &Path, notes: Notes) -> Outcome<LogFiles> {
        let fault = |error: std::io::Error| {
            Failure::new("--log-dir", format!("{}: {error}", directory.display()))
                .way_out("nothing was submitted; choose a directory that you may write to")
        };
        std::fs::create_dir_all(directory).map_err(fault)?;
        let trial = directory.join(format!(".windlass-{}", random::id()));
        File::create_new(&trial).and_then(|_| std::fs::remove_file(&trial)).map_err(fault)?;
        let (directory, numbering) = (directory.to_owned(), Numbering::default());
        let (files, open) = (BTreeMap::new(), VecDeque::new());
        Ok(LogFiles { directory, notes, numbering, payload: None, files, open, gaps: 0 })
    }

    /// The same for this job: its tasks have their own numbers.
    pub(super) fn of_job(mut self, job: &Job) -> LogFiles {
        let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        self.payload = pod.and_then(|pod| pod.containers.first()).map(|container| container.name.clone());
        self.numbering = Numbering::of(job);
        self
    }

    /// Writes what came.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn take(&mut self, event: &LogEvent) -> Outcome<()> {
        match event {
            LogEvent::Chunk(chunk) => {
                let name = self.name(chunk);
                self.write(&name, chunk).map_err(|error| {
                    Failure::new("--log-dir", format!("{}: {error}", self.directory.join(name).display()))
                })
            }
            LogEvent::Gap { pod, container, reason } => {
                self.gaps += 1;
                match self.gaps {
                    ..=GAPS => self
                        .notes
                        .say(&format!("some output of {pod}/{container} is missing: {}", plain(reason))),
                    n if n == GAPS + 1 => self.notes.say("more output is missing"),
                    _ => {}
                }
                Ok(())
            }
            // A file has both in any case.
            LogEvent::StreamsMerged => Ok(()),
        }
    }

    /// `NUMBER.log`; a container beside the task's own is named.
    fn name(&self, chunk: &LogChunk) -> String {
        let task = match chunk.index {
            Some(index) => self.numbering.number(index).to_string(),
            None => chunk.pod.clone(),
        };
        match &self.payload {
            Some(payload) if *payload != chunk.container => format!("{task}.{}.log", chunk.container),
            _ => format!("{task}.log"),
        }
    }

    fn write(&mut self, name: &str, chunk: &LogChunk) -> std::io::Result<()> {
        self.make_room(name);
        let path = self.directory.join(name);
        let attempt = (chunk.pod.clone(), chunk.attempt);
        let is_known = self.files.contains_key(name);
        let written = self.files.entry(name.to_owned()).or_insert_with(|| Written {
            file: None,
            attempt: attempt.clone(),
            attempts: 1,
            is_at_begin: true,
        });
        let mut file = match written.file.take() {
            Some(file) => file,
            None if is_known => OpenOptions::new().append(true).create(true).open(&path)?,
            None => File::create(&path)?,
        };
        if written.attempt != attempt {
            written.attempt = attempt;
            written.attempts += 1;
            let end = if written.is_at_begin { "" } else { "\n" };
            writeln!(file, "{end}[windlass: attempt {}, pod {}]", written.attempts, chunk.pod)?;
        }
        file.write_all(&chunk.bytes)?;
        written.is_at_begin = chunk.bytes.last().is_none_or(|byte| *byte == b'\n');
        written.file = Some(file);
        Ok(())
    }

    /// Closes the longest unused file if one more would be too many; this one is then the last used.
    fn make_room(&mut self, name: &str) {
        self.open.retain(|open| open != name);
        if self.open.len() >= OPEN
            && let Some(oldest) = self.open.pop_front()
            && let Some(written) = self.files.get_mut(&oldest)
        {
            written.file = None;
        }
        self.open.push_back(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use windlass::LogStream;

    use super::*;

    fn chunk(index: Option<u32>, pod: &str, container: &str, text: &str) -> LogEvent {
        LogEvent::Chunk(LogChunk {
            pod: pod.into(),
            index,
            container: container.into(),
            attempt: 0,
            stream: LogStream::Stdout,
            bytes: text.into(),
        })
    }

    fn files(directory: &Path) -> LogFiles {
        let mut files = LogFiles::open(directory, Notes { quiet: true }).unwrap();
        files.payload = Some("main".into());
        files
    }

    #[test]
    fn each_task_has_a_file_and_its_attempts_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("3.log"), "of an earlier run").unwrap();
        let mut files = files(&dir.path().join("."));
        for (pod, container, text) in
            [("p", "main", "one\n"), ("p", "side", "beside\n"), ("p", "main", "cut"), ("q", "main", "two\n")]
        {
            files.take(&chunk(Some(3), pod, container, text)).unwrap();
        }
        files.take(&chunk(None, "lonely-x", "main", "alone\n")).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("3.log"), "one\ncut\n[windlass: attempt 2, pod q]\ntwo\n");
        assert_eq!((read("3.side.log"), read("lonely-x.log")), ("beside\n".into(), "alone\n".into()));
    }

    #[test]
    fn a_bounded_number_of_files_is_open_and_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(dir.path());
        for text in ["first\n", "second\n"] {
            for task in 0..3 * OPEN as u32 {
                files.take(&chunk(Some(task), "p", "main", text)).unwrap();
            }
        }
        assert_eq!(files.files.values().filter(|written| written.file.is_some()).count(), OPEN);
        for task in 0..3 * OPEN {
            let text = std::fs::read_to_string(dir.path().join(format!("{task}.log"))).unwrap();
            assert_eq!(text, "first\nsecond\n");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let failure = LogFiles::open(&file.join("logs"), Notes { quiet: true }).err().unwrap();
        assert!(failure.to_string().contains("nothing was submitted"), "{failure}");
    }
}
