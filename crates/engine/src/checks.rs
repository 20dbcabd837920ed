//! Carries out what the kubelet wants asked of containers and run beside them: probes and lifecycle hooks. Each is a task
//! of its own on the server's threads; what came of it the tick takes in. It decides nothing.

mod exec;
mod http;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use windlass_runner::kubelet::{Answer, Handler, Hook, Probe};
use windlass_runner::runtime::{Key as RunKey, Runtime};
use windlass_store::Key;

use crate::tick::Tick;
use crate::world;

/// Probes that are asked at once; the others wait, and their time begins with their turn.
const AT_ONCE: usize = 64;
/// Probes that may take long beside these: whoever has taken as long as [`BRISK`] gives its turn to another.
const SLOW: usize = 512;
/// As long as most probes may take at all (`timeoutSeconds` is 1 if nobody says otherwise).
const BRISK: Duration = Duration::from_secs(1);

/// What is done beside a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Probe(Probe),
    Hook(Hook),
}

/// One of them, to be done.
pub(crate) struct Check {
    pub(crate) run: RunKey,
    pub(crate) what: What,
    pub(crate) handler: Handler,
    /// How long it may take; none: as long as the run lasts.
    pub(crate) timeout: Option<Duration>,
}

/// What came of one.
struct Outcome {
    run: RunKey,
    what: What,
    came: Came,
}

enum Came {
    /// It is over.
    Answer(Answer),
    /// It cannot be done yet, and why.
    Wait(String),
}

/// Those that go on. Each run has each of its few at most once, which bounds them all.
pub(crate) struct Checks {
    /// The controllers' own: a task that outlives the engine must not keep its hold on the shim.
    runtime: Weak<dyn Runtime>,
    threads: Handle,
    turns: Turns,
    open: HashMap<RunKey, Vec<(What, AbortHandle)>>,
    outcomes: Arc<Outcomes>,
}

#[derive(Default)]
struct Outcomes {
    list: Mutex<Vec<Outcome>>,
    some: Notify,
}

/// How many go on at once: some that are quick, and beside them some that turned out not to be.
#[derive(Clone)]
struct Turns {
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Outcomes {
    fn add(&self, run: &RunKey, what: What, came: Came) {
        let outcome = Outcome { run: run.clone(), what, came };
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        self.some.notify_one();
    }
}

impl Turns {
    fn new(quick: usize, slow: usize) -> Turns {
        Turns { quick: Arc::new(Semaphore::new(quick)), slow: Arc::new(Semaphore::new(slow)) }
    }

    /// Does `work` when its turn has come. When it has taken as long as `brisk`, the turn is another's, if there is room
    /// for one more that is slow.
    async fn take<F: Future>(&self, brisk: Duration, work: impl FnOnce() -> F) -> F::Output {
        // The semaphores are never closed.
        let turn = self.quick.acquire().await.ok();
        let mut work = pin!(work());
        if let Ok(done) = tokio::time::timeout(brisk, work.as_mut()).await {
            return done;
        }
        let slow = self.slow.try_acquire().ok();
        let _held = if slow.is_some() { slow } else { turn };
        work.await
    }
}

impl Checks {
    /// Must be called within a tokio runtime that has I/O: that is where the tasks go.
    pub(crate) fn new(runtime: Weak<dyn Runtime>) -> Checks {
        let turns = Turns::new(AT_ONCE, SLOW);
        Checks { runtime, threads: Handle::current(), turns, open: HashMap::new(), outcomes: Arc::default() }
    }

    /// Resolves when something came of one.
    pub(crate) async fn some(&self) {
        self.outcomes.some.notified().await;
    }

    fn begin(&mut self, check: Check) {
        let Check { run, what, handler, timeout } = check;
        let (runtime, turns) = (self.runtime.clone(), self.turns.clone());
        let outcomes = Arc::clone(&self.outcomes);
        let of = run.clone();
        let task = self.threads.spawn(async move {
            let waits = |why| outcomes.add(&run, what, Came::Wait(why));
            let perform = || perform(&runtime, &run, (what, &handler), timeout, waits);
            let answer = match what {
                What::Probe(_) => turns.take(BRISK, perform).await,
                // Hooks need no turn: they may last as long as their container.
                What::Hook(_) => perform().await,
            };
            outcomes.add(&run, what, Came::Answer(answer));
        });
        self.open.entry(of).or_default().push((what, task.abort_handle()));
    }

    /// A run is over: nobody waits for what goes on beside it.
    pub(crate) fn end(&mut self, run: &RunKey) {
        if self.open.is_empty() {
            return;
        }
        for (_, task) in self.open.remove(run).unwrap_or_default() {
            task.abort();
        }
    }

