//! Golden folders of the formats: `tests/formats/<format>/<case>/` holds the input exactly as its user writes it, and
//! either `job.yaml` (the Job of submission `golden` by `ada`, several as documents, an array's after its ConfigMap) or `problems.txt` (each in a line
//! of its own). `options.yaml` holds what the command line adds. A new case is a folder and needs no Rust.
//!
//! `notes.txt`, if there is one, is what the user is told. `WINDLASS_BLESS=1` writes what was made; look at it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use windlass_manifest::cron::{self, CronBase, CronOptions, make_cron};
use windlass_manifest::formats::definition::{self, Source, Template};
use windlass_manifest::formats::submission_helper::{self, SubmissionHelper};
use windlass_manifest::formats::{self, Format, Inputs, Payload, Reading, magnus, prefect};
use windlass_manifest::marks::Signature;
use windlass_manifest::read::Places;
use windlass_manifest::{Array, Base, Edit, Numbers, ReadError, make};
use windlass_model::SubmissionId;

/// What the command line adds.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Options {
    /// After `--`.
    command: Vec<String>,
    function: Option<String>,
    notebook: Option<String>,
    run_id: Option<String>,
    variables: BTreeMap<String, String>,
    /// The reader of Prefect's job specs.
    prefect: Option<Prefect>,
    /// The reader of job definitions.
    definition: Option<Chosen>,
    /// What is read becomes a CronJob, or is one.
    cron: Option<Cron>,
    /// What makes the jobs arrays.
    tasks: Option<Tasks>,
    /// The readers of submission-helper's tasks.
    helper: Option<Helper>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Cron {
    name: Option<String>,
    schedule: Option<String>,
    time_zone: Option<String>,
    keep_failed: Option<u32>,
    suspend: bool,
}

impl Cron {
    fn options(&self) -> CronOptions {
        CronOptions {
            name: self.name.clone(),
            schedule: self.schedule.clone(),
            time_zone: self.time_zone.clone(),
            keep_failed: self.keep_failed,
            suspend: self.suspend,
            ..CronOptions::default()
        }
    }
}

/// What a case of CronJobs comes to: each object, or what is wrong.
fn crons(input: &str, text: &str, options: &Options, case: &Path) -> Result<Vec<Value>, Vec<String>> {
    let words = |errors: Vec<ReadError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let of_manifest = cron::is(text);
    let bases: Vec<(u64, CronBase, Vec<_>)> = if of_manifest {
        let reading = cron::read(input, text).map_err(words)?;
        assert!(reading.doubts.is_empty(), "{:?}", reading.doubts);
        let bases = reading.crons.into_iter();
        bases.map(|written| (written.line, CronBase::Manifest(written.cron), Vec::new())).collect()
    } else {
        let jobs = read(input, text, options, case).map_err(words)?.jobs.into_iter();
        jobs.map(|job| (job.line, CronBase::Job(job.base), job.edits)).collect()
    };
    let cron = options.cron.as_ref().unwrap().options();
    let (mut made, mut wrong, places) = (Vec::new(), Vec::new(), Places::of(text));
    for (line, base, edits) in bases {
        match make_cron(&base, &cron, &edits) {
            Ok(manifest) => made.push(manifest.object().clone()),
            Err(found) => wrong.extend(
                found
                    .iter()
                    .map(|problem| format!("{input}:{}: {problem}", places.line(line, &problem.path))),
            ),
        }
    }
    if wrong.is_empty() { Ok(made) } else { Err(wrong) }
}

/// What makes a job an array.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Tasks {
    Array(String),
    /// The text of the file.
    EachLine(String),
    /// The text of the table.
    EachRow(String),
    Matrix(Vec<String>),
}

impl Tasks {
    fn edit(&self) -> Result<Edit, String> {
        let array = match self {
            Tasks::Array(numbers) => Numbers::parse(numbers).map(|numbers| Array::numbered(&numbers)),
            Tasks::EachLine(text) => Array::of_lines(text.as_bytes())
                .map(|lines| lines.array)
                .map_err(|problems| problems.to_string()),
            Tasks::EachRow(text) => Array::of_rows(text.as_bytes())
                .map(|lines| lines.array)
                .map_err(|problems| problems.to_string()),
            Tasks::Matrix(words) => Array::of_matrix(words).map_err(|problems| problems.to_string()),
        };
        array.map(Edit::Tasks)
    }
}

