//! `windlass show`: the whole story of one job.

use std::fmt::Write;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerState, Event, Pod};
use serde_json::{Value, json};
use windlass::JobView;
use windlass::manifest::{Cause, Right, TaskMap, Usage, array, marks};

use super::list::{completions, duration, phase};
use super::why::times;
use super::{failures, which};
use crate::args::low::{ObjectFormat, Show};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::print::{Table, plain};
use crate::{age, clock, out};

/// The last events are told, so many.
const EVENTS: usize = 20;
/// So many pods are told one by one.
const PODS: usize = 50;

/// Prints it.
pub(crate) async fn run(options: &Show, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let names = which::names(&options.which, &session.manager, false).await?;
    let mut all = Vec::new();
    for name in &names {
        let view = session.manager.get(name).await?;
        match options.output {
            None if all.is_empty() => out::data(&story(&view, clock::now()))?,
            None => out::data(&format!("\n{}", story(&view, clock::now())))?,
            Some(ObjectFormat::Name) => out::data(&format!("{name}\n"))?,
            Some(_) => {}
        }
        all.push(if options.output.is_some() { data(&view)? } else { json!(null) });
    }
    // One by itself, several as a list.
    let all = if all.len() == 1 { all.swap_remove(0) } else { json!({ "jobs": all }) };
    match options.output {
        Some(ObjectFormat::Json) => out::data(&out::json(&all)?)?,
        Some(ObjectFormat::Yaml) => out::data(&out::yaml(&all)?)?,
        _ => {}
    }
    Ok(Exit::OK)
}

/// All of it, for a program.
fn data(view: &JobView) -> Outcome<serde_json::Value> {
    let fault = |error| Failure::new("show", error);
    Ok(json!({
        "status": serde_json::to_value(&view.status).map_err(fault)?,
        "job": serde_json::to_value(&view.job).map_err(fault)?,
        "pods": serde_json::to_value(&view.pods).map_err(fault)?,
        "events": serde_json::to_value(&view.events).map_err(fault)?,
    }))
}

/// All of it, for a person.
fn story(view: &JobView, now: Timestamp) -> String {
    let mut text = String::new();
    for (label, value) in head(view, now) {
        let label = format!("{label}:");
        // Writing to a String cannot fail.
        _ = writeln!(text, "{label:<14}{}", plain(&value));
    }
    if !view.status.verdict.failures.is_empty() {
        _ = write!(text, "\nFailures:\n{}", failures::told(&view.status.verdict.failures));
    }
    if !view.pods.is_empty() {
        _ = write!(text, "\nPods:\n{}", indented(&pods(&view.pods, now)));
    }
    if view.pods.len() > PODS {
        _ = writeln!(text, "  ... and {} more", view.pods.len() - PODS);
    }
    if !view.events.is_empty() {
        _ = write!(text, "\nEvents:\n{}", indented(&events(&view.events, now)));
    }
    text
}

/// The lines at the top: only those that have something to say.
fn head(view: &JobView, now: Timestamp) -> Vec<(&'static str, String)> {
    let status = &view.status;
    let mut lines = vec![
        ("Name", status.name.clone()),
        ("Namespace", status.namespace.clone()),
        ("Status", phase(status.phase).to_owned()),
        ("Reason", status.verdict.text.clone()),
    ];
    let mut add = |label, value: Option<String>| lines.extend(value.map(|value| (label, value)));
    add("Next step", status.verdict.next_step.clone());
    let last = Some(status.verdict.last_lines.join(" / ")).filter(|lines| !lines.is_empty());
    // Failures have theirs.
    add("Last lines", last.filter(|_| status.verdict.failures.is_empty()));
    add("Not seen", missing(&status.verdict.missing));
    add("Exit code", status.exit_code.map(|code| code.to_string()));
    add("Cancelled", cancelled(status.cause.as_ref()));
    add("Completions", Some(counts(view)));
    add("Created", status.times.created.map(|then| format!("{then} ({} ago)", age::since(then, now))));
    add("Submitted by", annotation(view, marks::SUBMITTER));
    add("Submission", status.submission.clone());
    add("Times", times(status, now));
    add("Duration", duration(status, now));
    add("Deleted at", status.times.expires.map(|then| then.to_string()));
    add("Used", status.usage.map(used));
    add("Limits", status.unlimited.clone());
    if let Some(container) = container(view) {
        let words: Vec<String> = command(view).iter().map(|word| quoted(&unescaped(word))).collect();
        add("Command", Some(words.join(" ")).filter(|words| !words.is_empty()));
        add("Image", container.image.clone().filter(|image| image != marks::HOST_IMAGE));
        add("Directory", container.working_dir.clone());
    }
    let spec = view.job.spec.as_ref();
    let limit = spec.and_then(|spec| spec.backoff_limit_per_index.or(spec.backoff_limit));
    add("Retries", limit.map(|limit| limit.to_string()));
    add("Deadline", spec.and_then(|spec| spec.active_deadline_seconds).map(age::human));
    lines
}

