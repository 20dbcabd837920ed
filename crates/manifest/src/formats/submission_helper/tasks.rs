//! The tasks of a batch, as their users write them: a payload a line, or a task file with the words of
//! submission-helper's `task(...)`: identifier, payload, inputs, outputs, dependencies, time, memory, ncores.
//!
//! The original's tasks are made by a Python program; the file is ours, its words and their meaning are the original's.

use std::collections::BTreeMap;

use windlass_model::Batch;
use windlass_model::batch::Cycle;

use super::quantity_of_memory;
use crate::fields::{Faults, Field, Fields, nearest};
use crate::read::{self, MAX_FILE, ReadError};
use crate::tree::{self, Kind, Node, Place};

/// Tasks of one batch.
pub const MAX_TASKS: usize = 50_000;

/// Words of the original that mean nothing on Kubernetes there, and what to do about them.
const IDLE: [&str; 6] = ["args", "queue", "account", "logFile", "errFile", "logPath"];

/// One task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The file that it stands in, as the user named it.
    pub file: String,
    /// Its line there, from 1.
    pub line: u64,
    /// What it is called; no other task of the batch is called so.
    pub identifier: String,
    /// Its place among the lines, from 1; of a task file none.
    pub number: Option<u32>,
    /// What the login shell runs.
    pub payload: String,
    /// Where its inputs and outputs are.
    pub paths: Paths,
    /// Files that it reads, besides the outputs of its dependencies.
    pub inputs: Vec<String>,
    /// Files that it makes.
    pub outputs: Vec<String>,
    /// Minutes that its job may take; 0 is a day.
    pub minutes: Option<u64>,
    /// Its memory, a quantity.
    pub memory: Option<String>,
    /// Its CPUs.
    pub cores: Option<u32>,
}

/// Where a task's inputs and outputs are, which says who can look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paths {
    /// There are none.
    None,
    /// On the claim: the payload's wrapper looks at them.
    OnClaim,
    /// Elsewhere: the caller looks at them.
    Here,
}

/// The tasks of a batch, and which needs which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskList {
    /// In the order in which they are written.
    pub tasks: Vec<Task>,
    /// What each needs.
    pub batch: Batch,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl TaskList {
    /// What a task reads: its inputs, and the outputs of its dependencies in the same place.
    pub fn inputs(&self, task: usize) -> Vec<&str> {
        let own = &self.tasks[task];
        let needed = self.batch.needs(task).iter().map(|needed| &self.tasks[*needed]);
        let made = needed.filter(|needed| needed.paths == own.paths).flat_map(|needed| &needed.outputs);
        let mut inputs: Vec<&str> = Vec::new();
        for path in own.inputs.iter().chain(made) {
            if !inputs.contains(&path.as_str()) {
                inputs.push(path);
            }
        }
        inputs
    }
}

/// A task for each line of these files that is not empty and does not begin with `#`. They are called
/// `<identifier>_<n>`, n counted from 1 over all files.
///
/// # Errors
/// What is wrong with the files: too many lines, or none.
pub fn of_lines(identifier: &str, files: &[(String, String)]) -> Result<TaskList, Vec<ReadError>> {
    let mut tasks = Vec::new();
    for (file, text) in files {
        for (line, payload) in (1..).zip(text.lines()) {
            let payload = payload.trim();
            if payload.is_empty() || payload.starts_with('#') {
                continue;
            }
            let number = u32::try_from(tasks.len() + 1).unwrap_or(u32::MAX);
            let identifier = format!("{identifier}_{number}");
            tasks.push(Task {
                number: Some(number),
                payload: payload.to_owned(),
                ..Task::new(file, line, identifier)
            });
        }
    }
    let file = files.first().map_or("-", |(file, _)| file);
    let unfit = |message: String| Err(vec![ReadError::Unfit { file: file.to_owned(), message }]);
    match tasks.len() {
        0 => unfit("holds no line with a payload".to_owned()),
        count if count > MAX_TASKS => unfit(too_many(count)),
        count => {
            let batch = Batch::new(vec![Vec::new(); count]).unwrap_or_default();
            Ok(TaskList { tasks, batch, notes: Vec::new() })
        }
    }
}