/// A batch of submission-helper's, with that program's defaults.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Helper {
    image: String,
    identifier: String,
    /// The file holds a payload a line.
    #[serde(default)]
    lines: bool,
}

impl Helper {
    fn read(&self, file: &str, text: &str) -> Result<Reading, Vec<ReadError>> {
        let helper = SubmissionHelper {
            image: self.image.clone(),
            registry_secret: submission_helper::REGISTRY_SECRET.to_owned(),
            volume_claim: submission_helper::VOLUME_CLAIM.to_owned(),
            mount_path: submission_helper::MOUNT_PATH.to_owned(),
            ..SubmissionHelper::default()
        };
        let list = match self.lines {
            true => submission_helper::of_lines(&self.identifier, &[(file.to_owned(), text.to_owned())])?,
            false => submission_helper::of_file(file, text, &helper.mount_path)?,
        };
        let jobs = 0..list.tasks.len();
        Ok(Reading {
            format: Format::SubmissionHelper,
            jobs: jobs.map(|number| helper.written(&self.identifier, &list, number, &[])).collect(),
            kubeconfig: None,
            notes: list.notes,
            doubts: Vec::new(),
        })
    }
}

/// A definition with its arguments; templates in files stand in the case's folder.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Chosen {
    name: String,
    #[serde(default)]
    arguments: definition::Arguments,
    signature: Option<String>,
    /// What the cluster's ConfigMaps hold under their own names.
    #[serde(default)]
    config_maps: BTreeMap<String, String>,
}

