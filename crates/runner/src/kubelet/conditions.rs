//! The pod's whole status: phase, conditions, addresses, times (upstream: pkg/kubelet/status/generate.go).
//! Fields and conditions of others stay as they are.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::phase::Phase;
use super::shown::{Shown, State};
use super::standing::time;
use super::view::{Kind, PodView};
use super::wish::{Cause, Wishes};

/// Where host processes listen: they have no address of their own.
const ADDRESS: &str = "127.0.0.1";

/// A condition's status, reason and message.
struct Verdict {
    holds: bool,
    reason: &'static str,
    message: String,
}

/// The pod's new status.
pub(super) fn status(
    view: PodView<'_>,
    wishes: &Wishes<'_>,
    shown: &[Shown],
    phase: Phase,
    now: Timestamp,
) -> Value {
    let mut status = view.pod.get("status").and_then(Value::as_object).cloned().unwrap_or_default();
    status.insert("phase".into(), json!(phase.name()));
    keep_or(&mut status, "hostIP", || json!(ADDRESS));
    keep_or(&mut status, "hostIPs", || json!([{"ip": ADDRESS}]));
    keep_or(&mut status, "podIP", || json!(ADDRESS));
    keep_or(&mut status, "podIPs", || json!([{"ip": ADDRESS}]));
    keep_or(&mut status, "startTime", || json!(time(now)));
    if let Some(generation) = view.pod.pointer("/metadata/generation") {
        status.insert("observedGeneration".into(), generation.clone());
    }
    if phase == Phase::Failed && wishes.stop == Some(Cause::Deadline) {
        status.insert("reason".into(), json!("DeadlineExceeded"));
        let message = "Pod was active on the node longer than the specified deadline";
        status.insert("message".into(), json!(message));
    }
    let entries = |is_app: bool| -> Vec<Value> {
        let pairs = wishes.all.iter().zip(shown);
        let chosen = pairs.filter(|(wished, _)| (wished.container.kind == Kind::App) == is_app);
        chosen.map(|(_, shown)| shown.status.clone()).collect()
    };
    let inits = entries(false);
    if !inits.is_empty() {
        status.insert("initContainerStatuses".into(), json!(inits));
    }
    status.insert("containerStatuses".into(), json!(entries(true)));
    let conditions = conditions(view, wishes, shown, phase, now);
    status.insert("conditions".into(), conditions);
    Value::Object(status)
}

fn keep_or(status: &mut Map<String, Value>, name: &str, value: impl FnOnce() -> Value) {
    if status.get(name).is_none_or(Value::is_null) {
        status.insert(name.to_owned(), value());
    }
}

fn conditions(
    view: PodView<'_>,
    wishes: &Wishes<'_>,
    shown: &[Shown],
    phase: Phase,
    now: Timestamp,
) -> Value {
    let old = view.pod.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut conditions = old.clone();
    let ready = ready(wishes, shown, phase);
    let gates = ready.as_ref().map_or_else(|| gates(view, &old), |_| None);
    let verdict_of = |unready: &Option<(&'static str, String)>| match unready {
        Some((reason, message)) => Verdict { holds: false, reason, message: message.clone() },
        None => Verdict { holds: true, reason: "", message: String::new() },
    };
    let started = Verdict { holds: !phase.is_terminal(), reason: "", message: String::new() };
    let ours = [
        ("PodReadyToStartContainers", started),
        ("Initialized", initialized(wishes, shown, phase)),
        ("Ready", verdict_of(&ready.clone().or(gates))),
        ("ContainersReady", verdict_of(&ready)),
    ];
    for (kind, verdict) in ours {
        put(&mut conditions, kind, &verdict, view, now);
    }
    if !conditions.iter().any(|condition| condition["type"] == "PodScheduled") {
        let holds = Verdict { holds: true, reason: "", message: String::new() };
        put(&mut conditions, "PodScheduled", &holds, view, now);
    }
    Value::Array(conditions)
}

fn put(conditions: &mut Vec<Value>, kind: &str, verdict: &Verdict, view: PodView<'_>, now: Timestamp) {
    let status = if verdict.holds { "True" } else { "False" };
    let place = conditions.iter().position(|condition| condition["type"] == kind);
    let since = place
        .filter(|&place| conditions[place]["status"] == status)
        .and_then(|place| conditions[place].get("lastTransitionTime").cloned())
        .unwrap_or_else(|| json!(time(now)));
    let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since});
    if !verdict.reason.is_empty() {
        condition["reason"] = json!(verdict.reason);
    }
    if !verdict.message.is_empty() {
        condition["message"] = json!(verdict.message);
    }
    if let Some(generation) = view.pod.pointer("/metadata/generation") {
        condition["observedGeneration"] = generation.clone();
    }
    match place {
        Some(place) => conditions[place] = condition,
        None => conditions.push(condition),
    }
}

/// Why the containers are not ready, if they are not.
fn ready(wishes: &Wishes<'_>, shown: &[Shown], phase: Phase) -> Option<(&'static str, String)> {
    match phase {
        Phase::Succeeded => return Some(("PodCompleted", String::new())),
        Phase::Failed => return Some(("PodFailed", String::new())),
        Phase::Pending | Phase::Running => {}
    }
    let names = names(wishes, shown, |kind, shown| kind != Kind::Init && shown.state != State::Running);
    (!names.is_empty()).then(|| ("ContainersNotReady", format!("containers with unready status: [{names}]")))
}

fn gates(view: PodView<'_>, conditions: &[Value]) -> Option<(&'static str, String)> {
    let gates = view.pod.pointer("/spec/readinessGates").and_then(Value::as_array)?;
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
        Kind::Sidecar => shown.state != State::Running,
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
