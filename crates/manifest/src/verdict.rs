//! The sentence: why a job stands where it stands, and what to do.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};

use crate::facts::{self, condition};
use crate::obstacle::{self, Obstacle, disk, kueue, refusal};
use crate::tasks::Failures;
use crate::words::listed;
use crate::{Cause, Counts, Evidence, Outlook, PayloadEnd, Phase, Right, Seen, Verdict, cause, ended};

/// Lines of what failed that a verdict holds.
const LINES: usize = 10;
/// Different obstacles of one job's pods that are told.
const OBSTACLES: usize = 3;

/// What a verdict is made of.
pub(crate) struct Scene<'a> {
    pub(crate) job: &'a Job,
    pub(crate) evidence: &'a Evidence<'a>,
    pub(crate) pods: Seen<'a, Pod>,
    pub(crate) phase: Phase,
    pub(crate) counts: &'a Counts,
    pub(crate) cause: Option<&'a Cause>,
    pub(crate) payload: Option<&'a PayloadEnd>,
    /// Of a job with several tasks those that failed.
    pub(crate) failures: Option<&'a Failures>,
}

impl Scene<'_> {
    fn events(&self) -> &[Event] {
        self.evidence.events.items()
    }
}

/// The verdict of a scene.
pub(crate) fn of(scene: &Scene<'_>) -> Verdict {
    let (text, outlook, next_step) = match (scene.phase, scene.cause) {
        (_, Some(cause)) => (ended::sentence(scene, cause), Outlook::Final, ended::next_step(scene, cause)),
        (Phase::Ending, _) => ending(scene),
        (Phase::Suspended, _) => suspended(scene),
        (Phase::Running, _) => running(scene),
        _ => pending(scene),
    };
    let failures = scene.failures.map(|failures| failures.groups.clone()).unwrap_or_default();
    Verdict { text, outlook, next_step, last_lines: last_lines(scene), failures, missing: missing(scene) }
}

fn missing(scene: &Scene<'_>) -> Vec<Right> {
    let mut rights = Vec::new();
    if matches!(scene.pods, Seen::Forbidden) {
        rights.push(Right::Pods);
    }
    if matches!(scene.evidence.events, Seen::Forbidden) {
        rights.push(Right::Events);
    }
    rights.extend(scene.evidence.lacking);
    rights
}

/// What the container that failed said last: the message that it left, else the end of its log.
fn last_lines(scene: &Scene<'_>) -> Vec<String> {
    let Some(Cause::Exited { pod, container, .. } | Cause::Signalled { pod, container, .. }) = scene.cause
    else {
        return Vec::new();
    };
    let pod = scene.pods.items().iter().find(|one| facts::pod_name(one) == pod);
    let status = pod.and_then(|pod| facts::containers(pod).find(|one| one.name == *container));
    let message =
        status.and_then(facts::terminated).and_then(|end| end.message.as_deref()).unwrap_or_default();
    let left: Vec<String> =
        message.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    let lines = if left.is_empty() { scene.evidence.last_lines } else { &left };
    lines[lines.len().saturating_sub(LINES)..].to_vec()
}

type Told = (String, Outlook, Option<String>);

fn told(obstacle: Obstacle) -> Told {
    (obstacle.text, obstacle.outlook, obstacle.next_step)
}

fn suspended(scene: &Scene<'_>) -> Told {
    if let Some(obstacle) = kueue::of_job(scene.job, scene.evidence.others) {
        return told(obstacle);
    }
    let kubectl = facts::kubectl(scene.job.metadata.namespace.as_deref());
    let name = facts::name(scene.job);
    let next = format!("{kubectl} patch job {name} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'");
    ("suspended: nothing starts until it is resumed".to_owned(), Outlook::NeedsAction, Some(next))
}

