//! Numbers that are counted by the shell of a host: a script of their ranges, and the command's words in pieces behind it.
//!
//! Nothing of the command is in the script, so that nothing of it is the shell's.

use windlass_task::words::{Part, parts};

use super::Numbers;
use super::unfold::escaped;
use crate::generate::literal;

/// More ranges make a script that nobody can read; the helper takes them.
const MOST_RANGES: usize = 32;
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// What the shell calls itself.
const NAME: &str = "windlass";
const NUMBER: &str = "${WINDLASS_TASK}";
const BEFORE_COMMAND: &str = "; export WINDLASS_TASK; exec ";

/// The command that runs these words with the number in their holes; `None` if the numbers are too many ranges, or there
/// are no words. Words are as Kubernetes has them, before it expands them.
pub(super) fn command(words: &[&str], numbers: &Numbers) -> Option<Vec<String>> {
    if words.is_empty() {
        return None;
    }
    let mut pieces = Vec::new();
    let word = |word: &&str| {
        let mut written = String::from("\"");
        for part in parts(word.as_bytes(), |_| None) {
            match part {
                Part::Text(text) => {
                    pieces.push(String::from_utf8_lossy(text).into_owned());
                    written.push_str(&format!("${{{}}}", pieces.len()));
                }
                Part::Item | Part::Number | Part::Named(_) => written.push_str(NUMBER),
            }
        }
        written + "\""
    };
    let command: Vec<String> = words.iter().map(word).collect();
    let script = format!("{}{BEFORE_COMMAND}{}", count(numbers)?, command.join(" "));
    let head = SHELL.map(str::to_owned).into_iter().chain([literal(&script), NAME.to_owned()]);
    Some(head.chain(pieces).collect())
}

/// Sets WINDLASS_TASK to the number of the index.
fn count(numbers: &Numbers) -> Option<String> {
    let ranges: Vec<(u32, u32, u32)> = numbers.ranges().collect();
    if ranges.len() > MOST_RANGES {
        return None;
    }
    let (mut script, mut start) = (String::new(), 0);
    for (place, (first, step, length)) in ranges.iter().enumerate() {
        let at_zero = i64::from(*first) - i64::from(start) * i64::from(*step);
        start += length;
        let times = if *step == 1 { String::new() } else { format!("*{step}") };
        let set = format!("WINDLASS_TASK=$((JOB_COMPLETION_INDEX{times}{at_zero:+}))");
        let is_last = place + 1 == ranges.len();
        script += &match (place, is_last) {
            (0, true) => set,
            (0, false) => format!("if [ $JOB_COMPLETION_INDEX -lt {start} ]; then {set}; "),
            (_, false) => format!("elif [ $JOB_COMPLETION_INDEX -lt {start} ]; then {set}; "),
            (_, true) => format!("else {set}; fi"),
        };
    }
    Some(script)
}

/// The words of which [`command`] made this one, if it did.
pub(super) fn words(command: &[&str]) -> Option<Vec<String>> {
    let [shell, option, script, NAME, pieces @ ..] = command else { return None };
    let words = script.split_once(BEFORE_COMMAND).filter(|_| [*shell, *option] == SHELL)?.1;
    let word = |written: &str| {
        let mut rest = written.strip_prefix('"')?.strip_suffix('"')?;
        let mut word = String::new();
        while let Some((name, more)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
            match name.parse::<usize>() {
                Ok(number) => word.push_str(&escaped(pieces.get(number.checked_sub(1)?)?)),
                Err(_) => word.push_str("{#}"),
            }
            rest = more;
        }
        Some(word)
    };
    words.split(' ').map(word).collect()
}
