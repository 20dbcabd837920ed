//! What is wished for each container: start it, wait, stop it, or leave it.

use jiff::{SignedDuration, Timestamp};

use super::hook::{self, Hook, Means, Progress};
use super::phase::Phase;
use super::probe::{self, Fault, Health, Probe};
use super::standing::{self, End, Standing};
use super::view::{ContainerView, Kind, PodView};
use super::{Action, Facts, backoff};

pub(super) const SIGTERM: i32 = 15;
pub(super) const SIGKILL: i32 = 9;
/// What an evicted pod is given to end by itself (upstream: `immediateEvictionGracePeriodSeconds`).
const EVICTION_S: i64 = 1;
/// What a pod is given at most that is ended because the engine stops: whoever stops it waits for that.
pub const MOST_ENDING_S: i64 = 90;
/// What a container is given at the least between the word to end and its end by force.
const LEAST_S: i64 = 2;
/// As the API's default.
const GRACE_S: i64 = 30;

/// How long something has to end: from when on, and until when before it is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grace {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Grace {
    /// So many seconds, and one at least (upstream: `calculateEffectiveGracePeriod` in pkg/kubelet/pod_workers.go).
    fn of(since: Timestamp, seconds: i64) -> Grace {
        Grace { since, until: add(since, seconds.max(1)) }
    }

    fn at_most(self, other: Grace) -> Grace {
        if other.until < self.until { other } else { self }
    }

    /// When it is killed: it has two seconds at least after it was told to end (upstream: `minimumGracePeriodInSeconds` in
    /// pkg/kubelet/kuberuntime/kuberuntime_manager.go).
    fn kill_at(self) -> Timestamp {
        self.until.max(add(self.since, LEAST_S))
    }
}

/// What is wished for the containers of a pod.
pub(super) struct Wishes<'a> {
    pub(super) all: Vec<Wished<'a>>,
    /// Why everything is being stopped, if it is.
    pub(super) stop: Option<Cause>,
    /// Whether all init containers are done, or were once.
    pub(super) is_initialized: bool,
    /// Runs that are ended with the pod, and of which no event says so yet.
    news: Vec<(String, u32)>,
    /// Look again then.
    pub(super) wake_at: Option<Timestamp>,
}

/// A container, where it stands, and what is wished for it.
pub(super) struct Wished<'a> {
    pub(super) container: ContainerView<'a>,
    pub(super) standing: Standing,
    /// The end before, as `lastState.terminated` has it.
    pub(super) earlier: Option<serde_json::Value>,
    pub(super) health: Health,
    pub(super) wish: Wish,
    /// What it is to be asked.
    pub(super) probes: Vec<Probe>,
}

/// What is wished for a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// As it is.
    Leave,
    /// Start this attempt.
    Start(u32),
    /// Start again, but not yet; whether the status says so already, and not how it ended.
    BackOff { is_told: bool },
    /// Its turn has not come.
    Wait,
    /// End it by this signal.
    Stop(i32),
    /// Begin its hook.
    Hook(Hook),
}

/// Why everything is being stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// The pod is being deleted.
    Deleted,
    /// It was active for longer than it may.
    Deadline,
    /// It uses more than it may.
    Evicted,
}

/// Decides for all containers.
pub(super) fn of<'a>(view: PodView<'a>, facts: &Facts, now: Timestamp) -> Wishes<'a> {
    let mut all: Vec<Wished<'_>> = view
        .containers()
        .into_iter()
        .map(|container| {
            let (standing, earlier) = standing::of(&container, view.uid(), facts, now);
            let mut health = probe::health(&container, &standing, facts);
            health.is_ready &= !facts.unready.iter().any(|name| name == container.name);
            Wished { container, standing, earlier, health, wish: Wish::Leave, probes: Vec::new() }
        })
        .collect();
    let has_begun = |wished: &Wished<'_>| {
        wished.container.kind == Kind::App && wished.standing != Standing::Due { attempt: 0 }
    };
    let is_initialized = all.iter().any(has_begun)
        || all.iter().all(|wished| wished.container.kind == Kind::App || wished.lets_next_begin());
    let is_over = is_over(&all, is_initialized);
    let mut wake_at = None;
    let stop = match stopping(view, facts, now) {
        // What was over before its deadline is not late.
        Ok((Cause::Deadline, _)) if is_over && last_end(&all) < deadline(view, now) => None,
        Ok(stop) => Some(stop),
        Err(deadline) => {
            sooner(&mut wake_at, deadline.filter(|_| !is_over));
            None
        }
    };
    let mut making = Making { view, facts, now, wake_at };
    let ending = facts.ending.map(|since| Grace::of(since, grace_s(view).min(MOST_ENDING_S)));
    let over = || Grace::of(last_end(&all).unwrap_or(now), grace_s(view));
    let grace = stop.map(|(_, grace)| grace).or_else(|| is_over.then(over));
    let grace = match (grace, ending) {
        (Some(grace), Some(ending)) => Some(grace.at_most(ending)),
        (grace, ending) => grace.or(ending),
    };
    if stop.is_none() && !is_over {
        making.proceed(&mut all, is_initialized);
    }
    if let Some(grace) = grace {
        making.stop_all(&mut all, grace);
    }
    making.ask(&mut all, grace.is_some());
    let wake_at = making.wake_at;
    let news = if grace.is_some() { unannounced(&all, facts) } else { Vec::new() };
    Wishes { all, stop: stop.map(|(cause, _)| cause), is_initialized, news, wake_at }
}