    fn take(&mut self) -> Vec<Outcome> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let outcomes =
            std::mem::take(&mut *self.outcomes.list.lock().unwrap_or_else(PoisonError::into_inner));
        for Outcome { run, what, came } in &outcomes {
            if matches!(came, Came::Answer(_))
                && let Some(open) = self.open.get_mut(run)
            {
                open.retain(|(known, _)| known != what);
                if open.is_empty() {
                    self.open.remove(run);
                }
            }
        }
        outcomes
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        for (_, task) in self.open.values().flatten() {
            task.abort();
        }
    }
}

impl Tick {
    /// Begins what a committed draft wants.
    pub(crate) fn begin_checks(&mut self, checks: Vec<Check>) {
        let now = self.world.now();
        for check in checks {
            if !self.runs.knows(&check.run) {
                continue;
            }
            let RunKey { container, attempt, .. } = &check.run;
            let facts = self.runs.edit(&check.run.pod);
            match check.what {
                What::Probe(probe) => facts.note_asked(container, *attempt, probe, now),
                What::Hook(hook) => facts.note_hook(container, *attempt, hook),
            }
            match self.fates.knows(&check.run) {
                true => self.answer(&check.run, check.what, &Answer::Success),
                false => self.checks.begin(check),
            }
        }
    }

    /// Takes in what came of those that are over.
    pub(crate) fn absorb_checks(&mut self) {
        for Outcome { run, what, came } in self.checks.take() {
            match came {
                Came::Answer(answer) => {
                    tracing::debug!(?run, ?what, ?answer, "asked");
                    self.answer(&run, what, &answer);
                }
                Came::Wait(why) => self.waits(&run, what, &why),
            }
        }
    }

    /// Takes in that a hook has to wait.
    fn waits(&mut self, run: &RunKey, what: What, why: &str) {
        let key = self.cache.key_of(&run.pod).filter(|_| self.runs.knows(run)).cloned();
        if let (What::Hook(hook), Some(key)) = (what, key) {
            self.runs.edit(&run.pod).note_hook_wait(&run.container, hook, why);
            self.look_at([key]);
        }
    }

    /// Takes in an answer. What is played has always the one: it is as well as its script says.
    fn answer(&mut self, run: &RunKey, what: What, answer: &Answer) {
        let now = self.world.now();
        let Some(key) = self.cache.key_of(&run.pod).cloned() else { return };
        let Some(held) = self.cache.held(&key).filter(|_| self.runs.knows(run)) else { return };
        let facts = self.runs.edit(&run.pod);
        let (container, attempt) = (run.container.as_str(), run.attempt);
        match what {
            What::Probe(probe) => {
                let pod = crate::pods::parts(&held.object);
                facts.note_answer(pod, (container, attempt, probe), answer, now);
            }
            What::Hook(hook) => facts.note_hook_end(container, attempt, hook, answer, now),
        }
        self.look_at([Key::clone(&key)]);
    }
}

async fn perform(
    runtime: &Weak<dyn Runtime>,
    run: &RunKey,
    (what, handler): (What, &Handler),
    timeout: Option<Duration>,
    waits: impl FnMut(String),
) -> Answer {
    match handler {
        Handler::Exec(argv) => exec::run(runtime, run, (what, argv), timeout, waits).await,
        Handler::Http(get) => match what {
            What::Probe(_) => http::probe(get, timeout).await,
            What::Hook(_) => http::hook(get).await,
        },
        Handler::Tcp { host, port } => open(host, *port, timeout).await,
        Handler::Sleep(seconds) => {
            world::pause(Duration::from_secs(*seconds)).await;
            Answer::Success
        }
        Handler::Broken(why) => Answer::Error(why.clone()),
    }
}

/// Opens a connection, and closes it (upstream: pkg/probe/tcp).
async fn open(host: &str, port: u16, timeout: Option<Duration>) -> Answer {
    let at = address(host, port);
    match within(timeout, dial(host, port)).await {
        Some(Ok(_)) => Answer::Success,
        Some(Err(why)) => Answer::Failure(why),
        None => Answer::Failure(format!("dial tcp {at}: i/o timeout")),
    }
}

/// A connection, or why there is none in the words that clients of Kubernetes know.
async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host.trim_start_matches('[').trim_end_matches(']'), port)).await;
    stream.map_err(|cause| match cause.raw_os_error() {
        Some(_) => format!("dial tcp {}: connect: {}", address(host, port), words(&cause)),
        None => format!("dial tcp: lookup {host}: {cause}"),
    })
}

/// What the system said, as Go's programs write it.
fn words(cause: &io::Error) -> String {
    match cause.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_lowercase(),
        None => cause.to_string(),
    }
}

fn address(host: &str, port: u16) -> String {
    let is_bare = host.contains(':') && !host.starts_with('[');
    if is_bare { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What a future comes to, unless it takes too long.
async fn within<F: Future>(timeout: Option<Duration>, future: F) -> Option<F::Output> {
    match timeout {
        Some(timeout) => tokio::time::timeout(timeout, future).await.ok(),
        None => Some(future.await),
    }
}
