//! The door behind `/attach` and `/exec`: the engine implements it, this crate only asks.

use std::io;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::error::ApiError;

/// What of a container is asked for (`PodAttachOptions`), as far as it makes sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttachRequest {
    /// The container; the pod has it.
    pub container: String,
    /// Its stdin shall be written to.
    pub stdin: bool,
    /// Its stdout shall be read.
    pub stdout: bool,
    /// Its stderr shall be read. Never together with `tty`, whose stdout is all there is.
    pub stderr: bool,
    /// The client believes that it has a terminal.
    pub tty: bool,
}

/// A program that shall run beside a container's own process (`PodExecOptions`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecRequest {
    /// The container; the pod has it.
    pub container: String,
    /// Program and arguments: at least one word.
    pub command: Vec<String>,
    /// Its stdin shall be written to.
    pub stdin: bool,
    /// Its stdout shall be read.
    pub stdout: bool,
    /// Its stderr shall be read. Never together with `tty`, whose stdout is all there is.
    pub stderr: bool,
    /// It shall have a terminal.
    pub tty: bool,
}

/// What an attached client reads of a stream, from the moment of attaching to its end: that of the container's run, or
/// that of the program and of whoever else still writes to it.
pub type Output = BoxStream<'static, io::Result<Bytes>>;

/// A container that somebody is attached to, or a program that was begun beside one.
///
/// To drop it is the client's leave: it ends a program, and of a container nothing but the stdin that was for one client.
pub struct Attached {
    /// Its stdin. `None` if it was not asked for, or takes nothing. Dropping it is the end of what this client gives.
    pub input: Option<Box<dyn Input>>,
    /// Its terminal, if it has one.
    pub terminal: Option<Box<dyn Terminal>>,
    /// Its stdout, if it was asked for.
    pub stdout: Option<Output>,
    /// Its stderr, if it was asked for.
    pub stderr: Option<Output>,
    /// The end of the container's run or of the program.
    pub ended: BoxFuture<'static, Fate>,
}

/// How what a client was attached to ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The container's run is over, however it ended; or the program ended with 0.
    Ended,
    /// The program ended with this code, which is not 0.
    Exited(i32),
    /// The program did not begin, or nobody can say how it ended: why.
    Failed(String),
}

/// A stdin.
pub trait Input: Send {
    /// Writes all of it, as fast as it is read. `BrokenPipe` if nobody will ever read it.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>>;
}

/// A terminal.
pub trait Terminal: Send + Sync {
    /// Tells it its size, in characters.
    fn resize(&self, columns: u16, rows: u16) -> io::Result<()>;
}

/// Who can attach to containers, and run programs beside them.
pub trait AttachSource: Send + Sync {
    /// Attaches. `pod` is the object as stored, and bound to a node. An error becomes the answer.
    fn attach(&self, pod: Value, request: AttachRequest) -> BoxFuture<'_, Result<Attached, ApiError>>;
    /// Begins a program beside a container's own process. `pod` as above. An error becomes the answer: of a program that
    /// is not there it is none, but what a shell would say and its exit code.
    fn exec(&self, pod: Value, request: ExecRequest) -> BoxFuture<'_, Result<Attached, ApiError>>;
}
