//! How far many jobs are, as text for the line at the bottom of a terminal.

/// Characters of the bar itself.
const WIDTH: usize = 24;

/// `[######------------------] 250/1000 jobs, 2 refused`.
pub(crate) fn bar(done: usize, all: usize, words: &str) -> String {
    let full = (done.min(all) * WIDTH).checked_div(all).unwrap_or(WIDTH);
    format!("[{}{}] {done}/{all} {words}", "#".repeat(full), "-".repeat(WIDTH - full))
}

/// What of several counts is not zero, in words: `2 active, 1 failed`.
pub(crate) fn counts(counts: &[(usize, &str)]) -> String {
    let some: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    some.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_its_end_and_not_before() {
        assert_eq!(bar(0, 1000, "jobs"), "[------------------------] 0/1000 jobs");
        assert_eq!(bar(999, 1000, "jobs"), "[#######################-] 999/1000 jobs");
        assert_eq!(bar(1000, 1000, "jobs"), "[########################] 1000/1000 jobs");
        assert_eq!(bar(0, 0, "jobs"), "[########################] 0/0 jobs");
    }

    #[test]
    fn what_is_not_there_is_not_said() {
        assert_eq!(counts(&[(2, "active"), (0, "done"), (1, "failed")]), "2 active, 1 failed");
        assert_eq!(counts(&[]), "");
    }
}
