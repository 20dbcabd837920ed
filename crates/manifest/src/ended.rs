//! How a job ended, as the end of a sentence, and what to do then.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use crate::facts::{self, condition};
use crate::marks::Cancellation;
use crate::tasks;
use crate::verdict::Scene;
use crate::words::{between, says, trimmed};
use crate::{Cause, Seen, cause, marks, news};

/// The sentence.
pub(crate) fn sentence(scene: &Scene<'_>, cause: &Cause) -> String {
    match cause {
        Cause::Succeeded => match scene.counts.wanted {
            Some(wanted) if wanted > 1 => {
                let complete = condition(scene.job, "Complete").and_then(|one| one.reason.as_deref());
                let enough = match complete {
                    Some("SuccessPolicy") => ", which its success policy takes as enough",
                    _ => "",
                };
                format!("succeeded: {} of {wanted}{enough}", scene.counts.succeeded)
            }
            _ => "succeeded".to_owned(),
        },
        Cause::Cancelled { by } => format!("cancelled {}", by_whom(by)),
        Cause::Deleted => "deleted before it ended".to_owned(),
        Cause::DeadlineExceeded if is_of_job(scene.job) => {
            format!("failed because {}{}", because(scene, cause), far(scene))
        }
        cause => match scene.failures {
            Some(failures) => format!("failed because {}{}", failures.text, attempts(scene)),
            None => format!("failed because {}{}", because(scene, cause), attempts(scene)),
        },
    }
}

/// The cause as the end of a sentence.
pub(crate) fn because(scene: &Scene<'_>, cause: &Cause) -> String {
    if let Cause::Exited { pod, container, .. }
    | Cause::Signalled { pod, container, out_of_memory: false, .. } = cause
        && let Some(why) = ended_for(scene, pod, container)
    {
        return format!("{} was ended: {why} (pod {pod})", who(scene, container));
    }
    match cause {
        Cause::Exited { code, pod, container } => {
            format!("{} ended with code {code} (pod {pod})", who(scene, container))
        }
        Cause::Signalled { pod, container, out_of_memory: true, .. } => {
            let limit = memory_limit(scene, pod, container).map(|limit| format!(" of {limit}"));
            let limit = limit.unwrap_or_default();
            let who = who(scene, container);
            format!("{who} used more memory than its limit{limit} and was killed (pod {pod})")
        }
        Cause::Signalled { signal, pod, container, .. } => {
            format!("signal {}{} ended {} (pod {pod})", signal, named(*signal), who(scene, container))
        }
        Cause::NotStarted { code, message, container, .. } => {
            let what = match code {
                _ if is_about_directory(message) => "could not start",
                127 => "was not found",
                126 => "could not be executed",
                _ => return format!("its container could not be started{}", details(message)),
            };
            format!("{} {what}{}", who(scene, container), details(message))
        }
        Cause::DeadlineExceeded => {
            let spec = facts::spec(scene.job);
            let of_pod = || spec?.template.spec.as_ref()?.active_deadline_seconds;
            let (whose, deadline) = match is_of_job(scene.job) {
                true => ("its", spec.and_then(|spec| spec.active_deadline_seconds)),
                false => ("its pod's", of_pod()),
            };
            let deadline = deadline.map_or(String::new(), |seconds| format!(" of {seconds} s"));
            format!("{whose} deadline{deadline} passed")
        }
        // Of pods that nobody has looked at nothing is said.
        Cause::Failed { reason, .. }
            if reason == "BackoffLimitExceeded" && matches!(scene.pods, Seen::All(_)) =>
        {
            match scene.pods.items() {
                [] => news::gone(scene.job, scene.evidence.events.items()),
                left => untold(scene.job, left),
            }
        }
        Cause::Failed { reason, message } => disrupted(reason, message),
        Cause::Succeeded | Cause::Cancelled { .. } | Cause::Deleted => "it ended".to_owned(),
    }
}

