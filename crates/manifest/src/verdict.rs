//! The sentence: why a job stands where it stands, and what to do.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};

use crate::facts::{self, condition};
use crate::marks::Cancellation;
use crate::obstacle::{self, Obstacle};
use crate::{Cause, Counts, Outlook, Phase, Right, Seen, Verdict, cause, marks};

/// What a verdict is made of.
pub(crate) struct Scene<'a> {
    pub(crate) job: &'a Job,
    pub(crate) pods: Seen<'a, Pod>,
    pub(crate) events: Seen<'a, Event>,
    pub(crate) phase: Phase,
    pub(crate) counts: &'a Counts,
    pub(crate) cause: Option<&'a Cause>,
}

/// The verdict of a scene.
pub(crate) fn of(scene: &Scene<'_>) -> Verdict {
    let name = facts::name(scene.job);
    let (text, outlook, next_step) = match (scene.phase, scene.cause) {
        (_, Some(cause)) => (ended(scene, cause), Outlook::Final, after(scene.job, cause)),
        (Phase::Ending, _) => (ending(scene), Outlook::ResolvesItself, None),
        (Phase::Suspended, _) => {
            let next =
                format!("kubectl patch job {name} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'");
            ("suspended: nothing starts until it is resumed".to_owned(), Outlook::NeedsAction, Some(next))
        }
        (Phase::Running, _) => running(scene),
        _ => pending(scene),
    };
    Verdict { text, outlook, next_step, missing: missing(scene) }
}

fn missing(scene: &Scene<'_>) -> Vec<Right> {
    let mut rights = Vec::new();
    if matches!(scene.pods, Seen::Forbidden) {
        rights.push(Right::Pods);
    }
    if matches!(scene.events, Seen::Forbidden) {
        rights.push(Right::Events);
    }
    rights
}

fn ended(scene: &Scene<'_>, cause: &Cause) -> String {
    match cause {
        Cause::Succeeded => match scene.counts.wanted {
            Some(wanted) if wanted > 1 => format!("succeeded: {} of {wanted}", scene.counts.succeeded),
            _ => "succeeded".to_owned(),
        },
        Cause::Cancelled { by } => format!("cancelled {}", by_whom(by)),
        Cause::Deleted => "deleted before it ended".to_owned(),
        cause => format!("failed because {}{}", because(scene.job, cause), attempts(scene)),
    }
}

/// The cause as the end of a sentence.
fn because(job: &Job, cause: &Cause) -> String {
    match cause {
        Cause::Exited { code, pod, .. } => format!("its command ended with code {code} (pod {pod})"),
        Cause::Signalled { pod, out_of_memory: true, .. } => {
            format!("its command used more memory than its limit and was killed (pod {pod})")
        }
        Cause::Signalled { signal, pod, .. } => {
            format!("signal {}{} ended its command (pod {pod})", signal, named(*signal))
        }
        Cause::NotStarted { message, .. } if is_about_directory(message) => {
            format!("its command could not start{}", details(message))
        }
        Cause::NotStarted { code: 127, message, .. } => {
            format!("its command was not found{}", details(message))
        }
        Cause::NotStarted { code: 126, message, .. } => {
            format!("its command could not be executed{}", details(message))
        }
        Cause::NotStarted { message, .. } => {
            format!("its container could not be started{}", details(message))
        }
        Cause::DeadlineExceeded => {
            let deadline = facts::spec(job).and_then(|spec| spec.active_deadline_seconds);
            let deadline = deadline.map_or(String::new(), |seconds| format!(" of {seconds} s"));
            format!("its deadline{deadline} passed")
        }
        Cause::Failed { reason, message } if message.is_empty() => format!("of {reason}"),
        Cause::Failed { reason, message } => format!("of {reason}: {message}"),
        Cause::Succeeded | Cause::Cancelled { .. } | Cause::Deleted => "it ended".to_owned(),
    }
}

/// The engine's words, and runc's.
fn is_about_directory(message: &str) -> bool {
    ["working directory", "chdir to cwd"].iter().any(|words| message.contains(words))
}

fn details(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn named(signal: u8) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        _ => "",
    }
}

fn attempts(scene: &Scene<'_>) -> String {
    let reason = condition(scene.job, "Failed").and_then(|failed| failed.reason.as_deref());
    match (reason, scene.counts.failed) {
        (Some("BackoffLimitExceeded"), failed) if failed > 1 && limit(scene.job) > 0 => {
            format!(", the last of {failed} failed attempts (back-off limit {})", limit(scene.job))
        }
        (Some("FailedIndexes" | "MaxFailedIndexesExceeded"), _) => {
            let indexes = facts::status(scene.job).and_then(|status| status.failed_indexes.as_deref());
            format!(" (failed indexes: {})", indexes.unwrap_or("unknown"))
        }
        _ => String::new(),
    }
}

fn limit(job: &Job) -> i32 {
    facts::spec(job).and_then(|spec| spec.backoff_limit).unwrap_or(6)
}

fn is_host(job: &Job) -> bool {
    let pod = facts::spec(job).and_then(|spec| spec.template.spec.as_ref());
    pod.and_then(|pod| pod.runtime_class_name.as_deref()) == Some(marks::HOST_CLASS)
}

