//! Attaching to the one pod of a job: its stdin, and its terminal if it has one, over the cluster's WebSocket.
//!
//! What was sent when a connection is lost cannot be taken back and need not have arrived: nothing here sends a byte
//! twice. It knows no terminal of this machine.

mod begin;
mod socket;
mod stdin;
mod target;

use http::Request;
use windlass_manifest::CONTAINER;

use crate::transport::{Fault, segment};
use crate::{Error, JobManager, Result, Submitted, limits};

/// What the fuzz targets ask of a server's messages.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::socket::{AttachEvent, heard};
}

pub(crate) use socket::split;
pub use socket::{AttachEvent, AttachInput, AttachOutput};
pub use stdin::StdinEnd;
use target::Target;

/// What of a pod a client attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachTo {
    /// Its stdin alone: its output is read from its log.
    Stdin,
    /// Its terminal: both ways, or only what it shows.
    Terminal {
        /// Whether it is also written to.
        stdin: bool,
    },
}

/// A client that is attached.
pub struct Attachment {
    /// The way to the pod.
    pub input: AttachInput,
    /// What comes from it.
    pub output: AttachOutput,
    target: Target,
    manager: JobManager,
}

impl JobManager {
    /// Waits until the container of a job's pod runs, and attaches to it. `None`: it ended before anybody could.
    ///
    /// # Errors
    /// `Attach` if the cluster refuses it, and what every call may answer.
    pub async fn attach(&self, submitted: &Submitted, to: AttachTo) -> Result<Option<Attachment>> {
        let manager = self.in_namespace(&submitted.namespace);
        let mut failures = 0;
        loop {
            let Some(target) = manager.running(&submitted.job).await? else { return Ok(None) };
            let refused = match manager.connect_to(&target, to).await {
                Ok((input, output)) => return Ok(Some(Attachment { input, output, target, manager })),
                Err(fault) => fault,
            };
            // It may just have ended, or its node may not be as far as its status: the next look tells.
            let passes = refused.may_pass() || matches!(refused.code, 400 | 404);
            if !passes || failures >= limits::RESENDS {
                return Err(manager.attach_error(&submitted.name, refused));
            }
            manager.world.sleep(crate::patience::growing(failures)).await;
            failures += 1;
        }
    }

    async fn connect_to(&self, target: &Target, to: AttachTo) -> Result<(AttachInput, AttachOutput), Fault> {
        let flags = match to {
            AttachTo::Stdin => "stdin=true",
            AttachTo::Terminal { stdin: true } => "stdin=true&stdout=true&tty=true",
            AttachTo::Terminal { stdin: false } => "stdout=true&tty=true",
        };
        let pods = self.core_path("pods");
        let (pod, container) = (segment(&target.pod), segment(&target.container));
        let uri = format!("{pods}/{pod}/attach?container={container}&{flags}");
        let request = Request::get(uri).body(Vec::new()).map_err(Fault::silent)?;
        let client = self.door.way().client;
        let connection = async { client.connect(request).await.map_err(|error| Fault::of_client(&error)) };
        Ok(socket::split(self.timed(connection).await?, self.world.clone()))
    }

    fn attach_error(&self, job: &str, fault: Fault) -> Error {
        match fault.code {
            401 | 403 => self.error(job, fault),
            _ => Error::Attach { job: job.to_owned(), message: fault.message },
        }
    }
}

/// The container of a job that is attached to: the one that runs its command, else the first.
fn main_container(pod: &k8s_openapi::api::core::v1::PodSpec) -> Option<&str> {
    let names = || pod.containers.iter().map(|container| container.name.as_str());
    names().find(|name| *name == CONTAINER).or_else(|| names().next())
}