/// The runs of which nobody was told that they are ended with their pod.
fn unannounced(all: &[Wished<'_>], facts: &Facts) -> Vec<(String, u32)> {
    let running = all.iter().filter(|wished| matches!(wished.standing, Standing::Running { .. }));
    let runs = running.map(|wished| (wished.container.name.to_owned(), wished.standing.attempt()));
    runs.filter(|run| !facts.announced.contains(run)).collect()
}

impl Wishes<'_> {
    /// Whether nothing of the pod has begun, and its volumes are why: then it has no sandbox (upstream:
    /// `PodSandboxChanged` in pkg/kubelet/kuberuntime/util/util.go).
    pub(super) fn waits_for_volumes(&self, facts: &Facts) -> bool {
        facts.blocked.iter().any(|(_, reason, _)| *reason == "ContainerCreating")
            && self.all.iter().all(|wished| wished.standing == Standing::Due { attempt: 0 })
    }

    /// The runs of which is told now that they are ended with the pod.
    pub(super) fn announced(&self) -> &[(String, u32)] {
        &self.news
    }

    /// Whether the pod has just been found to be active for longer than it may.
    pub(super) fn is_late(&self, facts: &Facts) -> bool {
        self.stop == Some(Cause::Deadline)
            && facts.announced.is_empty()
            && (!self.news.is_empty() || !self.is_anything_alive())
    }

    /// Whether the pod fails, and does so because it was evicted.
    pub(super) fn is_evicted(&self, phase: Phase) -> bool {
        phase == Phase::Failed && self.stop == Some(Cause::Evicted)
    }

    /// Whether a process of the pod may exist.
    pub(super) fn is_anything_alive(&self) -> bool {
        self.all.iter().any(|wished| wished.standing.is_alive())
    }

    /// The effects. A container whose process cannot be made is not started.
    pub(super) fn actions(&self, facts: &Facts) -> Vec<Action> {
        let action = |wished: &Wished<'_>| {
            let (container, attempt) = (wished.container.name.to_owned(), wished.standing.attempt());
            match wished.wish {
                Wish::Start(_) if facts.blocked.iter().any(|(name, ..)| *name == container) => None,
                Wish::Start(attempt) => Some(Action::Start { container, attempt }),
                Wish::Stop(signal) => Some(Action::Signal { container, attempt, signal }),
                Wish::Hook(hook) => Some(Action::Hook { container, attempt, hook }),
                Wish::Leave | Wish::BackOff { .. } | Wish::Wait => None,
            }
        };
        let mut actions: Vec<Action> = self.all.iter().filter_map(action).collect();
        for wished in &self.all {
            let (container, attempt) = (wished.container.name, wished.standing.attempt());
            let probe = |&probe| Action::Probe { container: container.to_owned(), attempt, probe };
            actions.extend(wished.probes.iter().map(probe));
        }
        actions
    }
}

