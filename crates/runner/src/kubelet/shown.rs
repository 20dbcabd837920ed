//! What the pod's status says of each container, and the events that this makes.

use serde_json::{Value, json};

use super::standing::{End, Standing, attempt_of, container_id, time};
use super::view::{Kind, PodView};
use super::wish::{Wish, Wished, Wishes};
use super::{Facts, News, backoff, enacted, image};

const GONE: &str = "The container could not be located when the pod was terminated";

/// One container's status, and what it counts as.
pub(super) struct Shown {
    /// The entry of `containerStatuses` or `initContainerStatuses`.
    pub(super) status: Value,
    pub(super) state: State,
    /// As the status says it.
    pub(super) is_ready: bool,
    /// As the status says it.
    pub(super) is_started: bool,
}

/// What the container counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Waiting,
    Running,
    /// Ended with this code; whether it waits for its next attempt.
    Stopped {
        exit_code: i32,
        restarts: bool,
    },
}

/// The statuses of all containers, in the wishes' order.
pub(super) fn of(view: PodView<'_>, facts: &Facts, wishes: &Wishes<'_>) -> Vec<Shown> {
    let is_leaving = wishes.stop.is_some() && !wishes.is_anything_alive();
    wishes.all.iter().map(|wished| show(view, facts, wishes, wished, is_leaving)).collect()
}

fn show(
    view: PodView<'_>,
    facts: &Facts,
    wishes: &Wishes<'_>,
    wished: &Wished<'_>,
    is_leaving: bool,
) -> Shown {
    let Wished { container, standing, earlier, health, wish, .. } = wished;
    let id = |attempt| Some(json!(container_id(view.uid(), container.name, attempt)));
    let earlier_code =
        earlier.as_ref().and_then(|end| end["exitCode"].as_i64()).and_then(|code| i32::try_from(code).ok());
    let waiting = || json!({"waiting": waiting(wishes, wished, facts)});
    let running = |since| json!({"running": {"startedAt": time(since)}});
    // Until the next attempt runs the status goes on to tell of the one that ended. Before its hook has ended nobody is
    // told that it runs (upstream: the kubelet is busy with the hook).
    let unheard = |attempt: u32, id: Option<Value>| match earlier_code {
        Some(exit_code) => {
            let state = State::Stopped { exit_code, restarts: true };
            let told = container.told;
            // The attempt of which the status tells the end, and no start of another.
            let before = attempt_ended(told)
                .filter(|ended| told["restartCount"] == *ended && ended.checked_add(1) == Some(attempt));
            if let Some(before) = before {
                let last = told["lastState"].get("terminated").cloned();
                return (state, told["state"].clone(), last, before, id);
            }
            (state, waiting(), earlier.clone(), attempt, id)
        }
        None => (State::Waiting, waiting(), earlier.clone(), attempt, id),
    };
    let (state, json, last, attempt, id) = match (standing, wish) {
        (Standing::Running { attempt, .. }, _) if health.is_held => unheard(*attempt, id(*attempt)),
        (Standing::Running { attempt, since }, _) => {
            (State::Running, running(*since), earlier.clone(), *attempt, id(*attempt))
        }
        (Standing::Ended(end), Wish::Start(_) | Wish::BackOff { .. }) => {
            let state = State::Stopped { exit_code: end.exit_code, restarts: true };
            let last = || Some(end.terminated.clone());
            let (json, last, attempt) = match between(end, wished, facts) {
                Between::Blocked => (waiting(), last(), end.attempt),
                Between::Decided => (waiting(), last(), end.attempt.saturating_add(1)),
                Between::NotStarted => {
                    let message = &end.terminated["message"];
                    let json = json!({"waiting": {"reason": "RunContainerError", "message": message}});
                    (json, last(), end.attempt)
                }
                Between::Ended => (json!({"terminated": end.terminated}), earlier.clone(), end.attempt),
                Between::BackOff => (back_off(view, container.name, end), last(), end.attempt),
            };
            (state, json, last, attempt, id(end.attempt))
        }
        (Standing::Ended(end), _) => {
            let state = State::Stopped { exit_code: end.exit_code, restarts: false };
            (state, json!({"terminated": end.terminated}), earlier.clone(), end.attempt, id(end.attempt))
        }
        // The start of a further attempt was decided, and is not made any more.
        (Standing::Due { attempt }, _) if wishes.stop.is_some() && earlier.is_some() => {
            let state = State::Stopped { exit_code: earlier_code.unwrap_or(137), restarts: false };
            let id = earlier.as_ref().and_then(|end| end.get("containerID").cloned());
            (state, json!({"terminated": earlier}), None, *attempt, id)
        }
        (Standing::Due { attempt }, _)
            if is_leaving && wishes.is_initialized && container.kind == Kind::App =>
        {
            let json =
                json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": GONE}});
            (State::Stopped { exit_code: 137, restarts: false }, json, None, *attempt, None)
        }
        (Standing::Due { attempt } | Standing::Asked { attempt }, _) => {
            let id = earlier.as_ref().and_then(|end| end.get("containerID").cloned());
            unheard(*attempt, id)
        }
    };
    let is_ready = match state {
        State::Running => container.kind != Kind::Init && health.is_ready,
        State::Stopped { exit_code, .. } => container.kind == Kind::Init && exit_code == 0,
        State::Waiting => false,
    };
    let is_started = state == State::Running && (health.is_started || container.kind == Kind::Init);
    let mut status = json!({
        "name": container.name,
        "image": container.spec["image"].as_str().unwrap_or(""),
        "imageID": "",
        "ready": is_ready,
        "restartCount": attempt,
        "started": is_started,
        "state": json,
        "lastState": last.map_or(json!({}), |last| json!({"terminated": last})),
    });
    if let Some(id) = id {
        enacted::note(&mut status, view, facts, container, &id);
        status["containerID"] = id;
    }
    if let Some(mounts) = container.spec["volumeMounts"].as_array().filter(|mounts| !mounts.is_empty()) {
        status["volumeMounts"] = mounts.iter().map(mounted).collect();
    }
    Shown { status, state, is_ready, is_started }
}

