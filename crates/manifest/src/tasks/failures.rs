//! Why tasks failed: those that failed of one cause are told once.
//!
//! One cause is one way to end (a code, a signal, what the cluster did) with one last line. A line that names the task
//! is the same line for every task: its own values and its number count as blanks. Where there would be too many
//! causes, numbers in lines count as blanks too, then whole lines.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use super::{Attempt, Numbering, TaskState, TaskTable, ranges, several};
use crate::{Cause, ended, facts};

/// Failed tasks that are looked at: Kubernetes lets no more than 100,000 fail by index.
const TASKS: usize = 1_000_000;
/// Causes that are told.
const GROUPS: usize = 8;
/// Ranges of numbers that a group tells, and a sentence.
const RANGES: usize = 40;
const SENTENCE_RANGES: usize = 8;
/// Tasks of a group whose values are told.
const ITEMS: usize = 5;
/// Lines of one task that are told.
const LINES: usize = 5;
/// The longest last words that are kept, bytes.
const WORDS: usize = 2_000;

/// What was found out about a job's failed tasks beside their pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskEvidence {
    /// The last lines of pods, by their names.
    pub lines: BTreeMap<String, Vec<String>>,
    /// The values of tasks, by their indexes.
    pub values: BTreeMap<u32, Vec<String>>,
}

/// A pod in which a task failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedPod {
    /// The task's index.
    pub index: u32,
    /// The pod.
    pub pod: String,
    /// The container that failed.
    pub container: String,
    /// It left a termination message: its log need not be read.
    pub has_left_words: bool,
}

/// Tasks that failed of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureGroup {
    /// What they did, after their number: `ended with code 3`.
    pub what: String,
    /// How many they are.
    pub count: u32,
    /// Their numbers, as ranges: `17, 212`.
    pub tasks: String,
    /// The values of the first of them, a text each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// The number of the first.
    pub first: u32,
    /// The last lines of the first, as far as they were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// All failures of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failures {
    /// By cause, the most frequent first.
    pub(crate) groups: Vec<FailureGroup>,
    /// The same as a sentence's middle.
    pub(crate) text: String,
}

/// One task that failed.
struct Failed<'a> {
    number: u32,
    values: &'a [String],
    /// Its values for a person.
    item: String,
    what: &'a str,
    lines: Vec<String>,
}

/// How much of a last line tells causes apart.
#[derive(Clone, Copy)]
enum Level {
    /// All but the task's own values and number.
    Words,
    /// No number at all.
    NoNumbers,
    /// Nothing.
    NoLines,
}

impl Failures {
    /// Those of a job with several tasks; `None` if none has failed for good.
    pub(crate) fn of(job: &Job, pods: &[Pod], evidence: Option<&TaskEvidence>) -> Option<Failures> {
        let total = several(job)?;
        let mut table = TaskTable::new(job);
        pods.iter().for_each(|pod| table.see(pod));
        let (numbering, nothing) = (Numbering::of(job), TaskEvidence::default());
        let evidence = evidence.unwrap_or(&nothing);
        let failed = failed(&table, total, &numbering, evidence);
        if failed.is_empty() {
            return None;
        }
        let levels = [Level::Words, Level::NoNumbers, Level::NoLines].map(|level| grouped(&failed, level));
        let [words, numbers, lines] = levels;
        let groups = [words, numbers].into_iter().find(|groups| groups.len() <= GROUPS).unwrap_or(lines);
        let text = sentence(&failed, &groups, total);
        let mut told: Vec<_> = groups.iter().take(GROUPS).map(|group| told(group)).collect();
        let mut rest: Vec<&Failed<'_>> = groups.iter().skip(GROUPS).flatten().copied().collect();
        if !rest.is_empty() {
            rest.sort_by_key(|one| one.number);
            told.push(FailureGroup { what: "failed of other causes".to_owned(), ..self::told(&rest) });
        }
        Some(Failures { groups: told, text })
    }
}

