//! A runtime that runs nothing and answers from a script: for tests and simulation. Its clock is given; it knows no
//! process, no ledger and no log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;
use jiff::Timestamp;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use tokio::sync::Notify;

use crate::exec::LastWord;
use crate::runtime::{
    End, Ended, Event, Exec, ExecError, Input, InputError, Key, Output, Runtime, RuntimeGone, Session, Start,
    StartFailure, Stdin,
};

/// What becomes of a start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It ends at once with this code.
    Exits(i32),
    /// It runs until it is signalled or [`Scripted::end`] is called.
    Runs,
    /// It runs until it is killed or [`Scripted::end`] is called; other signals do nothing.
    RunsUntilKilled,
    /// It never begins.
    Fails(StartFailure, String),
    /// Nothing is heard of it until [`Scripted::begin`] is called.
    Hangs,
}

/// What becomes of a program beside a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Aside {
    /// It writes these to stdout and stderr, and ends at once with this code.
    Exits(i32, String, String),
    /// It writes nothing and never ends by itself.
    Runs,
    /// It never begins.
    Fails(StartFailure, String),
}

type Script = Box<dyn Fn(&Start) -> Outcome + Send + Sync>;
type AsideScript = Box<dyn Fn(&Exec) -> Aside + Send + Sync>;
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A runtime with a script.
pub struct Scripted {
    script: Script,
    asides: Option<AsideScript>,
    clock: Clock,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Default)]
struct State {
    runs: BTreeMap<Key, Run>,
    events: Vec<Event>,
    starts: Vec<Start>,
    forgotten: Vec<Key>,
    execs: Vec<Exec>,
    /// The other ends of programs that do not end.
    held: Vec<Held>,
    gone: Option<String>,
}

/// What a program beside a run would hold.
type Held = (UnixStream, Vec<OwnedFd>);

struct Run {
    outcome: Outcome,
    pid: i32,
    signals: Vec<i32>,
    last: Option<Event>,
    stdin: Stdin,
    /// Both ends of its stdin, as long as nobody has taken them.
    pipe: (Option<OwnedFd>, Option<OwnedFd>),
}

impl Scripted {
    /// A runtime that does with each start what `script` says, at the time that `clock` says.
    pub fn new(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        script: impl Fn(&Start) -> Outcome + Send + Sync + 'static,
    ) -> Scripted {
        let (script, clock) = (Box::new(script), Box::new(clock));
        Scripted { script, asides: None, clock, state: Mutex::default(), told: Notify::new() }
    }

    /// With programs beside runs, each as `script` says; without this there are none. What one writes may be as long as
    /// a pipe takes (64 KiB).
    #[must_use]
    pub fn with_asides(mut self, script: impl Fn(&Exec) -> Aside + Send + Sync + 'static) -> Scripted {
        self.asides = Some(Box::new(script));
        self
    }

    /// The programs that were asked for beside runs that run, in order.
    #[must_use]
    pub fn execs(&self) -> Vec<Exec> {
        self.lock().execs.clone()
    }

    /// The starts in the order in which they came; repeated ones are not in it.
    #[must_use]
    pub fn starts(&self) -> Vec<Start> {
        self.lock().starts.clone()
    }

    /// The keys of the starts but for the first so many, in their order.
    #[must_use]
    pub fn started_since(&self, count: usize) -> Vec<Key> {
        self.lock().starts.iter().skip(count).map(|start| start.key.clone()).collect()
    }

    /// The runs that run now.
    #[must_use]
    pub fn running(&self) -> Vec<Key> {
        let state = self.lock();
        let is_running = |run: &&(&Key, &Run)| matches!(run.1.last, Some(Event::Started { .. }));
        state.runs.iter().filter(|run| is_running(&run)).map(|(key, _)| key.clone()).collect()
    }

    /// The signals that a run was sent.
    #[must_use]
    pub fn signals(&self, key: &Key) -> Vec<i32> {
        self.lock().runs.get(key).map(|run| run.signals.clone()).unwrap_or_default()
    }

    /// The reading end of a run's stdin, once.
    pub fn stdin(&self, key: &Key) -> Option<File> {
        self.lock().runs.get_mut(key)?.pipe.0.take().map(File::from)
    }

    /// The runs that were forgotten, in order.
    #[must_use]
    pub fn forgotten(&self) -> Vec<Key> {
        self.lock().forgotten.clone()
    }

