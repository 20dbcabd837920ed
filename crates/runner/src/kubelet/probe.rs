//! Probes: which are due, what their answers add up to, and what that makes of a container. It asks nobody: an answer
//! is told to it. A probe's first time is its delay after the container's start, the next one a period after that.
//!
//! Source: pkg/kubelet/prober (`worker.go`: thresholds and holds; `prober.go`: the words of events).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::hook;
use super::standing::{Standing, attempt_of};
use super::view::{ContainerView, Kind, PodView};
use super::{Facts, News, RunState};

/// What a container is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Probe {
    /// Whether it has come up. Until then nothing else is asked.
    Startup,
    /// Whether it may be sent work.
    Readiness,
    /// Whether it is to live on.
    Liveness,
}

impl Probe {
    pub(super) const ALL: [Probe; 3] = [Probe::Startup, Probe::Readiness, Probe::Liveness];

    /// The container's field.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Probe::Startup => "startupProbe",
            Probe::Readiness => "readinessProbe",
            Probe::Liveness => "livenessProbe",
        }
    }

    /// As events name it.
    fn name(self) -> &'static str {
        match self {
            Probe::Startup => "Startup",
            Probe::Readiness => "Readiness",
            Probe::Liveness => "Liveness",
        }
    }
}

/// What came of asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Yes.
    Success,
    /// Yes, with something to be said about it.
    Warning(String),
    /// No, and in what words.
    Failure(String),
    /// It could not be asked, and why.
    Error(String),
    /// It was left out, and why: there is nothing here that could ask. It says nothing of the container.
    LeftOut(String),
}

/// What is known of one probe of one run.
#[derive(Clone, PartialEq, Debug)]
pub struct Probed {
    pub(super) container: String,
    pub(super) attempt: u32,
    pub(super) probe: Probe,
    /// When it was asked last.
    asked_at: Timestamp,
    /// An answer is on its way.
    is_open: bool,
    /// The last answer, and how often in a row it was given.
    last: Option<bool>,
    row: u64,
    /// What was answered often enough to count, and since when.
    verdict: Option<(bool, Timestamp)>,
}

/// How a container that runs is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Health {
    /// Its postStart hook has not ended well: for everybody else it is not there yet.
    pub(super) is_held: bool,
    pub(super) is_started: bool,
    pub(super) is_ready: bool,
    /// It is to be ended, since then.
    pub(super) fault: Option<(Fault, Timestamp)>,
}

/// Why a container is to be ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Probe(Probe),
    PostStart,
}

/// How a container is. Where nothing was answered yet, what the status says of this run counts: the engine that asked
/// before this one may be gone.
pub(super) fn health(container: &ContainerView<'_>, standing: &Standing, facts: &Facts) -> Health {
    let (attempt, is_running) = match standing {
        Standing::Running { attempt, .. } => (*attempt, true),
        Standing::Ended(end) => (end.attempt, false),
        Standing::Due { .. } | Standing::Asked { .. } => return Health::default(),
    };
    let verdict = |probe| find(facts, container.name, attempt, probe).and_then(|probed| probed.verdict);
    let failed = |probe| match verdict(probe) {
        Some((false, since)) if has(container, probe) => Some((Fault::Probe(probe), since)),
        _ => None,
    };
    let fault = failed(Probe::Liveness).or_else(|| failed(Probe::Startup));
    if !is_running {
        return Health { fault, ..Health::default() };
    }
    let told = |field: &str| {
        let told = container.told;
        told["state"]["running"].is_object() && attempt_of(told) == Some(attempt) && told[field] == true
    };
    let hook_fault = match hook::post_start(container, attempt, facts) {
        hook::Progress::Over => None,
        hook::Progress::Failed(since) => Some((Fault::PostStart, since)),
        hook::Progress::Open => {
            return Health { is_held: true, fault, ..Health::default() };
        }
    };
    let is_held = hook_fault.is_some();
    let holds = |probe: Probe, field| {
        !has(container, probe) || verdict(probe).map_or_else(|| told(field), |(holds, _)| holds)
    };
    let is_started = !is_held && holds(Probe::Startup, "started");
    let is_ready = is_started && holds(Probe::Readiness, "ready");
    Health { is_held, is_started, is_ready, fault: hook_fault.or(fault) }
}

fn has(container: &ContainerView<'_>, probe: Probe) -> bool {
    container.kind != Kind::Init && container.spec[probe.field()].is_object()
}

/// The probes to ask now, and when the next one is.
pub(super) fn due(
    container: &ContainerView<'_>,
    standing: &Standing,
    health: Health,
    is_stopping: bool,
    facts: &Facts,
    now: Timestamp,
) -> (Vec<Probe>, Option<Timestamp>) {
    let (mut due, mut next) = (Vec::new(), None::<Timestamp>);
    let Standing::Running { attempt, since } = standing else { return (due, next) };
    if health.is_held {
        return (due, next);
    }
    for probe in Probe::ALL {
        let is_wanted = match probe {
            Probe::Readiness => health.is_started,
            Probe::Liveness => health.is_started && health.fault.is_none() && !is_stopping,
            Probe::Startup => !health.is_started && health.fault.is_none() && !is_stopping,
        };
        if !is_wanted || !has(container, probe) {
            continue;
        }
        let spec = &container.spec[probe.field()];
        let at = match find(facts, container.name, *attempt, probe) {
            Some(probed) if probed.is_open => continue,
            // The clock was set back: what was to come then is not waited for.
            Some(probed) if probed.asked_at > now => now,
            None if *since > now => now,
            Some(probed) => add(probed.asked_at, number(spec, "periodSeconds", 10).max(1)),
            None => add(*since, number(spec, "initialDelaySeconds", 0)),
        };
        if at <= now {
            due.push(probe);
        } else {
            next = Some(next.map_or(at, |next| next.min(at)));
        }
    }
    (due, next)
}

