//! What is there and what changes, for as long as somebody listens: through lost connections, forgotten revisions,
//! servers that are busy, and watches that fall silent.
//!
//! kube's watcher was not made for a bad day: it begins a watch that ends at once again without a pause, waits for
//! ever for a server that accepts and says nothing, and does not read `Retry-After`.

mod lines;

/// What the fuzz targets ask of watches.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz {
    use std::collections::VecDeque;

    use serde_json::Value;

    use super::lines::Lines;

    /// The events of bytes that come in pieces of a size, in words, and whether all of them could be read.
    pub(crate) fn events(bytes: &[u8], size: usize) -> (Vec<String>, bool) {
        let (mut lines, mut out) = (Lines::default(), VecDeque::new());
        let whole = bytes.chunks(size).all(|piece| lines.take::<Value>(piece, &mut out).is_ok());
        (out.iter().map(|event| format!("{event:?}")).collect(), whole)
    }
}

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::future::{self, Either};
use futures::stream::{self, BoxStream};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::client::Body;
use serde::de::DeserializeOwned;

use self::lines::{Event, Lines};
use crate::patience::Patience;
use crate::transport::{Call, Fault};
use crate::{JobManager, limits};

/// What has metadata.
pub(crate) trait Object: DeserializeOwned + Send + 'static {
    fn meta(&self) -> &ObjectMeta;
}

impl Object for k8s_openapi::api::batch::v1::Job {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
}

impl Object for k8s_openapi::api::core::v1::Pod {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
}

/// Says which objects are wanted.
pub(crate) type Keeps<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// What is watched.
pub(crate) struct Selection<T> {
    /// The path of the collection.
    pub(crate) path: String,
    /// What the server selects by: `labelSelector` or `fieldSelector`, and its text.
    pub(crate) selector: Option<(&'static str, String)>,
    /// Which of it is wanted: the rest is never kept.
    pub(crate) keeps: Option<Keeps<T>>,
}

/// Where a watch begins.
pub(crate) enum Since {
    /// With a list.
    List,
    /// With the changes after this revision.
    Version(String),
    /// With what is there, told as if it had just been added; how much that is, is not said.
    Now,
}

/// What a watch tells.
#[derive(Debug)]
pub(crate) enum News<T> {
    /// All that is there: anything else is gone.
    All(Vec<T>),
    /// Added or changed.
    Is(T),
    /// Deleted.
    Gone(T),
}

/// Watches. The stream ends after an error, which is one that no further try mends.
pub(crate) fn watch<T: Object>(
    manager: &JobManager,
    selection: Selection<T>,
    since: Since,
) -> BoxStream<'static, Result<News<T>, Fault>> {
    let stage = match since {
        Since::List => Stage::Listing,
        Since::Version(version) => Stage::Opening(Some(version)),
        Since::Now => Stage::Opening(None),
    };
    let watcher = Watcher {
        manager: manager.clone(),
        selection,
        stage,
        patience: Patience::new(limits::STREAM_BUDGET),
        ready: VecDeque::new(),
    };
    stream::unfold(watcher, Watcher::next).boxed()
}

struct Watcher<T> {
    manager: JobManager,
    selection: Selection<T>,
    stage: Stage,
    patience: Patience,
    ready: VecDeque<News<T>>,
}

enum Stage {
    /// A list comes next.
    Listing,
    /// A watch from this revision on comes next.
    Opening(Option<String>),
    /// A watch is open.
    Watching(Box<Open>),
    /// There is nothing more to be had.
    Over,
}

/// An open watch.
struct Open {
    body: Body,
    lines: Lines,
    /// From where to go on; unknown as long as it tells what was there.
    version: Option<String>,
    since: Instant,
}

/// Why a watch goes on in another way.
enum Turn {
    /// The connection ended in order.
    Ended,
    /// Nothing has come for too long.
    Silent,
    Fault(Fault),
}

impl From<Fault> for Turn {
    fn from(fault: Fault) -> Self {
        Turn::Fault(fault)
    }
}

impl<T: Object> Watcher<T> {
    async fn next(mut self) -> Option<(Result<News<T>, Fault>, Self)> {
        loop {
            if let Some(news) = self.ready.pop_front() {
                return Some((Ok(news), self));
            }
            let step = match &mut self.stage {
                Stage::Over => return None,
                Stage::Listing => self.list().await.map_err(Turn::Fault),
                Stage::Opening(version) => {
                    let version = version.take();
                    self.open(version).await.map_err(Turn::Fault)
                }
                Stage::Watching(_) => self.read().await,
            };
            if let Err(turn) = step
                && let Err(fault) = self.turn(turn).await
            {
                self.stage = Stage::Over;
                return Some((Err(fault), self));
            }
        }
    }

