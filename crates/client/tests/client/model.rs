//! A small API server that keeps what it is told, and has bad luck by plan: Jobs, pods, their watches and logs.
//!
//! What it keeps is the truth; only the way to it is unreliable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use windlass::{JobManager, Known};

use crate::chance::Chance;
use crate::support::{merge, query, status};
use crate::trouble::{Fate, Trouble};

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;
pub(crate) type Query = BTreeMap<String, String>;

/// The server.
#[derive(Clone)]
pub(crate) struct Model {
    state: Arc<Mutex<State>>,
    /// Tells those who watch that there is something new.
    pub(crate) news: Arc<watch::Sender<u64>>,
    pub(crate) trouble: Trouble,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) revision: u64,
    /// Below this revision nothing can be watched.
    pub(crate) horizon: u64,
    pub(crate) jobs: BTreeMap<String, Value>,
    pub(crate) pods: BTreeMap<String, Value>,
    pub(crate) changes: Vec<Change>,
    /// The lines of each pod, with their times.
    pub(crate) logs: BTreeMap<String, Vec<(String, String)>>,
    /// So many jobs may be active.
    pub(crate) quota: Option<usize>,
    /// Submissions in the order in which Jobs were made for them.
    pub(crate) made: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) kind: &'static str,
    pub(crate) what: &'static str,
    pub(crate) object: Value,
}

