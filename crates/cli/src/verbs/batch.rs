//! `windlass submit --file-lines` and `--task-file`: a batch of submission-helper's tasks, whose jobs are submitted as
//! others succeed and as there is room; what is missing of it; what would be submitted.

mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use windlass::manifest::formats::submission_helper::{
    Paths, TaskList, batch_selector, of_file, of_lines, task_id,
};
use windlass::manifest::make;
use windlass::model::{BatchLimits, TaskState};
use windlass::{BatchOptions as Run, BatchTask, FoundTask, SubmitOptions as Submission};

use super::bulk::Item;
use super::interrupt::Interrupts;
use super::{bulk, env_file, work};
use crate::args::batch::{BatchAct, BatchOptions, TaskSource};
use crate::cluster::{Call, Session};
use crate::env::Env;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::print::Table;
use crate::{out, progress, random};
use told::Told;

/// Digits of a name that a batch without one gets.
const NAME: usize = 10;

/// A batch that was read, with the job of each task.
struct Prepared {
    identifier: String,
    list: Arc<TaskList>,
    tasks: Vec<BatchTask>,
}

impl Prepared {
    fn place(&self, task: usize) -> String {
        let task = &self.list.tasks[task];
        format!("{}:{}", task.file, task.line)
    }

    fn title(&self, task: usize) -> String {
        format!("task {}", self.list.tasks[task].identifier)
    }
}

/// Does with a batch what is asked for. All of it is read and checked first.
pub(crate) async fn run(options: &BatchOptions, call: Call<'_>) -> Outcome {
    let prepared = prepare(options, call)?;
    let session = call.open().await?;
    match options.what {
        BatchAct::Submit { wait } => submit(&prepared, options, wait, &session, call).await,
        BatchAct::DryRun => dry_run(&prepared, options, &session, call).await,
        BatchAct::Missing => missing(&prepared, &session, call).await,
    }
}

fn prepare(options: &BatchOptions, call: Call<'_>) -> Outcome<Prepared> {
    let identifier = options.identifier.clone().unwrap_or_else(|| {
        // Said once nothing is wrong.
        random::id().as_str().chars().take(NAME).collect()
    });
    let read = |file: &Path| {
        let name = file.display().to_string();
        work::read(file).map(|text| (name.clone(), text)).map_err(|error| Failure::new(name, error))
    };
    let list = match &options.tasks {
        TaskSource::Lines(files) => {
            let files = files.iter().map(|file| read(file)).collect::<Outcome<Vec<_>>>()?;
            of_lines(&identifier, &files)
        }
        TaskSource::Tasks(file) => {
            let (name, text) = read(file)?;
            of_file(&name, &text, &options.helper.mount_path)
        }
    };
    let list = list.map_err(|errors| work::all(errors.iter()))?;
    for note in &list.notes {
        let file = &list.tasks[0].file;
        call.notes().say(&format!("{file}: {note}"));
    }
    let mut typed = env_file::edits(&options.env_files, call.env)?;
    typed.extend_from_slice(&options.edits);
    let (mut tasks, mut wrong) = (Vec::new(), Vec::new());
    for number in 0..list.tasks.len() {
        let written = options.helper.written(&identifier, &list, number, &typed);
        match make(&written.base, &written.edits) {
            Ok(manifest) => {
                tasks.push(BatchTask { id: task_id(&identifier, &list.tasks[number]), manifest });
            }
            Err(problems) => {
                wrong.extend(
                    problems.iter().map(|problem| format!("{}:{}: {problem}", written.file, written.line)),
                );
            }
        }
    }
    if wrong.is_empty() && options.identifier.is_none() {
        let said =
            format!("the batch is called {identifier}; --identifier {identifier} goes on with it later");
        call.notes().say(&said);
    }
    if wrong.is_empty() {
        Ok(Prepared { identifier, list: Arc::new(list), tasks })
    } else {
        Err(work::all(wrong.iter()))
    }
}

/// Submits what has no job yet, in the foreground until all is submitted that can be.
async fn submit(
    prepared: &Prepared,
    options: &BatchOptions,
    wait: bool,
    session: &Session,
    call: Call<'_>,
) -> Outcome {
    let mut interrupts = Interrupts::take()?;
    if !call.common.quiet {
        progress::begin(call.env);
    }
    let (list, env) = (prepared.list.clone(), call.env.clone());
    let how = Run {
        selector: batch_selector(&prepared.identifier),
        limits: options.limits,
        wait,
        submitter: Some(call.who().to_owned()),
        is_done: Some(Arc::new(move |task| is_up_to_date(&list, task, &env))),
    };
    let mut run = session.manager.run_batch(prepared.list.batch.clone(), prepared.tasks.clone(), how);
    let mut told = Told::new(prepared, options.output, session.notes);
    loop {
        let look = told.stuck.next();
        tokio::select! {
            event = run.next() => match event {
                Some(Ok(event)) => {
                    told.stuck.stir();
                    told.take(event);
                    told.show(run.states());
                }
                Some(Err(error)) => {
                    progress::clear();
                    return Err(told.broken(&Failure::from(error)));
                }
                None => break,
            },
            _ = interrupts.next() => {
                if told.interrupted {
                    return Ok(Exit::INTERRUPTED);
                }
                told.interrupted = true;
                run.stop();
            }
            () = tokio::time::sleep_until(look) => {
                told.look(&run.active(), &session.manager).await;
            }
        }
    }
    progress::clear();
    told.end(run.states(), wait)
}

