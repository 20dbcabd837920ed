//! The engine's side of the shim: finds or starts it, speaks to it, and starts a new one when it dies.
//! It knows no pod; what a dead shim left is the new shim's business.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::MAX_RUNS;
use super::enter;
use super::link::{self, Link};
use super::wire::{self, MAX_FRAME, Reply, Request};
use crate::runtime::{
    Event, Exec, ExecError, Input, InputError, Key, Runtime, RuntimeGone, Session, Start, StartFailure,
};
use crate::world;

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
}

#[derive(Default)]
struct Outbox {
    frames: Vec<u8>,
    /// Starts that nothing was heard of: said again to a new shim.
    unheard: BTreeMap<Key, Box<Start>>,
    /// The last signal to each run whose end was not heard of: said again after a lost connection.
    signals: BTreeMap<Key, i32>,
    /// Refused here, told with the next events.
    refused: Vec<Event>,
    is_leaving: bool,
}

impl ShimRuntime {
    /// Connects to the shim that lives in `directory` (made with mode 0700 if it is not there), or starts one:
    /// `shim_argv` is its program, by absolute path, and first arguments; the directory is added. What an earlier
    /// shim left is ended and reported before this returns, so that the first [`Runtime::events`] tells all that is
    /// known of earlier runs. A run that is not among them is unknown to the shim or not begun yet: to start it again
    /// does no harm.
    pub async fn connect(directory: PathBuf, shim_argv: Vec<OsString>) -> Result<ShimRuntime, ConnectError> {
        let (link, known) = link::open(&directory, &shim_argv).await?;
        let shared = Arc::new(Shared {
            outbox: Mutex::default(),
            filled: Notify::new(),
            state: watch::Sender::new(Ok(link.pid)),
        });
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
        self.shared.change(|outbox| {
            outbox.is_leaving = true;
            let _ = wire::put(&mut outbox.frames, &Request::Shutdown { end_runs });
        });
        let mut state = self.shared.state.subscribe();
        // An error means that the pump is gone, and the connection with it.
        let _ = state.wait_for(Result::is_err).await;
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

impl Outbox {
    fn signal(&mut self, key: Key, signal: i32) {
        // Ours always serialise.
        let _ = wire::put(&mut self.frames, &Request::Signal { key: key.clone(), signal });
        self.signals.insert(key, signal);
    }

    /// What the shim said needs not be said to it again.
    fn hear(&mut self, event: &Event) {
        self.unheard.remove(event.key());
        if !matches!(event, Event::Started { .. }) {
            self.signals.remove(event.key());
        }
    }

    fn start(&mut self, start: Start) {
        let before = self.frames.len();
        let request = Request::Start(Box::new(start));
        let written = wire::put(&mut self.frames, &request);
        let Request::Start(start) = request else { return };
        let message = if written.is_err() || self.frames.len() - before > MAX_FRAME {
            "its arguments and environment are too long"
        } else if self.unheard.len() >= MAX_RUNS {
            "too many containers are being started"
        } else {
            self.unheard.insert(start.key.clone(), start);
            return;
        };
        self.frames.truncate(before);
        let (key, message) = (start.key, message.to_owned());
        self.refused.push(Event::Failed { key, failure: StartFailure::Other, message, at: world::now() });
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
            self.shared.change(|outbox| {
                for key in &keys {
                    outbox.signals.remove(key);
                }
                drop(wire::put(&mut outbox.frames, &Request::Forget(keys)));
            });
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
        Box::pin(enter::exec(self.directory.clone(), exec))
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
        let end = converse(&shared, &mut link, &tell).await;
        if shared.change(|outbox| outbox.is_leaving) {
            break "it was shut down".to_owned();
        }
        tracing::warn!(error = %end, "the connection to the shim ended");
        let _ = shared.state.send_replace(Err(end));
        let known = match link::open(&directory, &argv).await {
            Ok((new, known)) => {
                link = new;
                known
            }
            Err(error) => break error.to_string(),
        };
        let _ = shared.state.send_replace(Ok(link.pid));
        shared.say_again(&known);
        if !known.is_empty() && tell.send(known).await.is_err() {
            break "nobody listens".to_owned();
        }
    };
    let _ = shared.state.send_replace(Err(words));
}

impl Shared {
    /// What the shim may not have heard is said again, to it or to the one after it.
    fn say_again(&self, known: &[Event]) {
        self.change(|outbox| {
            outbox.frames.clear();
            known.iter().for_each(|event| outbox.hear(event));
            for start in std::mem::take(&mut outbox.unheard).into_values() {
                outbox.start(*start);
            }
            // To a run that the shim does not know a signal is nothing.
            for (key, signal) in std::mem::take(&mut outbox.signals) {
                outbox.signal(key, signal);
            }
        });
    }
}

/// Returns why the conversation ended.
async fn converse(shared: &Shared, link: &mut Link, tell: &mpsc::Sender<Vec<Event>>) -> String {
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
            let events = match reader.receive().await {
                Ok(replies) => replies.into_iter().filter_map(event_of).collect::<Vec<_>>(),
                Err(error) => return error.to_string(),
            };
            if events.is_empty() {
                continue;
            }
            shared.change_quietly(|outbox| {
                events.iter().for_each(|event| outbox.hear(event));
            });
            if tell.send(events).await.is_err() {
                return "nobody listens".to_owned();
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Shared {
        Shared { outbox: Mutex::default(), filled: Notify::new(), state: watch::Sender::new(Ok(1)) }
    }

    fn unsaid(shared: &Shared) -> String {
        let frames = shared.change_quietly(|outbox| std::mem::take(&mut outbox.frames));
        String::from_utf8(frames).unwrap()
    }

    #[test]
    fn signal_that_was_on_its_way_when_the_connection_broke_is_said_again_until_the_run_has_ended() {
        let shared = shared();
        let key = Key { pod: "p".into(), container: "main".into(), attempt: 0 };
        shared.change(|outbox| outbox.signal(key.clone(), 15));
        assert!(unsaid(&shared).contains("15"));
        shared.say_again(&[Event::Started { key: key.clone(), pid: 1, at: world::now(), unlimited: None }]);
        assert!(unsaid(&shared).contains("15"));
        shared.say_again(&[Event::Lost { key, message: String::new(), at: world::now() }]);
        assert_eq!(unsaid(&shared), "");
    }
}