impl Chosen {
    fn read(&self, file: &str, text: &str, case: &Path) -> Result<Reading, Vec<ReadError>> {
        let all = definition::read(file, text)?;
        let definition = all.iter().find(|definition| definition.name == self.name).expect("the definition");
        let template = match &definition.source {
            Source::Inline(template) => template.clone(),
            Source::Path(path) => Template::new(path, std::fs::read_to_string(case.join(path)).unwrap()),
            Source::ConfigMap { name, .. } => {
                Template::new(format!("ConfigMap {name}"), &self.config_maps[name])
            }
        };
        let mut written = definition.render(&template, &self.arguments)?;
        if let Base::Manifest(job) = &mut written.base {
            definition::derive_name(job, &self.name).unwrap();
        }
        written.edits = definition.marks(self.signature.as_deref());
        Ok(Reading {
            format: Format::Definition,
            jobs: vec![written],
            kubeconfig: None,
            notes: Vec::new(),
            doubts: Vec::new(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Prefect {
    image: Option<String>,
    identifier: String,
    flow_run_id: String,
    #[serde(default)]
    unique_name: bool,
}

impl Options {
    fn payload(&self) -> Payload {
        let task = |kind| Payload::Magnus(magnus::Task::new(kind));
        match (&self.function, &self.notebook) {
            (Some(name), _) => task(magnus::TaskKind::Function(name.clone())),
            (_, Some(name)) => task(magnus::TaskKind::Notebook(name.clone())),
            _ if self.command.is_empty() => Payload::Own,
            _ => Payload::Command(self.command.clone()),
        }
    }
}

/// The files of a case that are not its input.
const OURS: [&str; 4] = ["options.yaml", "job.yaml", "problems.txt", "notes.txt"];

fn read(file: &str, text: &str, options: &Options, case: &Path) -> Result<Reading, Vec<ReadError>> {
    if let Some(chosen) = &options.definition {
        return chosen.read(file, text, case);
    }
    if let Some(helper) = &options.helper {
        return helper.read(file, text);
    }
    let payload = options.payload();
    let inputs =
        Inputs { variables: &options.variables, payload: &payload, run_id: options.run_id.as_deref() };
    match &options.prefect {
        None => formats::read(file, text, inputs),
        Some(options) => {
            let options = prefect::Options {
                image: options.image.clone(),
                identifier: options.identifier.clone(),
                flow_run_id: options.flow_run_id.clone(),
                unique_name: options.unique_name,
            };
            prefect::read(file, text, &options, inputs)
        }
    }
}

/// What a case comes to: files by name, and the jobs that are in them.
type Made = (Vec<(&'static str, String)>, Vec<Value>);

fn made(case: &Path) -> Result<Made, String> {
    let text =
        |name: &str| std::fs::read_to_string(case.join(name)).map_err(|error| format!("{name}: {error}"));
    let options: Options = match text("options.yaml") {
        Ok(options) => serde_saphyr::from_str(&options).map_err(|error| format!("options.yaml: {error}"))?,
        Err(_) => Options::default(),
    };
    let input = files(case).into_iter().find(|name| !OURS.contains(&name.as_str())).ok_or("no input")?;
    let lines = |errors: Vec<String>| Ok((vec![("problems.txt", errors.join("\n") + "\n")], Vec::new()));
    if options.cron.is_some() {
        return match crons(&input, &text(&input)?, &options, case) {
            Err(errors) => lines(errors),
            Ok(made) => {
                let yaml: Vec<String> =
                    made.iter().map(|cron| serde_saphyr::to_string(cron).unwrap_or_default()).collect();
                Ok((vec![("job.yaml", yaml.join("---\n"))], made))
            }
        };
    }
    let mut reading = match read(&input, &text(&input)?, &options, case) {
        Ok(reading) => reading,
        Err(errors) => return lines(errors.iter().map(ToString::to_string).collect()),
    };
    if let Some(tasks) = &options.tasks {
        let edit = tasks.edit()?;
        reading.jobs.iter_mut().for_each(|written| written.edits.push(edit.clone()));
    }
    let id = SubmissionId::parse("golden").map_err(|problem| problem.to_string())?;
    let places = Places::of(&text(&input)?);
    let (mut jobs, mut problems) = (Vec::new(), Vec::new());
    for written in &reading.jobs {
        match make(&written.base, &written.edits) {
            Ok(manifest) => {
                if let Some(mut companion) = manifest.companion(&id, 0) {
                    // The helper's bytes are the compiler's, not ours.
                    if let Some(helper) = companion.pointer_mut("/binaryData/task") {
                        *helper = "the helper".into();
                    }
                    jobs.push(companion);
                }
                let mut job = manifest.sealed(&id, Signature { who: Some("ada"), when: None }, 0);
                let arch = job.pointer_mut("/spec/template/spec/nodeSelector/kubernetes.io~1arch");
                if let Some(arch) = arch.filter(|_| manifest.is_array()) {
                    *arch = "the helper's".into();
                }
                jobs.push(job);
            }
            Err(found) => {
                let line = |path: &str| places.line(written.line, path);
                let all = found.iter().map(|problem| format!("{input}:{}: {problem}", line(&problem.path)));
                problems.extend(all);
            }
        }
    }
    if !problems.is_empty() {
        return lines(problems);
    }
    let mut notes: Vec<String> = vec![format!("read as {}", reading.format)];
    notes.extend(reading.kubeconfig.map(|path| format!("kubeconfig {path}")));
    notes.extend(reading.notes);
    let yaml: Vec<String> = jobs.iter().map(|job| serde_saphyr::to_string(job).unwrap_or_default()).collect();
    Ok((vec![("job.yaml", yaml.join("---\n")), ("notes.txt", notes.join("\n") + "\n")], jobs))
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn check(case: &Path) -> Result<(), String> {
    let (files, jobs) = made(case)?;
    for name in ["job.yaml", "problems.txt"] {
        if case.join(name).exists() && !files.iter().any(|(made, _)| *made == name) {
            return Err(format!("there is {name}, and what was made is {files:?}"));
        }
    }
    for (name, text) in &files {
        let expected = std::fs::read_to_string(case.join(name)).unwrap_or_default();
        let is_same = match *name {
            "job.yaml" => {
                let expected: Vec<Value> =
                    serde_saphyr::from_multiple(&expected).map_err(|error| format!("job.yaml: {error}"))?;
                expected == jobs
            }
            _ => expected == *text,
        };
        if !is_same {
            return Err(format!("{name}:\n{text}"));
        }
    }
    Ok(())
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let folders = files(&root).into_iter().map(|format| root.join(format));
    folders.flat_map(|format| files(&format).into_iter().map(move |case| format.join(case))).collect()
}

#[test]
fn every_golden_folder_holds() {
    let cases = cases();
    assert!(!cases.is_empty());
    #[expect(clippy::disallowed_methods, reason = "only whoever writes the expected files sets it")]
    let bless = std::env::var("WINDLASS_BLESS").is_ok();
    if bless {
        for case in &cases {
            for (name, text) in made(case).unwrap_or_else(|error| panic!("{}: {error}", case.display())).0 {
                std::fs::write(case.join(name), text).unwrap();
            }
        }
    }
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|error| format!("== {}\n{error}", case.display())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
