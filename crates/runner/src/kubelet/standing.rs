//! Where a container stands: what the runtime says of its newest run, and where it says nothing (a new engine, a
//! forgotten run), what the pod's status said last. The attempt goes back only to a run that lives: who may write a status
//! may have counted ahead of it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::view::ContainerView;
use super::{Facts, Run, RunState};

/// How far a container is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Standing {
    /// This attempt is to be started.
    Due { attempt: u32 },
    /// Asked for, not heard of.
    Asked { attempt: u32 },
    /// It runs.
    Running { attempt: u32, since: Timestamp },
    /// Its newest attempt is over.
    Ended(End),
}

/// The end of an attempt.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct End {
    pub(super) attempt: u32,
    pub(super) exit_code: i32,
    pub(super) started_at: Timestamp,
    pub(super) finished_at: Timestamp,
    /// The last attempt before it that ran long, if one did: crashes are counted from there.
    pub(super) steady: u32,
    /// Whether there was a process.
    pub(super) has_run: bool,
    /// As `state.terminated` has it.
    pub(super) terminated: Value,
}

/// The standing, and the end of the attempt before it as `lastState.terminated` has it.
pub(super) fn of(
    container: &ContainerView<'_>,
    uid: &str,
    facts: &Facts,
    now: Timestamp,
) -> (Standing, Option<Value>) {
    let id = |attempt| container_id(uid, container.name, attempt);
    let runs = || facts.runs.iter().filter(|run| run.container == container.name);
    let told = told(container, uid, now);
    let counts = |run: &&Run| run.state.is_alive() || run.attempt >= told.attempt();
    let newest = runs().max_by_key(|run| run.attempt).filter(counts);
    let mut standing = newest.map_or(told, |run| heard(run, container, &id(run.attempt)));
    if let Standing::Ended(end) = &mut standing {
        end.steady = facts.steady(container.name, end.attempt);
    }
    let earlier = standing.attempt().checked_sub(1).and_then(|attempt| {
        let run = runs().find(|run| run.attempt == attempt)?;
        match heard(run, container, &id(attempt)) {
            Standing::Ended(end) => Some(end.terminated),
            _ => None,
        }
    });
    let earlier = earlier.or_else(|| {
        let is_earlier = |terminated: &&Value| {
            terminated.is_object()
                && attempt_of(terminated).is_some_and(|attempt| attempt < standing.attempt())
        };
        let told = [&container.told["state"]["terminated"], &container.told["lastState"]["terminated"]];
        told.into_iter().find(is_earlier).cloned()
    });
    (standing, earlier)
}

impl Standing {
    pub(super) fn attempt(&self) -> u32 {
        match self {
            Standing::Due { attempt } | Standing::Asked { attempt } | Standing::Running { attempt, .. } => {
                *attempt
            }
            Standing::Ended(end) => end.attempt,
        }
    }

    /// The later of a time and its end; none while it runs, or if there was none before.
    pub(super) fn later_end(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            _ if self.is_alive() => None,
            Standing::Ended(end) => at.map(|at| at.max(end.finished_at)),
            _ => at,
        }
    }

    /// Whether a process of it may exist.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self, Standing::Asked { .. } | Standing::Running { .. })
    }
}

/// The id that the status gives a run.
pub(super) fn container_id(uid: &str, name: &str, attempt: u32) -> String {
    format!("windlass://{uid}/{name}/{attempt}")
}

/// The time as Kubernetes writes it, whole seconds.
pub(super) fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The attempt that a `terminated` state (or a status) speaks of.
pub(super) fn attempt_of(value: &Value) -> Option<u32> {
    value["containerID"].as_str()?.rsplit_once('/')?.1.parse().ok()
}