/// What a status says of a container between an end and the next start.
///
/// Source: `convertToAPIContainerStatuses` in pkg/kubelet/kubelet_pods.go, where an end stays one until a start has failed
/// or was put off, and v1.36.3 as it does.
enum Between {
    /// Its process cannot be made.
    Blocked,
    /// A probe ended it, and it starts again at once: no end is told, and what was decided is not lost with the engine.
    Decided,
    /// It was no process.
    NotStarted,
    /// How it ended.
    Ended,
    /// That it waits.
    BackOff,
}

fn between(end: &End, wished: &Wished<'_>, facts: &Facts) -> Between {
    let waits = !backoff::wait(end).is_zero();
    let is_decided = wished.was_ended() || wished.is_told_to_restart(end);
    match wished.wish {
        Wish::Start(_) if blocked(wished, facts).is_some() => Between::Blocked,
        Wish::Start(_) if waits => Between::BackOff,
        Wish::BackOff { is_told: true } => Between::BackOff,
        _ if !end.has_run => Between::NotStarted,
        Wish::Start(_) if is_decided => Between::Decided,
        _ if is_decided => Between::BackOff,
        _ => Between::Ended,
    }
}

fn back_off(view: PodView<'_>, name: &str, end: &End) -> Value {
    let seconds = go_seconds(backoff::wait(end).as_secs());
    let message = format!("back-off {seconds} restarting failed container={name} pod={}", view.full_name());
    json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
}

/// A mount as a status has it (upstream: `convertToAPIContainerStatuses` in pkg/kubelet/kubelet_pods.go). What is mounted
/// below a volume keeps its own rights.
fn mounted(mount: &Value) -> Value {
    let mut told = json!({"mountPath": mount["mountPath"], "name": mount["name"]});
    if mount["readOnly"] == true {
        told["readOnly"] = json!(true);
        told["recursiveReadOnly"] = json!("Disabled");
    }
    told
}