fn ending(scene: &Scene<'_>) -> Told {
    let metadata = &scene.job.metadata;
    let what = if metadata.deletion_timestamp.is_some() {
        "being deleted".to_owned()
    } else if let Some(by) = facts::cancellation(scene.job) {
        format!("being cancelled {}", ended::by_whom(&by))
    } else if let Some(target) = condition(scene.job, "FailureTarget") {
        let cause = cause::of_failure(scene.job, target, scene.pods.items());
        format!("failing because {}", ended::because(scene, &cause))
    } else {
        "succeeding".to_owned()
    };
    let left = scene.counts.active + scene.counts.terminating;
    if let Some(finalizer) = held_by(scene.job).filter(|_| left == 0) {
        let kubectl = facts::kubectl(metadata.namespace.as_deref());
        let next = format!(
            "if what set it is gone: {kubectl} patch job {} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'",
            facts::name(scene.job)
        );
        let text = format!("{what}; blocked by its finalizer {finalizer}, which somebody must remove");
        return (text, Outlook::NeedsAction, Some(next));
    }
    let text = match left {
        0 => format!("{what}; waiting for the cluster to record it"),
        1 => format!("{what}; waiting for its pod to end{}", grace(scene)),
        left => format!("{what}; waiting for {left} pods to end"),
    };
    if let Some(full) = disk::of_pods(scene.pods.items(), scene.evidence.others) {
        return (format!("{text}; {}", full.text), full.outlook, full.next_step);
    }
    let now = format!("windlass cancel {} --now ends it at once", facts::name(scene.job));
    let next = Some(now).filter(|_| left == 1 && facts::cancellation(scene.job).is_some());
    (text, Outlook::ResolvesItself, next.filter(|_| !grace(scene).is_empty()))
}

/// How long the pod that is being ended may take, if that is worth a word.
fn grace(scene: &Scene<'_>) -> String {
    let ending = scene.pods.items().iter().find(|pod| !facts::is_over(pod));
    let metadata = ending.map(|pod| &pod.metadata);
    let seconds = metadata.and_then(|metadata| metadata.deletion_grace_period_seconds);
    let until = metadata.and_then(|metadata| metadata.deletion_timestamp.as_ref()).map(|time| time.0);
    match (seconds, until) {
        (Some(seconds), Some(until)) if seconds > 60 => format!(", which may take until {until:.0}"),
        _ => String::new(),
    }
}

/// The finalizer that keeps a Job that is to be deleted: not one of the cluster's own.
fn held_by(job: &Job) -> Option<&str> {
    job.metadata.deletion_timestamp.as_ref()?;
    let own = |finalizer: &&String| matches!(finalizer.as_str(), "foregroundDeletion" | "orphan");
    job.metadata.finalizers.as_ref()?.iter().find(|one| !own(one)).map(String::as_str)
}

fn running(scene: &Scene<'_>) -> Told {
    let counts = scene.counts;
    if let Some(payload) = scene.payload {
        return outlived(scene, payload);
    }
    let mut text = match counts.wanted {
        Some(wanted) if wanted > 1 => {
            format!("running: {} of {wanted} succeeded, {} active", counts.succeeded, counts.active)
        }
        _ if scene.pods.items().iter().all(facts::is_over)
            && facts::uncounted(scene.job, scene.pods.items()) > 0 =>
        {
            "its pod has ended; waiting for the cluster to record it".to_owned()
        }
        _ => preparing(scene).unwrap_or_else(|| "running".to_owned()),
    };
    if let Some(failures) = scene.failures {
        text.push_str(&format!("; {}", failures.text));
    } else if let Some(failed) = counts.failed_tasks {
        text.push_str(&if failed > 0 { format!(", {failed} failed") } else { String::new() });
    } else if counts.failed > 0 {
        text.push_str(&format!(", {} failed (back-off limit {})", counts.failed, ended::limit(scene.job)));
    }
    match met(scene) {
        Some(Met { worst, all, .. }) => {
            let all = if scene.pods.items().len() == 1 { worst.text } else { all };
            (format!("{text}; {all}"), worst.outlook, worst.next_step)
        }
        None => match disk::of_pods(scene.pods.items(), scene.evidence.others).or_else(|| narrowed(scene)) {
            Some(more) => (format!("{text}; {}", more.text), more.outlook, more.next_step),
            None => (text + &beside(scene), Outlook::Proceeds, None),
        },
    }
}

/// What a job's only pod is busy with while none of its containers has run.
fn preparing(scene: &Scene<'_>) -> Option<String> {
    let [pod] = scene.pods.items() else { return None };
    let (begun, is_running) = (
        |one: &ContainerStatus| one.state.as_ref().is_some_and(|state| state.waiting.is_none()),
        |one: &&ContainerStatus| one.state.as_ref().is_some_and(|state| state.running.is_some()),
    );
    let status = facts::pod_status(pod)?;
    if status.container_statuses.iter().flatten().any(begun) {
        return None;
    }
    let is_sidecar = |name: &str| facts::is_sidecar(pod, name);
    let mut all = status.init_container_statuses.iter().flatten().filter(is_running);
    let busy = all.find(|one| !is_sidecar(&one.name) || one.started != Some(true))?;
    Some(match is_sidecar(&busy.name) {
        false => format!("running: its init container {:?} is at work", busy.name),
        true if has_startup_probe(pod, &busy.name) => format!(
            "running: its command waits for sidecar {:?}, whose startup probe has not succeeded yet",
            busy.name
        ),
        // Its hook after the start, or a status that is just being written.
        true => format!("running: its command waits for sidecar {:?} to be started", busy.name),
    })
}

