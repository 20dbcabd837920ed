//! `attach` and `exec` of a pod: what is asked for, whether the client speaks WebSocket, and the handing over of the
//! connection.
//! It knows no process: what is behind the streams is an [`AttachSource`](crate::attach::AttachSource)'s.

mod channels;
mod handshake;
mod message;
#[cfg(test)]
mod tests;

/// What the fuzz targets ask of clients' messages.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    pub(crate) use super::handshake::asked;
    pub(crate) use super::message::{Said, both};
}

use std::sync::Arc;

use http::header::HeaderValue;
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::dispatch::Call;
use super::respond::Answer;
use super::websocket;
use crate::attach::{AttachRequest, ExecRequest};
use crate::error::ApiError;

/// The longest message of a client, in bytes. kubectl sends 32 KiB at a time; clients that send a file as one message
/// are met too.
const MAX_MESSAGE: usize = 16 << 20;
/// How much is read and written at a time.
const BUFFER: usize = 64 << 10;

/// What a client wants of a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Talk {
    /// To be attached to its process.
    Attach,
    /// A program beside it.
    Exec,
}

impl Talk {
    /// As paths name it.
    fn name(self) -> &'static str {
        match self {
            Talk::Attach => "attach",
            Talk::Exec => "exec",
        }
    }
}

/// `GET` or `POST` of a pod's `attach` or `exec`: upgrades the connection and serves it until either side ends.
pub(super) async fn attach(mut call: Call, talk: Talk) -> Answer {
    let pod = call.app.registry.get(call.kind, call.namespace(), &call.name)?;
    // Upstream's order: the pod, the container, the node, and only then how the client speaks.
    let request = read(&call, &pod)?;
    if talk == Talk::Exec {
        unplayed(&pod, &call.name)?;
    }
    let wanted = handshake::read(&call.headers, talk.name())?;
    let Some(upgrade) = call.upgrade() else {
        // An HTTP/2 stream, or a client within this process.
        return Err(websocket::required());
    };
    let Ok(permit) = Arc::clone(&call.app.attaches).try_acquire_owned() else {
        return Err(ApiError::new(429, "TooManyRequests", "too many clients are attached, try again later"));
    };
    let attached = match talk {
        Talk::Attach => call.app.attacher.attach(pod, request).await?,
        Talk::Exec => {
            let command = command(&call)?;
            let AttachRequest { container, stdin, stdout, stderr, tty } = request;
            let request = ExecRequest { container, command, stdin, stdout, stderr, tty };
            call.app.attacher.exec(pod, request).await?
        }
    };
    let leave = channels::leave(call.app.stop.clone(), call.remaining());
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let protocol = HeaderValue::from_static(wanted.protocol.name());
    let serve = async move |socket| {
        channels::serve(socket, attached, talk, wanted.protocol, leave).await;
        drop(permit);
    };
    Ok(upgrade.leaving_its_place().answer(wanted.accept, Some(protocol), config, serve))
}

/// A pod that is played has no process to run a program beside, however the client speaks.
fn unplayed(pod: &Value, name: &str) -> Result<(), ApiError> {
    if !windlass_fate::is_scripted(&pod["metadata"]) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "pod {name} is played, as its {}* annotations say: it has no process, and nothing can be run in it; its logs show \
         what it writes",
        windlass_fate::PREFIX
    )))
}

/// The words of `PodExecOptions`. An empty one is one, too.
fn command(call: &Call) -> Result<Vec<String>, ApiError> {
    let words: Vec<String> = call.query.all("command").map(str::to_owned).collect();
    if words.is_empty() {
        return Err(ApiError::bad_request("you must specify at least one command for the container"));
    }
    Ok(words)
}

/// Reads `PodAttachOptions`, or what `PodExecOptions` has of the same, and checks them against the pod (upstream: pkg/registry/core/pod/strategy.go
/// streamLocation, and cri-streaming's NewOptions).
fn read(call: &Call, pod: &Value) -> Result<AttachRequest, ApiError> {
    let is = |name| call.query.is(name);
    let (stdin, stdout, mut stderr, tty) = (is("stdin")?, is("stdout")?, is("stderr")?, is("tty")?);
    let container = container(pod, &call.name, call.query.get("container"))?;
    if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        let text = format!("pod {} does not have a host assigned", call.name);
        return Err(ApiError::bad_request(text));
    }
    // A terminal has one output.
    stderr &= !tty;
    if !(stdin || stdout || stderr) {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    Ok(AttachRequest { container, stdin, stdout, stderr, tty })
}

/// The container that is meant, in upstream's words if none can be.
fn container(pod: &Value, name: &str, asked: Option<&str>) -> Result<String, ApiError> {
    let names = |field: &str| {
        let list = pod["spec"][field].as_array().into_iter().flatten();
        list.filter_map(|c| c["name"].as_str()).collect::<Vec<_>>()
    };
    let apps = names("containers");
    let all = [names("initContainers"), apps.clone(), names("ephemeralContainers")].concat();
    match (asked, apps.as_slice()) {
        (Some(asked), _) if all.contains(&asked) => Ok(asked.to_owned()),
        (Some(asked), _) => {
            Err(ApiError::bad_request(format!("container {asked} is not valid for pod {name}")))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            all.join(" ")
        ))),
    }
}