fn heard(run: &Run, container: &ContainerView<'_>, id: &str) -> Standing {
    let attempt = run.attempt;
    match &run.state {
        RunState::Starting => Standing::Asked { attempt },
        RunState::Running { started_at, .. } => Standing::Running { attempt, since: *started_at },
        RunState::Ended { ended, started_at, finished_at, message, used } => {
            let exit_code = ended.exit_code();
            let mut terminated = json!({
                "containerID": id, "exitCode": exit_code,
                "reason": match (used.out_of_memory, exit_code) {
                    // Whatever became of the first process (containerd: `oomExitReason` in internal/cri/server).
                    (true, _) => "OOMKilled",
                    (false, 0) => "Completed",
                    (false, _) => "Error",
                },
                "startedAt": time(*started_at), "finishedAt": time(*finished_at),
            });
            if !message.is_empty() {
                terminated["message"] = json!(message);
            }
            let (started_at, finished_at) = (*started_at, *finished_at);
            let (steady, has_run) = (0, true);
            Standing::Ended(End { attempt, exit_code, started_at, finished_at, steady, has_run, terminated })
        }
        RunState::Failed { message, at, .. } => {
            // Whatever the cause; the message says it (containerd: `StartContainer` in internal/cri/server).
            let exit_code = 128;
            let terminated = json!({
                "containerID": id, "exitCode": exit_code, "reason": "StartError", "message": message,
                "startedAt": time(*at), "finishedAt": time(*at),
            });
            let (started_at, finished_at) = (*at, *at);
            let (steady, has_run) = (0, false);
            Standing::Ended(End { attempt, exit_code, started_at, finished_at, steady, has_run, terminated })
        }
        RunState::Lost { message, at } => Standing::Ended(lost(container, attempt, id, message, *at)),
    }
}

fn lost(container: &ContainerView<'_>, attempt: u32, id: &str, message: &str, at: Timestamp) -> End {
    let told = container.told;
    let running = Some(&told["state"]["running"]).filter(|_| attempt_of(told) == Some(attempt));
    let before = [&told["state"]["terminated"], &told["lastState"]["terminated"]];
    let before = before.into_iter().filter(|end| attempt_of(end) == Some(attempt));
    let since = running.into_iter().chain(before).find_map(|state| state["startedAt"].as_str());
    let started_at = since.and_then(|since| since.parse().ok()).unwrap_or(at);
    let terminated = json!({
        "containerID": id, "exitCode": 137, "reason": "ContainerStatusUnknown", "message": message,
        "startedAt": time(started_at), "finishedAt": time(at),
    });
    End { attempt, exit_code: 137, started_at, finished_at: at, steady: 0, has_run: true, terminated }
}

/// What the pod's status said last. A run that it says runs, and that the runtime does not know, is lost.
fn told(container: &ContainerView<'_>, uid: &str, now: Timestamp) -> Standing {
    let told = container.told;
    let restarts = told["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let (state, last) = (&told["state"], &told["lastState"]["terminated"]);
    if state["running"].is_object() {
        let attempt = attempt_of(told).unwrap_or(restarts);
        let id = container_id(uid, container.name, attempt);
        let message = "the process of this container is not known any more";
        return Standing::Ended(lost(container, attempt, &id, message, now));
    }
    let ended = |terminated: &Value| {
        let time = |name: &str| terminated[name].as_str().and_then(|at| at.parse().ok());
        let finished_at = time("finishedAt").unwrap_or(now);
        Standing::Ended(End {
            attempt: attempt_of(terminated).unwrap_or(restarts),
            exit_code: terminated["exitCode"]
                .as_i64()
                .and_then(|code| i32::try_from(code).ok())
                .unwrap_or(137),
            started_at: time("startedAt").unwrap_or(finished_at),
            finished_at,
            steady: 0,
            has_run: terminated["reason"] != "StartError",
            terminated: terminated.clone(),
        })
    };
    if state["terminated"].is_object() {
        return ended(&state["terminated"]);
    }
    match last.is_object().then(|| ended(last)) {
        // The status already speaks of the next attempt: the start was decided.
        Some(end) if restarts > end.attempt() => Standing::Due { attempt: restarts },
        Some(end) => end,
        None => Standing::Due { attempt: restarts },
    }
}