/// The tasks that failed for good, in the order of their numbers.
fn failed<'a>(
    table: &'a TaskTable<'_>,
    total: u32,
    numbering: &Numbering,
    evidence: &'a TaskEvidence,
) -> Vec<Failed<'a>> {
    const GONE: &str = "failed, and no pod is left to say why";
    let view = table.view();
    let of = |index: u32, attempt: Option<&'a Attempt>| Failed {
        number: numbering.number(index),
        values: evidence.values.get(&index).map(Vec::as_slice).unwrap_or_default(),
        item: item(numbering.names(), evidence.values.get(&index).map(Vec::as_slice).unwrap_or_default()),
        what: attempt.map_or(GONE, |attempt| attempt.verb.as_deref().unwrap_or("failed")),
        lines: attempt.map(|attempt| lines(attempt, evidence)).unwrap_or_default(),
    };
    let with_pods = table.last.iter().filter(|(index, attempt)| {
        **index < total && view.state(**index, Some(attempt)) == TaskState::Failed
    });
    let mut failed: Vec<_> = with_pods.map(|(index, attempt)| of(*index, Some(attempt))).collect();
    let without = view.failed.iter().take_while(|index| *index < total).take(TASKS);
    let without = without.filter(|index| !table.last.contains_key(index));
    failed.extend(without.map(|index| of(index, None)));
    failed.sort_by_key(|one| one.number);
    failed
}

/// One value as it is, several with their names: `model=b rate=1`.
fn item(names: &[String], values: &[String]) -> String {
    match values {
        [value] => value.clone(),
        _ => names
            .iter()
            .zip(values)
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// The end of what an attempt wrote, as far as it is known.
fn lines(attempt: &Attempt, evidence: &TaskEvidence) -> Vec<String> {
    let left = attempt.failed.as_ref().and_then(|(_, left)| left.as_deref()).unwrap_or_default();
    let left: Vec<String> = left.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    match left.is_empty() {
        false => left,
        true => evidence.lines.get(&attempt.pod).cloned().unwrap_or_default(),
    }
}

/// The tasks by cause: the most frequent cause first, then the one of the first task.
fn grouped<'a, 'f>(failed: &'f [Failed<'a>], level: Level) -> Vec<Vec<&'f Failed<'a>>> {
    let mut groups: BTreeMap<(&str, Option<String>), Vec<&Failed<'a>>> = BTreeMap::new();
    for one in failed {
        let line = one.lines.last().and_then(|line| match level {
            Level::Words => Some(evened(line, one)),
            Level::NoNumbers => Some(without_numbers(&evened(line, one))),
            Level::NoLines => None,
        });
        groups.entry((one.what, line)).or_default().push(one);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group.first().map(|one| one.number)));
    groups
}

/// A line with blanks where it names its own task.
fn evened(line: &str, one: &Failed<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for value in one.values {
        let file = value.rsplit('/').next().unwrap_or(value);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        names.extend([value.as_str(), file, stem].into_iter().filter(|name| !name.is_empty()));
    }
    // The longest first: a file's name is part of its path.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let line = names.iter().fold(line.trim().to_owned(), |line, name| blanked(&line, name));
    map_numbers(&line, |digits| if digits.parse() == Ok(one.number) { "{#}" } else { digits })
}

/// A line with blanks for a name; a short one only where it is a word of its own.
fn blanked(line: &str, name: &str) -> String {
    const LONG: usize = 3;
    let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let (mut out, mut at) = (String::with_capacity(line.len()), 0);
    for (begin, found) in line.match_indices(name) {
        let end = begin + found.len();
        let is_word = is_end(line[..begin].chars().next_back()) && is_end(line[end..].chars().next());
        if is_word || name.len() >= LONG {
            out.push_str(&line[at..begin]);
            out.push_str("{}");
            at = end;
        }
    }
    out.push_str(&line[at..]);
    out
}

/// The same without any number, its task's own included.
fn without_numbers(line: &str) -> String {
    map_numbers(&line.replace("{#}", "0"), |_| "0")
}

/// Replaces every run of digits.
fn map_numbers<'a>(line: &'a str, replace: impl Fn(&'a str) -> &'a str) -> String {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = &rest[begin..];
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        out.push_str(&rest[..begin]);
        out.push_str(replace(&digits[..end]));
        rest = &digits[end..];
    }
    out.push_str(rest);
    out
}

