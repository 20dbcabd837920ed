//! A scripted API server: what to answer to which request, in order, and a record of what was asked.
//!
//! A route is a method and a path, with `?watch` behind it for watches. Its answers are given one after the other;
//! the last one stays. A route that was not scripted answers 404, as a server does.

#![allow(dead_code, reason = "each test uses its own part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::channel::oneshot;
use futures::{FutureExt, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::{Value, json};
use windlass::JobManager;

/// How a body ends.
pub(crate) enum End {
    /// As it should.
    Close,
    /// As it should, and the server says that nothing comes after it.
    Complete,
    /// The connection breaks.
    Break,
    /// Not before the test says so.
    Hang,
    /// When the sender is used or dropped.
    When(oneshot::Receiver<()>),
    /// Never: this text comes again and again, as fast as it is read.
    Flood(&'static str),
}

/// One answer.
pub(crate) enum Reply {
    Json(u16, Value),
    Warned(Value, &'static str),
    /// Lines of a watch.
    Watch(Vec<Value>, End),
    /// Bytes of a log.
    Text(&'static str, End),
    /// No answer at all.
    Lost,
    /// An answer that depends on the request.
    Of(Box<dyn FnMut(&Seen) -> Reply + Send>),
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) route: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Script {
    routes: BTreeMap<String, VecDeque<Reply>>,
    seen: Vec<Seen>,
}

/// The scripted server.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<Script>>);

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

impl Server {
    pub(crate) fn new() -> Self {
        Server::default()
    }

    /// Adds an answer to a route.
    pub(crate) fn on(&self, route: &str, reply: Reply) -> &Self {
        self.0.lock().unwrap().routes.entry(route.to_owned()).or_default().push_back(reply);
        self
    }

    /// A manager of namespace `lab` that speaks to it.
    pub(crate) fn manager(&self) -> JobManager {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        JobManager::new(kube::Client::new(service, "lab"), "lab").named("the test's cluster")
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// The requests of a route.
    pub(crate) fn asked(&self, route: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.route == route).collect()
    }

    async fn answer(&self, request: Request<Body>) -> Result<Answer, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.map_err(std::io::Error::other)?;
        let query = query(parts.uri.query().unwrap_or_default());
        let watch = if query.contains_key("watch") { "?watch" } else { "" };
        let stream = query.get("stream").map(|stream| format!("?{stream}")).unwrap_or_default();
        let plain = format!("{} {}{watch}", parts.method, parts.uri.path());
        let route = format!("{plain}{stream}");
        let seen = Seen { route, query, body: serde_json::from_slice(&body).unwrap_or(Value::Null) };
        let mut script = self.0.lock().unwrap();
        script.seen.push(seen.clone());
        let route = if script.routes.contains_key(&seen.route) { seen.route.clone() } else { plain };
        let Some(replies) = script.routes.get_mut(&route) else { return Ok(missing(&seen.route)) };
        if replies.len() > 1 {
            let reply = replies.pop_front().unwrap();
            return give(reply);
        }
        match replies.front_mut().unwrap() {
            Reply::Of(reply) => give(reply(&seen)),
            Reply::Json(code, value) => give(Reply::Json(*code, value.clone())),
            Reply::Lost => give(Reply::Lost),
            Reply::Text(text, End::Close) => give(Reply::Text(text, End::Close)),
            Reply::Text(text, End::Break) => give(Reply::Text(text, End::Break)),
            other => {
                let once = std::mem::replace(other, Reply::Watch(Vec::new(), End::Hang));
                give(once)
            }
        }
    }
}

fn give(reply: Reply) -> Result<Answer, std::io::Error> {
    let full = |value: &Value| {
        Full::new(Bytes::from(value.to_string())).map_err(|e: Infallible| match e {}).boxed_unsync()
    };
    match reply {
        Reply::Json(code, value) => Ok(Response::builder().status(code).body(full(&value)).unwrap()),
        Reply::Warned(value, warning) => {
            let header = format!("299 - \"{warning}\"");
            Ok(Response::builder().status(201).header("Warning", header).body(full(&value)).unwrap())
        }
        Reply::Watch(events, end) => {
            let lines = events.into_iter().map(|event| Bytes::from(format!("{event}\n"))).collect();
            Ok(Response::new(body(lines, end)))
        }
        Reply::Text(text, end) => Ok(Response::new(body(vec![Bytes::from(text)], end))),
        Reply::Lost => Err(std::io::Error::other("connection refused")),
        Reply::Of(_) => panic!("an answer that depends on the request must be the last of its route"),
    }
}

fn body(parts: Vec<Bytes>, end: End) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let end = match end {
        End::Close => stream::empty().boxed(),
        End::Complete => {
            let said = HeaderMap::from_iter([(
                HeaderName::from_static("windlass-log-complete"),
                HeaderValue::from_static("true"),
            )]);
            stream::iter([Ok(Frame::trailers(said))]).boxed()
        }
        End::Break => stream::iter([Err(std::io::Error::other("connection reset"))]).boxed(),
        End::Hang => stream::pending().boxed(),
        End::Flood(text) => stream::repeat_with(move || Ok(Frame::data(Bytes::from(text)))).boxed(),
        End::When(signal) => signal.map(|_| ()).into_stream().filter_map(|()| async { None }).boxed(),
    };
    let parts = parts.into_iter().filter(|part| !part.is_empty()).map(|part| Ok(Frame::data(part)));
    StreamBody::new(stream::iter(parts).chain(end)).boxed_unsync()
}

fn missing(route: &str) -> Answer {
    let message = format!("not scripted: {route}");
    let status = status(404, "NotFound", &message);
    Response::builder()
        .status(404)
        .body(Full::new(Bytes::from(status.to_string())).map_err(|e| match e {}).boxed_unsync())
        .unwrap()
}

pub(crate) fn query(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// A Status as servers answer it.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": reason, "message": message, "code": code })
}

pub(crate) fn refusal(code: u16, reason: &str, message: &str) -> Reply {
    Reply::Json(code, status(code, reason, message))
}

pub(crate) const JOBS: &str = "/apis/batch/v1/namespaces/lab/jobs";
pub(crate) const PODS: &str = "/api/v1/namespaces/lab/pods";

/// A Job `train` of uid `j1`, with more.
pub(crate) fn job(version: u32, more: Value) -> Value {
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "train", "namespace": "lab", "uid": "j1", "resourceVersion": version.to_string() },
        "spec": { "backoffLimit": 0, "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "j1" } },
                  "template": { "spec": { "containers": [] } } },
        "status": {},
    });
    merge(&mut job, more);
    job
}