fn has_startup_probe(pod: &Pod, sidecar: &str) -> bool {
    let init = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    init.iter().any(|one| one.name == sidecar && one.startup_probe.is_some())
}

/// A sidecar that ends again and again while its pod runs: the command goes on, and may miss it.
fn beside(scene: &Scene<'_>) -> String {
    let pods = scene.pods.items().iter().filter(|pod| !facts::is_over(pod));
    let mut all = pods.flat_map(|pod| facts::containers(pod).map(move |one| (pod, one)));
    let fails = |one: &ContainerStatus| {
        let waiting = one.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    };
    let found = all.find(|(pod, one)| facts::is_sidecar(pod, &one.name) && fails(one));
    let told = found.map(|(_, one)| {
        let so_far = obstacle::so_far(one);
        format!("; its sidecar {:?} has {so_far}, and is started again", one.name)
    });
    told.unwrap_or_default()
}

/// What keeps a job that runs from having as many pods as it may.
fn narrowed(scene: &Scene<'_>) -> Option<Obstacle> {
    let counts = scene.counts;
    let wanted = facts::spec(scene.job).and_then(|spec| spec.parallelism).unwrap_or(1);
    let wanted = u32::try_from(wanted).unwrap_or(0);
    // Of a work queue no more are made once one has succeeded; tasks that failed for good are not made again.
    let over = counts.succeeded + counts.failed_tasks.unwrap_or(0);
    let left = match counts.wanted {
        None if counts.succeeded > 0 => return None,
        None => wanted,
        Some(all) => all.saturating_sub(over).min(wanted),
    };
    if counts.active + counts.terminating >= left {
        return None;
    }
    let of_job = |reason: &'static str| {
        let events = scene.events().iter();
        let events = events.filter(move |event| event.reason.as_deref() == Some(reason));
        events.filter(|event| event.involved_object.uid == scene.job.metadata.uid)
    };
    let refused = of_job("FailedCreate").max_by_key(|event| obstacle::time(event))?;
    // Pods are refused in the same moment in which others are made.
    let made = of_job("SuccessfulCreate").map(obstacle::time).max().flatten();
    let message = facts::said(refused).filter(|_| obstacle::time(refused) >= made)?;
    let kubectl = facts::kubectl(scene.job.metadata.namespace.as_deref());
    let obstacle = refusal::of_message(message, &kubectl);
    let text = format!("{} more {}", left - counts.active, obstacle.text);
    Some(Obstacle { text, outlook: Outlook::Proceeds, ..obstacle })
}

/// A payload that is done, in a pod that goes on.
fn outlived(scene: &Scene<'_>, payload: &PayloadEnd) -> Told {
    let end = match &payload.cause {
        Cause::Succeeded => "has ended with code 0".to_owned(),
        Cause::Exited { code, .. } => format!("has ended with code {code}"),
        Cause::Signalled { out_of_memory: true, .. } => "was killed for lack of memory".to_owned(),
        Cause::Signalled { signal, .. } => format!("was ended by signal {signal}"),
        _ => "has ended".to_owned(),
    };
    let names: Vec<String> = payload.still_running.iter().map(|name| format!("{name:?}")).collect();
    let (names, keep) = (listed(&names), if names.len() == 1 { "container" } else { "containers" });
    let keeps = if keep == "container" { "keeps" } else { "keep" };
    let next = format!(
        "make it a native sidecar: move {names} from containers to initContainers, with restartPolicy: Always; this run \
         ends with: windlass cancel {} (or `run --stop-sidecars` next time)",
        facts::name(scene.job)
    );
    let text = format!("its command {end}, and {keep} {names} {keeps} its pod running (pod {})", payload.pod);
    (text, Outlook::NeedsAction, Some(next))
}

/// What a job's pods meet.
struct Met {
    /// The worst.
    worst: Obstacle,
    /// The different ones, with how many pods meet each, the worst first.
    all: String,
    /// How many different ones there are.
    kinds: usize,
}