impl Wished<'_> {
    /// Whether it did what an init container must do before the next one starts.
    fn lets_next_begin(&self) -> bool {
        match (&self.standing, self.container.kind) {
            (Standing::Running { .. }, Kind::Sidecar) => self.health.is_started,
            (Standing::Ended(end), Kind::Init) => end.exit_code == 0,
            _ => false,
        }
    }

    /// Whether its status says that it waits to be started again after this end: what a probe made of it an engine
    /// before this one knew.
    pub(super) fn is_told_to_restart(&self, end: &End) -> bool {
        let told = self.container.told;
        told["state"]["waiting"].is_object()
            && standing::attempt_of(&told["lastState"]["terminated"]) == Some(end.attempt)
    }

    /// Whether a probe of it failed, and it was ended for that.
    pub(super) fn was_ended(&self) -> bool {
        matches!(self.health.fault, Some((Fault::Probe(_), _)))
    }

    /// Whether it is started again after this end.
    fn restarts_after(&self, end: &End) -> bool {
        let was_ended = self.was_ended() || self.is_told_to_restart(end);
        (was_ended && self.container.restarts_when_ended()) || self.container.restarts_after(end.exit_code)
    }
}

/// Nothing will be started any more: an init container failed for good, or all app containers ended for good.
fn is_over(all: &[Wished<'_>], is_initialized: bool) -> bool {
    let for_good = |wished: &Wished<'_>| match &wished.standing {
        Standing::Ended(end) => !wished.restarts_after(end),
        _ => false,
    };
    let of = |kind| all.iter().filter(move |wished| wished.container.kind == kind);
    let init_failed = !is_initialized
        && of(Kind::Init).any(|wished| {
            for_good(wished) && !matches!(&wished.standing, Standing::Ended(End { exit_code: 0, .. }))
        });
    init_failed || of(Kind::App).all(for_good)
}

/// Why all must stop and how long that may take, or when the deadline will be.
fn stopping(view: PodView<'_>, facts: &Facts, now: Timestamp) -> Result<(Cause, Grace), Option<Timestamp>> {
    if let Some(eviction) = &facts.evicted {
        return Ok((Cause::Evicted, Grace::of(eviction.at, EVICTION_S)));
    }
    let deleted = view.time("/metadata/deletionTimestamp").map(|until| {
        let seconds = view.seconds("/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        // The API keeps whole seconds, rounded down: a grace that was given is given whole.
        Grace::of(add(until, 1 - seconds), seconds)
    });
    match (deadline(view, now), deleted) {
        (Some(deadline), deleted) if deadline <= now => {
            let grace = Grace::of(deadline, grace_s(view));
            Ok((Cause::Deadline, deleted.map_or(grace, |deleted| grace.at_most(deleted))))
        }
        (_, Some(deleted)) => Ok((Cause::Deleted, deleted)),
        (deadline, None) => Err(deadline),
    }
}

fn deadline(view: PodView<'_>, now: Timestamp) -> Option<Timestamp> {
    let started = view.time("/status/startTime").unwrap_or(now);
    view.seconds("/spec/activeDeadlineSeconds").map(|seconds| add(started, seconds))
}

fn grace_s(view: PodView<'_>) -> i64 {
    view.seconds("/spec/terminationGracePeriodSeconds").unwrap_or(GRACE_S)
}

/// What the containers' wishes are made from, and when to look again.
struct Making<'a> {
    view: PodView<'a>,
    facts: &'a Facts,
    now: Timestamp,
    wake_at: Option<Timestamp>,
}