fn waiting(wishes: &Wishes<'_>, wished: &Wished<'_>, facts: &Facts) -> Value {
    if let Some((_, reason, message)) = blocked(wished, facts) {
        return json!({"reason": reason, "message": message});
    }
    let has_inits = wishes.all.iter().any(|wished| wished.container.kind != Kind::App);
    let is_initializing = has_inits && (!wishes.is_initialized || wished.container.kind != Kind::App);
    json!({"reason": if is_initializing { "PodInitializing" } else { "ContainerCreating" }})
}

/// Why the process of a container that is to start cannot be made.
fn blocked<'a>(wished: &Wished<'_>, facts: &'a Facts) -> Option<&'a (String, &'static str, String)> {
    let is_blockable = matches!(wished.wish, Wish::Start(_));
    facts.blocked.iter().find(|(name, ..)| is_blockable && name == wished.container.name)
}

/// A number of seconds as Go writes a duration: `1m20s`.
fn go_seconds(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// The events of what changed since the last status.
pub(super) fn events(view: PodView<'_>, wishes: &Wishes<'_>, shown: &[Shown]) -> Vec<News> {
    let mut events = Vec::new();
    for (wished, shown) in wishes.all.iter().zip(shown) {
        let name = wished.container.name;
        let (told, new) = (&wished.container.told["state"], &shown.status["state"]);
        if has_begun(wished) && attempt_begun(wished.container.told) < Some(wished.standing.attempt()) {
            events.push(News::normal("Created", "Container created").of(name));
            events.push(News::normal("Started", "Container started").of(name));
        }
        if let Standing::Ended(end) = &wished.standing
            && !end.has_run
            && attempt_ended(wished.container.told) < Some(end.attempt)
        {
            let message = end.terminated["message"].as_str().unwrap_or_default();
            events.push(News::warning("Failed", format!("Error: {message}")).of(name));
        }
        if let (Standing::Ended(end), Wish::BackOff { .. }) = (&wished.standing, wished.wish)
            && attempt_ended(wished.container.told) < Some(end.attempt)
        {
            let message = format!("Back-off restarting failed container {name} in pod {}", view.full_name());
            events.push(News::warning("BackOff", message).of(name));
        }
        if wishes.announced().iter().any(|(of, _)| of == name) {
            events.push(News::normal("Killing", format!("Stopping container {name}")).of(name));
        }
        let (told, new) = (&told["waiting"], &new["waiting"]);
        if told == new {
            continue;
        }
        match new["reason"].as_str() {
            // Told with the end.
            Some("CrashLoopBackOff" | "RunContainerError") => {}
            Some("ContainerCreating" | "PodInitializing") | None => {
                if let Some(message) = new["message"].as_str() {
                    events.push(News::warning("FailedMount", message));
                }
            }
            Some(reason) if image::is_about(reason) => {
                let image = wished.container.spec["image"].as_str().unwrap_or_default();
                let message = new["message"].as_str().unwrap_or_default();
                events.extend(image::events(reason, image, message).into_iter().map(|news| news.of(name)));
            }
            Some(_) => {
                let message = new["message"].as_str().unwrap_or_default();
                events.push(News::warning("Failed", format!("Error: {message}")).of(name));
            }
        }
    }
    events
}

fn has_begun(wished: &Wished<'_>) -> bool {
    match &wished.standing {
        Standing::Running { .. } => true,
        Standing::Ended(end) => end.has_run,
        Standing::Due { .. } | Standing::Asked { .. } => false,
    }
}

/// The newest attempt of which the status says that it began.
fn attempt_begun(told: &Value) -> Option<u32> {
    attempt_of(told)
}

/// The newest attempt of which the status says that it ended.
fn attempt_ended(told: &Value) -> Option<u32> {
    attempt_of(&told["state"]["terminated"]).or_else(|| attempt_of(&told["lastState"]["terminated"]))
}