/// The tasks of a task file: a list of them, or a mapping with the list under `tasks`. Paths under `mount` are on the
/// claim.
///
/// # Errors
/// All that is wrong, each with file, line and field: unknown words, dependencies that are not there or go in a circle,
/// an output that two tasks make.
pub fn of_file(file: &str, text: &str, mount: &str) -> Result<TaskList, Vec<ReadError>> {
    if text.len() > MAX_FILE {
        return Err(vec![ReadError::TooLong { file: file.to_owned(), limit: MAX_FILE }]);
    }
    let documents = tree::parse(text).map_err(|error| vec![read::syntax(file, text, &error)])?;
    let mut faults = Faults::of(file);
    let mut drafts = Vec::new();
    for document in &documents {
        drafts.extend(tasks_of(file, document, mount, &mut faults));
    }
    if drafts.is_empty() {
        faults.unfit("holds no task; write a list of tasks, each with identifier and payload");
    } else if drafts.len() > MAX_TASKS {
        faults.unfit(too_many(drafts.len()));
    }
    let known = unique(&drafts, &mut faults);
    let needs: Vec<Vec<usize>> = drafts.iter().map(|draft| needs(draft, &known, &mut faults)).collect();
    let notes = made_by(&drafts, &needs, &mut faults);
    let batch = Batch::new(needs).map_err(|cycle| circle(&cycle, &drafts, &mut faults)).unwrap_or_default();
    let tasks = drafts.into_iter().map(|draft| draft.task).collect();
    faults.or(TaskList { tasks, batch, notes })
}

/// A task as it was read, with the places of what is looked at once all are known.
struct Draft {
    task: Task,
    at: Place,
    /// The names that it needs.
    needs: Vec<(String, Place)>,
}

impl Task {
    fn new(file: &str, line: u64, identifier: String) -> Task {
        Task {
            file: file.to_owned(),
            line,
            identifier,
            number: None,
            payload: String::new(),
            paths: Paths::None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            minutes: None,
            memory: None,
            cores: None,
        }
    }
}

fn too_many(count: usize) -> String {
    format!("holds {count} tasks; a batch has at most {MAX_TASKS}")
}

fn tasks_of(file: &str, document: &Node, mount: &str, faults: &mut Faults<'_>) -> Vec<Draft> {
    let items = match &document.kind {
        Kind::List(_) => {
            Field { key: "", path: "tasks".to_owned(), at: document.at, node: document }.items(faults)
        }
        _ => {
            let Some(mut fields) = Fields::of(document, "", faults) else { return Vec::new() };
            let list = fields.need("tasks", faults);
            fields.end(faults);
            list.map(|list| list.items(faults)).unwrap_or_default()
        }
    };
    items.iter().filter_map(|item| task(file, item, mount, faults)).collect()
}

fn task(file: &str, item: &Field<'_>, mount: &str, faults: &mut Faults<'_>) -> Option<Draft> {
    let mut fields = item.fields(faults)?;
    let identifier = fields.need("identifier", faults).and_then(|field| field.word(faults));
    let payload = fields.need("payload", faults).map(|field| (words(&field, false, faults), field));
    let inputs = fields.take("inputs");
    let outputs = fields.take("outputs");
    let dependencies = fields.take("dependencies");
    let minutes = fields.take("time").and_then(|field| minutes(&field, faults));
    let memory = fields.take("memory").and_then(|field| memory(&field, faults));
    let cores = fields.take("ncores").and_then(|field| field.count(faults));
    if let Some(field) = fields.take("setup") {
        field.wrong("is not run on Kubernetes; set up the image, or write it into the payload", faults);
    }
    for word in IDLE {
        if let Some(field) = fields.take(word) {
            field.wrong("means nothing on Kubernetes; leave it out", faults);
        }
    }
    fields.end(faults);
    let mut draft = Draft {
        task: Task {
            minutes,
            memory,
            cores,
            ..Task::new(file, item.at.line, identifier.unwrap_or_default())
        },
        at: item.at,
        needs: Vec::new(),
    };
    if let Some((lines, field)) = payload {
        draft.task.payload = lines.into_iter().map(|(line, _)| line).collect::<Vec<_>>().join("\n");
        if draft.task.payload.trim().is_empty() {
            field.wrong("is empty", faults);
        }
    }
    let mut placed = |field: Option<Field<'_>>| {
        let Some(field) = field else { return Vec::new() };
        let paths: Vec<String> = words(&field, true, faults).into_iter().map(|(path, _)| path).collect();
        for path in &paths {
            let place = if is_below(path, mount) { Paths::OnClaim } else { Paths::Here };
            if draft.task.paths != Paths::None && draft.task.paths != place {
                let message = format!(
                    "{path} is not where the others are: a task's inputs and outputs are all under {mount}, where its job \
                     looks at them, or all elsewhere, where this command does"
                );
                field.wrong(message, faults);
            }
            draft.task.paths = place;
        }
        paths
    };
    draft.task.inputs = placed(inputs);
    draft.task.outputs = placed(outputs);
    // One text is one task: a name may hold a space.
    draft.needs = dependencies.map(|field| words(&field, false, faults)).unwrap_or_default();
    Some(draft)
}

