//! What stands between a pod and its start, one file a kind of trouble.

mod claims;
pub(crate) mod disk;
mod image;
pub(crate) mod kueue;
mod missing;
pub(crate) mod refusal;
mod scaling;
mod scheduling;

use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Event, Pod,
};
use serde_json::Value;

pub use self::claims::waiting_claims;
use crate::Outlook;
use crate::ended;
use crate::facts;
use crate::words::{between, quoted, says, trimmed};

/// One thing that a pod waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// `waiting for ...` or `blocked by ...`.
    pub(crate) text: String,
    /// Whether it goes away by itself.
    pub(crate) outlook: Outlook,
    /// What a person can do about it.
    pub(crate) next_step: Option<String>,
}

impl Obstacle {
    fn waiting(what: impl std::fmt::Display) -> Self {
        Obstacle { text: format!("waiting for {what}"), outlook: Outlook::ResolvesItself, next_step: None }
    }

    fn blocked(what: impl std::fmt::Display, next_step: &str) -> Self {
        Obstacle {
            text: format!("blocked by {what}"),
            outlook: Outlook::NeedsAction,
            next_step: Some(next_step.to_owned()),
        }
    }
}

/// What a pod that does not get on waits for; `None` if it runs or is over.
pub(crate) fn of_pod(pod: &Pod, events: &[Event], others: &[Value]) -> Option<Obstacle> {
    if facts::is_over(pod) {
        return None;
    }
    if let Some(lost) = lost_node(pod, events, others) {
        return Some(lost);
    }
    if facts::has_started(pod) && !waits_again(pod) {
        return None;
    }
    let nodes: Vec<&Value> = others.iter().filter(|object| object["kind"] == "Node").collect();
    let claims = claims::told(others);
    scheduling::of(pod, events, &nodes, &claims)
        .or_else(|| container(pod, events))
        .or_else(|| Some(Obstacle::waiting("its pod to be started")))
}

/// Whether a pod has started, is not over, and waits for nothing.
pub(crate) fn runs(pod: &Pod, events: &[Event]) -> bool {
    facts::has_started(pod) && !facts::is_over(pod) && of_pod(pod, events, &[]).is_none()
}

/// Events of one pod.
fn of_pod_events<'a>(pod: &Pod, events: &'a [Event]) -> impl Iterator<Item = &'a Event> {
    let uid = pod.metadata.uid.clone();
    events.iter().filter(move |event| event.involved_object.uid == uid)
}

/// When an event was last seen.
pub(crate) fn time(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// A pod whose node does not answer, or that is taken away for a taint of its node: nodes that do not answer get one, and
/// others may, too. That it does not answer is said where something tells it: `NodeNotReady` of the node controller, the
/// node's own taints and readiness.
fn lost_node(pod: &Pod, events: &[Event], others: &[Value]) -> Option<Obstacle> {
    let name = pod.spec.as_ref()?.node_name.as_deref()?;
    let is_taken = pod.metadata.deletion_timestamp.is_some()
        && facts::disruption(pod)
            .is_some_and(|told| told.reason.as_deref() == Some("DeletionByTaintManager"));
    let is_told = of_pod_events(pod, events).any(|event| event.reason.as_deref() == Some("NodeNotReady"));
    let is_unready = facts::phase(pod) == "Running"
        && facts::pod_condition(pod, "Ready").is_some_and(|ready| ready.status == "False");
    if !(is_taken || is_told && is_unready) {
        return None;
    }
    let node = others.iter().find(|one| one["kind"] == "Node" && one["metadata"]["name"] == name);
    let kubectl = facts::kubectl(pod.metadata.namespace.as_deref());
    let next = format!(
        "if the node never comes back: kubectl delete node {name} (or {kubectl} delete pod {} --force)",
        facts::pod_name(pod)
    );
    let is_silent = if is_told { Some(true) } else { node.map(is_silent) };
    let (what, next_step) = match is_silent {
        Some(true) => (format!("node {name:?}, which does not answer"), Some(next)),
        Some(false) => (format!("its pod to end, for a taint of node {name:?} (NoExecute)"), None),
        None => {
            let taint = "(NoExecute), as nodes that do not answer get";
            (format!("its pod to end, for a taint of node {name:?} {taint}"), Some(next))
        }
    };
    Some(Obstacle { next_step, ..Obstacle::waiting(what) })
}

/// Whether a node is not ready, by its own condition or by the taints that the node controller gives it.
fn is_silent(node: &Value) -> bool {
    const LOST: [&str; 2] = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"];
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let taints = list(&node["spec"]["taints"]);
    let conditions = list(&node["status"]["conditions"]);
    taints.iter().any(|taint| LOST.iter().any(|lost| taint["key"] == *lost))
        || conditions.iter().any(|one| one["type"] == "Ready" && one["status"] != "True")
}

/// A container that has ended and is to be started again.
fn waits_again(pod: &Pod) -> bool {
    let mut containers = facts::containers(pod);
    !containers.any(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()))
        && facts::containers(pod).any(|one| {
            waiting(one).is_some_and(|waiting| is_trouble(reason(waiting))) || is_between(pod, one)
        })
}

