//! Answers the API server's questions for logs from the files that the shim writes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::Value;
use tokio::sync::watch;
use windlass_apiserver::error::ApiError;
use windlass_apiserver::logs::{LogRequest, LogSource, Stream};
use windlass_runner::log::{self, Output, ReadOptions};
use windlass_runner::runtime::Key as RunKey;

use crate::home::Home;

/// Which runs still write. A run that is not in it writes no more.
#[derive(Clone, Default)]
pub(crate) struct Hub {
    runs: Arc<Mutex<HashMap<RunKey, watch::Sender<bool>>>>,
}

impl Hub {
    /// A run begins to write.
    pub(crate) fn started(&self, run: &RunKey) {
        self.lock().entry(run.clone()).or_insert_with(|| watch::channel(false).0);
    }

    /// A run's log is complete.
    pub(crate) fn ended(&self, run: &RunKey) {
        if let Some(sender) = self.lock().remove(run) {
            sender.send_replace(true);
        }
    }

    /// Becomes true when the run's log is complete.
    pub(crate) fn watch(&self, run: &RunKey) -> watch::Receiver<bool> {
        match self.lock().get(run) {
            Some(sender) => sender.subscribe(),
            None => watch::channel(true).1,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunKey, watch::Sender<bool>>> {
        // The map is whole after every statement that holds the lock.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs below an engine's home.
pub(crate) struct Logs {
    pub(crate) home: Home,
    pub(crate) hub: Hub,
}

impl LogSource for Logs {
    fn open(
        &self,
        pod: Value,
        request: LogRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, std::io::Result<Bytes>>, ApiError>> {
        Box::pin(async move { self.stream(&pod, &request) })
    }
}

impl Logs {
    fn stream(
        &self,
        pod: &Value,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, ApiError> {
        let container = container(pod, request.container.as_deref())?;
        let attempt = attempt(pod, &container, request.previous)?;
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let run = RunKey { pod: uid.to_owned(), container: container.clone(), attempt };
        let ended = self.hub.watch(&run);
        let options = ReadOptions {
            follow: request.follow,
            since: request.since,
            tail: request.tail_lines,
            after: None,
            limit_bytes: request.limit_bytes,
            timestamps: request.timestamps,
            output: match request.stream {
                Stream::All => None,
                Stream::Stdout => Some(Output::Stdout),
                Stream::Stderr => Some(Output::Stderr),
            },
        };
        Ok(log::read(self.home.container_log(uid, &container, attempt), options, ended).boxed())
    }
}

/// The container that is meant, in upstream's words if none can be.
fn container(pod: &Value, asked: Option<&str>) -> Result<String, ApiError> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let names = |field: &str| -> Vec<&str> {
        pod["spec"][field].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect()
    };
    let (apps, inits) = (names("containers"), names("initContainers"));
    match asked {
        Some(asked) if apps.contains(&asked) || inits.contains(&asked) => Ok(asked.to_owned()),
        Some(asked) => Err(ApiError::bad_request(format!("container {asked} is not valid for pod {name}"))),
        None if apps.len() == 1 => Ok(apps[0].to_owned()),
        None => {
            let inits = if inits.is_empty() {
                String::new()
            } else {
                format!(" or one of the init containers: [{}]", inits.join(" "))
            };
            Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]{inits}",
                apps.join(" ")
            )))
        }
    }
}

/// The run that is meant.
fn attempt(pod: &Value, container: &str, previous: bool) -> Result<u32, ApiError> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let waiting = |reason: &str| {
        ApiError::bad_request(format!(
            "container {container:?} in pod {name:?} is waiting to start: {reason}"
        ))
    };
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().filter_map(|list| pod["status"][*list].as_array()).flatten();
    let Some(status) = statuses.find(|s| s["name"] == container) else {
        return Err(waiting("ContainerCreating"));
    };
    let (state, last) = (&status["state"], &status["lastState"]["terminated"]);
    let previous_run = run_of(&last["containerID"]);
    if previous {
        return previous_run.ok_or_else(|| {
            ApiError::bad_request(format!(
                "previous terminated container {container:?} in pod {name:?} not found"
            ))
        });
    }
    let present = match (&state["running"], &state["terminated"]) {
        (Value::Object(_), _) => run_of(&status["containerID"]),
        (_, Value::Object(ended)) => run_of(ended.get("containerID").unwrap_or(&Value::Null)),
        _ => None,
    };
    // Waiting for its next run: the last one's log is what there is.
    present
        .or(previous_run)
        .ok_or_else(|| waiting(state["waiting"]["reason"].as_str().unwrap_or("ContainerCreating")))
}

/// The attempt that a container id names: `windlass://<pod uid>/<container>/<attempt>`.
pub(crate) fn run_of(container_id: &Value) -> Option<u32> {
    container_id.as_str()?.rsplit('/').next()?.parse().ok()
}