impl Making<'_> {
    /// Everything that runs is ended, hooks first, all at once. Only signals wait: a sidecar's for all app containers and for
    /// the sidecars after it, until the time is over.
    ///
    /// Source: `newTerminationOrdering` in pkg/kubelet/kuberuntime/kuberuntime_termination_order.go.
    fn stop_all(&mut self, all: &mut [Wished<'_>], grace: Grace) {
        // From when on it is the turn of a sidecar; none while it is not yet.
        let mut turn = Some(grace.since);
        let (sidecars, others): (Vec<_>, Vec<_>) =
            all.iter_mut().partition(|wished| wished.container.kind == Kind::Sidecar);
        for wished in others {
            if wished.container.kind == Kind::App {
                turn = wished.standing.later_end(turn);
            }
            if wished.standing.is_alive() {
                wished.wish = self.stop(wished, grace, true);
            }
        }
        for wished in sidecars.into_iter().rev() {
            if wished.standing.is_alive() {
                let since = turn.unwrap_or(grace.until).min(grace.until);
                let is_its_turn = turn.is_some() || self.now >= grace.until;
                wished.wish = self.stop(wished, Grace { since, ..grace }, is_its_turn);
            }
            turn = wished.standing.later_end(turn);
        }
    }

    /// The next thing to do to end a container: its hook has to end first, and its turn to come.
    fn stop(&mut self, wished: &Wished<'_>, grace: Grace, is_its_turn: bool) -> Wish {
        let Wished { container, standing, .. } = wished;
        let (wish, next) = match hook::means(container, standing, self.facts, grace, self.now) {
            Means::Run => (Wish::Hook(Hook::PreStop), grace.until),
            Means::Await => (Wish::Leave, grace.until),
            Means::Signal(_) if !is_its_turn => (Wish::Leave, grace.until),
            Means::Signal(since) => {
                let kill_at = Grace { since, ..grace }.kill_at();
                (Wish::Stop(signal(kill_at, self.now)), kill_at)
            }
        };
        sooner(&mut self.wake_at, (next > self.now).then_some(next));
        wish
    }

    /// Starts what may start: init containers one after the other, then the others.
    fn proceed(&mut self, all: &mut [Wished<'_>], is_initialized: bool) {
        let mut may_begin = true;
        for wished in all {
            let kind = wished.container.kind;
            if kind != Kind::Init || !is_initialized {
                wished.wish = self.next(wished, may_begin);
            }
            may_begin = may_begin
                && (is_initialized || kind == Kind::App || wished.lets_next_begin())
                && !self.delays_next(wished);
        }
    }

    /// Whether those behind it wait for its postStart hook. They do not wait for one that cannot be started.
    fn delays_next(&self, wished: &Wished<'_>) -> bool {
        let is_blocked = || self.facts.blocked.iter().any(|(name, ..)| *name == wished.container.name);
        let attempt = match (wished.wish, &wished.standing) {
            (Wish::Start(attempt), _) if !is_blocked() => attempt,
            (_, Standing::Asked { attempt } | Standing::Running { attempt, .. }) => *attempt,
            _ => return false,
        };
        matches!(hook::post_start(&wished.container, attempt, self.facts), Progress::Open)
    }

    fn next(&mut self, wished: &Wished<'_>, may_begin: bool) -> Wish {
        match (&wished.standing, wished.health.fault) {
            // That it starts again was decided when its last run had ended.
            (Standing::Due { attempt }, _) if may_begin || *attempt > 0 => Wish::Start(*attempt),
            (Standing::Due { .. }, _) => Wish::Wait,
            (Standing::Ended(end), _) if wished.restarts_after(end) => {
                let until = backoff::until(end);
                if until <= self.now {
                    // Anyone who may write a status may have put any number there.
                    return Wish::Start(end.attempt.saturating_add(1));
                }
                let told_at = Some(backoff::told_at(end)).filter(|at| *at > self.now);
                sooner(&mut self.wake_at, told_at.or(Some(until)));
                Wish::BackOff { is_told: told_at.is_none() }
            }
            (Standing::Running { .. }, Some((fault, since))) => {
                let grace = probe::grace_s(&wished.container, fault, grace_s(self.view));
                self.stop(wished, Grace::of(since, grace), true)
            }
            (Standing::Running { attempt, .. }, None)
                if wished.health.is_held
                    && !hook::is_begun(self.facts, wished.container.name, *attempt, Hook::PostStart) =>
            {
                Wish::Hook(Hook::PostStart)
            }
            _ => Wish::Leave,
        }
    }

    /// Which probes are due.
    fn ask(&mut self, all: &mut [Wished<'_>], is_stopping: bool) {
        for wished in all {
            let Wished { container, standing, health, .. } = &*wished;
            let (due, next) = probe::due(container, standing, *health, is_stopping, self.facts, self.now);
            sooner(&mut self.wake_at, next);
            wished.probes = due;
        }
    }
}

fn signal(kill_at: Timestamp, now: Timestamp) -> i32 {
    if now >= kill_at { SIGKILL } else { SIGTERM }
}

fn last_end(all: &[Wished<'_>]) -> Option<Timestamp> {
    let end = |wished: &Wished<'_>| match &wished.standing {
        Standing::Ended(end) if wished.container.kind != Kind::Sidecar => Some(end.finished_at),
        _ => None,
    };
    all.iter().filter_map(end).max()
}

fn sooner(wake_at: &mut Option<Timestamp>, at: Option<Timestamp>) {
    *wake_at = match (*wake_at, at) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
}

fn add(at: Timestamp, seconds: i64) -> Timestamp {
    // Saturates: a deadline in ten thousand years is none.
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