/// Whether a task whose inputs and outputs are here is up to date, as make has it: all outputs are there, and none is
/// older than an input.
fn is_up_to_date(list: &TaskList, task: usize, env: &Env) -> bool {
    let outputs = &list.tasks[task].outputs;
    if list.tasks[task].paths != Paths::Here || outputs.is_empty() {
        return false;
    }
    let written = |path: &str| -> Option<SystemTime> {
        std::fs::metadata(env.absolute(PathBuf::from(path))).and_then(|meta| meta.modified()).ok()
    };
    let Some(made) = outputs.iter().map(|path| written(path)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let Some(read) = list.inputs(task).into_iter().map(written).collect::<Option<Vec<_>>>() else {
        return false;
    };
    read.iter().max() <= made.iter().min()
}

/// What is there of the batch, task by task.
async fn found(
    prepared: &Prepared,
    session: &Session,
    env: &Env,
) -> Outcome<(Vec<TaskState>, Vec<FoundTask>)> {
    let selector = batch_selector(&prepared.identifier);
    let found = session.manager.find_batch(&prepared.tasks, &selector).await?;
    let mut states = vec![TaskState::Unsent; prepared.tasks.len()];
    for task in &found {
        states[task.task] = task.state;
    }
    // In their order: one that waits for another one that will run is not up to date.
    loop {
        let plan = prepared.list.batch.plan(&states, BatchLimits::default());
        let done: Vec<usize> =
            plan.send.into_iter().filter(|task| is_up_to_date(&prepared.list, *task, env)).collect();
        if done.is_empty() {
            return Ok((states, found));
        }
        done.into_iter().for_each(|task| states[task] = TaskState::Succeeded);
    }
}

/// Has the server check the jobs that would be submitted, in the order in which they would be if all succeeded.
async fn dry_run(prepared: &Prepared, options: &BatchOptions, session: &Session, call: Call<'_>) -> Outcome {
    let (mut states, found) = found(prepared, session, call.env).await?;
    let mut told = Told::new(prepared, options.output, session.notes);
    told.found(&found);
    let mut order = Vec::new();
    loop {
        states
            .iter_mut()
            .filter(|state| **state == TaskState::Active)
            .for_each(|state| *state = TaskState::Succeeded);
        let plan = prepared.list.batch.plan(&states, BatchLimits::default());
        if plan.send.is_empty() {
            plan.left_out.into_iter().for_each(|left| told.left_out(left));
            break;
        }
        plan.send.iter().for_each(|task| states[*task] = TaskState::Succeeded);
        order.extend(plan.send);
    }
    order.truncate(options.limits.sends.unwrap_or(usize::MAX));
    if order.is_empty() {
        session.notes.say("nothing would be submitted");
        return Ok(Exit::OK);
    }
    let item = |task: usize| Item {
        place: prepared.place(task),
        title: Some(prepared.title(task)),
        manifest: prepared.tasks[task].manifest.clone(),
        id: prepared.tasks[task].id.clone(),
        is_new: true,
    };
    let submission = Submission { dry_run: true, submitter: Some(call.who().to_owned()), id: None };
    let items = order.into_iter().map(item).collect();
    let came = bulk::submit(items, &submission, options.output, "", session, call).await?;
    Ok(came.exit)
}

/// Lists the tasks that are not done.
async fn missing(prepared: &Prepared, session: &Session, call: Call<'_>) -> Outcome {
    let (states, found) = found(prepared, session, call.env).await?;
    let plan = prepared.list.batch.plan(&states, BatchLimits::default());
    let mut table = Table::new(&["TASK", "STATUS", "JOB", "NEEDS"]);
    let mut done = 0;
    for (number, state) in states.iter().enumerate() {
        let left = plan.left_out.iter().find(|left| left.task == number);
        let status = match state {
            TaskState::Succeeded => {
                done += 1;
                continue;
            }
            TaskState::Active => "active",
            TaskState::Failed | TaskState::Refused => "failed",
            TaskState::Unsent if left.is_some() => "left out",
            TaskState::Unsent if plan.send.contains(&number) => "to submit",
            TaskState::Unsent => "waits",
        };
        let name = |task: usize| prepared.list.tasks[task].identifier.as_str();
        let job = found.iter().find(|found| found.task == number).map(|found| found.job.clone());
        let needs: Vec<&str> = prepared.list.batch.needs(number).iter().map(|task| name(*task)).collect();
        table.row(&[name(number).to_owned(), status.to_owned(), job.unwrap_or_default(), needs.join(",")]);
    }
    session.notes.say(&format!("{done} of {} tasks are done", states.len()));
    if done < states.len() {
        out::data(&table.to_string())?;
    }
    Ok(Exit::OK)
}
