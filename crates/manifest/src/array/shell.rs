//! An array of the host's processes: a script for its shell, and the command's words in pieces behind it.
//!
//! The script counts the number, or takes the line of its index out of the values, which are the variable [`ITEMS`]: that
//! takes milliseconds less than a mount, and no namespace. Nothing of the command and no value is in the script, so
//! that nothing of them is the shell's.

use windlass_task::words::{Part, parts};

use super::unfold::escaped;
use super::{Array, Numbers};
use crate::generate::literal;

/// More ranges make a script that nobody can read; the helper takes them.
const MOST_RANGES: usize = 32;
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// What the shell calls itself.
const NAME: &str = "windlass";
const NUMBER: &str = "${WINDLASS_TASK}";
const BEFORE_COMMAND: &str = "; exec ";
/// The variable that holds the text of all values, until the script has read it.
pub(super) const ITEMS: &str = "WINDLASS_ITEMS";
/// The longest text that is given so, bytes: a variable has at most 128 KiB (`MAX_ARG_STRLEN`).
const LONGEST: usize = 96 << 10;

/// The longest script, bytes: an argument has at most 128 KiB (`MAX_ARG_STRLEN`).
const LONGEST_SCRIPT: usize = 120 << 10;

/// The command that runs these words with number and values in their holes; `None` if there is too much of them, or
/// a name is perhaps the shell's own, or there are no words, or the program's name could be an option of the shell's
/// `exec`. Words are as Kubernetes has them, before it expands them.
pub(super) fn command(words: &[&str], array: &Array, numbers: &Numbers) -> Option<Vec<String>> {
    let names = &array.names;
    // What the shells keep for themselves (IFS, PPID, UID, OPTIND...) is in capitals.
    let is_plain =
        |name: &String| name.bytes().any(|byte| byte.is_ascii_lowercase()) && !name.starts_with("_windlass");
    if words.is_empty() || !names.iter().all(is_plain) || !names.is_empty() && array.items().len() > LONGEST {
        return None;
    }
    let known = |text: &[u8]| names.iter().position(|name| name.as_bytes() == text);
    let is_program = |part| matches!(part, Part::Text(text) if !text.starts_with(b"-"));
    if !parts(words.first()?.as_bytes(), known).next().is_none_or(is_program) {
        return None;
    }
    let mut pieces = Vec::new();
    let word = |word: &&str| {
        let mut written = String::from("\"");
        for part in parts(word.as_bytes(), known) {
            match (part, &names[..]) {
                (Part::Text(text), _) => {
                    pieces.push(String::from_utf8_lossy(text).into_owned());
                    written.push_str(&format!("${{{}}}", pieces.len()));
                }
                (Part::Named(index), _) => written.push_str(&format!("${{{}}}", names[index])),
                (Part::Item, [name]) => written.push_str(&format!("${{{name}}}")),
                (Part::Item | Part::Number, _) => written.push_str(NUMBER),
            }
        }
        written + "\""
    };
    let command: Vec<String> = words.iter().map(word).collect();
    let begin = if names.is_empty() { count(numbers)? } else { take(names) };
    let script = literal(&format!("{begin}{BEFORE_COMMAND}{}", command.join(" ")));
    if script.len() > LONGEST_SCRIPT {
        return None;
    }
    let head = SHELL.map(str::to_owned).into_iter().chain([script, NAME.to_owned()]);
    Some(head.chain(pieces).collect())
}

/// Sets the variables from the line of the index. Its `sed` is the system's: a task's own PATH may lead elsewhere.
fn take(names: &[String]) -> String {
    let field = "${_windlass%%\"$_windlass_tab\"*}";
    let mut script = format!(
        "_windlass=$(PATH=\"/usr/bin:/bin${{PATH:+:$PATH}}\"; \
         printf '%s' \"${ITEMS}\" | sed -n \"$((JOB_COMPLETION_INDEX+2))p\") || \
         {{ echo 'windlass: sed, which finds the line of this task, is not there or has failed' >&2; exit 125; }}; \
         unset {ITEMS}; [ -n \"$_windlass\" ] || {{ echo 'windlass: this task has no line in its list' >&2; exit 125; }}; \
         _windlass_tab=$(printf '\\t'); WINDLASS_TASK={field}; export WINDLASS_TASK"
    );
    for name in names {
        // A line feed at the end would be lost in `$()`; the point is taken away again.
        script += &format!(
            "; _windlass=${{_windlass#*\"$_windlass_tab\"}}; {name}=$(printf '%b.' \"{field}\"); {name}=${{{name}%.}}; \
             export {name}"
        );
    }
    if let [name] = names {
        script += &format!("; WINDLASS_ITEM=${name}; export WINDLASS_ITEM");
    }
    script + "; unset _windlass _windlass_tab"
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
    Some(script + "; export WINDLASS_TASK")
}

/// The words of which [`command`] made this one, if it did.
pub(super) fn words(command: &[&str], names: &[String]) -> Option<Vec<String>> {
    let [shell, option, script, NAME, pieces @ ..] = command else { return None };
    let words = script.rsplit_once(BEFORE_COMMAND).filter(|_| [*shell, *option] == SHELL)?.1;
    let word = |written: &str| {
        let mut rest = written.strip_prefix('"')?.strip_suffix('"')?;
        let mut word = String::new();
        while let Some((name, more)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
            match name.parse::<usize>() {
                Ok(number) => word.push_str(&escaped(pieces.get(number.checked_sub(1)?)?, names)),
                Err(_) if name == "WINDLASS_TASK" => word.push_str("{#}"),
                Err(_) => word.push_str(&format!("{{{name}}}")),
            }
            rest = more;
        }
        Some(word)
    };
    words.split(' ').map(word).collect()
}