    /// Begins a run that hangs.
    pub fn begin(&self, key: &Key) {
        let mut state = self.lock();
        if let Some(Run { last: None, .. }) = state.runs.get(key) {
            self.begun(&mut state, key);
        }
    }

    /// Begins every run that hangs.
    pub fn begin_all(&self) {
        let mut state = self.lock();
        let hang = state.runs.iter().filter(|(_, run)| run.last.is_none()).map(|(key, _)| key.clone());
        for key in hang.collect::<Vec<_>>() {
            self.begun(&mut state, &key);
        }
    }

    /// A run that hung has started; what it was sent meanwhile reaches it now, as the shim keeps it.
    fn begun(&self, state: &mut State, key: &Key) {
        self.started(state, key);
        let Some(run) = state.runs.get(key) else { return };
        for signal in run.signals.clone() {
            self.reached(state, key, signal);
        }
    }

    /// Ends a run that runs.
    pub fn end(&self, key: &Key, ended: Ended) {
        self.exited(&mut self.lock(), key, ended);
    }

    /// Loses a run, whatever it does.
    pub fn lose(&self, key: &Key, message: &str) {
        let mut state = self.lock();
        let event = Event::Lost { key: key.clone(), message: message.to_owned(), at: (self.clock)() };
        self.tell(&mut state, event);
    }

    /// The runtime cannot be reached from here on.
    pub fn go(&self, why: &str) {
        self.lock().gone = Some(why.to_owned());
        self.told.notify_one();
    }

    /// Says the last word on every run that is not forgotten, as a shim does to a new engine.
    pub fn repeat(&self) {
        let mut state = self.lock();
        let last: Vec<Event> = state.runs.values().filter_map(|run| run.last.clone()).collect();
        state.events.extend(last);
        self.told.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &mut State, event: Event) {
        if let Some(run) = state.runs.get_mut(event.key()) {
            run.last = Some(event.clone());
            state.events.push(event);
            self.told.notify_one();
        }
    }

    fn started(&self, state: &mut State, key: &Key) {
        let pid = state.runs.get(key).map_or(0, |run| run.pid);
        self.tell(state, Event::Started { key: key.clone(), pid, at: (self.clock)(), unlimited: None });
    }

    fn exited(&self, state: &mut State, key: &Key, ended: Ended) {
        let Some(Run { last: Some(Event::Started { at, .. }), .. }) = state.runs.get(key) else { return };
        let (started_at, finished_at) = (*at, (self.clock)());
        let key = key.clone();
        self.tell(
            state,
            Event::Exited {
                key,
                ended,
                started_at,
                finished_at,
                cpu_us: 0,
                peak_bytes: 0,
                log_bytes: 0,
                out_of_memory: false,
                unlimited: None,
            },
        );
    }

    /// A run is ended by a signal, if it is one that it does not ignore.
    fn reached(&self, state: &mut State, key: &Key, signal: i32) {
        let ignores = |run: &Run| run.outcome == Outcome::RunsUntilKilled && signal != libc::SIGKILL;
        if state.runs.get(key).is_some_and(|run| !ignores(run)) {
            self.exited(state, key, Ended::Signal(signal));
        }
    }

    fn start_one(&self, state: &mut State, start: Start) {
        let key = start.key.clone();
        if let Some(run) = state.runs.get(&key) {
            state.events.extend(run.last.clone());
            return;
        }
        let outcome = (self.script)(&start);
        let pid = i32::try_from(state.starts.len()).unwrap_or(i32::MAX - 1) + 1;
        let stdin = start.stdio.stdin;
        state.starts.push(start);
        let pipe = match stdin {
            Stdin::Null => (None, None),
            Stdin::Once | Stdin::Open => {
                pipe().map_or((None, None), |(read, write)| (Some(read), Some(write)))
            }
        };
        let run = Run { outcome: outcome.clone(), pid, signals: Vec::new(), last: None, stdin, pipe };
        state.runs.insert(key.clone(), run);
        match outcome {
            Outcome::Hangs => {}
            Outcome::Runs | Outcome::RunsUntilKilled => self.started(state, &key),
            Outcome::Exits(code) => {
                self.started(state, &key);
                self.exited(state, &key, Ended::Code(code));
            }
            Outcome::Fails(failure, message) => {
                self.tell(state, Event::Failed { key, failure, message, at: (self.clock)() });
            }
        }
    }
}