/// What a job's pods meet: one cause is told once, however many pods it stops.
fn met(scene: &Scene<'_>) -> Option<Met> {
    let of_pod = |pod| obstacle::of_pod(pod, scene.events(), scene.evidence.others);
    let told: BTreeSet<Option<&str>> =
        scene.events().iter().map(|event| event.involved_object.uid.as_deref()).collect();
    // Of thousands that wait for room with the same words, one is looked at: they are made of one template.
    let mut alike: BTreeMap<&str, Option<Obstacle>> = BTreeMap::new();
    let mut of_pods = |pod| match unplaced(pod).filter(|_| !told.contains(&pod.metadata.uid.as_deref())) {
        Some(words) => alike.entry(words).or_insert_with(|| of_pod(pod)).clone(),
        None => of_pod(pod),
    };
    let mut found: Vec<(Obstacle, usize)> = Vec::new();
    for obstacle in scene.pods.items().iter().filter_map(&mut of_pods) {
        match found.iter_mut().find(|(known, _)| known.text == obstacle.text) {
            Some((_, pods)) => *pods += 1,
            None => found.push((obstacle, 1)),
        }
    }
    found
        .sort_by_key(|(obstacle, pods)| (obstacle.outlook != Outlook::NeedsAction, std::cmp::Reverse(*pods)));
    let told = found.iter().take(OBSTACLES).map(|(obstacle, pods)| match pods {
        1 => format!("1 pod: {}", obstacle.text),
        pods => format!("{pods} pods: {}", obstacle.text),
    });
    let mut all = told.collect::<Vec<_>>().join("; ");
    if found.len() > OBSTACLES {
        all.push_str(&format!("; and {} more", found.len() - OBSTACLES));
    }
    let kinds = found.len();
    found.into_iter().next().map(|(worst, _)| Met { worst, all, kinds })
}

/// The scheduler's words about a pod that nothing but a place is wanted for.
fn unplaced(pod: &Pod) -> Option<&str> {
    let is_placed = pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_some());
    let is_ending = pod.metadata.deletion_timestamp.is_some() || facts::disruption(pod).is_some();
    let condition = facts::pod_condition(pod, "PodScheduled").filter(|told| told.status == "False")?;
    let has_containers = facts::containers(pod).next().is_some();
    condition.message.as_deref().filter(|_| !is_placed && !is_ending && !has_containers)
}

fn pending(scene: &Scene<'_>) -> Told {
    if let Some(Met { worst, all, kinds }) = met(scene) {
        let text = if kinds > 1 { all } else { worst.text };
        return (text, worst.outlook, worst.next_step);
    }
    if let Some(foreign) = foreign_controller(scene.job) {
        let text = format!("waiting for the controller {foreign}, which manages this job");
        return (text, Outlook::ResolvesItself, None);
    }
    let kubectl = facts::kubectl(scene.job.metadata.namespace.as_deref());
    if facts::spec(scene.job).and_then(|spec| spec.parallelism) == Some(0) {
        let name = facts::name(scene.job);
        let next = format!("{kubectl} patch job {name} --type merge -p '{{\"spec\":{{\"parallelism\":1}}}}'");
        return ("blocked by its parallelism of 0".to_owned(), Outlook::NeedsAction, Some(next));
    }
    if facts::is_untouched(scene.job)
        && let Some(full) = disk::of_nodes(scene.evidence.others)
    {
        return told(full);
    }
    if let Some(message) = refusal(scene) {
        return told(refusal::of_message(message, &kubectl));
    }
    let text = match (scene.counts.failed, scene.counts.active) {
        (0, 0) => "waiting for its first pod to be made".to_owned(),
        (0, _) => "waiting for its pod to start".to_owned(),
        (failed, _) => {
            let last = cause::deciding_pod(scene.job, scene.pods.items()).and_then(cause::of_pod);
            let last = last
                .map_or(String::new(), |last| format!(", the last because {}", ended::because(scene, &last)));
            let limit = ended::limit(scene.job);
            let text =
                format!("waiting for the next attempt after {failed} failed (back-off limit {limit}){last}");
            let next = Some(format!("windlass logs {}", facts::name(scene.job))).filter(|_| !last.is_empty());
            return (text, Outlook::ResolvesItself, next);
        }
    };
    (text, Outlook::ResolvesItself, None)
}

fn foreign_controller(job: &Job) -> Option<&str> {
    let manager = facts::spec(job)?.managed_by.as_deref()?;
    (manager != "kubernetes.io/job-controller").then_some(manager)
}

/// Why the Job's last pod was refused, unless one was made since.
fn refusal<'a>(scene: &'a Scene<'_>) -> Option<&'a str> {
    let of_job = |event: &&Event| {
        matches!(event.reason.as_deref(), Some("FailedCreate" | "SuccessfulCreate"))
            && event.involved_object.uid == scene.job.metadata.uid
    };
    let last = scene.events().iter().filter(of_job).max_by_key(|event| obstacle::time(event))?;
    facts::said(last).filter(|_| last.reason.as_deref() == Some("FailedCreate"))
}
