//! The engine's side of the shim: finds or starts it, speaks to it, and starts a new one when it dies.
//! It knows no pod; what a dead shim left is the new shim's business.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::ability::EXEC;
use super::enter;
use super::ledger::{self, Entry};
use super::link::{self, Link};
use super::outbox::Outbox;
use super::wire::Reply;
use crate::runtime::{Event, Exec, ExecError, Input, InputError, Key, Runtime, RuntimeGone, Session, Start};

pub use super::link::ConnectError;

/// How many batches of events wait for the engine before the shim is made to wait.
const BATCHES: usize = 64;

/// The runtime that runs host processes through the shim.
///
/// Dropping it closes the connection: what runs goes on, and a later [`ShimRuntime::connect`] hears of it.
pub struct ShimRuntime {
    shared: Arc<Shared>,
    events: tokio::sync::Mutex<mpsc::Receiver<Vec<Event>>>,
    known: Vec<Event>,
    pump: JoinHandle<()>,
    directory: PathBuf,
}

struct Shared {
    outbox: Mutex<Outbox>,
    /// There is something in the outbox.
    filled: Notify,
    /// The connection's state: the shim's pid, or why there is none.
    state: watch::Sender<Result<u32, String>>,
    /// There is no connection any more, and none is tried.
    is_over: watch::Sender<bool>,
}

/// How often another shim is tried in place of one that was asked to make room for it: that one would have served on.
const TRIES: usize = 5;
/// And with what pauses.
const PAUSE: Duration = Duration::from_secs(2);

impl ShimRuntime {
    /// Connects to the shim that lives in `directory` (made with mode 0700 if it is not there), or starts one:
    /// `shim_argv` is its program, by absolute path, and first arguments; the directory is added. What an earlier
    /// shim left is ended and reported before this returns, so that the first [`Runtime::events`] tells all that is
    /// known of earlier runs. A run that is not among them is unknown to the shim or not begun yet: to start it again
    /// does no harm.
    pub async fn connect(directory: PathBuf, shim_argv: Vec<OsString>) -> Result<ShimRuntime, ConnectError> {
        let (link, mut known) = link::open(&directory, &shim_argv).await?;
        let mut outbox = Outbox::default();
        outbox.meet(link.abilities.clone(), &mut known);
        let shared = Arc::new(Shared {
            outbox: Mutex::new(outbox),
            filled: Notify::new(),
            state: watch::Sender::new(Ok(link.pid)),
            is_over: watch::Sender::new(false),
        });
        // Before anything is asked of it.
        shared.replace_older(&directory);
        let (tell, events) = mpsc::channel(BATCHES);
        if !known.is_empty() {
            // The channel is empty and has room.
            let _ = tell.try_send(known.clone());
        }
        let pump = tokio::spawn(pump(Arc::clone(&shared), link, tell, directory.clone(), shim_argv));
        Ok(ShimRuntime { shared, events: tokio::sync::Mutex::new(events), known, pump, directory })
    }

    /// What the shim knew of earlier runs when the connection was made. The first events repeat it.
    #[must_use]
    pub fn known(&self) -> &[Event] {
        &self.known
    }

    /// The shim's process id, if there is a shim now.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.shared.state.borrow().as_ref().ok().copied()
    }

    /// Ends the shim: after killing all runs, or when the last of them has ended by itself. Returns when it has
    /// closed the connection, which is the last thing it does.
    /// How the runs ended stays in the ledger for the next shim to tell.
    pub async fn shutdown(&self, end_runs: bool) {
        self.shared.change(|outbox| outbox.leave(end_runs));
        // An error would mean that nobody is left to tell.
        let _ = self.shared.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }
}

impl Drop for ShimRuntime {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Shared {
    fn change<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R {
        // Nothing panics while it holds the lock.
        let done = act(&mut self.outbox.lock().unwrap_or_else(PoisonError::into_inner));
        self.filled.notify_one();
        done
    }
}

impl Runtime for ShimRuntime {
    fn start(&self, starts: Vec<Start>) {
        self.shared.change(|outbox| starts.into_iter().for_each(|start| outbox.start(start)));
    }

    fn signal(&self, key: &Key, signal: i32) {
        self.shared.change(|outbox| outbox.signal(key.clone(), signal));
    }