/// The first container's words; an array's as they were written, with their holes.
fn command(view: &JobView) -> Vec<String> {
    let mut job = serde_json::to_value(&view.job).unwrap_or_default();
    if let Some(map) = TaskMap::of(&view.job) {
        array::plain(&mut job, &map.names);
    }
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let words = ["command", "args"].into_iter().flat_map(|field| container[field].as_array()).flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// CPU time, and the most memory of a process.
fn used(usage: Usage) -> String {
    let Usage { cpu_ms, peak_memory_bytes: bytes } = usage;
    let memory = match bytes {
        ..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    };
    format!("{}.{:03} s CPU, at most {memory} memory", cpu_ms / 1000, cpu_ms % 1000)
}

/// How many pods are where.
fn counts(view: &JobView) -> String {
    let counts = &view.status.counts;
    let failed = counts.failed_tasks.unwrap_or(counts.failed);
    let parts = [(counts.active, "active"), (failed, "failed"), (counts.terminating, "ending")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    match parts.is_empty() {
        true => completions(&view.status),
        false => format!("{} ({})", completions(&view.status), parts.join(", ")),
    }
}

fn cancelled(cause: Option<&Cause>) -> Option<String> {
    let Some(Cause::Cancelled { by }) = cause else { return None };
    let why = by.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("by {} at {}{why}", by.who, by.when))
}

fn missing(rights: &[Right]) -> Option<String> {
    let words: Vec<&str> = rights.iter().map(|right| right.words()).collect();
    (!words.is_empty()).then(|| format!("there may be more to it: no right to {}", words.join(", ")))
}

fn annotation(view: &JobView, name: &str) -> Option<String> {
    view.job.metadata.annotations.as_ref()?.get(name).cloned()
}

/// The first container of the template.
fn container(view: &JobView) -> Option<&Container> {
    view.job.spec.as_ref()?.template.spec.as_ref()?.containers.first()
}

/// A word as it was typed: in a manifest `$$` stands for `$`, so that nothing is expanded.
fn unescaped(word: &str) -> String {
    word.replace("$$", "$")
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(safe) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn pods(pods: &[Pod], now: Timestamp) -> Table {
    let mut table = Table::new(&["NAME", "STATUS", "EXIT", "RESTARTS", "AGE", "NODE"]);
    for pod in pods.iter().take(PODS) {
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
        let state = containers.first().and_then(|container| container.state.as_ref());
        let created = pod.metadata.creation_timestamp.as_ref();
        table.row(&[
            pod.metadata.name.clone().unwrap_or_default(),
            pod_status(pod, state),
            state
                .and_then(|state| state.terminated.as_ref())
                .map(|ended| ended.exit_code.to_string())
                .unwrap_or_default(),
            containers.iter().map(|container| container.restart_count).sum::<i32>().to_string(),
            created.map(|then| age::since(then.0, now)).unwrap_or_default(),
            pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        ]);
    }
    table
}

/// The nearest cause: why the container waits or ended, else the pod's phase.
fn pod_status(pod: &Pod, state: Option<&ContainerState>) -> String {
    let status = pod.status.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref()?.reason.clone());
    let ended = state.and_then(|state| state.terminated.as_ref()?.reason.clone());
    let deleted = pod.metadata.deletion_timestamp.is_some().then(|| "Terminating".to_owned());
    let phase = status.and_then(|status| status.phase.clone());
    waiting.or(ended).or(deleted).or(phase).unwrap_or_default()
}

fn events(events: &[Event], now: Timestamp) -> Table {
    let mut table = Table::new(&["AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
    for event in events.iter().skip(events.len().saturating_sub(EVENTS)) {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        let when = last.or(event.event_time.as_ref().map(|time| time.0));
        let object = &event.involved_object;
        let count = event.count.filter(|count| *count > 1).map(|count| format!(" (x{count})"));
        table.row(&[
            when.map(|then| age::since(then, now)).unwrap_or_default() + &count.unwrap_or_default(),
            event.type_.clone().unwrap_or_default(),
            event.reason.clone().unwrap_or_default(),
            format!(
                "{}/{}",
                object.kind.as_deref().unwrap_or_default().to_lowercase(),
                object.name.as_deref().unwrap_or_default()
            ),
            event.message.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// A table under a heading.
fn indented(table: &Table) -> String {
    table.to_string().lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::{quoted, unescaped};

    #[test]
    fn a_command_can_be_copied_into_a_shell() {
        for (word, text) in
            [("echo", "echo"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), text);
        }
    }

    #[test]
    fn dollars_are_shown_as_they_were_typed() {
        for (stored, typed) in [("$$(X)", "$(X)"), ("kill $$$", "kill $$"), ("$HOME $(X)", "$HOME $(X)")] {
            assert_eq!(unescaped(stored), typed);
        }
    }
}
