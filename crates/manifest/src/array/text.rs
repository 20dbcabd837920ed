//! The values of an array as text: the file `items` of its ConfigMap. Its form is `windlass_task::items`'.

use windlass_model::{Problem, Problems};
use windlass_task::items;

use super::{Array, MOST_TASKS, Task};

/// The most bytes of an array's values: a ConfigMap holds 1 MiB (upstream `MaxSecretSize`), and the helper lies in it.
pub const MOST_BYTES: usize = 900 << 10;
/// The most bytes of one value: the system takes no longer argument or variable (`MAX_ARG_STRLEN`, 128 KiB), and a
/// command may have more in it than the value.
const LONGEST_VALUE: usize = 120 << 10;
/// The most bytes of the numbers: an object's annotations hold 256 KiB together (upstream `TotalAnnotationSizeLimitB`).
const LONGEST_NUMBERS: usize = 128 << 10;

impl Array {
    /// The text, a line a task.
    pub fn items(&self) -> String {
        let mut text = String::from_utf8_lossy(items::HEAD).into_owned();
        let add = |text: &mut String, values: &[String]| {
            for value in values {
                text.push('\t');
                for c in value.chars() {
                    match c {
                        '\\' => text.push_str("\\\\"),
                        '\t' => text.push_str("\\t"),
                        '\n' => text.push_str("\\n"),
                        c => text.push(c),
                    }
                }
            }
            text.push('\n');
        };
        add(&mut text, &self.names);
        for task in &self.tasks {
            text.push_str(&task.number.to_string());
            add(&mut text, &task.values);
        }
        text
    }

    /// Reads the text; `None` if it is none of ours.
    pub fn of_items(text: &str) -> Option<Array> {
        let plain = |written: &[u8]| String::from_utf8(items::plain(written).collect()).ok();
        let values = |line: &str| items::values(line.as_bytes()).map(plain).collect::<Option<Vec<_>>>();
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let head = lines.next().filter(|line| items::head(line.as_bytes()) == items::HEAD)?;
        let names = values(head)?;
        let task = |line: &str| {
            let number = line.split('\t').next()?.parse().ok()?;
            let values = values(line).filter(|values| values.len() == names.len())?;
            Some(Task { number, values })
        };
        let tasks = lines.map(task).collect::<Option<_>>()?;
        Some(Array { names, tasks })
    }

    /// Looks for what no Job could hold.
    ///
    /// # Errors
    /// Too many tasks, too many bytes, values that no program can be given.
    pub fn check(&self) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let count = self.tasks.len();
        if count > MOST_TASKS {
            let message = format!("there are {count} of them, and one job takes at most {MOST_TASKS}");
            problems.add("tasks", message + "; submit them in parts");
        }
        let bytes = self.items().len();
        if !self.names.is_empty() && bytes > MOST_BYTES {
            let message =
                format!("their values have {} KiB, and one job takes at most", bytes.div_ceil(1 << 10));
            problems.add("tasks", format!("{message} {} KiB; submit them in parts", MOST_BYTES >> 10));
        }
        let bytes = self.numbers().to_string().len();
        if bytes > LONGEST_NUMBERS {
            let message =
                format!("their numbers have {} KiB, and one job takes at most", bytes.div_ceil(1 << 10));
            let numbers = format!("{message} {} KiB; submit them in parts", LONGEST_NUMBERS >> 10);
            problems.add("tasks", numbers);
        }
        let too_long = |task: &&Task| task.values.iter().any(|value| value.len() > LONGEST_VALUE);
        let place = |task: &Task| format!("task {}", task.number);
        for task in self.tasks.iter().filter(too_long).take(10) {
            let message =
                format!("has a value of more than {LONGEST_VALUE} bytes, which no program can be given");
            problems.extend([Problem::new(place(task), message)]);
        }
        let has_nul = |task: &&Task| task.values.iter().any(|value| value.contains('\0'));
        for task in self.tasks.iter().filter(has_nul).take(10) {
            problems.add(place(task), "has a NUL byte in a value, which no argument and no variable can");
        }
        problems.or(())
    }
}