pub(crate) fn running() -> Value {
    json!({ "status": { "startTime": "2026-11-20T10:00:00Z", "active": 1 } })
}

pub(crate) fn complete() -> Value {
    json!({ "status": { "startTime": "2026-11-20T10:00:00Z", "succeeded": 1, "conditions":
        [{ "type": "Complete", "status": "True", "lastTransitionTime": "2026-11-20T10:01:00Z" }] } })
}

pub(crate) fn failed() -> Value {
    json!({ "status": { "startTime": "2026-11-20T10:00:00Z", "failed": 1, "conditions":
        [{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often",
           "lastTransitionTime": "2026-11-20T10:01:00Z" }] } })
}

/// A pod `train-0` of job `train` with one container `main` in a state.
pub(crate) fn pod(version: u32, phase: &str, state: Value) -> Value {
    let mut pod = json!({
        "metadata": { "name": "train-0", "namespace": "lab", "uid": "p1", "resourceVersion": version.to_string(),
            "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "j1", "controller": true }] },
        "spec": { "restartPolicy": "Never", "containers": [{ "name": "main" }] },
        "status": { "phase": phase, "containerStatuses":
            [{ "name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0 }] },
    });
    pod["status"]["containerStatuses"][0]["state"] = state;
    pod
}

pub(crate) fn list(version: u32, items: &[Value]) -> Reply {
    Reply::Json(
        200,
        json!({ "kind": "List", "apiVersion": "v1",
        "metadata": { "resourceVersion": version.to_string() }, "items": items }),
    )
}

pub(crate) fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

pub(crate) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}

/// A server where job `train` runs at version 1.
pub(crate) fn with_running_job() -> Server {
    let server = Server::new();
    server.on("GET /apis/batch/v1/namespaces/lab/jobs/train", Reply::Json(200, job(1, running())));
    server.on("GET /apis/batch/v1/namespaces/lab/jobs", list(1, &[job(1, running())]));
    server.on(
        "GET /api/v1/namespaces/lab/pods",
        list(9, &[pod(8, "Failed", json!({ "terminated": { "exitCode": 3 } }))]),
    );
    server
}