/// What the cluster did to a pod, in our words; of what we have no words for, its own.
pub(crate) fn disrupted(reason: &str, message: &str) -> String {
    let message = trimmed(message);
    match reason {
        "Evicted" if message.starts_with("Eviction API") => {
            "its pod was evicted through the API, as when its node is drained".to_owned()
        }
        "Evicted" if !message.is_empty() => format!("its pod was evicted: {message}"),
        "Preempted" => "its pod was ended to make room for one of higher priority".to_owned(),
        "NodeLost" if message.contains("NoExecute taint") => {
            "its pod was ended for a taint of its node (NoExecute), as nodes that do not answer get"
                .to_owned()
        }
        "NodeLost" => format!("its node was lost{}", details(message)),
        "NodeShutdown" => "its node was shut down".to_owned(),
        _ if message.is_empty() => format!("of {reason}"),
        _ => format!("of {reason}: {message}"),
    }
}

/// How a container is called: the payload is the job's command.
fn who(scene: &Scene<'_>, container: &str) -> String {
    let pods = scene.pods.items();
    let pod = cause::deciding_pod(scene.job, pods).or_else(|| pods.first());
    let Some(pod) = pod else { return "its command".to_owned() };
    if facts::is_init(pod, container) {
        return format!("its init container {container:?}");
    }
    match facts::payload(scene.job, pod) {
        Some(payload) if payload != container => format!("its container {container:?}"),
        _ => "its command".to_owned(),
    }
}

/// A container's limit as its pod has it, where the job names none but its namespace does; else the job's.
fn memory_limit(scene: &Scene<'_>, pod: &str, container: &str) -> Option<String> {
    let pod = scene.pods.items().iter().find(|one| facts::pod_name(one) == pod);
    let template = facts::spec(scene.job).and_then(|spec| spec.template.spec.as_ref());
    let specs = [pod.and_then(|pod| pod.spec.as_ref()), template];
    specs.into_iter().flatten().find_map(|spec| {
        let mut all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let limits = all.find(|one| one.name == container)?.resources.as_ref()?.limits.as_ref()?;
        limits.get("memory").map(|limit| limit.0.clone())
    })
}

/// Why a container was ended from outside, if that is known.
fn ended_for(scene: &Scene<'_>, pod: &str, container: &str) -> Option<String> {
    let pod = scene.pods.items().iter().find(|one| facts::pod_name(one) == pod)?;
    let status = facts::containers(pod).find(|one| one.name == container)?;
    news::ended_for(scene.evidence.events.items(), pod, container, cause::own_end(pod, status)?)
}

/// What is said of a job that failed as often as it may, and whose pods that are left do not tell of what.
fn untold(job: &Job, left: &[Pod]) -> String {
    match cause::deciding_pod(job, left) {
        Some(pod) => format!("its pod {} failed, and does not tell of what", facts::pod_name(pod)),
        None => "one of its pods failed or was deleted, and is no longer there to tell".to_owned(),
    }
}

/// Whether the deadline that passed is the Job's own, and not each pod's.
fn is_of_job(job: &Job) -> bool {
    let mut by_job = ["Failed", "FailureTarget"].into_iter().filter_map(|kind| condition(job, kind));
    by_job.any(|one| one.reason.as_deref() == Some("DeadlineExceeded"))
}

/// The engine's words, and runc's.
pub(crate) fn is_about_directory(message: &str) -> bool {
    ["working directory", "chdir to cwd"].iter().any(|words| message.contains(words))
}

/// The runtime's words, without the way that they came.
pub(crate) fn details(message: &str) -> String {
    const WAYS: [&str; 2] = ["unable to start container process: ", "error during container init: "];
    let told = WAYS.iter().fold(message, |told, way| told.rsplit_once(way).map_or(told, |(_, rest)| rest));
    let told = told.trim_end_matches(": unknown");
    if told.is_empty() { String::new() } else { format!(": {told}") }
}

