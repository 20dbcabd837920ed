//! What people write arrays in: lines, tables, matrices.

use windlass_model::Problems;

use super::{Array, MOST_TASKS, Task, table};

/// What the value of a line is called.
pub const LINE_NAME: &str = "item";
/// Problems of one file that are told.
const TOLD: usize = 10;
/// Variables that a value must not take the place of.
const TAKEN: [&str; 4] = ["PATH", "JOB_COMPLETION_INDEX", "WINDLASS_TASK", "WINDLASS_ITEM"];

/// What a file of lines or a table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Its tasks.
    pub array: Array,
    /// Lines that had nothing in them and became no task.
    pub skipped: usize,
}

impl Array {
    /// A task a line that has something in it; its number is the line's, from 1. Spaces within a line are part of it,
    /// a carriage return at its end is not.
    ///
    /// # Errors
    /// Lines that are no UTF-8 or hold a NUL byte, each by its number; a file of nothing; too many.
    pub fn of_lines(bytes: &[u8]) -> Result<Lines, Problems> {
        let text = text(bytes)?;
        let (mut tasks, mut skipped) = (Vec::new(), 0);
        for (line, number) in text.lines().zip(1..) {
            match line.trim().is_empty() {
                true => skipped += 1,
                false => tasks.push(Task { number, values: vec![line.to_owned()] }),
            }
        }
        let array = Array { names: vec![LINE_NAME.to_owned()], tasks };
        some(&array, "has no line that is not empty")?;
        Ok(Lines { array, skipped })
    }

    /// A task a row of a CSV table, numbered from 1; the first line names the columns. Quotes and line breaks in them
    /// are as in RFC 4180.
    ///
    /// # Errors
    /// Columns without a name, with one that is no variable's, or with the same; rows of another length, each by its
    /// line; a quote that is never closed; a table without rows; too many.
    pub fn of_rows(bytes: &[u8]) -> Result<Lines, Problems> {
        let mut problems = Problems::new();
        let table = match table::read(text(bytes)?) {
            Ok(table) => table,
            Err(fault) => {
                problems.add(format!("line {}", fault.line), fault.message);
                return Err(problems);
            }
        };
        let mut rows = table.rows.into_iter();
        let Some(header) = rows.next() else {
            problems.add("line 1", "is missing; the first line of a table names its columns");
            return Err(problems);
        };
        let names = header.values;
        check_names(&names, &format!("line {}", header.line), "column", &mut problems);
        let mut tasks: Vec<Task> = Vec::new();
        for (row, number) in rows.zip(1..) {
            if row.values.len() != names.len() && problems.iter().count() < TOLD {
                let message =
                    format!("has {} values, and the first line names {}", row.values.len(), names.len());
                problems.add(format!("line {}", row.line), message);
            }
            tasks.push(Task { number, values: row.values });
        }
        let array = Array { names, tasks };
        problems.extend(
            some(&array, "has no row below its first line, which names the columns")
                .err()
                .into_iter()
                .flatten(),
        );
        problems.or(Lines { array, skipped: table.empty })
    }

    /// A task a combination of the values of `KEY=VALUE,VALUE...` words, numbered from 1; the last key's values change
    /// fastest.
    ///
    /// # Errors
    /// Words of another form, keys that are no variable's name or there twice, more combinations than
    /// [`MOST_TASKS`].
    pub fn of_matrix<S: AsRef<str>>(words: &[S]) -> Result<Array, Problems> {
        let mut problems = Problems::new();
        let (mut names, mut axes, mut count) = (Vec::new(), Vec::new(), 1_usize);
        for word in words.iter().map(AsRef::as_ref) {
            let Some((name, values)) = word.split_once('=') else {
                problems.add("", format!("{word:?} is not KEY=VALUE,VALUE..."));
                continue;
            };
            let values: Vec<&str> = values.split(',').collect();
            if values.iter().any(|value| value.is_empty()) {
                problems.add("", format!("{word:?} has a value that is empty"));
            }
            if values.iter().any(|value| value.contains('\0')) {
                problems.add("", format!("{name} has a NUL byte in a value, which no argument can"));
            }
            count = count.saturating_mul(values.len());
            names.push(name.to_owned());
            axes.push(values);
        }
        check_names(&names, "", "key", &mut problems);
        if count > MOST_TASKS {
            problems.add("", format!("makes {count} tasks, and one job takes at most {MOST_TASKS}"));
        }
        problems.or(())?;
        let tasks =
            (0..count).zip(1..).map(|(place, number)| Task { number, values: combination(&axes, place) });
        Ok(Array { names, tasks: tasks.collect() })
    }
}

/// The values of one place in a matrix.
fn combination(axes: &[Vec<&str>], mut place: usize) -> Vec<String> {
    let mut values = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        values.push(axis[place % axis.len()].to_owned());
        place /= axis.len();
    }
    values.reverse();
    values
}

/// A file's text, without the mark that some editors begin it with.
fn text(bytes: &[u8]) -> Result<&str, Problems> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut problems = Problems::new();
    let text = std::str::from_utf8(bytes);
    let line = |at: usize| 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
    if let Err(error) = &text {
        problems.add(format!("line {}", line(error.valid_up_to())), "is no text in UTF-8");
    }
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == 0).take(TOLD) {
        problems.add(format!("line {}", line(at)), "has a NUL byte, which no argument and no variable can");
    }
    problems.or(())?;
    Ok(text.unwrap_or_default())
}

/// There must be a task, and not too many.
fn some(array: &Array, nothing: &str) -> Result<(), Problems> {
    let mut problems = Problems::new();
    match array.tasks.len() {
        0 => problems.add("", format!("{nothing}: there is nothing to run")),
        count if count > MOST_TASKS => {
            problems.add(
                "",
                format!("has {count} tasks, and one job takes at most {MOST_TASKS}; submit it in parts"),
            );
        }
        _ => {}
    }
    problems.or(())
}

/// Each name becomes a variable, and stands in braces in the command.
fn check_names(names: &[String], place: &str, what: &str, problems: &mut Problems) {
    for (index, name) in names.iter().enumerate() {
        let mut bytes = name.bytes();
        let is_variable = bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
            && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if name.trim().is_empty() {
            problems.add(place, format!("{what} {} has no name", index + 1));
        } else if !is_variable {
            let rule = "which is no variable's name";
            problems.add(
                place,
                format!("{what} {} is called {name:?}, {rule}; call it {}", index + 1, variable(name)),
            );
        } else if TAKEN.contains(&name.as_str()) {
            problems.add(
                place,
                format!("{what} {name:?} would take the place of a variable that the task needs"),
            );
        }
        if names[..index].contains(name) && !name.is_empty() {
            problems.add(place, format!("{what} {name:?} is there twice"));
        }
    }
}

/// A variable's name that is nearly this one.
fn variable(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.trim().chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}
