//! Watches: what is, what changes, and how far it has been seen, one JSON object a line.
//!
//! A watch costs a cursor in the store's change log and no queue: who reads too slowly is told 410.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch as signal};
use tokio::time::{Instant, sleep_until};
use windlass_store::{Change, Entry, Revision, Watch, WatchError};

use super::dispatch::Call;
use super::list::{Found, Pages, revision};
use super::request::{Query, Shape, invalid_options};
use super::respond::{self, Answer};
use super::serve::stopped;
use super::table::{self, Settings};
use crate::error::ApiError;
use crate::field::FieldError;
use crate::kind::{Kind, Served};
use crate::registry::too_large_revision;
use crate::selectors::Selector;
use crate::world::SharedWorld;

/// How often a watcher is told how far it has seen.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Seconds that a watch lasts if the client does not say: this, up to twice this.
const LASTS: u64 = 1800;
/// Objects in one page of what is there at the start.
const PAGE: usize = 500;
/// Changes taken at once.
const CHANGES: usize = 256;

/// `GET` of a collection or an object with `watch=true`.
pub(super) fn watch(call: &Call) -> Answer {
    let initial = check_options(&call.query)?;
    let Ok(permit) = Arc::clone(&call.app.watches).try_acquire_owned() else {
        let mut error = ApiError::new(429, "TooManyRequests", "too many watches are open, try again later");
        error.details = Some(json!({"retryAfterSeconds": 5}));
        return Err(error);
    };
    let asked = revision(&call.query)?;
    let store = &call.app.registry.store;
    let newest = store.revision();
    if asked > newest {
        return Err(too_large_revision(asked.0, newest.0));
    }
    let mut pages = Pages::all(call)?;
    pages.limit(PAGE);
    let view = View {
        kind: call.kind,
        prefix: pages.prefix.clone(),
        selector: Arc::clone(&pages.selector),
        one: !call.name.is_empty(),
        shape: call.shape()?,
        settings: call.table()?,
        world: Arc::clone(&call.app.registry.world),
    };
    let bookmarks = call.query.is("allowWatchBookmarks")?;
    let state_first = initial.unwrap_or(asked == Revision(0));
    let mut feed = Feed {
        ready: VecDeque::new(),
        phase: Phase::Changes,
        view,
        bookmarks,
        announce: initial == Some(true) && bookmarks,
        until: Instant::now() + lasts(call)?,
        next_bookmark: Instant::now() + BOOKMARKS,
        store: store.clone(),
        changes: None,
        stop: call.app.stop.clone(),
        _permit: permit,
    };
    if state_first {
        // The first page is read now, so that what cannot be read is an answer and not a broken stream.
        let first = pages.next()?;
        feed.take_page(&first, pages);
    } else if let Err(error) = feed.follow(if initial.is_some() && asked.0 == 0 { newest } else { asked }) {
        feed.fail(&error);
    }
    let body = Body::from_stream(stream::unfold(feed, Feed::step));
    Ok(respond::bytes(StatusCode::OK, "application/json", body))
}

/// How long the watch lasts.
fn lasts(call: &Call) -> Result<Duration, ApiError> {
    if let Some(seconds) = call.query.number("timeoutSeconds")?.filter(|s| *s > 0) {
        return Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(LASTS)));
    }
    let mut random = [0u8; 2];
    call.app.registry.world.random(&mut random);
    Ok(Duration::from_secs(LASTS + u64::from(u16::from_le_bytes(random)) % LASTS))
}

/// `sendInitialEvents`, or why the combination is refused.
fn check_options(query: &Query) -> Result<Option<bool>, ApiError> {
    let path = "resourceVersionMatch";
    let refuse = |error| Err(invalid_options("ListOptions", error));
    let initial = query.flag("sendInitialEvents")?;
    let matching = query.get(path);
    match (initial, matching) {
        (Some(_), Some("NotOlderThan")) | (None, None) => {}
        (Some(_), _) => {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return refuse(FieldError::forbidden(path, detail));
        }
        (None, Some(_)) => {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return refuse(FieldError::forbidden(path, detail));
        }
    }
    if query.get("continue").is_some() {
        return refuse(FieldError::forbidden("continue", "continue is forbidden for watch"));
    }
    Ok(initial)
}

/// How a watcher sees objects.
struct View {
    kind: &'static Kind,
    prefix: String,
    selector: Arc<Selector>,
    /// Whether the prefix is the key of one object.
    one: bool,
    shape: Shape,
    settings: Settings,
    world: SharedWorld,
}

/// What a watch is doing.
enum Phase {
    /// Showing what is there.
    State(Pages),
    /// Showing what changes.
    Changes,
    /// Nothing more will come.
    Over,
}

