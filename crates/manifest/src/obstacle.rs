//! What stands between a pod and its start.

use k8s_openapi::api::core::v1::{ContainerStateWaiting, Event, Pod};

use crate::Outlook;
use crate::facts;

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

/// What a pod that has not started waits for; `None` if it has started or is over.
pub(crate) fn of_pod(pod: &Pod, events: &[Event]) -> Option<Obstacle> {
    if facts::is_over(pod) || facts::has_started(pod) && !waits_again(pod) {
        return None;
    }
    scheduling(pod)
        .or_else(|| container(pod, events))
        .or_else(|| Some(Obstacle::waiting("its pod to be started")))
}

/// A container that has ended and is to be started again.
fn waits_again(pod: &Pod) -> bool {
    let mut containers = facts::containers(pod);
    !containers.any(|one| one.state.as_ref().is_some_and(|state| state.running.is_some()))
        && facts::containers(pod).any(|one| waiting(one).is_some_and(|waiting| is_trouble(reason(waiting))))
}

fn scheduling(pod: &Pod) -> Option<Obstacle> {
    let conditions = facts::pod_status(pod)?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    if scheduled.status == "True" {
        return None;
    }
    let message = scheduled.message.as_deref().unwrap_or("the scheduler gave no reason");
    Some(match scheduled.reason.as_deref() {
        Some("SchedulingGated") => {
            let next = "whoever set the pod's scheduling gates must remove them";
            Obstacle::blocked(format_args!("scheduling gates: {message}"), next)
        }
        _ if is_short_of_room(message) => room(pod, message),
        _ => {
            let next = "change what the job asks of a node (selector, tolerations, image), or the nodes";
            Obstacle::blocked(format_args!("scheduling: {message}"), next)
        }
    })
}

/// What is asked for, and what the scheduler says of it, without its thoughts on ending others.
fn room(pod: &Pod, message: &str) -> Obstacle {
    let wanted = facts::requests(pod);
    let of = if wanted.is_empty() { String::new() } else { format!(" for {wanted}") };
    let tail = [". no new claims", ". preemption:"].iter().filter_map(|words| message.find(words)).min();
    let told = message[..tail.unwrap_or(message.len())].trim_end_matches('.');
    if is_too_large(message) {
        let next = "ask for less, or for a larger node; `kubectl get nodes -o yaml` tells what each has";
        return Obstacle::blocked(format_args!("its size: no node has room{of}, even empty ({told})"), next);
    }
    Obstacle::waiting(format_args!("a node with room{of} ({told})"))
}

/// Whether resources are all that is short, and on no node would it help if others left: each is too small.
/// The words are upstream's (`scheduler/framework/preemption`).
fn is_too_large(message: &str) -> bool {
    let Some((nodes, rest)) =
        message.strip_prefix("0/").and_then(|rest| rest.split_once(" nodes are available: "))
    else {
        return false;
    };
    let reasons = rest.split_once(". ").map_or(rest, |(reasons, _)| reasons);
    reasons.split(", ").all(|reason| reason.contains(" Insufficient "))
        && message.contains(&format!(": {nodes} Preemption is not helpful for scheduling"))
}

/// Room comes back when other pods end; a selector or a taint that does not fit stays so.
fn is_short_of_room(message: &str) -> bool {
    ["Insufficient", "Too many pods", "too many pods", "free ports"]
        .iter()
        .any(|words| message.contains(words))
}

fn container(pod: &Pod, events: &[Event]) -> Option<Obstacle> {
    let stuck = facts::containers(pod).find_map(|one| {
        let waiting = waiting(one)?;
        is_trouble(reason(waiting)).then_some((one, waiting))
    });
    if let Some((one, waiting)) = stuck {
        let message = waiting.message.as_deref().filter(|message| !message.is_empty());
        let reason = reason(waiting);
        let what = format!(
            "container {:?}: {}",
            one.name,
            message.map_or(reason.to_owned(), |m| format!("{reason}: {m}"))
        );
        return Some(match next_step(reason) {
            Some(next) => Obstacle::blocked(what, next),
            None => Obstacle::waiting(what),
        });
    }
    if let Some(warning) = last_warning(pod, events) {
        return Some(Obstacle::waiting(format_args!("its pod to be started: {warning}")));
    }
    let scheduled = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let what = if scheduled { "the container to be created" } else { "the pod to be scheduled" };
    Some(Obstacle::waiting(what))
}

fn waiting(container: &k8s_openapi::api::core::v1::ContainerStatus) -> Option<&ContainerStateWaiting> {
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
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "ImageInspectError" => {
            Some("check the image's name and the registry's credentials")
        }
        "InvalidImageName" => Some("correct the image's name and submit again"),
        "CreateContainerError" | "RunContainerError" => {
            Some("read the message; the runtime refuses the container")
        }
        _ => None,
    }
}

fn last_warning(pod: &Pod, events: &[Event]) -> Option<String> {
    let of_pod = |event: &&Event| {
        event.type_.as_deref() == Some("Warning") && event.involved_object.uid == pod.metadata.uid
    };
    let event = events.iter().filter(of_pod).max_by_key(|event| time(event))?;
    event.message.clone()
}

/// When an event was last seen.
pub(crate) fn time(event: &Event) -> Option<jiff::Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}
