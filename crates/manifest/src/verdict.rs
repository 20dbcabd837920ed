//! The sentence: why a job stands where it stands, and what to do.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};

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
        1 => format!("{what}; waiting for its pod to end"),
        left => format!("{what}; waiting for {left} pods to end"),
    };
    if let Some(full) = disk::of_pods(scene.pods.items(), scene.evidence.others) {
        return (format!("{text}; {}", full.text), full.outlook, full.next_step);
    }
    (text, Outlook::ResolvesItself, None)
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
        _ => "running".to_owned(),
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
        None => match disk::of_pods(scene.pods.items(), scene.evidence.others) {
            Some(full) => (format!("{text}; {}", full.text), full.outlook, full.next_step),
            None => (text, Outlook::Proceeds, None),
        },
    }
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
        (failed, _) => format!(
            "waiting for the next attempt after {failed} failed (back-off limit {})",
            ended::limit(scene.job)
        ),
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