struct Feed {
    /// Lines that wait to be sent: at most one page or one batch.
    ready: VecDeque<Bytes>,
    phase: Phase,
    view: View,
    bookmarks: bool,
    /// Whether the end of the initial state is to be marked.
    announce: bool,
    until: Instant,
    next_bookmark: Instant,
    store: windlass_store::Store,
    changes: Option<Watch>,
    stop: signal::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    /// The next chunk of lines, and the feed after it.
    async fn step(mut self) -> Option<(std::io::Result<Bytes>, Feed)> {
        loop {
            if !self.ready.is_empty() {
                let lines: Vec<Bytes> = self.ready.drain(..).collect();
                return Some((Ok(lines.concat().into()), self));
            }
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Over => return None,
                Phase::State(mut pages) => match pages.next() {
                    Ok(found) => self.take_page(&found, pages),
                    Err(error) => self.fail(&error),
                },
                Phase::Changes => {
                    self.phase = Phase::Changes;
                    self.wait().await;
                }
            }
        }
    }

    /// Queues a page of what is there, and decides what comes after it.
    fn take_page(&mut self, found: &Found, pages: Pages) {
        for entry in &found.entries {
            if self.view.wants_key(&entry.key) {
                self.ready.push_back(self.view.line("ADDED", entry.value.bytes()));
            }
        }
        if found.last.is_some() {
            self.phase = Phase::State(pages);
            return;
        }
        if self.announce {
            self.ready.push_back(self.view.bookmark(found.revision, true));
        }
        if let Err(error) = self.follow(found.revision) {
            self.fail(&error);
        }
    }

    /// Goes on with the changes after a revision.
    fn follow(&mut self, after: Revision) -> Result<(), ApiError> {
        self.phase = Phase::Changes;
        if self.view.kind.served == Served::Full {
            let filter = self.view.selector.filter();
            let changes = self.store.watch(&self.view.prefix, after, filter).map_err(|e| watch_error(&e))?;
            self.changes = Some(changes);
        }
        Ok(())
    }

    /// Ends the watch with an ERROR event.
    fn fail(&mut self, error: &ApiError) {
        self.ready.push_back(event("ERROR", error.status().to_string().as_bytes()));
        self.phase = Phase::Over;
    }

    /// Waits for changes, the time of a bookmark, the end of the watch or of the server.
    async fn wait(&mut self) {
        let wake = if self.bookmarks { self.next_bookmark.min(self.until) } else { self.until };
        tokio::select! {
            changes = next(&mut self.changes) => match changes {
                Ok(changes) => self.ready.extend(changes.iter().filter_map(|c| self.view.change(c))),
                Err(WatchError::Closed) => self.phase = Phase::Over,
                Err(error) => self.fail(&watch_error(&error)),
            },
            () = sleep_until(wake) => {
                if Instant::now() >= self.until {
                    self.phase = Phase::Over;
                }
                self.next_bookmark = Instant::now() + BOOKMARKS;
                if self.bookmarks && let Some(changes) = &self.changes {
                    self.ready.push_back(self.view.bookmark(changes.seen(), false));
                }
            },
            () = stopped(&mut self.stop) => self.phase = Phase::Over,
        }
    }
}

/// The next changes; never any for a kind that is only listed.
async fn next(changes: &mut Option<Watch>) -> Result<Vec<Change>, WatchError> {
    match changes {
        Some(changes) => changes.next(CHANGES).await,
        None => std::future::pending().await,
    }
}

fn watch_error(error: &WatchError) -> ApiError {
    match error {
        WatchError::Compacted { .. } => ApiError::expired(error.to_string()),
        WatchError::Ahead { asked, newest } => too_large_revision(asked.0, newest.0),
        other => ApiError::internal(other),
    }
}

impl View {
    fn wants_key(&self, key: &str) -> bool {
        (!self.one || key == self.prefix) && self.selector.passes_key(self.kind.namespaced, key)
    }

    fn wants(&self, entry: Option<&Entry>) -> bool {
        entry.is_some_and(|entry| self.selector.passes_tags(&entry.tags))
    }

    /// A change as this watcher sees it: what starts to pass is added, what stops to pass is deleted.
    fn change(&self, change: &Change) -> Option<Bytes> {
        if !self.wants_key(&change.key) {
            return None;
        }
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        match (before.filter(|b| self.wants(Some(b))), after.filter(|a| self.wants(Some(a)))) {
            (None, None) => None,
            (None, Some(after)) => Some(self.line("ADDED", after.value.bytes())),
            (Some(_), Some(after)) => Some(self.line("MODIFIED", after.value.bytes())),
            (Some(before), None) => Some(self.line("DELETED", &before.value.at_revision(change.revision))),
        }
    }

    fn line(&self, kind: &str, object: &[u8]) -> Bytes {
        if self.shape == Shape::Object {
            return event(kind, object);
        }
        let object: Value = match serde_json::from_slice(object) {
            Ok(object) => object,
            Err(cause) => return event("ERROR", ApiError::internal(cause).status().to_string().as_bytes()),
        };
        event(kind, self.shaped(object).to_string().as_bytes())
    }

    fn shaped(&self, object: Value) -> Value {
        match self.shape {
            Shape::Object => object,
            Shape::Metadata(version) => table::partial(&object, version),
            Shape::Table(version) => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let settings = Settings { now: self.world.now(), ..self.settings };
                table::table(self.kind, version, &metadata, vec![object], &settings)
            }
        }
    }

    fn bookmark(&self, revision: Revision, initial_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.0.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.shape {
            Shape::Object => {
                json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata})
            }
            Shape::Metadata(version) => table::partial(&json!({"metadata": metadata}), version),
            Shape::Table(version) => table::table(self.kind, version, &metadata, Vec::new(), &self.settings),
        };
        event("BOOKMARK", object.to_string().as_bytes())
    }
}

/// One event, one line.
fn event(kind: &str, object: &[u8]) -> Bytes {
    [b"{\"type\":\"", kind.as_bytes(), b"\",\"object\":", object, b"}\n"].concat().into()
}
