//! The kubelet's decisions, pure: (pod, what is known of its runs, now) -> plan.
//!
//! A plan is in four steps, a file each: where every container stands, what is wished for it, what the status says
//! of it, and what that makes of the pod. It knows no process and no store, and it remembers nothing: what must
//! not be lost between two plans is in the status. Signals may be asked for again and again; the runtime sends
//! each once. Of probes and hooks it decides when they are due and what comes of them; who asks and runs is told to
//! with an action, and tells the facts what came of it. Volumes are not its business.

mod backoff;
mod conditions;
mod enacted;
mod handler;
mod hook;
mod image;
mod limits;
mod news;
mod phase;
mod probe;
mod shown;
mod standing;
mod view;
mod wish;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;

pub use self::conditions::disrupt;
pub use self::enacted::User;
pub use self::handler::{Handler, HttpGet, hook_handler, probe_handler};
pub use self::hook::{Hook, Hooked};
pub use self::limits::LIMITS_ENFORCED;
pub use self::news::{EventType, News};
use self::phase::Phase;
pub use self::probe::{Answer, Probe, Probed};
pub use self::view::PodView;
pub use self::wish::MOST_ENDING_S;
use crate::runtime::{Ended, StartFailure, Unlimited};

/// What is known of one container's runs, newest last. The engine keeps it from runtime events; the plan reads it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts {
    /// The runs of each container that were asked for.
    pub runs: Vec<Run>,
    /// Containers whose process cannot be made yet (a missing ConfigMap, say): name, reason, message. Retried by the engine when something changes.
    pub blocked: Vec<(String, &'static str, String)>,
    /// The last attempt of a container that ran so long that the crashes before it are forgiven.
    pub steady: Vec<(String, u32)>,
    /// It is to go, because it uses more than it may. Set only while something of it runs.
    pub evicted: Option<Eviction>,
    /// Since when all that runs is being ended, because the engine is about to stop.
    pub ending: Option<Timestamp>,
    /// Containers that run and are not to count as ready yet, whatever their probes say.
    pub unready: Vec<String>,
    /// What is known of the probes of runs.
    pub probes: Vec<Probed>,
    /// What is known of the hooks of runs.
    pub hooks: Vec<Hooked>,
    /// Limits of a run that are not enforced.
    pub unlimited: Option<Unlimited>,
    /// Who its processes run as, if the pod asks for a user or groups.
    pub user: Option<User>,
    /// Events of probes and hooks that no plan's were recorded with yet.
    pub news: Vec<News>,
    /// Runs that are ended with their pod, and of which an event says so.
    pub announced: Vec<(String, u32)>,
}

/// Why a pod is ended by its node, and since when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Eviction {
    /// For the pod's status and its event.
    pub message: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Whether the node was short of something: told by the condition `DisruptionTarget`.
    pub is_disruption: bool,
}

impl Facts {
    /// Remembers a run that ended, if it was a long one.
    pub fn note_end(&mut self, container: &str, attempt: u32, started_at: Timestamp, finished_at: Timestamp) {
        if backoff::is_steady(started_at, finished_at) {
            self.steady.retain(|(name, _)| name != container);
            self.steady.push((container.to_owned(), attempt));
        }
    }

    /// Forgets a run that nobody asks about any more.
    pub fn drop_run(&mut self, container: &str, attempt: u32) {
        self.runs.retain(|run| run.container != container || run.attempt != attempt);
        self.probes.retain(|probed| probed.container != container || probed.attempt != attempt);
        self.hooks.retain(|hooked| hooked.container != container || hooked.attempt != attempt);
        self.announced.retain(|(name, of)| name != container || *of != attempt);
    }

    /// The last long attempt before this one; 0 if there was none.
    fn steady(&self, container: &str, before: u32) -> u32 {
        let long = |(name, attempt): &&(String, u32)| name == container && *attempt < before;
        self.steady.iter().find(long).map_or(0, |(_, attempt)| *attempt)
    }
}

/// One run.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// The container's name.
    pub container: String,
    /// Which attempt.
    pub attempt: u32,
    /// How far it is.
    pub state: RunState,
}

/// How far a run is.
#[derive(Clone, PartialEq, Debug)]
pub enum RunState {
    /// Asked for, not yet heard of.
    Starting,
    /// It runs.
    Running {
        /// Its process id.
        pid: i32,
        /// Since when.
        started_at: Timestamp,
    },
    /// It ended.
    Ended {
        /// How.
        ended: Ended,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
        /// What it used.
        used: Used,
        /// Its termination message, at most [`message_limit`] bytes; empty if it left none.
        message: String,
    },
    /// It never began.
    Failed {
        /// The class of the cause.
        failure: StartFailure,
        /// The cause in words.
        message: String,
        /// When.
        at: Timestamp,
    },
    /// Nobody knows.
    Lost {
        /// What is known.
        message: String,
        /// When it was noticed.
        at: Timestamp,
    },
}

impl RunState {
    /// Whether there may be a process.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, RunState::Starting | RunState::Running { .. })
    }
}

/// How many bytes of a termination message a container's status has, of a pod with so many containers: 4 KiB each, and
/// 12 KiB all of them together (upstream: `MaxContainerTerminationMessageLength` and `MaxPodTerminationMessageLogLength`
/// in pkg/kubelet/container/runtime.go).
#[must_use]
pub fn message_limit(containers: usize) -> usize {
    const CONTAINER: usize = 4 << 10;
    const POD: usize = 12 << 10;
    POD.checked_div(containers).map_or(CONTAINER, |share| share.min(CONTAINER))
}