    async fn list(&mut self) -> Result<(), Fault> {
        let Selection { path, selector, keeps } = &self.selection;
        let selector = selector.as_ref().map(|(kind, text)| (*kind, text.as_str()));
        let keeps = |item: &T| keeps.as_ref().is_none_or(|keeps| keeps(item));
        let list = self.manager.all_of(path, selector, keeps).await?;
        self.patience.answered();
        self.ready.push_back(News::All(list.items));
        self.stage = Stage::Opening(Some(list.version));
        Ok(())
    }

    async fn open(&mut self, version: Option<String>) -> Result<(), Fault> {
        // Should it fail, it is tried again from here.
        self.stage = Stage::Opening(version.clone());
        let Selection { path, selector, .. } = &self.selection;
        let mut call = Call::get(path.as_str())
            .query("watch", "true")
            .query("allowWatchBookmarks", "true")
            .query("timeoutSeconds", &limits::WATCH.as_secs().to_string())
            .query_if("resourceVersion", version.as_deref());
        if let Some((kind, text)) = selector {
            call = call.query(kind, text);
        }
        let body = self.manager.open(&call).await?.into_body();
        let since = self.manager.world.instant();
        self.stage = Stage::Watching(Box::new(Open { body, lines: Lines::default(), version, since }));
        Ok(())
    }

    /// Reads what comes next.
    async fn read(&mut self) -> Result<(), Turn> {
        let Stage::Watching(open) = &mut self.stage else { return Ok(()) };
        let silence = self.manager.world.sleep(limits::WATCH_SILENCE);
        let bytes = match future::select(open.body.frame(), silence).await {
            Either::Right(_) => return Err(Turn::Silent),
            Either::Left((None, _)) => return Err(Turn::Ended),
            Either::Left((Some(Err(error)), _)) => return Err(Turn::Fault(Fault::silent(error))),
            Either::Left((Some(Ok(frame)), _)) => frame.into_data().unwrap_or_default(),
        };
        let mut events = VecDeque::new();
        let read = open.lines.take::<T>(&bytes, &mut events);
        for event in events {
            let kept = |item: &T| self.selection.keeps.as_ref().is_none_or(|keeps| keeps(item));
            let (object, is_gone) = match event {
                Event::Refused(fault) => return Err(fault.into()),
                Event::Bookmark(version) => {
                    open.version = Some(version);
                    self.patience.renewed();
                    continue;
                }
                Event::Is(object) => (object, false),
                Event::Gone(object) => (object, true),
            };
            self.patience.renewed();
            // What is told at the beginning of a watch without a revision comes in no order.
            if let (Some(known), Some(version)) = (&mut open.version, &object.meta().resource_version) {
                known.clone_from(version);
            }
            if kept(&object) {
                self.ready.push_back(if is_gone { News::Gone(object) } else { News::Is(object) });
            }
        }
        Ok(read?)
    }

    /// What comes after a watch or a list that did not go on: another stage, perhaps after a pause.
    ///
    /// # Errors
    /// The fault, if no further try mends it.
    async fn turn(&mut self, turn: Turn) -> Result<(), Fault> {
        let stage = std::mem::replace(&mut self.stage, Stage::Listing);
        let (version, has_lived) = match stage {
            Stage::Watching(open) => {
                let age = self.manager.world.instant().saturating_duration_since(open.since);
                (open.version, age >= limits::WATCH_LIVED)
            }
            Stage::Opening(version) => (version, false),
            Stage::Listing | Stage::Over => (None, false),
        };
        if has_lived {
            self.patience.renewed();
        }
        let fault = match turn {
            // A list says what has been missed, and whether the server is still there.
            Turn::Silent => return Ok(()),
            Turn::Ended if has_lived => Fault::default(),
            Turn::Ended => Fault::silent("the watch ended as soon as it began"),
            Turn::Fault(fault) => fault,
        };
        tracing::debug!(code = fault.code, message = fault.message, path = self.selection.path, "watch lost");
        if !fault.is_expired() && !fault.may_pass() {
            return Err(fault);
        }
        // Without a revision to go on from, and with one that the server does not know, everything is told anew.
        if let Some(version) = version.filter(|_| !fault.is_expired() && !fault.is_from_the_future()) {
            self.stage = Stage::Opening(Some(version));
        }
        let is_fresh = self.patience.failures() == 0 && (fault.is_expired() || has_lived);
        match self.manager.pause(&mut self.patience, &fault) {
            None => Err(fault),
            Some(_) if is_fresh && fault.retry_after.is_none() => Ok(()),
            Some(pause) => {
                self.manager.world.sleep(pause).await;
                Ok(())
            }
        }
    }
}

/// Whether a revision is older than another one of the same kind of object: they are numbers
/// (`k8s.io/apimachinery/pkg/util/resourceversion`). What cannot be compared is not older.
pub(crate) fn is_older(version: Option<&str>, than: Option<&str>) -> bool {
    let number = |version: Option<&str>| version?.parse::<u64>().ok();
    matches!((number(version), number(than)), (Some(version), Some(than)) if version < than)
}
