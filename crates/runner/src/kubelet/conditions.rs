//! The pod's whole status: phase, conditions, addresses, times (upstream: pkg/kubelet/status/generate.go).
//! Fields and conditions of others stay as they are.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Facts;
use super::phase::Phase;
use super::shown::{Shown, State};
use super::standing::time;
use super::view::{Kind, PodView};
use super::wish::{Cause, Wishes};

/// Where host processes listen: they have no address of their own.
const ADDRESS: &str = "127.0.0.1";

/// What is said of a pod that was active for longer than it may (upstream: pkg/kubelet/active_deadline.go).
pub(super) const LATE: &str = "Pod was active on the node longer than the specified deadline";

/// A condition's status, reason and message.
pub(super) struct Verdict {
    pub(super) holds: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The pod's new status.
pub(super) fn status(
    view: PodView<'_>,
    facts: &Facts,
    wishes: &Wishes<'_>,
    shown: Vec<Shown>,
    phase: Phase,
    now: Timestamp,
) -> Value {
    let mut status = kept(view);
    status.insert("phase".into(), phase.name().into());
    keep_or(&mut status, "hostIP", || ADDRESS.into());
    keep_or(&mut status, "hostIPs", || json!([{"ip": ADDRESS}]));
    keep_or(&mut status, "podIP", || ADDRESS.into());
    keep_or(&mut status, "podIPs", || json!([{"ip": ADDRESS}]));
    keep_or(&mut status, "startTime", || time(now).into());
    if let Some(generation) = view.at("/metadata/generation") {
        status.insert("observedGeneration".into(), generation.clone());
    }
    if phase == Phase::Failed && wishes.stop == Some(Cause::Deadline) {
        status.insert("reason".into(), "DeadlineExceeded".into());
        status.insert("message".into(), LATE.into());
    }
    let conditions = conditions(view, facts, wishes, &shown, phase, now);
    status.insert("conditions".into(), conditions.into());
    let (mut inits, mut apps) = (Vec::new(), Vec::new());
    for (wished, shown) in wishes.all.iter().zip(shown) {
        let list = if wished.container.kind == Kind::App { &mut apps } else { &mut inits };
        list.push(shown.status);
    }
    if !inits.is_empty() {
        status.insert("initContainerStatuses".into(), inits.into());
    }
    status.insert("containerStatuses".into(), apps.into());
    Value::Object(status)
}

/// What of the status stays as it is, if nothing below says otherwise.
fn kept(view: PodView<'_>) -> Map<String, Value> {
    let told = view.status.as_object().into_iter().flatten();
    let stays =
        |name: &str| !matches!(name, "phase" | "conditions" | "containerStatuses" | "observedGeneration");
    let mut kept: Map<String, Value> = told
        .filter(|(name, _)| stays(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if view.at("/metadata/generation").is_none()
        && let Some(observed) = view.status.get("observedGeneration")
    {
        kept.insert("observedGeneration".into(), observed.clone());
    }
    kept
}

fn keep_or(status: &mut Map<String, Value>, name: &str, value: impl FnOnce() -> Value) {
    if status.get(name).is_none_or(Value::is_null) {
        status.insert(name.to_owned(), value());
    }
}

/// The pod's conditions: ours anew, those of others as they are, all in the order in which they came.
fn conditions(
    view: PodView<'_>,
    facts: &Facts,
    wishes: &Wishes<'_>,
    shown: &[Shown],
    phase: Phase,
    now: Timestamp,
) -> Vec<Value> {
    let told = view.status.get("conditions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let ready = ready(wishes, shown, phase);
    let gates = if ready.is_none() { gates(view, told) } else { None };
    let verdict_of = |unready: Option<(&'static str, String)>| match unready {
        Some((reason, message)) => Verdict { holds: false, reason, message },
        None => Verdict { holds: true, reason: "", message: String::new() },
    };
    let holds = |holds: bool| Verdict { holds, reason: "", message: String::new() };
    let ours = [
        ("PodReadyToStartContainers", holds(!phase.is_terminal() && !wishes.waits_for_volumes(facts))),
        ("Initialized", initialized(wishes, shown, phase)),
        ("Ready", verdict_of(ready.clone().or(gates))),
        ("ContainersReady", verdict_of(ready)),
    ];
    let mut conditions = Vec::with_capacity(told.len().max(ours.len() + 1));
    let mut said = [false; 4];
    for old in told {
        let place = ours.iter().position(|(kind, _)| old["type"] == *kind).filter(|&place| !said[place]);
        match place {
            Some(place) => {
                said[place] = true;
                conditions.push(condition(ours[place].0, &ours[place].1, Some(old), view, now));
            }
            None => conditions.push(old.clone()),
        }
    }
    for ((kind, verdict), _) in ours.iter().zip(said).filter(|(_, said)| !said) {
        conditions.push(condition(kind, verdict, None, view, now));
    }
    if !conditions.iter().any(|condition| condition["type"] == "PodScheduled") {
        conditions.push(condition("PodScheduled", &holds(true), None, view, now));
    }
    conditions
}

/// A condition; its time stays as long as its status does.
pub(super) fn condition(
    kind: &str,
    verdict: &Verdict,
    old: Option<&Value>,
    view: PodView<'_>,
    now: Timestamp,
) -> Value {
    let status = if verdict.holds { "True" } else { "False" };
    let since = old
        .filter(|old| old["status"] == status)
        .and_then(|old| old.get("lastTransitionTime").cloned())
        .unwrap_or_else(|| time(now).into());
    let mut condition = Map::new();
    condition.insert("lastTransitionTime".into(), since);
    if !verdict.message.is_empty() {
        condition.insert("message".into(), verdict.message.as_str().into());
    }
    if let Some(generation) = view.at("/metadata/generation") {
        condition.insert("observedGeneration".into(), generation.clone());
    }
    if !verdict.reason.is_empty() {
        condition.insert("reason".into(), verdict.reason.into());
    }
    condition.insert("status".into(), status.into());
    condition.insert("type".into(), kind.into());
    condition.into()
}

/// Says in a pod's status that it was ended for its node's sake: reason and message. What was said before stays.
///
/// Source: upstream pkg/kubelet/eviction (`TerminationByKubelet`) and pkg/controller/podgc (`DeletionByPodGC`).
pub fn disrupt(
    status: &mut Value,
    generation: Option<&Value>,
    (reason, message): (&str, &str),
    now: Timestamp,
) {
    const KIND: &str = "DisruptionTarget";
    let mut condition = json!({
        "lastTransitionTime": time(now), "message": message, "reason": reason, "status": "True", "type": KIND,
    });
    if let Some(generation) = generation {
        condition["observedGeneration"] = generation.clone();
    }
    match &mut status["conditions"] {
        Value::Array(list) if list.iter().any(|known| known["type"] == KIND) => {}
        Value::Array(list) => list.push(condition),
        other => *other = Value::Array(vec![condition]),
    }
}

/// Why the containers are not ready, if they are not.
fn ready(wishes: &Wishes<'_>, shown: &[Shown], phase: Phase) -> Option<(&'static str, String)> {
    match phase {
        Phase::Succeeded => return Some(("PodCompleted", String::new())),
        Phase::Failed => return Some(("PodFailed", String::new())),
        Phase::Pending | Phase::Running => {}
    }
    let names = names(wishes, shown, |kind, shown| kind != Kind::Init && !shown.is_ready);
    (!names.is_empty()).then(|| ("ContainersNotReady", format!("containers with unready status: [{names}]")))
}

fn gates(view: PodView<'_>, conditions: &[Value]) -> Option<(&'static str, String)> {
    let gates = view.at("/spec/readinessGates").and_then(Value::as_array)?;
    let complaint = |gate: &Value| {
        let kind = gate["conditionType"].as_str().unwrap_or_default();
        let condition = conditions.iter().find(|condition| condition["type"] == kind);
        match condition.map(|condition| condition["status"].as_str().unwrap_or_default()) {
            Some("True") => None,
            Some(other) => {
                Some(format!("the status of pod readiness gate \"{kind}\" is not \"True\", but {other}"))
            }
            None => Some(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
        }
    };
    let complaints: Vec<String> = gates.iter().filter_map(complaint).collect();
    (!complaints.is_empty()).then(|| ("ReadinessGatesNotReady", complaints.join(", ")))
}

fn initialized(wishes: &Wishes<'_>, shown: &[Shown], phase: Phase) -> Verdict {
    if phase == Phase::Succeeded {
        return Verdict { holds: true, reason: "PodCompleted", message: String::new() };
    }
    let is_incomplete = |kind: Kind, shown: &Shown| match kind {
        Kind::Init => !matches!(shown.state, State::Stopped { exit_code: 0, .. }),
        Kind::Sidecar => !shown.is_started,
        Kind::App => false,
    };
    let names = names(wishes, shown, is_incomplete);
    if wishes.is_initialized || names.is_empty() {
        return Verdict { holds: true, reason: "", message: String::new() };
    }
    let message = format!("containers with incomplete status: [{names}]");
    Verdict { holds: false, reason: "ContainersNotInitialized", message }
}

fn names(wishes: &Wishes<'_>, shown: &[Shown], is_meant: impl Fn(Kind, &Shown) -> bool) -> String {
    let pairs = wishes.all.iter().zip(shown);
    let chosen = pairs.filter(|(wished, shown)| is_meant(wished.container.kind, shown));
    chosen.map(|(wished, _)| wished.container.name).collect::<Vec<_>>().join(" ")
}