pub(crate) fn named(signal: u8) -> &'static str {
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
    let failed = condition(scene.job, "Failed");
    let limit = limit(scene.job);
    match (failed.and_then(|failed| failed.reason.as_deref()), scene.counts.failed) {
        (Some("BackoffLimitExceeded"), failed) if failed > 1 && limit > 0 => {
            format!(", the last of {failed} failed attempts (back-off limit {limit})")
        }
        (Some("FailedIndexes"), _) if scene.failures.is_some() => String::new(),
        (Some("MaxFailedIndexesExceeded"), _) if scene.failures.is_some() => {
            let most = facts::spec(scene.job).and_then(|spec| spec.max_failed_indexes);
            format!(", and no more than {} may fail", most.unwrap_or(0))
        }
        (Some("FailedIndexes" | "MaxFailedIndexesExceeded"), _) => {
            let indexes = facts::status(scene.job).and_then(|status| status.failed_indexes.as_deref());
            format!(" (failed indexes: {})", indexes.unwrap_or("unknown"))
        }
        (Some("PodFailurePolicy"), _)
            if scene.cause.is_some_and(|cause| !matches!(cause, Cause::Failed { .. })) =>
        {
            let message = failed.and_then(|failed| failed.message.as_deref()).unwrap_or_default();
            let rule =
                between(&format!("{message} "), "rule at index ", " ").map(|rule| format!(" (rule {rule})"));
            format!(", which its pod failure policy makes final{}", rule.unwrap_or_default())
        }
        _ => String::new(),
    }
}

/// How far a job with several tasks had come when its time was over.
fn far(scene: &Scene<'_>) -> String {
    match tasks::several(scene.job) {
        Some(total) => format!(" when {} of {total} tasks had succeeded", scene.counts.succeeded),
        None => String::new(),
    }
}

/// How many failures the job may have.
pub(crate) fn limit(job: &Job) -> i32 {
    facts::spec(job).and_then(|spec| spec.backoff_limit).unwrap_or(6)
}

fn is_host(job: &Job) -> bool {
    let pod = facts::spec(job).and_then(|spec| spec.template.spec.as_ref());
    pod.and_then(|pod| pod.runtime_class_name.as_deref()) == Some(marks::HOST_CLASS)
}

/// What to do once it has ended.
pub(crate) fn next_step(scene: &Scene<'_>, cause: &Cause) -> Option<String> {
    let job = scene.job;
    let name = facts::name(job);
    let logs = || format!("windlass logs {name}{}", until(job));
    match cause {
        Cause::Signalled { out_of_memory: true, .. } => {
            Some("give it more memory: --memory, --limit memory=AMOUNT".to_owned())
        }
        Cause::Exited { .. } | Cause::Signalled { .. } => {
            Some(match scene.failures.map(|all| &all.groups[..]) {
                Some([group, ..]) => after_tasks(job, group.first),
                _ => logs(),
            })
        }
        Cause::DeadlineExceeded if !is_of_job(job) => {
            let logs = match scene.failures.map(|all| &all.groups[..]) {
                Some([group, ..]) => format!("windlass logs {name} --task {}{}", group.first, until(job)),
                _ => logs(),
            };
            Some(format!("raise activeDeadlineSeconds of its pod, or see how far it came: {logs}"))
        }
        Cause::Failed { .. } if scene.failures.is_some() && tasks::Numbering::of(job).keeps_numbers() => {
            Some(format!("windlass retry --failed {name}"))
        }
        Cause::DeadlineExceeded | Cause::Cancelled { .. } if tasks::Numbering::of(job).keeps_numbers() => {
            Some(format!("windlass retry --failed {name} runs the tasks that are left"))
        }
        Cause::DeadlineExceeded => {
            Some(format!("give it more time (--deadline), or see how far it came: {}", logs()))
        }
        Cause::NotStarted { message, .. } if is_about_directory(message) => {
            Some("choose a working directory that is there".to_owned())
        }
        Cause::NotStarted { code: 126, .. } if is_host(job) => {
            Some("name a program that may be executed, or let this one be: chmod +x".to_owned())
        }
        Cause::NotStarted { .. } if is_host(job) => {
            Some("check the command's path, and whether PATH leads to it".to_owned())
        }
        Cause::NotStarted { .. } => Some("check the command's path, or what the image holds".to_owned()),
        Cause::Failed { reason, message } => Some(after_disruption(reason, message, name)),
        Cause::Succeeded => Some(until(job)).filter(|text| !text.is_empty()).map(|_| logs()),
        Cause::Deleted => Some("submit it again".to_owned()),
        Cause::Cancelled { .. } => None,
    }
}

