//! Pods that the cluster does not let be made: quotas, limit ranges, admission. The words are upstream's
//! (`plugin/pkg/admission`, `apiserver/pkg/admission/plugin`).

use super::{Obstacle, missing};
use crate::marks;
use crate::words::{amount, between, listed, quoted, says, trimmed};

/// What refuses the pods of a Job, from the message of its event.
pub(crate) fn of_message(message: &str, kubectl: &str) -> Obstacle {
    let whose = if message.starts_with("Error creating job: ") { "its jobs" } else { "its pods" };
    let message = trimmed(reason(message));
    quota(message, kubectl)
        .or_else(|| limit_range(message, kubectl))
        .or_else(|| missing::object(message, kubectl))
        .or_else(|| class(message))
        .or_else(|| admission(message))
        .unwrap_or_else(|| {
            let what = format_args!("the cluster, which refuses {whose}: {message}");
            if says(
                message,
                &[
                    "timeout",
                    "timed out",
                    "connection refused",
                    "too many requests",
                    "try again",
                    "etcdserver",
                ],
            ) {
                return Obstacle::waiting(format_args!(
                    "the cluster, which fails to make {whose}: {message}"
                ));
            }
            Obstacle::blocked(
                what,
                &format!("change the job or what refuses {whose} (quota, admission, service account)"),
            )
        })
}

/// What comes behind `Error creating: pods "x-" is forbidden: `, or of a CronJob `Error creating job: jobs.batch "x" ...`.
fn reason(message: &str) -> &str {
    let begins = ["Error creating: ", "Error creating job: "];
    let message = begins.iter().find_map(|begin| message.strip_prefix(begin)).unwrap_or(message);
    let kinds = ["pods ", "jobs.batch "];
    let rest = kinds.iter().find_map(|kind| message.strip_prefix(kind));
    match rest.and_then(|rest| rest.split_once(" is forbidden: ")) {
        Some((_, reason)) => reason,
        None => message,
    }
}

fn quota(message: &str, kubectl: &str) -> Option<Obstacle> {
    if let Some((name, rest)) = message.strip_prefix("failed quota: ").and_then(|rest| rest.split_once(": "))
    {
        let what = format!("quota {name:?}: the containers {}", rest.replacen("must specify", "must say", 1));
        return Some(Obstacle::blocked(what, "say what the job needs: --cpu, --memory, --limit NAME=AMOUNT"));
    }
    let rest = message.strip_prefix("exceeded quota: ")?;
    // The words that older tools and tests have: a quota, and nothing of its amounts.
    let (name, amounts) = rest.split_once(", requested: ").unwrap_or((rest, ""));
    let describe = format!("{kubectl} describe quota {name}");
    let of = |list: &str, resource: &str| {
        let found = list.split(',').find_map(|pair| pair.trim().strip_prefix(resource)?.strip_prefix('='));
        found.map(str::to_owned)
    };
    let Some((requested, rest)) = amounts.split_once(", used: ") else {
        let what = format!("quota {name:?}, which has no room for its pods");
        return Some(Obstacle { next_step: Some(describe), ..Obstacle::waiting(what) });
    };
    let (used, limited) = rest.split_once(", limited: ").unwrap_or((rest, ""));
    let (mut short, mut never) = (Vec::new(), false);
    for (resource, wanted) in requested.split(',').filter_map(|pair| pair.trim().split_once('=')) {
        let (used, limit) =
            (of(used, resource).unwrap_or_default(), of(limited, resource).unwrap_or_default());
        let too_much = amount(wanted).zip(amount(&limit)).is_some_and(|(wanted, limit)| wanted > limit);
        never |= too_much;
        short.push(match too_much {
            true => format!("{resource} {wanted}, the whole quota is {limit}"),
            false => format!("{resource} {wanted}, {used} of {limit} are in use"),
        });
    }
    let short = listed(&short);
    // What a CronJob makes is counted as jobs.
    let who = if requested.contains("count/jobs.batch") { "a job" } else { "a pod" };
    Some(if never {
        let next = format!("ask for less, or have the quota raised: {describe}");
        Obstacle::blocked(
            format_args!("quota {name:?}, which will never have room: {who} asks for {short}"),
            &next,
        )
    } else {
        let what = format!("room in quota {name:?}: {who} asks for {short}");
        Obstacle { next_step: Some(describe), ..Obstacle::waiting(what) }
    })
}

fn limit_range(message: &str, kubectl: &str) -> Option<Obstacle> {
    let words = [" usage per Container is ", " usage per Pod is ", " max limit to request ratio per "];
    words.iter().any(|words| message.contains(words)).then(|| {
        let told = message.trim_matches(['[', ']']).trim_end_matches('.').replace(".  ", "; ");
        let next = format!("ask for what fits: {kubectl} describe limitrange");
        Obstacle::blocked(format_args!("the namespace's limit range: {told}"), &next)
    })
}

fn class(message: &str) -> Option<Obstacle> {
    if let Some(name) = quoted(message, "RuntimeClass ").filter(|_| message.ends_with("not found")) {
        if name == marks::HOST_CLASS {
            let next = "name an image (--image), or use this machine (--local)";
            return Some(Obstacle::blocked(
                "the cluster, which runs no processes of a host: it has no runtime class \"windlass-host\"",
                next,
            ));
        }
        let next = "kubectl get runtimeclass shows those that are there";
        return Some(Obstacle::blocked(format_args!("runtime class {name:?}, which is not there"), next));
    }
    let name = between(message, "no PriorityClass with name ", " was found")?;
    let next = "kubectl get priorityclass shows those that are there";
    Some(Obstacle::blocked(format_args!("priority class {name:?}, which is not there"), next))
}

fn admission(message: &str) -> Option<Obstacle> {
    if let Some(name) = quoted(message, "admission webhook ") {
        let why = message.split_once("denied the request").map_or("", |(_, why)| why);
        let why = why.trim_start_matches(" without explanation").trim_start_matches(": ");
        let why = if why.is_empty() { "it gives no reason".to_owned() } else { why.to_owned() };
        let next = "change what it objects to, or ask who runs this webhook";
        return Some(Obstacle::blocked(format_args!("admission webhook {name:?}: {why}"), next));
    }
    if let Some(name) = quoted(message, "failed calling webhook ") {
        return Some(Obstacle::waiting(format_args!("admission webhook {name:?}, which does not answer")));
    }
    if let Some(name) = quoted(message, "ValidatingAdmissionPolicy ") {
        let why = message.split_once("denied request: ").map_or(message, |(_, why)| why);
        let next = "change what it objects to, or ask who set this policy";
        return Some(Obstacle::blocked(format_args!("admission policy {name:?}: {why}"), next));
    }
    if let Some((_, rest)) = message.split_once("violates PodSecurity ") {
        let (level, why) = rest.split_once(": ").unwrap_or((rest, "it gives no reason"));
        let level = level.trim_matches(['"', '\\']);
        let next = "give the job the security context that the message asks for, or use another namespace";
        return Some(Obstacle::blocked(
            format_args!("the namespace's pod security level {level:?}: {why}"),
            next,
        ));
    }
    None
}