impl Scripted {
    fn open(&self, key: &Key) -> Result<Input, InputError> {
        let mut state = self.lock();
        let run = state.runs.get_mut(key).ok_or(InputError::NotRunning)?;
        if !matches!(run.last, Some(Event::Started { .. })) {
            return Err(InputError::NotRunning);
        }
        let end = match (run.stdin, &run.pipe.1) {
            (Stdin::Null, _) => return Err(InputError::NoStdin),
            (_, None) => return Err(InputError::Ended),
            (Stdin::Once, Some(_)) => run.pipe.1.take().ok_or(InputError::Ended)?,
            (Stdin::Open, Some(end)) => end.try_clone().map_err(InputError::Broken)?,
        };
        Input::new(end, false, None).map_err(InputError::Broken)
    }
}

impl Scripted {
    fn run_beside(&self, exec: &Exec) -> Result<Session, ExecError> {
        let Some(script) = &self.asides else { return Err(ExecError::Unsupported) };
        let mut state = self.lock();
        if !matches!(state.runs.get(&exec.key), Some(Run { last: Some(Event::Started { .. }), .. })) {
            return Err(ExecError::NotRunning);
        }
        let aside = script(exec);
        state.execs.push(exec.clone());
        if let Aside::Fails(failure, message) = aside {
            return Err(ExecError::Failed { failure, message });
        }
        let (session, held) = begin(exec, &aside).map_err(ExecError::Broken)?;
        if aside == Aside::Runs {
            state.held.push(held);
        }
        Ok(session)
    }
}

/// Both sides of a program, which has written and said what it will at once.
fn begin(exec: &Exec, aside: &Aside) -> std::io::Result<(Session, Held)> {
    let (ours, mut theirs) = UnixStream::pair()?;
    let mut ends = Vec::new();
    let mut output = |wanted: bool, text: &str| {
        let made = wanted.then(|| {
            let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
            let mut write = File::from(write);
            write.write_all(text.as_bytes())?;
            ends.push(OwnedFd::from(write));
            Output::new(read)
        });
        made.transpose()
    };
    let (stdout, stderr) = match aside {
        Aside::Exits(code, stdout, stderr) => {
            let word = LastWord { ended: Ended::Code(*code) };
            theirs.write_all(format!("{}\n", serde_json::to_string(&word)?).as_bytes())?;
            (stdout.as_str(), stderr.as_str())
        }
        Aside::Runs | Aside::Fails(..) => ("", ""),
    };
    let (stdout, stderr) = (output(exec.stdout, stdout)?, output(exec.stderr && !exec.tty, stderr)?);
    let stdin = if exec.stdin {
        let (read, write) = pipe()?;
        ends.push(read);
        Some(Input::new(write, false, None)?)
    } else {
        None
    };
    let session = Session { stdin, terminal: None, stdout, stderr, end: End::new(ours, Vec::new())? };
    Ok((session, (theirs, ends)))
}

/// A pipe whose writing end does not block.
fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

impl Runtime for Scripted {
    fn start(&self, starts: Vec<Start>) {
        let mut state = self.lock();
        for start in starts {
            self.start_one(&mut state, start);
        }
        self.told.notify_one();
    }

    fn signal(&self, key: &Key, signal: i32) {
        let mut state = self.lock();
        let Some(run) = state.runs.get_mut(key) else { return };
        if run.signals.contains(&signal) && signal != libc::SIGKILL {
            return;
        }
        run.signals.push(signal);
        self.reached(&mut state, key, signal);
    }

    fn forget(&self, keys: Vec<Key>) {
        let mut state = self.lock();
        for key in keys {
            if state.runs.get(&key).is_some_and(|run| !matches!(run.last, None | Some(Event::Started { .. })))
            {
                state.runs.remove(&key);
                state.forgotten.push(key);
            }
        }
    }

    fn input<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Input, InputError>> {
        Box::pin(async { self.open(key) })
    }

    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Session, ExecError>> {
        Box::pin(async move { self.run_beside(&exec) })
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Event>, RuntimeGone>> {
        Box::pin(async {
            loop {
                {
                    let mut state = self.lock();
                    if !state.events.is_empty() {
                        return Ok(std::mem::take(&mut state.events));
                    }
                    if let Some(why) = &state.gone {
                        return Err(RuntimeGone(why.clone()));
                    }
                }
                self.told.notified().await;
            }
        })
    }
}
