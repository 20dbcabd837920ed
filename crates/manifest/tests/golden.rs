//! Golden folders: each directory of `tests/golden` holds `input.yaml` (a base and edits) and either `job.yaml`, the
//! Job of submission `golden` by `ada`, or `problems.txt`, every problem in a line of its own.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use windlass_manifest::edit::{EnvObject, EnvSource, RestartPolicy, Toleration};
use windlass_manifest::marks::Signature;
use windlass_manifest::{Base, ContainerEdit, Edit, JobEdit, Mount, PodEdit, PullPolicy, VolumeSource, make};
use windlass_model::{CompletionMode, JobRequest, Place, SubmissionId};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    request: Option<Request>,
    manifest: Option<Value>,
    #[serde(default)]
    edits: Vec<EditIn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    command: Vec<String>,
    image: Option<String>,
    name: Option<String>,
    working_dir: Option<String>,
    #[serde(default)]
    env: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    retries: u32,
    deadline_ms: Option<u64>,
    ttl_s: Option<u64>,
    parallelism: Option<u32>,
    completions: Option<u32>,
    #[serde(default)]
    indexed: bool,
    #[serde(default)]
    suspend: bool,
    cpu: Option<String>,
    memory: Option<String>,
}

impl From<Request> for JobRequest {
    fn from(input: Request) -> Self {
        let place = input.image.map_or(Place::Host, Place::Image);
        JobRequest {
            name: input.name,
            working_dir: input.working_dir,
            env: input.env,
            labels: input.labels,
            retries: input.retries,
            deadline: input.deadline_ms.map(Duration::from_millis),
            ttl: input.ttl_s.map(Duration::from_secs),
            parallelism: input.parallelism,
            completions: input.completions,
            completion_mode: input.indexed.then_some(CompletionMode::Indexed),
            suspend: input.suspend,
            cpu: input.cpu,
            memory: input.memory,
            ..JobRequest::new(input.command, place)
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum EditIn {
    Job(JobIn),
    Pod(PodIn),
    FirstContainer(ContainerIn),
    AllContainers(ContainerIn),
    Mount(MountIn),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MountIn {
    host: Option<String>,
    claim: Option<String>,
    config_map: Option<String>,
    secret: Option<String>,
    path: String,
    #[serde(default)]
    read_only: bool,
    volume: Option<String>,
}

impl From<MountIn> for Mount {
    fn from(input: MountIn) -> Self {
        let source = match (input.host, input.claim, input.config_map, input.secret) {
            (Some(path), ..) => VolumeSource::Host(path),
            (_, Some(name), ..) => VolumeSource::Claim(name),
            (_, _, Some(name), _) => VolumeSource::ConfigMap(name),
            (.., Some(name)) => VolumeSource::Secret(name),
            _ => VolumeSource::Empty,
        };
        Mount { source, path: input.path, read_only: input.read_only, volume: input.volume }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum JobIn {
    Name(String),
    Namespace(String),
    Label(String, String),
    Annotation(String, String),
    Retries(u32),
    DeadlineS(u64),
    Suspend(bool),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum PodIn {
    RuntimeClass(String),
    NodeSelector(String, String),
    Label(String, String),
    ServiceAccount(String),
    PullSecret(String),
    PriorityClass(String),
    Toleration(TolerationIn),
    RestartOnFailure,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TolerationIn {
    key: Option<String>,
    operator: Option<String>,
    value: Option<String>,
    effect: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ContainerIn {
    Image(String),
    Command(Vec<String>),
    Env(String, String),
    Limit(String, String),
    Request(String, String),
    PullAlways,
    EnvOfSecretKey(String, String, String),
    EnvOfSecret(String),
}

impl From<EditIn> for Edit {
    fn from(input: EditIn) -> Self {
        match input {
            EditIn::Job(edit) => Edit::Job(match edit {
                JobIn::Name(name) => JobEdit::Name(name),
                JobIn::Namespace(name) => JobEdit::Namespace(name),
                JobIn::Label(key, value) => JobEdit::Label(key, value),
                JobIn::Annotation(key, value) => JobEdit::Annotation(key, value),
                JobIn::Retries(count) => JobEdit::Retries(count),
                JobIn::DeadlineS(seconds) => JobEdit::Deadline(Duration::from_secs(seconds)),
                JobIn::Suspend(suspend) => JobEdit::Suspend(suspend),
            }),
            EditIn::Pod(edit) => Edit::Pod(match edit {
                PodIn::RuntimeClass(name) => PodEdit::RuntimeClass(name),
                PodIn::NodeSelector(key, value) => PodEdit::NodeSelector(key, value),
                PodIn::Label(key, value) => PodEdit::Label(key, value),
                PodIn::ServiceAccount(name) => PodEdit::ServiceAccount(name),
                PodIn::PullSecret(name) => PodEdit::PullSecret(name),
                PodIn::PriorityClass(name) => PodEdit::PriorityClass(name),
                PodIn::RestartOnFailure => PodEdit::RestartPolicy(RestartPolicy::OnFailure),
                PodIn::Toleration(TolerationIn { key, operator, value, effect }) => {
                    PodEdit::Toleration(Toleration { key, operator, value, effect })
                }
            }),
            EditIn::FirstContainer(edit) => Edit::FirstContainer(edit.into()),
            EditIn::AllContainers(edit) => Edit::AllContainers(edit.into()),
            EditIn::Mount(mount) => Edit::Mount(mount.into()),
        }
    }
}

impl From<ContainerIn> for ContainerEdit {
    fn from(input: ContainerIn) -> Self {
        match input {
            ContainerIn::Image(image) => ContainerEdit::Image(image),
            ContainerIn::Command(command) => ContainerEdit::Command(command),
            ContainerIn::Env(name, value) => ContainerEdit::Env(name, value),
            ContainerIn::Limit(name, value) => ContainerEdit::Limit(name, value),
            ContainerIn::Request(name, value) => ContainerEdit::Request(name, value),
            ContainerIn::EnvOfSecretKey(variable, name, key) => {
                ContainerEdit::EnvFrom(variable, EnvSource::Secret { name, key })
            }
            ContainerIn::EnvOfSecret(name) => ContainerEdit::EnvOf(EnvObject::Secret(name)),
            ContainerIn::PullAlways => ContainerEdit::PullPolicy(PullPolicy::Always),
        }
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn check(case: &Path) -> Result<(), String> {
    let text = read(&case.join("input.yaml")).ok_or("no input.yaml")?;
    let input: Input = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
    let base = match (input.request, input.manifest) {
        (Some(request), None) => Base::Request(Box::new(request.into())),
        (None, Some(manifest)) => Base::Manifest(manifest),
        _ => return Err("input.yaml needs request or manifest".to_owned()),
    };
    let edits: Vec<Edit> = input.edits.into_iter().map(Edit::from).collect();
    let id = SubmissionId::parse("golden").map_err(|problem| problem.to_string())?;
    let by = Signature { who: Some("ada"), when: None };
    match (make(&base, &edits), read(&case.join("job.yaml")), read(&case.join("problems.txt"))) {
        (Ok(manifest), Some(expected), None) => {
            let job = manifest.sealed(&id, by, 0);
            let expected: Value = serde_saphyr::from_str(&expected).map_err(|error| error.to_string())?;
            let actual = serde_saphyr::to_string(&job).map_err(|error| error.to_string())?;
            if job == expected { Ok(()) } else { Err(format!("made:\n{actual}")) }
        }
        (Err(problems), None, Some(expected)) => {
            let actual = problems.to_string();
            if actual.trim() == expected.trim() { Ok(()) } else { Err(format!("found:\n{actual}")) }
        }
        (Ok(manifest), ..) => {
            let job = manifest.sealed(&id, by, 0);
            Err(format!("expected problems, made:\n{}", serde_saphyr::to_string(&job).unwrap_or_default()))
        }
        (Err(problems), ..) => Err(format!("expected a job, found:\n{problems}")),
    }
}

#[test]
fn every_golden_folder_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|error| format!("== {}\n{error}", case.display())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