/// Whether a container has failed and its pod has not: it is started again, though its status does not say so yet.
fn is_between(pod: &Pod, one: &ContainerStatus) -> bool {
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    policy == Some("OnFailure") && facts::terminated(one).is_some_and(|end| end.exit_code != 0)
}

fn container(pod: &Pod, events: &[Event]) -> Option<Obstacle> {
    let stuck = facts::containers(pod).find_map(|one| {
        let waiting = waiting(one)?;
        let tells = waiting.message.as_deref().is_some_and(|message| !message.is_empty());
        (is_trouble(reason(waiting)) || tells).then_some((one, waiting))
    });
    if let Some((one, waiting)) = stuck {
        return Some(of_waiting(pod, events, one, waiting));
    }
    if let Some(one) = facts::containers(pod).find(|one| is_between(pod, one)) {
        return Some(again(pod, one));
    }
    if let Some(warning) = last_warning(pod, events) {
        return Some(of_words(pod, &warning));
    }
    let scheduled = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let what = if scheduled { "the container to be created" } else { "the pod to be scheduled" };
    Some(Obstacle::waiting(what))
}

/// A container that waits for a reason of its own.
fn of_waiting(
    pod: &Pod,
    events: &[Event],
    one: &ContainerStatus,
    waiting: &ContainerStateWaiting,
) -> Obstacle {
    let message = waiting.message.as_deref().unwrap_or_default();
    let reason = reason(waiting);
    if image::is_about(reason) {
        let image = Some(one.image.as_str()).filter(|image| !image.is_empty());
        let image = image.or_else(|| image::named(message)).unwrap_or("of its container");
        return image::of(reason, message, image, pod, events);
    }
    if let Some(obstacle) = missing::of_message(message, pod) {
        return obstacle;
    }
    match reason {
        "CrashLoopBackOff" => again(pod, one),
        "" | "ContainerCreating" | "PodInitializing" => of_words(pod, message),
        // A kubelet that has just been started.
        _ if message.contains("services have not yet been read") => {
            Obstacle::waiting("its node, which has just been started")
        }
        _ if says(message, &["runasnonroot", "non-numeric user", "run as root", "non-root policy"]) => {
            // Which pod it is, is known.
            let words = message.split(" (pod: ").next().unwrap_or(message);
            Obstacle::blocked(
                format_args!("the security context of container {:?}: {words}", one.name),
                "set runAsUser to a user that is not root, or use an image that has one",
            )
        }
        _ => {
            let details = if message.is_empty() { String::new() } else { format!(": {message}") };
            let what = format!("container {:?}: {reason}{details}", one.name);
            match next_step(reason) {
                Some(next) => Obstacle::blocked(what, next),
                None => Obstacle::waiting(what),
            }
        }
    }
}

/// A container that ended and is started again in its pod, up to the Job's back-off limit.
fn again(pod: &Pod, one: &ContainerStatus) -> Obstacle {
    let kind = match (facts::is_sidecar(pod, &one.name), facts::is_init(pod, &one.name)) {
        (true, _) => "sidecar",
        (false, true) => "init container",
        (false, false) => "container",
    };
    let what = format_args!("the next try of {kind} {:?}, which {}", one.name, so_far(one));
    let mut obstacle = Obstacle::waiting(what);
    let is_short = last_end(one).is_some_and(|end| end.reason.as_deref() == Some("OOMKilled"));
    obstacle.next_step = match is_short {
        true => Some("give it more memory: --memory, --limit memory=AMOUNT".to_owned()),
        false => facts::job_name(pod).map(|job| format!("windlass logs {job}")),
    };
    obstacle
}

fn last_end(one: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let before = || one.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    facts::terminated(one).or_else(before)
}

