//! Moves a job's bytes to this process's two streams, as they were written.

use std::io::{ErrorKind, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};

use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use windlass::manifest::tasks::Numbering;
use windlass::{LogChunk, LogEvent, LogStream};

use crate::fail::{Failure, Outcome};
use crate::out::{self, Notes};
use crate::print::plain;
use crate::progress;

/// stdout and stderr, written without holding up signals.
pub(super) struct Pump {
    stdout: File,
    stderr: File,
    notes: Notes,
    names: bool,
    /// What indexes are called.
    numbers: Numbering,
    /// The name's second half.
    containers: bool,
    /// Whether stdout was a terminal when it began.
    terminal: bool,
    /// What was last said to be missing: a fault of both streams is one to its reader.
    missing: String,
}

impl Pump {
    /// A pump. `names`: each line begins with the pod that wrote it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn new(notes: Notes, names: bool) -> Outcome<Pump> {
        let file = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(|fd| File::from_std(fd.into()));
        let stdout = file(std::io::stdout().as_fd()).map_err(|error| out::fault(&error))?;
        let stderr = file(std::io::stderr().as_fd()).map_err(|error| out::fault(&error))?;
        let terminal = std::io::stdout().is_terminal();
        let (numbers, missing) = (Numbering::default(), String::new());
        Ok(Pump { stdout, stderr, notes, names, numbers, containers: false, terminal, missing })
    }

    /// The same, with the numbers by which a job's tasks are known.
    pub(super) fn with_numbers(self, numbers: Numbering) -> Pump {
        Pump { numbers, ..self }
    }

    /// The same, with the container behind the pod.
    pub(super) fn with_containers(self) -> Pump {
        Pump { containers: true, ..self }
    }

    /// Writes what came.
    ///
    /// # Errors
    /// A silent failure if the reader of stdout is gone.
    pub(super) async fn take(&mut self, event: LogEvent) -> Outcome<()> {
        match event {
            LogEvent::Chunk(chunk) => self.write(chunk).await,
            LogEvent::Gap { pod, container, reason } => {
                let text = format!("some output of {pod}/{container} is missing: {}", plain(&reason));
                if text != self.missing {
                    self.notes.say(&text);
                    self.missing = text;
                }
                Ok(())
            }
            LogEvent::StreamsMerged => {
                self.notes.say("this cluster does not tell stdout and stderr apart: all goes to stdout");
                Ok(())
            }
            LogEvent::Crowded { pod, index, readers } => {
                self.notes.say(&crowded(&pod, index, readers, &self.numbers));
                Ok(())
            }
        }
    }

    /// Writes bytes to the stream they came from.
    async fn write(&mut self, chunk: LogChunk) -> Outcome<()> {
        let stream = chunk.stream;
        progress::yield_to_job(stream == LogStream::Stdout);
        let bytes = if self.names { named(&chunk, &self.numbers, self.containers) } else { chunk.bytes };
        let written = match stream {
            LogStream::Stdout => flush(&mut self.stdout, &bytes).await,
            LogStream::Stderr => match flush(&mut self.stderr, &bytes).await {
                // Nobody reads the messages: the data goes on.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                written => written,
            },
        };
        written.map_err(|error| match error.raw_os_error() {
            // What a terminal answers whose other end has been closed.
            Some(libc::EIO) if self.terminal => Failure::terminal_gone(),
            _ => out::fault(&error),
        })
    }
}

/// That more tasks write than are read at a time.
pub(super) fn crowded(pod: &str, index: Option<u32>, readers: usize, numbers: &Numbering) -> String {
    let first = match index {
        Some(index) => format!("task {}", numbers.number(index)),
        None => format!("pod {pod}"),
    };
    format!(
        "the output of {readers} tasks is read at a time, and more are running: that of {first} and of those behind it \
         comes as others end; nothing is lost unless the cluster throws a log away before its turn"
    )
}

async fn flush(to: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Each line with its pod: the task's number, else the end of the pod's name.
fn named(chunk: &LogChunk, numbers: &Numbering, containers: bool) -> Vec<u8> {
    let mut name = match chunk.index {
        Some(index) => numbers.number(index).to_string(),
        None => chunk.pod.rsplit('-').next().unwrap_or(&chunk.pod).to_owned(),
    };
    if containers {
        name.push('/');
        name.push_str(&chunk.container);
    }
    let mut bytes = Vec::with_capacity(chunk.bytes.len() + 32);
    for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
        bytes.extend_from_slice(format!("[{name}] ").as_bytes());
        bytes.extend_from_slice(line);
    }
    if bytes.last().is_some_and(|byte| *byte != b'\n') {
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(index: Option<u32>, bytes: &[u8]) -> LogChunk {
        LogChunk {
            pod: "train-x2k4f-9wq2m".into(),
            index,
            pods_before: 0,
            container: "main".into(),
            attempt: 0,
            stream: LogStream::Stdout,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn a_task_that_waits_for_its_reader_is_named() {
        let text = crowded("fit-64-x", Some(64), 64, &Numbering::default());
        assert!(text.contains("output of 64 tasks") && text.contains("that of task 64 and"), "{text}");
        assert!(crowded("fit-x", None, 64, &Numbering::default()).contains("that of pod fit-x and"));
    }

    #[test]
    fn lines_of_several_pods_begin_with_index_or_pod() {
        assert_eq!(named(&chunk(Some(3), b"a\nb\n"), &Numbering::default(), false), b"[3] a\n[3] b\n");
        assert_eq!(
            named(&chunk(None, b"a\n\xff"), &Numbering::default(), true),
            b"[9wq2m/main] a\n[9wq2m/main] \xff\n"
        );
        assert_eq!(named(&chunk(None, b""), &Numbering::default(), false), b"");
    }
}