fn after(job: &Job, cause: &Cause) -> Option<String> {
    let name = facts::name(job);
    match cause {
        Cause::Exited { .. } | Cause::Signalled { .. } | Cause::DeadlineExceeded => {
            Some(format!("windlass logs {name}"))
        }
        Cause::NotStarted { message, .. } if is_about_directory(message) => {
            Some("choose a working directory that is there".to_owned())
        }
        Cause::NotStarted { .. } if is_host(job) => {
            Some("check the command's path, and whether PATH leads to it".to_owned())
        }
        Cause::NotStarted { .. } => Some("check the command's path, or what the image holds".to_owned()),
        Cause::Failed { .. } => Some(format!("windlass show {name}")),
        Cause::Succeeded | Cause::Cancelled { .. } | Cause::Deleted => None,
    }
}

fn by_whom(by: &Cancellation) -> String {
    let why = by.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    format!("by {} at {:.0}{why}", by.who, by.when)
}

fn ending(scene: &Scene<'_>) -> String {
    let what = if scene.job.metadata.deletion_timestamp.is_some() {
        "being deleted".to_owned()
    } else if let Some(by) = facts::cancellation(scene.job) {
        format!("being cancelled {}", by_whom(&by))
    } else if let Some(target) = condition(scene.job, "FailureTarget") {
        let cause = cause::of_failure(scene.job, target, scene.pods.items());
        format!("failing because {}", because(scene.job, &cause))
    } else {
        "succeeding".to_owned()
    };
    match scene.counts.active + scene.counts.terminating {
        0 => format!("{what}; waiting for the cluster to record it"),
        1 => format!("{what}; waiting for its pod to end"),
        left => format!("{what}; waiting for {left} pods to end"),
    }
}

fn running(scene: &Scene<'_>) -> (String, Outlook, Option<String>) {
    let counts = scene.counts;
    let mut text = match counts.wanted {
        Some(wanted) if wanted > 1 => {
            format!("running: {} of {wanted} succeeded, {} active", counts.succeeded, counts.active)
        }
        _ if scene.pods.items().iter().all(facts::is_over)
            && facts::uncounted(scene.job, scene.pods.items()) > 0 =>
        {
            "its pod has ended; waiting for the cluster to record it".to_owned()
        }
        _ => "running".to_owned(),
    };
    if counts.failed > 0 {
        text.push_str(&format!(", {} failed (back-off limit {})", counts.failed, limit(scene.job)));
    }
    match worst(scene) {
        Some((obstacle, pods)) => {
            (format!("{text}; {pods}: {}", obstacle.text), obstacle.outlook, obstacle.next_step)
        }
        None => (text, Outlook::Proceeds, None),
    }
}

/// The worst obstacle of all pods, and how many pods meet it.
fn worst(scene: &Scene<'_>) -> Option<(Obstacle, String)> {
    let found: Vec<Obstacle> =
        scene.pods.items().iter().filter_map(|pod| obstacle::of_pod(pod, scene.events.items())).collect();
    let worst = found.iter().find(|one| one.outlook == Outlook::NeedsAction).or_else(|| found.first())?;
    let same = found.iter().filter(|one| *one == worst).count();
    Some((worst.clone(), if same == 1 { "1 pod".to_owned() } else { format!("{same} pods") }))
}

fn pending(scene: &Scene<'_>) -> (String, Outlook, Option<String>) {
    if let Some((obstacle, _)) = worst(scene) {
        return (obstacle.text, obstacle.outlook, obstacle.next_step);
    }
    if let Some(foreign) = foreign_controller(scene.job) {
        return (
            format!("waiting for the controller {foreign}, which manages this job"),
            Outlook::ResolvesItself,
            None,
        );
    }
    if facts::spec(scene.job).and_then(|spec| spec.parallelism) == Some(0) {
        let next = format!(
            "kubectl patch job {} --type merge -p '{{\"spec\":{{\"parallelism\":1}}}}'",
            facts::name(scene.job)
        );
        return ("blocked by its parallelism of 0".to_owned(), Outlook::NeedsAction, Some(next));
    }
    if let Some(refusal) = refusal(scene) {
        let next = "change the job or what refuses its pods (quota, admission, service account)".to_owned();
        return (
            format!("blocked by the cluster, which refuses its pods: {refusal}"),
            Outlook::NeedsAction,
            Some(next),
        );
    }
    let text = match (scene.counts.failed, scene.counts.active) {
        (0, 0) => "waiting for its first pod to be made".to_owned(),
        (0, _) => "waiting for its pod to start".to_owned(),
        (failed, _) => format!(
            "waiting for the next attempt after {failed} failed (back-off limit {})",
            limit(scene.job)
        ),
    };
    (text, Outlook::ResolvesItself, None)
}

fn foreign_controller(job: &Job) -> Option<&str> {
    let manager = facts::spec(job)?.managed_by.as_deref()?;
    (manager != "kubernetes.io/job-controller").then_some(manager)
}

fn refusal(scene: &Scene<'_>) -> Option<String> {
    let of_job = |event: &&Event| {
        event.reason.as_deref() == Some("FailedCreate") && event.involved_object.uid == scene.job.metadata.uid
    };
    scene.events.items().iter().filter(of_job).max_by_key(|event| obstacle::time(event))?.message.clone()
}
