//! `windlass results`: a table of a job's tasks.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use windlass::Tasks;
use windlass::manifest::tasks::Task;

use crate::args::low::{Results, ResultsFormat as Format};
use crate::cluster::Call;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::print::Table;
use crate::{age, clock, out};

/// Prints it.
pub(crate) async fn run(options: &Results, call: Call<'_>) -> Outcome {
    let session = call.open().await?;
    let name = session.manager.resolve(&options.job).await?;
    let tasks = session.manager.tasks(&name).await.map_err(|error| match error {
        windlass::Error::Argument(problem) => {
            Failure::new(&name, problem.message).way_out(format!("windlass show {name}"))
        }
        error => error.into(),
    })?;
    if tasks.lacks_values {
        session.notes.say(&format!("{name}: the values of its tasks are gone, or may not be read"));
    }
    for right in &tasks.missing {
        session.notes.say(&format!("{name}: no right to {}: only states are known", right.words()));
    }
    let now = clock::now();
    out::data(&match options.output {
        Format::Table => table(&tasks, now).to_string(),
        Format::Csv => csv(&tasks, now),
        Format::Json => out::json(&Data::of(&tasks, now)?)?,
    })?;
    Ok(Exit::OK)
}

/// A task's values, as many as there are names: none is known of a task whose values are gone.
fn values<'a>(tasks: &'a Tasks, task: &'a Task) -> impl Iterator<Item = &'a str> {
    (0..tasks.names.len()).map(|at| task.values.get(at).map_or("", String::as_str))
}

/// The columns: ours, and behind the first the tasks' values. A value with the name of one of ours is `values.NAME`, the
/// path that it has in JSON; no other value can be called so.
fn headings<'a>(names: &'a [String], ours: &[&'a str]) -> Vec<Cow<'a, str>> {
    let is_ours = |name: &str| ours.iter().any(|ours| ours.eq_ignore_ascii_case(name));
    let values = names.iter().map(|name| match is_ours(name) {
        true => format!("values.{name}").into(),
        false => Cow::from(name),
    });
    let mut headings: Vec<Cow<'_, str>> = ours.iter().map(|name| Cow::from(*name)).collect();
    headings.splice(1..1, values);
    headings
}

fn table(tasks: &Tasks, now: Timestamp) -> Table {
    let headings = headings(&tasks.names, &["TASK", "STATE", "EXIT", "ATTEMPTS", "DURATION", "POD"]);
    let headings: Vec<String> = headings.iter().map(|name| name.to_uppercase()).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    for task in &tasks.tasks {
        let mut cells = vec![task.number.to_string()];
        cells.extend(values(tasks, task).map(str::to_owned));
        cells.push(task.state.as_str().to_owned());
        cells.push(task.exit_code.map(|code| code.to_string()).unwrap_or_default());
        cells.push(task.attempts.map(|count| count.to_string()).unwrap_or_default());
        cells.push(task.duration(now).map(|time| age::human(time.as_secs())).unwrap_or_default());
        cells.push(task.pod.clone().unwrap_or_default());
        table.row(&cells);
    }
    table
}

/// Comma-separated values, quoted as RFC 4180 has them; what is not known is empty.
fn csv(tasks: &Tasks, now: Timestamp) -> String {
    let mut text = String::new();
    let mut row = |cells: Vec<Cow<'_, str>>| {
        let cells: Vec<Cow<'_, str>> = cells.into_iter().map(cell).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    };
    row(headings(&tasks.names, &["task", "state", "exit_code", "attempts", "seconds", "pod"]));
    for task in &tasks.tasks {
        let mut cells: Vec<Cow<'_, str>> = vec![task.number.to_string().into()];
        cells.extend(values(tasks, task).map(Cow::from));
        cells.push(task.state.as_str().into());
        cells.push(task.exit_code.map(|code| code.to_string()).unwrap_or_default().into());
        cells.push(task.attempts.map(|count| count.to_string()).unwrap_or_default().into());
        cells.push(task.duration(now).map(|time| time.as_secs().to_string()).unwrap_or_default().into());
        cells.push(task.pod.as_deref().unwrap_or_default().into());
        row(cells);
    }
    text
}

fn cell(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text,
    }
}

