//! `--log-dir`: the output of each task in a file of its own, as it comes.
//!
//! What an earlier run left of this job's tasks is taken away as soon as it is known which they are: a task that prints
//! nothing has no file. Each further attempt begins with a line that says so.
//! However many tasks write at once, a bounded number of files is open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use k8s_openapi::api::batch::v1::Job;
use windlass::manifest::tasks::{Numbering, task_count};
use windlass::{LogChunk, LogEvent};

use super::pump::crowded;
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
    /// The attempts that wrote, pod and restart, with their numbers; and the place of the last.
    attempts: Vec<((String, u32), u32)>,
    last: usize,
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

    /// The same for this job: its tasks have their own numbers. Takes their files of an earlier run away.
    ///
    /// # Errors
    /// One of them cannot be removed.
    pub(super) fn of_job(mut self, job: &Job) -> Outcome<LogFiles> {
        let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        let containers =
            pod.into_iter().flat_map(|pod| pod.containers.iter().chain(pod.init_containers.iter().flatten()));
        let containers: BTreeSet<&str> = containers.map(|container| container.name.as_str()).collect();
        self.payload = pod.and_then(|pod| pod.containers.first()).map(|container| container.name.clone());
        self.numbering = Numbering::of(job);
        let count = task_count(job).unwrap_or(0);
        let is_ours = |name: &str| {
            let name = name.strip_suffix(".log")?;
            let (number, container) =
                name.split_once('.').map_or((name, None), |(number, container)| (number, Some(container)));
            let index = self.numbering.index(number.parse().ok()?)?;
            // `007.log` is somebody else's.
            let is_task = index < count && number == self.numbering.number(index).to_string();
            (is_task && container.is_none_or(|name| containers.contains(name))).then_some(())
        };
        self.clear(|name| is_ours(name).is_some()).map_err(|(path, error)| {
            let cause = format!("{}: a file of an earlier run is in the way: {error}", path.display());
            Failure::new("--log-dir", cause)
        })?;
        Ok(self)
    }

    /// Removes the files with such names.
    fn clear(&self, is_old: impl Fn(&str) -> bool) -> Result<(), (PathBuf, std::io::Error)> {
        let fault = |error| (self.directory.clone(), error);
        for entry in std::fs::read_dir(&self.directory).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entry.file_name().to_str().is_some_and(&is_old) {
                match std::fs::remove_file(entry.path()) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err((entry.path(), error)),
                    _ => {}
                }
            }
        }
        Ok(())
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
            LogEvent::Crowded { pod, index, readers } => {
                self.notes.say(&crowded(pod, *index, *readers, &self.numbering));
                Ok(())
            }
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
        let is_known = self.files.contains_key(name);
        let written = self.files.entry(name.to_owned()).or_insert_with(|| Written {
            file: None,
            attempts: Vec::new(),
            last: 0,
            is_at_begin: true,
        });
        let mut file = match written.file.take() {
            Some(file) => file,
            None if is_known => OpenOptions::new().append(true).create(true).open(&path)?,
            None => File::create(&path)?,
        };
        if let Some(number) = written.other_attempt(chunk) {
            let end = if written.is_at_begin { "" } else { "\n" };
            writeln!(file, "{end}[windlass: attempt {number}, pod {}]", chunk.pod)?;
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

impl Written {
    /// The number of the attempt that these bytes are of, if it has to be told: another one than that of the bytes
    /// before them, or not the first. One that wrote nothing counts.
    fn other_attempt(&mut self, chunk: &LogChunk) -> Option<u32> {
        let is_it =
            |((pod, restart), _): &((String, u32), u32)| *pod == chunk.pod && *restart == chunk.attempt;
        if self.attempts.get(self.last).is_some_and(is_it) {
            return None;
        }
        self.last = match self.attempts.iter().position(is_it) {
            Some(place) => place,
            None => {
                let before = self.attempts.iter().map(|(_, number)| *number).max().unwrap_or(0);
                let number = before.max(chunk.pods_before.saturating_add(chunk.attempt)).saturating_add(1);
                self.attempts.push(((chunk.pod.clone(), chunk.attempt), number));
                self.attempts.len() - 1
            }
        };
        let number = self.attempts.get(self.last).map(|(_, number)| *number);
        number.filter(|number| *number > 1 || self.attempts.len() > 1)
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
            pods_before: 0,
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
    fn an_attempt_that_goes_on_keeps_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(dir.path());
        for (pod, text) in [("p", "1\n"), ("q", "2\n"), ("p", "1\n"), ("q", "2\n"), ("r", "3\n")] {
            files.take(&chunk(Some(3), pod, "main", text)).unwrap();
        }
        let text = std::fs::read_to_string(dir.path().join("3.log")).unwrap();
        let begin = |attempt, pod| format!("[windlass: attempt {attempt}, pod {pod}]\n");
        let [p, q, r] = [(1, "p"), (2, "q"), (3, "r")].map(|(attempt, pod)| begin(attempt, pod));
        assert_eq!(text, format!("1\n{q}2\n{p}1\n{q}2\n{r}3\n"));
    }

    #[test]
    fn an_attempt_that_wrote_nothing_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = files(dir.path());
        let LogEvent::Chunk(second) = chunk(Some(3), "q", "main", "2\n") else { unreachable!() };
        files.take(&LogEvent::Chunk(LogChunk { pods_before: 1, ..second.clone() })).unwrap();
        files.take(&LogEvent::Chunk(LogChunk { pods_before: 3, pod: "s".into(), ..second })).unwrap();
        let text = std::fs::read_to_string(dir.path().join("3.log")).unwrap();
        assert_eq!(text, "[windlass: attempt 2, pod q]\n2\n[windlass: attempt 4, pod s]\n2\n");
    }

    #[test]
    fn a_task_that_prints_nothing_keeps_no_file_of_an_earlier_run() {
        let dir = tempfile::tempdir().unwrap();
        let old = ["5.log", "7.log", "7.side.log", "7.other.log", "6.log", "07.log", "notes.log", "7.txt"];
        for name in old {
            std::fs::write(dir.path().join(name), "of an earlier run").unwrap();
        }
        let tasks = serde_json::json!({ "names": [], "numbers": "5,7-9", "count": 4 }).to_string();
        let job: Job = serde_json::from_value(serde_json::json!({
            "metadata": { "annotations": { "windlass.dev/tasks": tasks } },
            "spec": { "completionMode": "Indexed", "completions": 4, "template": { "spec": {
                "containers": [{ "name": "main" }, { "name": "side" }] } } },
        }))
        .unwrap();
        let files = LogFiles::open(dir.path(), Notes { quiet: true }).unwrap().of_job(&job).unwrap();
        let left = old.into_iter().filter(|name| dir.path().join(name).exists());
        assert_eq!(left.collect::<Vec<_>>(), ["7.other.log", "6.log", "07.log", "notes.log", "7.txt"]);
        std::fs::create_dir(dir.path().join("9.log")).unwrap();
        let failure = files.of_job(&job).err().unwrap().to_string();
        assert!(failure.contains("9.log: a file of an earlier run is in the way"), "{failure}");
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
