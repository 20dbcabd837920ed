//! Failed tasks by cause, for a person: numbers, what they worked on, the last lines of the first.

use std::time::Duration;

use windlass::manifest::JobStatus;
use windlass::manifest::tasks::FailureGroup;
use windlass::{JobManager, Outcome};

use crate::print::plain;

/// So long is asked for the reasons of failures; then they are told as far as they are known.
const PATIENCE: Duration = Duration::from_secs(10);

/// The last status of a job that has failed, with the last lines of its failed tasks: they are worth a question, and a
/// job that is gone has none.
pub(super) async fn read(end: &Outcome, manager: &JobManager) -> JobStatus {
    match tokio::time::timeout(PATIENCE, manager.get(&end.name)).await {
        Ok(Ok(view)) if view.status.uid == end.status.uid => view.status,
        _ => end.status.clone(),
    }
}

/// The groups of a job, if it has some, and the next step: lines that come after what is said of it.
pub(super) fn and_next(status: &JobStatus) -> String {
    if status.verdict.failures.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}", told(&status.verdict.failures));
    text.extend(status.verdict.next_step.iter().map(|next| format!("  next: {}", plain(next))));
    text.trim_end().to_owned()
}

/// The groups, indented below the sentence that they belong to.
pub(super) fn told(groups: &[FailureGroup]) -> String {
    groups.iter().map(group).collect()
}

fn group(group: &FailureGroup) -> String {
    let tasks = if group.count == 1 { "task" } else { "tasks" };
    let mut text = format!("  {} {tasks} {}: {}\n", group.count, plain(&group.what), group.tasks);
    if !group.items.is_empty() {
        let items: Vec<String> = group.items.iter().map(|item| plain(item)).collect();
        let more = if items.len() < group.count as usize { ", ..." } else { "" };
        text.push_str(&format!("    {}{more}\n", items.join(", ")));
    }
    // Of several tasks it is said whose lines these are.
    if group.count > 1 && !group.last_lines.is_empty() {
        text.push_str(&format!("    the last lines of {}:\n", group.first));
    }
    text.extend(group.last_lines.iter().map(|line| format!("    | {}\n", plain(line))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_tells_numbers_items_and_the_lines_of_its_first_task() {
        let mut failed = FailureGroup {
            what: "ended with code 3".into(),
            count: 2,
            tasks: "17, 212".into(),
            items: vec!["a/17".into(), "a/212\u{1b}".into()],
            first: 17,
            last_lines: vec!["bad".into()],
        };
        assert_eq!(
            told(&[failed.clone()]),
            "  2 tasks ended with code 3: 17, 212\n    a/17, a/212\\u{1b}\n    the last lines of 17:\n    | bad\n"
        );
        (failed.count, failed.last_lines) = (9, vec![]);
        assert_eq!(told(&[failed]), "  9 tasks ended with code 3: 17, 212\n    a/17, a/212\\u{1b}, ...\n");
    }
}
