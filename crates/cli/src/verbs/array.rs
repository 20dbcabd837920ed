//! The tasks of an array: its file is read, what the user should know of it is said.

use std::io::Read;
use std::path::Path;

use serde_json::Value;
use windlass::manifest::array::{Lines, near_misses};
use windlass::manifest::{Array, Edit};
use windlass_model::Problems;

use crate::args::array::Tasks;
use crate::cluster::Call;
use crate::fail::{Failure, Outcome};

/// So much of a file is read, bytes; the values of an array must be much less.
const LIMIT: u64 = 16 << 20;

/// The edit that makes a job an array.
pub(super) fn edit(tasks: &Tasks, call: Call<'_>) -> Outcome<Edit> {
    let lines = match tasks {
        Tasks::Typed(array) => return Ok(Edit::Tasks(array.clone())),
        Tasks::Lines(file) => read(file, Array::of_lines)?,
        Tasks::Rows(file) => read(file, Array::of_rows)?,
    };
    match lines.skipped {
        0 => {}
        1 => call.notes().say("1 line is empty and makes no task"),
        skipped => call.notes().say(&format!("{skipped} lines are empty and make no tasks")),
    }
    Ok(Edit::Tasks(lines.array))
}

/// Says what looks like a name of the array's and is none: it goes to the command as it stands.
pub(super) fn say_near_misses(job: &Value, tasks: &Edit, call: Call<'_>) {
    let Edit::Tasks(array) = tasks else { return };
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let words = ["command", "args"].into_iter().flat_map(|field| container[field].as_array()).flatten();
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    for (word, name) in near_misses(&words, &array.names) {
        call.notes().say(&format!("{{{word}}} is no name here and stays as it is; did you mean {{{name}}}?"));
    }
}

fn read(file: &Path, parse: fn(&[u8]) -> Result<Lines, Problems>) -> Outcome<Lines> {
    let is_stdin = file == Path::new("-");
    let name = if is_stdin { "stdin".to_owned() } else { file.display().to_string() };
    let fault = |cause: &dyn std::fmt::Display| Failure::new(&name, cause).way_out("nothing was submitted");
    let mut bytes = Vec::new();
    let read = match is_stdin {
        true => std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| fault(&error))?;
    if bytes.len() as u64 > LIMIT {
        return Err(fault(&format!("is longer than {} MiB; submit it in parts", LIMIT >> 20)));
    }
    parse(&bytes).map_err(|problems| fault(&problems))
}