impl Model {
    pub(crate) fn new(chance: &Chance) -> Self {
        let news = Arc::new(watch::channel(0).0);
        Model { state: Arc::default(), news, trouble: Trouble::new(chance) }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let model = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let model = model.clone();
            async move { model.answer(request).await }
        });
        kube::Client::new(service, "lab")
    }

    /// A manager that speaks to it, in a world of the same chance.
    pub(crate) fn manager(&self) -> JobManager {
        let known = Known { version: Some((1, 36)), has_host_class: true, has_answered: true };
        let world = Arc::new(self.trouble.chance.clone());
        JobManager::new(self.client(), "lab").knowing(known).in_world(world)
    }

    /// Bad luck in so many of a hundred requests while the server restarts or forgets so often, each time after up to so
    /// many milliseconds; then all is well.
    pub(crate) async fn storm(self, percent: u64, often: u32, calm: u64) {
        let chance = self.trouble.chance.clone();
        *self.trouble.percent.lock().unwrap() = percent;
        for _ in 0..often {
            tokio::time::sleep(chance.millis(0, calm)).await;
            if chance.percent(50) {
                self.compact();
            } else {
                self.trouble.life.send_modify(|life| *life += 1);
                tokio::time::sleep(chance.millis(0, 4000)).await;
                self.trouble.life.send_modify(|life| *life += 1);
            }
        }
        *self.trouble.percent.lock().unwrap() = 0;
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Writes an object; `None` deletes it. Gives it as it is kept.
    pub(crate) fn put(&self, kind: &'static str, name: &str, object: Option<Value>) -> Value {
        let mut state = self.state();
        state.revision += 1;
        let revision = state.revision;
        let map = if kind == "jobs" { &mut state.jobs } else { &mut state.pods };
        let (what, mut object) = match object {
            Some(object) if map.contains_key(name) => ("MODIFIED", object),
            Some(object) => ("ADDED", object),
            None => ("DELETED", map[name].clone()),
        };
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        if what == "DELETED" {
            map.remove(name)
        } else {
            map.insert(name.to_owned(), object.clone())
        };
        state.changes.push(Change { revision, kind, what, object: object.clone() });
        drop(state);
        self.news.send_replace(revision);
        object
    }

    /// Changes an object that is there.
    pub(crate) fn patch(&self, kind: &'static str, name: &str, patch: Value) {
        let state = self.state();
        let map = if kind == "jobs" { &state.jobs } else { &state.pods };
        let Some(mut object) = map.get(name).cloned() else { return };
        drop(state);
        merge(&mut object, patch);
        self.put(kind, name, Some(object));
    }

    /// Forgets all changes up to now.
    pub(crate) fn compact(&self) {
        let mut state = self.state();
        state.horizon = state.revision;
    }

    async fn answer(&self, request: Request<Body>) -> Result<Answer, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.map_err(std::io::Error::other)?;
        let query = query(parts.uri.query().unwrap_or_default());
        let path = parts.uri.path().to_owned();
        if !["/jobs", "/pods", "/version", "/runtimeclasses"].iter().any(|part| path.contains(part)) {
            let text = status(404, "NotFound", "the model has none").to_string();
            return Ok(answer(404, futures::stream::iter([Ok(Bytes::from(text))])));
        }
        tokio::time::sleep(self.trouble.chance.millis(0, 40)).await;
        let fate = self.trouble.fate(&asker(&parts.method, &path, &query, &body));
        if let Some(answer) = fate.before() {
            return answer;
        }
        let answer = if query.contains_key("watch") {
            self.watch(kind_of(&path), &query, &fate)
        } else if let Some(pod) = path.strip_suffix("/log").and_then(|path| path.rsplit('/').next()) {
            self.log(pod, &query, &fate)
        } else {
            let (code, value) = self.perform(parts.method.as_str(), &path, &query, &body, &fate);
            fate.body(code, value.to_string())
        };
        fate.after(answer, &self.trouble).await
    }

    /// What a plain request does, and its answer.
    fn perform(&self, method: &str, path: &str, query: &Query, body: &[u8], fate: &Fate) -> (u16, Value) {
        let kind = kind_of(path);
        let name = path.rsplit('/').next().unwrap_or_default();
        let missing = || (404, status(404, "NotFound", &format!("{kind} \"{name}\" not found")));
        match method {
            "POST" => self.create(&serde_json::from_slice(body).unwrap()),
            "GET" if name == kind => self.list(kind, query, fate),
            "GET" => self.state().jobs.get(name).cloned().map_or_else(missing, |job| (200, job)),
            "DELETE" if self.state().jobs.contains_key(name) => {
                let uid = self.state().jobs[name]["metadata"]["uid"].clone();
                let asked: Value = serde_json::from_slice(body).unwrap();
                if asked["preconditions"]["uid"] != uid {
                    return (409, status(409, "Conflict", "the uid differs"));
                }
                (200, self.put("jobs", name, None))
            }
            _ => missing(),
        }
    }

    fn create(&self, object: &Value) -> (u16, Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if self.state().jobs.contains_key(&name) {
            return (409, status(409, "AlreadyExists", &format!("jobs.batch \"{name}\" already exists")));
        }
        let is_active = |job: &&Value| job["status"]["conditions"].is_null();
        let active = self.state().jobs.values().filter(is_active).count();
        if self.state().quota.is_some_and(|quota| active >= quota) {
            return (403, status(403, "Forbidden", "exceeded quota: q"));
        }
        let mut object = object.clone();
        let uid = format!("uid-{}", self.state().revision + 1);
        merge(
            &mut object,
            json!({ "metadata": { "uid": uid, "namespace": "lab" }, "status": {}, "spec": { "selector":
                { "matchLabels": { "batch.kubernetes.io/controller-uid": uid } } } }),
        );
        let id = object["metadata"]["labels"]["windlass.dev/submission"].as_str().unwrap_or_default();
        self.state().made.push(id.to_owned());
        (201, self.put("jobs", &name, Some(object)))
    }

    /// All pages of a list are of the revision of the first one, which the token names.
    fn list(&self, kind: &str, query: &Query, fate: &Fate) -> (u16, Value) {
        let state = self.state();
        let token = query.get("continue").and_then(|token| token.split_once(':'));
        let (revision, after) = match token {
            Some((revision, after)) => (revision.parse().unwrap(), after),
            None => (state.revision, ""),
        };
        if token.is_some() && (fate.expires || revision < state.horizon) {
            return (410, status(410, "Expired", "the provided continue parameter is too old"));
        }
        let mut all: BTreeMap<&str, &Value> = BTreeMap::new();
        for change in state.changes.iter().filter(|change| change.kind == kind && change.revision <= revision)
        {
            let name = change.object["metadata"]["name"].as_str().unwrap();
            if change.what == "DELETED" {
                all.remove(name)
            } else {
                all.insert(name, &change.object)
            };
        }
        let mut rest: Vec<(&str, &Value)> =
            all.into_iter().filter(|(name, object)| *name > after && selects(query, object)).collect();
        // However many are asked for, a page has three: there must be second pages.
        let has_more = rest.len() > 3;
        rest.truncate(3);
        let next = rest.last().filter(|_| has_more).map(|(name, _)| format!("{revision}:{name}"));
        let items: Vec<&Value> = rest.into_iter().map(|(_, object)| object).collect();
        let metadata =
            json!({ "resourceVersion": revision.to_string(), "continue": next.unwrap_or_default() });
        (200, json!({ "metadata": metadata, "items": items }))
    }

    fn watch(&self, kind: &'static str, query: &Query, fate: &Fate) -> Answer {
        let since = query.get("resourceVersion").map(|version| version.parse::<u64>().unwrap());
        let state = self.state();
        if fate.expires || since.is_some_and(|since| since < state.horizon) {
            let gone = status(410, "Expired", "too old resource version");
            return match fate.in_stream {
                true => fate.body(200, format!("{}\n", json!({ "type": "ERROR", "object": gone }))),
                false => fate.body(410, gone.to_string()),
            };
        }
        let map = if kind == "jobs" { &state.jobs } else { &state.pods };
        let mut lines = Vec::new();
        if since.is_none() {
            let there = map.values().filter(|object| selects(query, object));
            lines.extend(there.map(|object| line("ADDED", object)));
        }
        let cursor = since.unwrap_or(state.revision);
        drop(state);
        let tail =
            Tail { model: self.clone(), kind, query: query.clone(), cursor, last: None, fate: fate.clone() };
        fate.stream(lines, stream::unfold(tail, Tail::next).boxed(), &self.trouble)
    }

    fn log(&self, pod: &str, query: &Query, fate: &Fate) -> Answer {
        let since = query.get("sinceTime").map(|time| time.parse::<jiff::Timestamp>().unwrap());
        let is_late =
            move |time: &str| since.is_none_or(|since| time.parse::<jiff::Timestamp>().unwrap() >= since);
        if query.get("stream").is_some_and(|stream| stream == "Stderr") {
            return fate.body(200, String::new());
        }
        let follow = query.contains_key("follow");
        let (model, pod) = (self.clone(), pod.to_owned());
        let lines = stream::unfold(0, move |at| {
            let (model, pod) = (model.clone(), pod.clone());
            async move {
                let mut news = model.news.subscribe();
                loop {
                    let (lines, is_over) = {
                        let state = model.state();
                        let phase = state.pods.get(&pod).map(|pod| pod["status"]["phase"].clone());
                        (state.logs.get(&pod).cloned().unwrap_or_default(), phase != Some(json!("Running")))
                    };
                    if at < lines.len() {
                        return Some((lines[at..].to_vec(), lines.len()));
                    }
                    if is_over || !follow {
                        return None;
                    }
                    news.changed().await.ok()?;
                }
            }
        });
        let lines = lines.map(move |lines| {
            let late = lines.iter().filter(|(time, _)| is_late(time));
            late.map(|(time, text)| format!("{time} {text}\n")).collect::<String>()
        });
        fate.stream(Vec::new(), lines.map(Bytes::from).boxed(), &self.trouble)
    }
}

