//! Answers the API server when somebody runs a program beside a container's own process (`exec`): the runtime begins it,
//! its bytes go straight between it and the client, and it ends with its client.
//!
//! Upstream's kubelet leaves a program that does not notice that its streams are gone to itself, until the container
//! ends. Here it is killed, with what it started and has not let go: a host has nobody else who would clean up.

use std::io;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join;
use futures::stream;
use serde_json::Value;
use windlass_apiserver::attach::{Attached, ExecRequest, Fate, Input, Output, Terminal};
use windlass_apiserver::error::ApiError;
use windlass_runner::runtime::{self, Ended, Exec, ExecError, Session, StartFailure};

use crate::attach::{Attacher, Size, Stdin, running};

/// What a shell says of a program that may not be executed, and of one that is not there.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

impl Attacher {
    /// Begins a program beside a container's own process.
    pub(crate) async fn run(&self, pod: &Value, request: ExecRequest) -> Result<Attached, ApiError> {
        let ExecRequest { container, command, stdin, stdout, stderr, tty } = request;
        // The kubelet's words for both; why is added.
        let gone =
            |how: &str| ApiError::bad_request(format!("container not found ({container:?}): it {how}"));
        let key = running(pod, &container).map_err(gone)?;
        let exec = Exec { key, argv: command, stdin, stdout, stderr, tty };
        match self.runtime()?.exec(exec).await {
            Ok(session) => Ok(attached(session, stdout)),
            Err(ExecError::Failed { failure, message }) => {
                let end = if tty { "\r\n" } else { "\n" };
                Ok(failed(&failure, message, end, (stdout, stderr)))
            }
            Err(ExecError::NotRunning) => Err(gone("has just ended")),
            Err(error @ ExecError::TooMany) => {
                Err(ApiError::new(429, "TooManyRequests", format!("{error}, try again later")))
            }
            Err(error @ ExecError::TooLong) => {
                Err(ApiError::bad_request(format!("the command cannot be run: {error}")))
            }
            Err(error @ (ExecError::Unsupported | ExecError::Older(_))) => {
                Err(ApiError::bad_request(error.to_string()))
            }
            Err(error @ ExecError::Broken(_)) => Err(ApiError::internal(error)),
        }
    }
}

/// A program that runs.
fn attached(session: Session, is_read: bool) -> Attached {
    let Session { stdin, terminal, stdout, stderr, mut end } = session;
    // A terminal is read also where nobody wants to see it: full it would hold the program up.
    let (stdout, unread) = if is_read { (stdout, None) } else { (None, stdout) };
    let ended = async move {
        let drained = async {
            if let Some(unread) = unread {
                chunks(unread).for_each(|_| std::future::ready(())).await;
            }
        };
        match join(end.wait(), drained).await.0 {
            Ok(Ended::Code(0)) => Fate::Ended,
            Ok(ended) => Fate::Exited(ended.exit_code()),
            Err(cause) => Fate::Failed(format!("the process that runs the containers is gone: {cause}")),
        }
    };
    Attached {
        input: stdin.map(|stdin| Box::new(Stdin(stdin)) as Box<dyn Input>),
        terminal: terminal.map(|terminal| Box::new(Size(terminal)) as Box<dyn Terminal>),
        stdout: stdout.map(chunks),
        stderr: stderr.map(chunks),
        ended: Box::pin(ended),
    }
}

/// What comes of an output until its end, or a fault, which is the last.
fn chunks(output: runtime::Output) -> Output {
    let next = async |output: Option<runtime::Output>| {
        let mut output = output?;
        match output.read().await {
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => Some((Ok(bytes), Some(output))),
            Err(cause) => Some((Err(cause), None)),
        }
    };
    stream::unfold(Some(output), next).boxed()
}

/// A program that did not begin. As of a shell, what was wrong with its name is said where it would have spoken, and its
/// code says it, too; all else is a fault of ours.
fn failed(
    failure: &StartFailure,
    message: String,
    line_end: &str,
    (stdout, stderr): (bool, bool),
) -> Attached {
    let code = match failure {
        StartFailure::NotFound => Some(NOT_FOUND),
        StartFailure::NotExecutable => Some(NOT_EXECUTABLE),
        StartFailure::NoDirectory | StartFailure::Other => None,
    };
    let words: io::Result<Bytes> = Ok(Bytes::from(format!("{message}{line_end}")));
    let said = |is_read: bool| is_read.then(|| stream::iter([words]).boxed());
    let (stdout, stderr) = match code {
        Some(_) if stderr => (None, said(true)),
        Some(_) => (said(stdout), None),
        None => (None, None),
    };
    let fate = code.map_or(Fate::Failed(message), Fate::Exited);
    Attached { input: None, terminal: None, stdout, stderr, ended: Box::pin(std::future::ready(fate)) }
}