    fn forget(&self, keys: Vec<Key>) {
        if !keys.is_empty() {
            self.shared.change(|outbox| outbox.forget(keys));
        }
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Event>, RuntimeGone>> {
        Box::pin(async {
            let mut batches = self.events.lock().await;
            let Some(mut events) = batches.recv().await else {
                let state = self.shared.state.borrow();
                let words = state.as_ref().err().cloned();
                return Err(RuntimeGone(words.unwrap_or_else(|| "the connection was closed".to_owned())));
            };
            while let Ok(more) = batches.try_recv() {
                events.extend(more);
            }
            Ok(events)
        })
    }

    fn input<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Input, InputError>> {
        Box::pin(enter::enter(self.directory.clone(), key.clone()))
    }

    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Session, ExecError>> {
        let is_able = self.shared.change_quietly(|outbox| outbox.abilities.has(EXEC));
        let asked = enter::exec(self.directory.clone(), exec);
        Box::pin(async move {
            match asked.await {
                // It shows out who asks what it does not know.
                Err(ExecError::Broken(cause)) if !is_able => Err(ExecError::Older(cause)),
                answered => answered,
            }
        })
    }
}

/// Speaks to one shim after another until the engine leaves or none can be started.
async fn pump(
    shared: Arc<Shared>,
    mut link: Link,
    tell: mpsc::Sender<Vec<Event>>,
    directory: PathBuf,
    argv: Vec<OsString>,
) {
    let words = loop {
        let end = converse(&shared, &mut link, &tell, &directory).await;
        if shared.change(|outbox| outbox.is_leaving()) {
            break "it was shut down".to_owned();
        }
        tracing::warn!(error = %end, "the connection to the shim ended");
        let _ = shared.state.send_replace(Err(end));
        let known = match shared.open_another(&directory, &argv).await {
            Ok((new, mut known)) => {
                link = new;
                shared.change(|outbox| outbox.meet(link.abilities.clone(), &mut known));
                known
            }
            Err(error) => break error.to_string(),
        };
        let _ = shared.state.send_replace(Ok(link.pid));
        if !known.is_empty() && tell.send(known).await.is_err() {
            break "nobody listens".to_owned();
        }
    };
    let _ = shared.state.send_replace(Err(words));
    let _ = shared.is_over.send_replace(true);
}

impl Shared {
    /// Finds or starts the next shim.
    async fn open_another(
        &self,
        directory: &Path,
        argv: &[OsString],
    ) -> Result<(Link, Vec<Event>), ConnectError> {
        for _ in 1..TRIES {
            match link::open(directory, argv).await {
                Err(error) if self.change_quietly(|outbox| outbox.is_replacing && !outbox.is_leaving()) => {
                    tracing::warn!(%error, "no shim yet in place of the older one; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                opened => return opened,
            }
        }
        link::open(directory, argv).await
    }

    /// Has a shim that can do less than this program, and has nothing to do, make room for one that can do as much.
    fn replace_older(&self, directory: &Path) {
        if self.change_quietly(|outbox| outbox.may_replace()) && is_at_rest(directory) {
            self.change(|outbox| {
                if outbox.may_replace() {
                    tracing::info!(
                        "the shim is of an older build and has nothing to do: another one takes its place"
                    );
                    outbox.replace();
                }
            });
        }
    }
}

/// Whether a shim's ledger tells of no run that it was asked for and that is not over: an engine before this one may have
/// asked, and the shim not have begun.
fn is_at_rest(directory: &Path) -> bool {
    let is_over = |entry: &Entry| matches!(entry, Entry::Over(_));
    ledger::read(&directory.join("ledger"))
        .is_ok_and(|(entries, unreadable)| unreadable == 0 && entries.values().all(is_over))
}

/// Returns why the conversation ended.
async fn converse(
    shared: &Shared,
    link: &mut Link,
    tell: &mpsc::Sender<Vec<Event>>,
    directory: &Path,
) -> String {
    shared.replace_older(directory);
    let Link { reader, writer, .. } = link;
    let sending = async {
        loop {
            shared.filled.notified().await;
            let (frames, refused) = shared.change_quietly(|outbox| {
                (std::mem::take(&mut outbox.frames), std::mem::take(&mut outbox.refused))
            });
            if !refused.is_empty() && tell.send(refused).await.is_err() {
                return "nobody listens".to_owned();
            }
            if let Err(error) = writer.send(&frames).await {
                return error.to_string();
            }
        }
    };
    let receiving = async {
        loop {
            let mut events = match reader.receive().await {
                Ok(replies) => replies.into_iter().filter_map(event_of).collect::<Vec<_>>(),
                Err(error) => return error.to_string(),
            };
            if events.is_empty() {
                continue;
            }
            shared.change_quietly(|outbox| {
                events.iter_mut().for_each(|event| outbox.hear(event));
            });
            if tell.send(events).await.is_err() {
                return "nobody listens".to_owned();
            }
            shared.replace_older(directory);
        }
    };
    tokio::select! {
        end = sending => end,
        end = receiving => end,
    }
}

impl Shared {
    /// As `change`, but without waking the sender.
    fn change_quietly<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R {
        act(&mut self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn event_of(reply: Reply) -> Option<Event> {
    match reply {
        Reply::Event(event) => Some(event),
        Reply::Hello { .. } | Reply::Synced => None,
    }
}