/// Of several tasks one is looked at, and those that failed can run again.
fn after_tasks(job: &Job, task: u32) -> String {
    let name = facts::name(job);
    let logs = format!("windlass logs {name} --task {task}{}", until(job));
    match tasks::Numbering::of(job).keeps_numbers() {
        true => format!("{logs}, then windlass retry --failed {name}"),
        false => logs,
    }
}

fn after_disruption(reason: &str, message: &str, name: &str) -> String {
    match reason {
        "Evicted" if says(message, &["emptydir volume"]) => {
            "raise the volume's sizeLimit, or write less into it".to_owned()
        }
        "Evicted" if says(message, &["ephemeral"]) => {
            "write less to local disk, or ask for more: --request ephemeral-storage=AMOUNT".to_owned()
        }
        "Evicted" if says(message, &["memory"]) => {
            "ask for as much memory as it uses (--memory), then `windlass retry`".to_owned()
        }
        "Evicted" | "Preempted" | "NodeLost" | "NodeShutdown" => format!("windlass retry {name}"),
        "BackoffLimitExceeded" => format!("windlass retry {name} (`windlass show {name}` tells its events)"),
        _ => format!("windlass show {name}"),
    }
}

/// Until when what belongs to an ended job is kept, if not for ever.
fn until(job: &Job) -> String {
    let Some(expires) = facts::expires(job) else { return String::new() };
    let ttl = facts::spec(job).and_then(|spec| spec.ttl_seconds_after_finished).unwrap_or(0);
    format!(" (until {expires}: then the job is deleted, {ttl} s after its end)")
}

/// Who cancelled it, when and why.
pub(crate) fn by_whom(by: &Cancellation) -> String {
    let why = by.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    format!("by {} at {:.0}{why}", by.who, by.when)
}

/// What a pod that the cluster ended is said to have failed of, and the cluster's words; `None` if it ended by itself.
pub(crate) fn disruption_of(pod: &Pod) -> Option<(String, String)> {
    let status = facts::pod_status(pod)?;
    let own = || status.message.clone().filter(|message| !message.is_empty());
    if let Some(told) = facts::disruption(pod) {
        let reason = match told.reason.as_deref().unwrap_or_default() {
            "PreemptionByScheduler" | "PreemptionByKubelet" => "Preempted",
            "DeletionByTaintManager" | "DeletionByPodGC" => "NodeLost",
            "TerminationByKubelet" if status.reason.as_deref() == Some("Evicted") => "Evicted",
            "TerminationByKubelet" if status.reason.as_deref() == Some("Preempting") => "Preempted",
            "TerminationByKubelet" => "NodeShutdown",
            "EvictionByEvictionAPI" => "Evicted",
            other => other,
        };
        let message = own().or_else(|| told.message.clone()).unwrap_or_default();
        return Some((reason.to_owned(), message));
    }
    let reason = status.reason.as_deref()?;
    let reason = match reason {
        "NodeShutdown" | "Terminated" | "Shutdown" => "NodeShutdown",
        "NodeLost" | "Evicted" => reason,
        _ => return None,
    };
    Some((reason.to_owned(), own().unwrap_or_default()))
}