/// What a program reads.
#[derive(Serialize)]
struct Data<'a> {
    job: &'a str,
    names: &'a [String],
    tasks: Vec<Value>,
}

impl<'a> Data<'a> {
    fn of(tasks: &'a Tasks, now: Timestamp) -> Outcome<Data<'a>> {
        let rows = tasks.tasks.iter().map(|task| row(tasks, task, now)).collect::<Outcome<_>>()?;
        Ok(Data { job: &tasks.job, names: &tasks.names, tasks: rows })
    }
}

/// A task with its values by their names, and its time.
fn row(tasks: &Tasks, task: &Task, now: Timestamp) -> Outcome<Value> {
    let mut row = serde_json::to_value(task).map_err(|error| Failure::new("results", error))?;
    let values: Map<String, Value> = tasks
        .names
        .iter()
        .zip(&task.values)
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    if let Value::Object(row) = &mut row {
        row.remove("values");
        if !values.is_empty() {
            row.insert("values".to_owned(), values.into());
        }
        if let Some(time) = task.duration(now) {
            row.insert("seconds".to_owned(), time.as_secs().into());
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use windlass::manifest::tasks::TaskState;

    use super::*;

    fn tasks() -> Tasks {
        let task = Task {
            number: 17,
            index: 1,
            values: vec!["a,\"b\"".into(), "2".into()],
            state: TaskState::Failed,
            attempts: None,
            exit_code: Some(3),
            cause: None,
            pod: Some("fit-1".into()),
            started: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            ended: Some("2026-01-01T00:00:05Z".parse().unwrap()),
        };
        let names = vec!["item".to_owned(), "seed".to_owned()];
        let waits =
            Task { number: 18, state: TaskState::Waiting, ended: None, started: None, ..task.clone() };
        let tasks =
            vec![task, Task { values: vec![], exit_code: None, pod: None, attempts: Some(0), ..waits }];
        Tasks { job: "fit".into(), names, tasks, lacks_values: true, missing: vec![] }
    }

    #[test]
    fn a_table_has_a_column_a_name_and_leaves_unknown_cells_empty() {
        let text = table(&tasks(), Timestamp::UNIX_EPOCH).to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["TASK", "ITEM", "SEED", "STATE", "EXIT", "ATTEMPTS", "DURATION", "POD"]);
        assert_eq!(lines[1], ["17", "a,\"b\"", "2", "failed", "3", "5s", "fit-1"]);
        assert_eq!(lines[2], ["18", "waiting", "0"]);
    }

    #[test]
    fn csv_quotes_what_it_must() {
        assert_eq!(
            csv(&tasks(), Timestamp::UNIX_EPOCH),
            "task,item,seed,state,exit_code,attempts,seconds,pod\n\
             17,\"a,\"\"b\"\"\",2,failed,3,,5,fit-1\n18,,,waiting,,0,,\n"
        );
    }

    #[test]
    fn values_that_are_called_as_our_columns_are_told_apart() {
        let mut tasks = tasks();
        tasks.names = vec!["state".into(), "Pod".into()];
        let text = csv(&tasks, Timestamp::UNIX_EPOCH);
        let first = text.lines().next().unwrap();
        assert_eq!(first, "task,values.state,values.Pod,state,exit_code,attempts,seconds,pod");
        let text = table(&tasks, Timestamp::UNIX_EPOCH).to_string();
        let first: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(first[..4], ["TASK", "VALUES.STATE", "VALUES.POD", "STATE"]);
        let json = serde_json::to_value(Data::of(&tasks, Timestamp::UNIX_EPOCH).unwrap()).unwrap();
        assert_eq!(
            (&json["tasks"][0]["state"], &json["tasks"][0]["values"]["state"]),
            (&"failed".into(), &"a,\"b\"".into())
        );
    }

    #[test]
    fn json_names_the_values() {
        let json = serde_json::to_value(Data::of(&tasks(), Timestamp::UNIX_EPOCH).unwrap()).unwrap();
        assert_eq!(json["tasks"][0]["values"]["seed"], "2");
        assert_eq!(
            (json["tasks"][0]["seconds"].as_i64(), &json["tasks"][1]["exitCode"]),
            (Some(5), &Value::Null)
        );
    }
}