fn numbers(group: &[&Failed<'_>], most: usize) -> String {
    let numbers: Vec<u32> = group.iter().map(|one| one.number).collect();
    ranges(&numbers, most)
}

fn told(group: &[&Failed<'_>]) -> FailureGroup {
    let first = group.first();
    let items = group.iter().filter(|one| !one.values.is_empty()).take(ITEMS);
    FailureGroup {
        what: first.map(|one| one.what.to_owned()).unwrap_or_default(),
        count: u32::try_from(group.len()).unwrap_or(u32::MAX),
        tasks: numbers(group, RANGES),
        items: items.map(|one| one.item.clone()).collect(),
        first: first.map_or(0, |one| one.number),
        last_lines: first
            .map(|one| one.lines[one.lines.len().saturating_sub(LINES)..].to_vec())
            .unwrap_or_default(),
    }
}

/// `2 of 300 tasks ended with code 3 (17, 212)`; of several causes `3 of 300 tasks failed: 2 ended ...; 1 ...`.
fn sentence(failed: &[Failed<'_>], groups: &[Vec<&Failed<'_>>], total: u32) -> String {
    // What they wrote is told below the sentence: in it, one way to end is one.
    let mut ways: Vec<(&str, Vec<&Failed<'_>>)> = Vec::new();
    for one in groups.iter().flatten() {
        match ways.iter_mut().find(|(what, _)| *what == one.what) {
            Some((_, tasks)) => tasks.push(one),
            None => ways.push((one.what, vec![one])),
        }
    }
    ways.iter_mut().for_each(|(_, tasks)| tasks.sort_by_key(|one| one.number));
    let (count, tasks) = (failed.len(), if total == 1 { "task" } else { "tasks" });
    if let [(what, group)] = &ways[..] {
        return format!("{count} of {total} {tasks} {what} ({})", numbers(group, SENTENCE_RANGES));
    }
    let told = ways.iter().take(GROUPS);
    let mut told: Vec<String> = told
        .map(|(what, group)| format!("{} {what} ({})", group.len(), numbers(group, SENTENCE_RANGES)))
        .collect();
    if ways.len() > GROUPS {
        told.push(format!("and {} more causes", ways.len() - GROUPS));
    }
    format!("{count} of {total} {tasks} failed: {}", told.join("; "))
}

/// What a task did, as a verb that fits one and many.
pub(super) fn verb(job: &Job, pod: &Pod, cause: &Cause) -> String {
    let of = |container: &str| match facts::payload(job, pod) {
        _ if facts::is_init(pod, container) => format!(" in init container {container:?}"),
        Some(payload) if payload != container => format!(" in container {container:?}"),
        _ => String::new(),
    };
    match cause {
        Cause::Exited { code, container, .. } => format!("ended with code {code}{}", of(container)),
        Cause::Signalled { out_of_memory: true, container, .. } => {
            format!("used more memory than the limit allows{}", of(container))
        }
        Cause::Signalled { signal, container, .. } => {
            format!("ended by signal {signal}{}{}", ended::named(*signal), of(container))
        }
        Cause::NotStarted { message, container, .. } => {
            format!("could not start{}{}", of(container), ended::details(message))
        }
        Cause::Failed { reason, message } => format!("failed: {}", ended::disrupted(reason, message)),
        // The Job's own ends no single task: this is of a pod.
        Cause::DeadlineExceeded => "ran longer than the pod's deadline allows".to_owned(),
        Cause::Succeeded | Cause::Cancelled { .. } | Cause::Deleted => "failed".to_owned(),
    }
}

/// The container that failed and its termination message.
pub(super) fn last_words(pod: &Pod, cause: &Cause) -> Option<(String, Option<String>)> {
    let (Cause::Exited { container, .. } | Cause::Signalled { container, .. }) = cause else { return None };
    let status = facts::containers(pod).find(|one| one.name == *container)?;
    let message = facts::terminated(status)?.message.as_deref().unwrap_or_default().trim();
    let begin = (message.len().saturating_sub(WORDS)..message.len()).find(|at| message.is_char_boundary(*at));
    let words = message[begin.unwrap_or(0)..].to_owned();
    Some((container.clone(), Some(words).filter(|words| !words.is_empty())))
}
