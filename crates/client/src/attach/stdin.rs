//! A stream of bytes as the stdin of a job's one pod: all of it once, in order, and its end.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{AttachEvent, AttachInput, AttachOutput, AttachTo, Attachment};
use crate::{Error, JobManager, Result, Submitted, limits};

/// How much is read and sent at a time, in bytes.
const CHUNK: usize = 32 << 10;

/// How the passing on of a stdin ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StdinEnd {
    /// The pod took all of it, and its end. It may read it yet.
    Delivered,
    /// The pod ended, or closed its stdin, before it had all.
    NotWanted,
    /// The connection was lost: the pod has some beginning of it, at most so many bytes, and takes that for all.
    Cut {
        /// Bytes that were sent.
        sent: u64,
        /// Why it was lost.
        message: String,
    },
    /// The source could not be read: the pod has what was read before, and takes that for all.
    Unreadable {
        /// Bytes that were sent.
        sent: u64,
        /// Why it could not be read.
        message: String,
    },
}

impl JobManager {
    /// Passes on everything of `source` to the job's one pod, which was made with `stdin` and `stdinOnce`. Nothing is
    /// read before the pod runs, and never more than the pod takes. Returns when the pod has it all or wants no more.
    ///
    /// # Errors
    /// What [`JobManager::attach`] answers; nothing was sent then.
    pub async fn pass_stdin(
        &self,
        submitted: &Submitted,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Result<StdinEnd> {
        let mut failures = 0;
        loop {
            let Some(attachment) = self.attach(submitted, AttachTo::Stdin).await? else {
                return Ok(StdinEnd::NotWanted);
            };
            let Attachment { input, output, .. } = attachment;
            let mut passing = Passing { input, output, sent: 0, has_ended: false, is_delivered: false };
            match passing.pass(source).await {
                Done::End(end) => return Ok(end),
                // It may have ended before: then the next look finds it so.
                Done::Refused(message) if failures < limits::RESENDS => {
                    tracing::debug!(message, "not attached");
                    self.world.sleep(crate::patience::growing(failures)).await;
                    failures += 1;
                }
                Done::Refused(message) => {
                    return Err(Error::Attach { job: submitted.name.clone(), message });
                }
            }
        }
    }
}

enum Done {
    End(StdinEnd),
    /// Before anything was sent.
    Refused(String),
}

struct Passing {
    input: AttachInput,
    output: AttachOutput,
    sent: u64,
    /// Whether the end was sent.
    has_ended: bool,
    /// Whether all that was sent was taken.
    is_delivered: bool,
}

impl Passing {
    async fn pass(&mut self, source: &mut (impl AsyncRead + Unpin)) -> Done {
        let mut chunk = vec![0; CHUNK];
        loop {
            tokio::select! {
                // What the cluster says comes first: nobody wants what is read after the end.
                biased;
                event = self.output.next() => match event {
                    AttachEvent::Quiet => {
                        // Whether it arrives the next event tells.
                        self.input.sign().await;
                    }
                    event => if let Some(done) = self.on(event) {
                        return done;
                    },
                },
                read = source.read(&mut chunk), if !self.has_ended => {
                    let done = match read {
                        Ok(0) => self.send(&[]).await,
                        Ok(count) => self.send(&chunk[..count]).await,
                        Err(error) => {
                            let (sent, message) = (self.sent, error.to_string());
                            Some(Done::End(StdinEnd::Unreadable { sent, message }))
                        }
                    };
                    if let Some(done) = done {
                        return done;
                    }
                }
            }
        }
    }

    /// Sends bytes, none for the end; meanwhile it is heard whether they are still wanted.
    async fn send(&mut self, bytes: &[u8]) -> Option<Done> {
        self.sent += bytes.len() as u64;
        self.has_ended |= bytes.is_empty();
        let event = {
            let (input, output) = (&mut self.input, &mut self.output);
            let sending =
                async { if bytes.is_empty() { input.end().await } else { input.write(bytes).await } };
            let mut sending = std::pin::pin!(sending);
            loop {
                tokio::select! {
                    biased;
                    event = output.next() => match event {
                        // Bytes on their way are a sign of life.
                        AttachEvent::Quiet | AttachEvent::Output(_) => {}
                        event => break Some(event),
                    },
                    is_sent = &mut sending => break if is_sent { None } else { Some(output.next().await) },
                }
            }
        };
        self.on(event?)
    }

    fn on(&mut self, event: AttachEvent) -> Option<Done> {
        let end = match event {
            AttachEvent::Output(_) | AttachEvent::Quiet => return None,
            AttachEvent::Delivered => {
                // The connection is kept: what it handed on may still be on its way to the node.
                self.is_delivered = true;
                return None;
            }
            AttachEvent::Ended if self.has_ended => StdinEnd::Delivered,
            AttachEvent::Ended => StdinEnd::NotWanted,
            AttachEvent::Refused(message) if self.sent == 0 && !self.has_ended => {
                return Some(Done::Refused(message));
            }
            AttachEvent::Cut(_) if self.is_delivered => StdinEnd::Delivered,
            // There it is the answer to the end.
            AttachEvent::Cut(_) if self.has_ended && self.input.ends_with_connection() => StdinEnd::Delivered,
            AttachEvent::Refused(message) | AttachEvent::Cut(message) => {
                StdinEnd::Cut { sent: self.sent, message }
            }
        };
        Some(Done::End(end))
    }
}