/// The changes that a watch tells.
struct Tail {
    model: Model,
    kind: &'static str,
    query: Query,
    cursor: u64,
    last: Option<Change>,
    fate: Fate,
}

impl Tail {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut news = self.model.news.subscribe();
        loop {
            if self.fate.repeats
                && let Some(last) = self.last.take()
            {
                return Some((line(last.what, &last.object), self));
            }
            let next = {
                let state = self.model.state();
                let is_meant = |change: &&Change| {
                    change.kind == self.kind
                        && change.revision > self.cursor
                        && selects(&self.query, &change.object)
                };
                state.changes.iter().find(is_meant).cloned()
            };
            if let Some(change) = next {
                self.cursor = change.revision;
                self.last = Some(change.clone());
                return Some((line(change.what, &change.object), self));
            }
            let minute = tokio::time::sleep(std::time::Duration::from_secs(60));
            tokio::select! {
                changed = news.changed() => changed.ok()?,
                () = minute => {
                    let version = json!({ "metadata": { "resourceVersion": self.cursor.to_string() } });
                    return Some((line("BOOKMARK", &version), self));
                }
            }
        }
    }
}

fn line(what: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({ "type": what, "object": object })))
}

/// What tells requests apart that are sent side by side, and stays when one is sent again: each is to have its own
/// row of bad luck, else one could get all the bad answers and its neighbours the good ones.
fn asker(method: &http::Method, path: &str, query: &Query, body: &[u8]) -> String {
    let about = ["fieldSelector", "labelSelector"].map(|key| query.get(key).map_or("", String::as_str));
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let watches = query.contains_key("watch");
    format!("{method} {path} {} {} {name} {watches}", about[0], about[1])
}

fn kind_of(path: &str) -> &'static str {
    if path.contains("/jobs") { "jobs" } else { "pods" }
}

/// Whether an object is selected, in the few ways in which the client asks.
fn selects(query: &Query, object: &Value) -> bool {
    let name = query.get("fieldSelector").and_then(|text| text.strip_prefix("metadata.name="));
    if name.is_some_and(|name| object["metadata"]["name"] != name) {
        return false;
    }
    match query.get("labelSelector").and_then(|text| text.split_once('=')) {
        Some((key, value)) => object["metadata"]["labels"][key] == value,
        None => true,
    }
}

/// An answer whose body comes in parts.
pub(crate) fn answer(
    code: u16,
    parts: impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
) -> Answer {
    let body = StreamBody::new(parts.map(|part| part.map(Frame::data))).boxed_unsync();
    Response::builder().status(code).body(body).unwrap()
}
