//! Ending the containers that keep a pod running after its payload: by what a pod says of them, else by a signal sent
//! from inside. Of a pod whose processes are the host's it signals only what Windlass's engine says is the container's.

use http::{Method, Request};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use windlass_manifest::{PayloadEnd, marks};

use crate::attach::{self, AttachEvent};
use crate::transport::{Answer, Call, Fault, segment};
use crate::{JobManager, Result};

/// Sidecars that are asked in a way of their own, by their container's name.
const KNOWN: [(&str, &[&str]); 1] = [("istio-proxy", &["pilot-agent", "request", "POST", "quitquitquit"])];
/// What ends a container's first process, with a shell and without.
const SIGNALS: [&[&str]; 2] = [&["/bin/sh", "-c", "kill -TERM 1"], &["kill", "-TERM", "1"]];

/// The same where processes are the host's: the engine tells what it runs beside a container which process that is, and
/// nobody else does.
const ON_HOST: [&[&str]; 1] = [&["/bin/sh", "-c", "kill -TERM \"${WINDLASS_PID:?}\""]];
/// How ids of containers begin whose processes are the host's.
const HOST_ID: &str = "windlass://";

/// What became of the wish that a container ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarStop {
    /// The container.
    pub container: String,
    /// How it was asked, or why it could not be.
    pub asked: std::result::Result<String, String>,
}

impl JobManager {
    /// Asks the containers that keep a pod running after its payload to end. Before, the job's back-off limit becomes
    /// the number of its failures, so that a sidecar that ends badly does not make the payload run again.
    ///
    /// # Errors
    /// The job cannot be changed, and what every call may answer. A container that cannot be asked is no error.
    pub async fn stop_sidecars(&self, name: &str, payload: &PayloadEnd) -> Result<Vec<SidecarStop>> {
        let job = self.job(name).await?;
        let path = format!("{}/{}", self.core_path("pods"), segment(&payload.pod));
        let pod: Pod = match self.ask(Call::get(path)).await {
            Ok(Answer { value, .. }) => value,
            Err(fault) if fault.is_not_found() => return Ok(Vec::new()),
            Err(fault) => return Err(self.error(name, fault)),
        };
        let refused = refusal(&pod);
        if refused.is_none() {
            self.forbid_retries(name, &job).await?;
        }
        let mut stops = Vec::new();
        for container in &payload.still_running {
            let asked = match &refused {
                Some(why) => Err((*why).to_owned()),
                None => self.stop(&pod, container).await,
            };
            stops.push(SidecarStop { container: container.clone(), asked });
        }
        Ok(stops)
    }

    async fn forbid_retries(&self, name: &str, job: &Job) -> Result<()> {
        let failed = job.status.as_ref().and_then(|status| status.failed).unwrap_or(0);
        if job.spec.as_ref().and_then(|spec| spec.backoff_limit).is_some_and(|limit| limit <= failed) {
            return Ok(());
        }
        let patch = json!({ "spec": { "backoffLimit": failed } });
        let call = Call::new(Method::PATCH, self.job_path(name))
            .query("fieldManager", marks::WINDLASS)
            .merge_patch(&patch)
            .repeatable();
        self.ask::<Job>(call).await.map(|_| ()).map_err(|fault| self.error(name, fault))
    }

    async fn stop(&self, pod: &Pod, container: &str) -> std::result::Result<String, String> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let quit = pod
            .metadata
            .annotations
            .as_ref()
            .and_then(|marks| marks.get(&format!("{}{container}", marks::QUIT)));
        if let Some(place) = quit {
            let (port, path) = place.split_once('/').unwrap_or((place, ""));
            let path = format!("{}/{}:{}/proxy/{path}", self.core_path("pods"), segment(name), segment(port));
            let asked = self.ask_bytes(&Call::new(Method::POST, path)).await;
            return asked.map(|_| format!("by its endpoint {place}")).map_err(|fault| fault.message);
        }
        let signals = if is_on_host(pod) { ON_HOST.as_slice() } else { SIGNALS.as_slice() };
        let known = KNOWN.iter().find(|(name, _)| *name == container).map(|(_, command)| *command);
        let mut why = String::new();
        for command in known.into_iter().chain(signals.iter().copied()) {
            match self.exec(name, container, command).await {
                Ok(()) => return Ok(format!("by `{}` inside it", command.join(" "))),
                Err(fault) => {
                    let is_final = matches!(fault.code, 403 | 404 | 405 | 501);
                    why = match fault.code {
                        404 | 405 | 501 => "this cluster runs no commands in containers (exec)".to_owned(),
                        _ => fault.message,
                    };
                    if is_final {
                        break;
                    }
                }
            }
        }
        Err(why)
    }

    /// Runs a command in a container, to its end or the container's.
    async fn exec(&self, pod: &str, container: &str, command: &[&str]) -> Result<(), Fault> {
        let words: String = command
            .iter()
            .map(|word| format!("&command={}", utf8_percent_encode(word, NON_ALPHANUMERIC)))
            .collect();
        let (pods, pod, container) = (self.core_path("pods"), segment(pod), segment(container));
        let uri = format!("{pods}/{pod}/exec?container={container}&stdout=true&stderr=true{words}");
        let request = Request::get(uri).body(Vec::new()).map_err(Fault::silent)?;
        let client = self.door.way().client;
        let connection = async { client.connect(request).await.map_err(|error| Fault::of_client(&error)) };
        // The input is kept: its end is the end of the connection.
        let (_input, mut output) = attach::split(self.timed(connection).await?, self.world.clone());
        let end = async {
            loop {
                match output.next().await {
                    AttachEvent::Refused(why) => return Err(Fault::silent(why)),
                    // A container that ends takes the connection with it.
                    AttachEvent::Ended | AttachEvent::Cut(_) => return Ok(()),
                    AttachEvent::Output(_) | AttachEvent::Delivered | AttachEvent::Quiet => {}
                }
            }
        };
        self.timed(end).await
    }
}

/// Why nothing inside a pod may be signalled.
fn refusal(pod: &Pod) -> Option<&'static str> {
    if is_on_host(pod) {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    if spec.host_pid == Some(true) {
        return Some("its processes are the host's: process 1 is not the container's");
    }
    (spec.share_process_namespace == Some(true))
        .then_some("its containers share their processes: process 1 is the pod's own")
}

/// Whether its containers are processes of the host, by its class or by what the engine calls them.
fn is_on_host(pod: &Pod) -> bool {
    let class = pod.spec.as_ref().and_then(|spec| spec.runtime_class_name.as_deref());
    let status = pod.status.as_ref();
    let mut statuses = status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten();
    class == Some(marks::HOST_CLASS)
        || statuses.any(|status| status.container_id.as_ref().is_some_and(|id| id.starts_with(HOST_ID)))
}