/// A list of texts; or one text, which is several words where the original takes it so.
fn words(field: &Field<'_>, splits: bool, faults: &mut Faults<'_>) -> Vec<(String, Place)> {
    if let Kind::List(_) = field.node.kind {
        let items = field.items(faults);
        return items.iter().filter_map(|item| Some((item.word(faults)?, item.at))).collect();
    }
    let text = field.text(faults).unwrap_or_default();
    if !splits {
        return vec![(text, field.node.at)];
    }
    let words = text.split([' ', ',', '\n', '\t']).filter(|word| !word.is_empty());
    words.map(|word| (word.to_owned(), field.node.at)).collect()
}

/// Minutes; as there, what is not above 0 is a day.
fn minutes(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<u64> {
    match &field.node.kind {
        Kind::Number(number, _) if number.as_i64().is_some_and(|minutes| minutes <= 0) => Some(0),
        _ => field.count(faults).map(u64::from),
    }
}

/// A number is in MB.
fn memory(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let quantity = quantity_of_memory(field.text(faults)?);
    match windlass_model::quantity::check(&quantity) {
        Ok(()) => Some(quantity),
        Err(problem) => {
            field.wrong(problem.message, faults);
            None
        }
    }
}

/// Whether a path is the mount path, or under it.
fn is_below(path: &str, mount: &str) -> bool {
    let rest = path.strip_prefix(mount.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The tasks by their identifiers; one that two have is told.
fn unique<'a>(drafts: &'a [Draft], faults: &mut Faults<'_>) -> BTreeMap<&'a str, usize> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, draft) in drafts.iter().enumerate() {
        let name = draft.task.identifier.as_str();
        match known.get(name) {
            // One without a name has been told.
            _ if name.is_empty() => {}
            Some(first) => {
                let line = drafts[*first].at.line;
                faults.add(draft.at, "identifier", format!("{name} is the task in line {line}, too"));
            }
            None => _ = known.insert(name, number),
        }
    }
    known
}

fn needs(draft: &Draft, known: &BTreeMap<&str, usize>, faults: &mut Faults<'_>) -> Vec<usize> {
    let mut needs = Vec::new();
    for (name, at) in &draft.needs {
        match known.get(name.as_str()) {
            Some(task) => needs.push(*task),
            None => {
                let names: Vec<&str> = known.keys().copied().collect();
                let hint = nearest(name, &names).map(|near| format!("; did you mean {near}?"));
                let message = format!("there is no task {name}{}", hint.unwrap_or_default());
                faults.add(*at, "dependencies", message);
            }
        }
    }
    needs
}

/// An output that two tasks make is told; so is, as a note, an input that another task makes without being needed.
fn made_by(drafts: &[Draft], needs: &[Vec<usize>], faults: &mut Faults<'_>) -> Vec<String> {
    let mut makers: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, draft) in drafts.iter().enumerate() {
        for output in &draft.task.outputs {
            if let Some(first) = makers.insert(output, number) {
                let (name, line) = (&drafts[first].task.identifier, drafts[first].at.line);
                let message = match first == number {
                    true => format!("{output} is named twice"),
                    false => format!("{output} is made by task {name} in line {line}, too"),
                };
                faults.add(draft.at, "outputs", message);
            }
        }
    }
    let mut notes = Vec::new();
    for (number, draft) in drafts.iter().enumerate() {
        for input in &draft.task.inputs {
            if let Some(maker) = makers.get(input.as_str())
                && *maker != number
                && !needs[number].contains(maker)
            {
                let (task, made) = (&draft.task.identifier, &drafts[*maker].task.identifier);
                let line = draft.at.line;
                notes.push(format!(
                    "line {line}: task {task} reads {input}, which task {made} makes, and does not wait for it: \
                     dependencies do not name it"
                ));
            }
        }
    }
    notes
}

fn circle(cycle: &Cycle, drafts: &[Draft], faults: &mut Faults<'_>) {
    let Some(first) = cycle.0.first().map(|task| &drafts[*task]) else { return };
    let mut names: Vec<&str> =
        cycle.0.iter().take(10).map(|task| drafts[*task].task.identifier.as_str()).collect();
    names.push(if cycle.0.len() > 10 { "..." } else { &first.task.identifier });
    let message = format!("go in a circle: {}", names.join(" needs "));
    faults.add(first.at, "dependencies", message);
}