/// What a run used, as the system counted it for its process and all that it waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Used {
    /// CPU time, microseconds.
    pub cpu_us: u64,
    /// The most resident memory of one process, bytes; not less than the shim's own few MiB. 0: not measured.
    pub peak_bytes: u64,
    /// Whether the kernel killed a process of it for lack of memory.
    pub out_of_memory: bool,
}

/// What to do for a pod now.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// The pod's new `status`, if it differs from the one it has.
    pub status: Option<Value>,
    /// Effects, after the status is committed.
    pub actions: Vec<Action>,
    /// Events to record about the pod.
    pub events: Vec<News>,
    /// Runs of which they say that they are ended with their pod: for [`Facts::announced`], once they are recorded.
    pub announced: Vec<(String, u32)>,
    /// Look again at this time even if nothing happens.
    pub wake_at: Option<Timestamp>,
}

/// An effect on a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start this run.
    Start {
        /// The container.
        container: String,
        /// The attempt.
        attempt: u32,
    },
    /// Send this run a signal.
    Signal {
        /// The container.
        container: String,
        /// The attempt.
        attempt: u32,
        /// The signal's number.
        signal: i32,
    },
    /// Ask this run's probe.
    Probe {
        /// The container.
        container: String,
        /// The attempt.
        attempt: u32,
        /// Which.
        probe: Probe,
    },
    /// Begin this run's hook.
    Hook {
        /// The container.
        container: String,
        /// The attempt.
        attempt: u32,
        /// Which.
        hook: Hook,
    },
    /// The pod may leave the store as soon as it has no finalizers: it is deleted, and nothing of it runs.
    Remove,
}

/// Decides. `pod` is the object as stored, whole or in parts; `host_ip` and the like come with it in its status.
///
/// The facts must be complete before the first plan: a container that the status says runs, and that the facts do not
/// know, is lost.
#[must_use]
pub fn plan<'a>(pod: impl Into<PodView<'a>>, facts: &Facts, now: Timestamp) -> Plan {
    let view = pod.into();
    if !view.is_scheduled() {
        return Plan { status: given_up(view), actions: removal(view), ..Plan::default() };
    }
    if view.is_terminal() {
        return plan_terminal(view, facts);
    }
    let wishes = wish::of(view, facts, now);
    let shown = shown::of(view, facts, &wishes);
    let phase = phase::of(view, &wishes, &shown);
    let mut events = shown::events(view, &wishes, &shown);
    if wishes.is_late(facts) {
        events.push(News::normal("DeadlineExceeded", conditions::LATE));
    }
    events.extend(facts.news.iter().cloned());
    let mut status = conditions::status(view, facts, &wishes, shown, phase, now);
    limits::note(&mut status, view, facts, now, &mut events);
    if let Some(eviction) = facts.evicted.as_ref().filter(|_| wishes.is_evicted(phase)) {
        status["reason"] = "Evicted".into();
        status["message"] = eviction.message.as_str().into();
        if eviction.is_disruption {
            disrupt(
                &mut status,
                view.at("/metadata/generation"),
                ("TerminationByKubelet", &eviction.message),
                now,
            );
        }
        events.push(News::warning("Evicted", eviction.message.clone()));
    }
    let mut actions = wishes.actions(facts);
    if matches!(phase, Phase::Succeeded | Phase::Failed) {
        actions.extend(removal(view));
    }
    let status = Some(status).filter(|status| view.status != status);
    Plan { status, actions, events, announced: wishes.announced().to_vec(), wake_at: wishes.wake_at }
}

fn removal(view: PodView<'_>) -> Vec<Action> {
    let is_deleted = view.time("/metadata/deletionTimestamp").is_some();
    if is_deleted && !view.has_finalizers() { vec![Action::Remove] } else { Vec::new() }
}

/// The status of a pod that is deleted before it had a node, and kept by a finalizer: it has failed. Who waits for its
/// end, as a Job does that replaces only what has failed, would wait for ever.
///
/// Source: upstream pkg/controller/podgc (`gcUnscheduledTerminating`).
fn given_up(view: PodView<'_>) -> Option<Value> {
    let is_deleted = view.time("/metadata/deletionTimestamp").is_some();
    if !is_deleted || !view.has_finalizers() || view.is_terminal() {
        return None;
    }
    let mut status = view.status.clone();
    status["phase"] = "Failed".into();
    if let Some(generation) = view.at("/metadata/generation") {
        status["observedGeneration"] = generation.clone();
    }
    Some(status)
}

/// A pod whose phase is final, by its own end or because somebody wrote it: nothing of it may run on.
fn plan_terminal(view: PodView<'_>, facts: &Facts) -> Plan {
    let alive = facts.runs.iter().filter(|run| run.state.is_alive());
    let mut actions: Vec<Action> = alive
        .map(|run| Action::Signal {
            container: run.container.clone(),
            attempt: run.attempt,
            signal: wish::SIGKILL,
        })
        .collect();
    if actions.is_empty() {
        actions = removal(view);
    }
    Plan { actions, ..Plan::default() }
}