impl Facts {
    /// A probe was asked: its answer will be told.
    pub fn note_asked(&mut self, container: &str, attempt: u32, probe: Probe, now: Timestamp) {
        match self.probes.iter_mut().find(|known| known.is(container, attempt, probe)) {
            Some(known) => (known.asked_at, known.is_open) = (now, true),
            None => self.probes.push(Probed {
                container: container.to_owned(),
                attempt,
                probe,
                asked_at: now,
                is_open: true,
                last: None,
                row: 0,
                verdict: None,
            }),
        }
    }

    /// Takes in an answer. Of a run that is over, or of a pod that is being deleted (but for its readiness), none counts.
    pub fn note_answer<'a>(
        &mut self,
        pod: impl Into<PodView<'a>>,
        (container, attempt, probe): (&str, u32, Probe),
        answer: &Answer,
        now: Timestamp,
    ) {
        let view = pod.into();
        let runs = |run: &super::Run| {
            run.container == container
                && run.attempt == attempt
                && matches!(run.state, RunState::Running { .. })
        };
        let is_leaving = view.time("/metadata/deletionTimestamp").is_some();
        let is_heard = self.runs.iter().any(runs) && (probe == Probe::Readiness || !is_leaving);
        let containers = view.containers();
        let container = containers.iter().find(|known| known.name == container).filter(|_| is_heard);
        let Some(container) = container else { return };
        let known = self.probes.iter_mut().find(|known| known.is(container.name, attempt, probe));
        let Some(known) = known else { return };
        known.is_open = false;
        self.news.extend(complaint(probe, answer).map(|news| news.of(container.name)));
        if let Some(holds) = answer.holds()
            && known.count(holds, &container.spec[probe.field()], now)
            && !holds
            && probe != Probe::Readiness
        {
            self.news.push(News::normal("Killing", killing(container, probe)).of(container.name));
        }
    }
}

impl Answer {
    fn holds(&self) -> Option<bool> {
        match self {
            Answer::Success | Answer::Warning(_) => Some(true),
            Answer::Failure(_) => Some(false),
            Answer::Error(_) | Answer::LeftOut(_) => None,
        }
    }
}

impl Probed {
    fn is(&self, container: &str, attempt: u32, probe: Probe) -> bool {
        self.probe == probe && self.attempt == attempt && self.container == container
    }

    /// Counts an answer; whether it changed the verdict.
    fn count(&mut self, holds: bool, spec: &Value, now: Timestamp) -> bool {
        self.row = if self.last == Some(holds) { self.row + 1 } else { 1 };
        self.last = Some(holds);
        let (field, usual) = if holds { ("successThreshold", 1) } else { ("failureThreshold", 3) };
        let threshold = u64::try_from(number(spec, field, usual)).unwrap_or(1);
        let is_enough = self.row >= threshold && self.verdict.is_none_or(|(old, _)| old != holds);
        if is_enough {
            self.verdict = Some((holds, now));
        }
        is_enough
    }
}

fn find<'a>(facts: &'a Facts, container: &str, attempt: u32, probe: Probe) -> Option<&'a Probed> {
    facts.probes.iter().find(|known| known.is(container, attempt, probe))
}

fn complaint(probe: Probe, answer: &Answer) -> Option<News> {
    let name = probe.name();
    let (reason, message) = match answer {
        Answer::Success => return None,
        Answer::Warning(text) => ("ProbeWarning", format!("{name} probe warning: {text}")),
        Answer::Failure(text) => ("Unhealthy", format!("{name} probe failed: {text}")),
        Answer::Error(text) | Answer::LeftOut(text) => {
            ("Unhealthy", format!("{name} probe errored and resulted in unknown state: {text}"))
        }
    };
    Some(News::warning(reason, message))
}

fn killing(container: &ContainerView<'_>, probe: Probe) -> String {
    let probe = probe.name().to_lowercase();
    let name = container.name;
    match container.kind {
        Kind::App if container.restarts_when_ended() => {
            format!("Container {name} failed {probe} probe, will be restarted")
        }
        Kind::App => format!("Container {name} failed {probe} probe"),
        Kind::Init | Kind::Sidecar => format!("Init container {name} failed {probe} probe"),
    }
}

/// How long a container that is to be ended has for it, seconds.
pub(super) fn grace_s(container: &ContainerView<'_>, fault: Fault, pod_s: i64) -> i64 {
    match fault {
        Fault::Probe(probe) => number(&container.spec[probe.field()], "terminationGracePeriodSeconds", pod_s),
        Fault::PostStart => pod_s,
    }
}

fn number(spec: &Value, field: &str, usual: i64) -> i64 {
    spec[field].as_i64().unwrap_or(usual)
}

fn add(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
