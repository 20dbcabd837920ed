//! Failed tasks by cause, for a person: numbers, what they worked on, the last lines of the first.

use windlass::manifest::tasks::FailureGroup;

use crate::print::plain;

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
