//! The stream of a watch: first what is there, page by page, then what changes, until its time, a fault or the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, watch as signal};
use windlass_store::{Change, Revision, Store, Watch, WatchError};

use super::view::{View, event};
use crate::error::ApiError;
use crate::http::dispatch::Call;
use crate::http::pages::{Found, Pages};
use crate::http::serve::stopped;
use crate::registry::too_large_revision;
use crate::rights::{Accounts, User};
use crate::world::SharedWorld;

/// How often a watcher is told how far it has seen.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Changes taken at once.
const CHANGES: usize = 256;

/// What a watch is doing.
enum Phase {
    /// Showing what is there.
    State(Pages),
    /// Showing what changes.
    Changes,
    /// Nothing more will come.
    Over,
}

/// A watch that is open.
pub(super) struct Feed {
    /// Lines that wait to be sent: at most one page or one batch.
    ready: VecDeque<Bytes>,
    phase: Phase,
    view: View,
    bookmarks: bool,
    /// Whether the end of the initial state is to be marked.
    announce: bool,
    /// Resolves when its time is up.
    end: BoxFuture<'static, ()>,
    /// Resolves when the watcher is next told how far it has seen, and looked at again.
    look: BoxFuture<'static, ()>,
    world: SharedWorld,
    accounts: Accounts,
    user: Arc<User>,
    store: Store,
    changes: Option<Watch>,
    stop: signal::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    /// A watch that has shown nothing yet.
    pub(super) fn new(
        call: &Call,
        view: View,
        lasts: Duration,
        bookmarks: bool,
        permit: OwnedSemaphorePermit,
    ) -> Feed {
        let app = &call.app;
        let world = Arc::clone(&app.registry.world);
        Feed {
            accounts: app.gate.accounts.clone(),
            user: Arc::clone(&call.user),
            ready: VecDeque::new(),
            phase: Phase::Over,
            view,
            bookmarks,
            announce: false,
            end: world.waited(lasts),
            look: world.waited(BOOKMARKS),
            world,
            store: app.registry.store.clone(),
            changes: None,
            stop: app.stop.clone(),
            _permit: permit,
        }
    }

    /// Whether the end of the initial state is to be marked; only who allows bookmarks gets it.
    pub(super) fn announce(&mut self, wanted: bool) {
        self.announce = wanted && self.bookmarks;
    }

    /// The next chunk of lines, and the feed after it.
    pub(super) async fn step(mut self) -> Option<(std::io::Result<Bytes>, Feed)> {
        let lines = self.events().await?;
        Some((Ok(lines.concat().into()), self))
    }

    /// The next events, a line each: one at least, none at the end.
    pub(super) async fn events(&mut self) -> Option<Vec<Bytes>> {
        loop {
            if !self.ready.is_empty() {
                return Some(self.ready.drain(..).collect());
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
    pub(super) fn take_page(&mut self, found: &Found, pages: Pages) {
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
        self.follow(found.revision);
    }

    /// Goes on with the changes after a revision.
    pub(super) fn follow(&mut self, after: Revision) {
        self.phase = Phase::Changes;
        match self.store.watch(&self.view.prefix, after, self.view.selector.filter()) {
            Ok(changes) => self.changes = Some(changes),
            Err(error) => self.fail(&watch_error(&error)),
        }
    }

    /// Ends the watch with an ERROR event.
    fn fail(&mut self, error: &ApiError) {
        self.ready.push_back(event("ERROR", error.status().to_string().as_bytes()));
        self.phase = Phase::Over;
    }

    /// Waits for changes, the time to look up, the end of the watch or of the server.
    async fn wait(&mut self) {
        tokio::select! {
            changes = next(&mut self.changes) => match changes {
                Ok(changes) => self.ready.extend(changes.iter().filter_map(|c| self.view.change(c))),
                Err(WatchError::Closed) => self.phase = Phase::Over,
                Err(error) => self.fail(&watch_error(&error)),
            },
            () = &mut self.end => {
                self.phase = Phase::Over;
                self.mark();
            },
            () = &mut self.look => {
                // A service account that is gone or has another role shows nothing more.
                if !self.accounts.still(&self.user) {
                    self.phase = Phase::Over;
                }
                self.look = self.world.waited(BOOKMARKS);
                self.mark();
            },
            () = stopped(&mut self.stop) => self.phase = Phase::Over,
        }
    }

    /// Tells who allows bookmarks how far has been seen.
    fn mark(&mut self) {
        if self.bookmarks
            && let Some(changes) = &self.changes
        {
            self.ready.push_back(self.view.bookmark(changes.seen(), false));
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