/// How often a container that is started again has failed, and how the last time: `failed 3 times, the last time with code 1`.
pub(crate) fn so_far(one: &ContainerStatus) -> String {
    let last = last_end(one);
    let end = match last {
        Some(end) if end.reason.as_deref() == Some("OOMKilled") => " for lack of memory".to_owned(),
        Some(end) if end.reason.as_deref() == Some("StartError") && end.message.is_some() => {
            let why = ended::details(end.message.as_deref().unwrap_or_default());
            format!(", the last time before it started{why}")
        }
        Some(end) => format!(", the last time with code {}", end.exit_code),
        None => String::new(),
    };
    // The count is of new starts, not of failures.
    let times = match one.restart_count {
        0 => "once".to_owned(),
        starts => format!("{} times", starts + 1),
    };
    // A sidecar is started again also when it ends well.
    let verb = if last.is_some_and(|end| end.exit_code == 0) { "ended" } else { "failed" };
    format!("{verb} {times}{end}")
}

/// What a warning about a pod, or the message of a container in the making, comes to: volumes and networks mostly.
fn of_words(pod: &Pod, message: &str) -> Obstacle {
    if let Some(obstacle) = missing::of_message(message, pod) {
        return obstacle;
    }
    if let Some(name) = quoted(message, "no runtime for ") {
        let next = "choose another runtime class, or nodes that have it";
        return Obstacle::blocked(
            format_args!("its runtime class, whose handler {name:?} its node does not have"),
            next,
        );
    }
    if says(message, &["runtimehandler", "runtime handler"])
        && says(message, &["not supported", "not configured"])
    {
        let next = "choose another runtime class, or nodes that have it";
        return Obstacle::blocked(
            format_args!("its runtime class, which its node does not know: {message}"),
            next,
        );
    }
    if says(message, &["type check failed"]) {
        let next = "name a path that is there on the node, or let it be made: type DirectoryOrCreate";
        return Obstacle::blocked(format_args!("{}: {}", volume(message), cause(message)), next);
    }
    if message.contains("Multi-Attach") {
        return Obstacle::waiting(format_args!("{}, which another node still holds", volume(message)));
    }
    if let Some(claim) = between(message, "persistentvolumeclaim \"", "\" is not bound") {
        return Obstacle::waiting(format_args!("claim {claim:?} to be bound to a volume"));
    }
    if says(message, &["mountvolume", "attachvolume", "attach or mount volumes", "unmounted volumes"]) {
        let mut obstacle = Obstacle::waiting(format_args!(
            "{}, which cannot be mounted yet: {}",
            volume(message),
            cause(message)
        ));
        let kubectl = facts::kubectl(pod.metadata.namespace.as_deref());
        obstacle.next_step = Some(format!("{kubectl} describe pod {}", facts::pod_name(pod)));
        return obstacle;
    }
    Obstacle::waiting(format_args!("its pod to be started: {message}"))
}

/// Which volume a message is about.
fn volume(message: &str) -> String {
    let name = quoted(message, "volume ").or_else(|| between(message, "unmounted volumes=[", "]"));
    name.map_or("a volume".to_owned(), |name| format!("volume {name:?}"))
}

/// What comes behind the volume's name.
fn cause(message: &str) -> &str {
    trimmed(message.split_once("\" : ").map_or(message, |(_, cause)| cause))
}

fn waiting(container: &ContainerStatus) -> Option<&ContainerStateWaiting> {
    container.state.as_ref()?.waiting.as_ref()
}

fn reason(waiting: &ContainerStateWaiting) -> &str {
    waiting.reason.as_deref().unwrap_or_default()
}

fn is_trouble(reason: &str) -> bool {
    !matches!(reason, "" | "ContainerCreating" | "PodInitializing")
}

/// What to do about a kubelet's reason; `None` for reasons that pass by themselves.
fn next_step(reason: &str) -> Option<&'static str> {
    match reason {
        "CreateContainerConfigError" => {
            Some("create what the message names (a ConfigMap, a Secret), or change the job")
        }
        "CreateContainerError" | "RunContainerError" => {
            Some("read the message; the runtime refuses the container")
        }
        _ => None,
    }
}

fn last_warning(pod: &Pod, events: &[Event]) -> Option<String> {
    let warnings = of_pod_events(pod, events).filter(|event| event.type_.as_deref() == Some("Warning"));
    // What was said of scheduling is over once it is scheduled.
    let warnings = warnings.filter(|event| event.reason.as_deref() != Some("FailedScheduling"));
    facts::said(warnings.max_by_key(|event| time(event))?).map(str::to_owned)
}
