//! submission-helper: the options `--k8s-*`, by which CERN's physicists send a payload to Kubernetes.
//!
//! What it makes is what that program made: labels `app=submission-helper` and `identifier`, the claim at its mount
//! path, the payload through a login shell, a day's deadline, three more tries in the same pod. Labels stand on Job and
//! pods, so that `kubectl get jobs -l app=submission-helper` needs no server's default, and hold what a label can.

mod tasks;
mod wrapper;

use std::time::Duration;

use windlass_model::{JobRequest, Place, SubmissionId, digest, label, name};

pub use tasks::{MAX_TASKS, Paths, Task, TaskList, of_file, of_lines};

use super::Written;
use crate::edit::{ContainerEdit, Edit, JobEdit, Mount, PodEdit, PullPolicy, RestartPolicy, VolumeSource};
use crate::{Base, marks};

/// Default of `--k8s-registry-secret`.
pub const REGISTRY_SECRET: &str = "sh-k8s-registry-secret";
/// Default of `--k8s-volume-claim`.
pub const VOLUME_CLAIM: &str = "ntuples-claim";
/// Default of `--k8s-mount-path`.
pub const MOUNT_PATH: &str = "/ntuples";
/// Value of the label `app` on its jobs and pods.
pub const APP: &str = "submission-helper";
/// Its memory when none is named: 4,000 MB.
pub const MEMORY: &str = "4000M";
/// Its CPU when none is named.
pub const CPU: &str = "1";

const CONTAINER: &str = "submission-helper-payload";
const VOLUME: &str = "pvc-sh-vol";
const DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
const RETRIES: u32 = 3;
/// The digits of a job's number in its name.
const DIGITS: usize = 5;

/// A payload and where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmissionHelper {
    /// The image.
    pub image: String,
    /// The Secret by which the image is fetched.
    pub registry_secret: String,
    /// The claim that holds the data.
    pub volume_claim: String,
    /// Where the payload sees it.
    pub mount_path: String,
    /// What the login shell runs.
    pub payload: String,
    /// What the user calls it, and which of that name it is. The job's name is made of both; without, any name.
    pub identifier: Option<(String, u32)>,
}

impl SubmissionHelper {
    /// The request, and what that program sets besides.
    pub fn job(self) -> (JobRequest, Vec<Edit>) {
        let command = ["bash", "-cl", &self.payload].map(str::to_owned).to_vec();
        let mut request = JobRequest::new(command, Place::Image(self.image));
        request.retries = RETRIES;
        request.deadline = Some(DEADLINE);
        request.labels.insert("app".to_owned(), APP.to_owned());
        let mut edits = vec![
            Edit::FirstContainer(ContainerEdit::Name(CONTAINER.to_owned())),
            Edit::FirstContainer(ContainerEdit::PullPolicy(PullPolicy::Always)),
            Edit::FirstContainer(ContainerEdit::Request("cpu".to_owned(), CPU.to_owned())),
            Edit::FirstContainer(ContainerEdit::Request("memory".to_owned(), MEMORY.to_owned())),
            Edit::Pod(PodEdit::RestartPolicy(RestartPolicy::OnFailure)),
            Edit::Pod(PodEdit::PullSecret(self.registry_secret)),
            Edit::Mount(Mount {
                source: VolumeSource::Claim(self.volume_claim),
                path: self.mount_path,
                read_only: false,
                volume: Some(VOLUME.to_owned()),
            }),
        ];
        match self.identifier {
            Some((identifier, number)) => {
                request.labels.insert("identifier".to_owned(), label::nearest_value(&identifier));
                request.name = Some(job_name(&identifier, number));
            }
            None => edits.push(Edit::Job(JobEdit::Stem("shj".to_owned()))),
        }
        (request, edits)
    }
}

impl SubmissionHelper {
    /// The job of a task of a batch, with this image and claim. `typed` is what the command line changes; what the task
    /// says itself goes over it.
    pub fn written(&self, batch: &str, list: &TaskList, number: usize, typed: &[Edit]) -> Written {
        let task = &list.tasks[number];
        let payload = SubmissionHelper {
            payload: task.payload.clone(),
            identifier: task.number.map(|number| (batch.to_owned(), number)),
            ..self.clone()
        };
        let (mut request, mut edits) = payload.job();
        request.labels.insert("identifier".to_owned(), label::nearest_value(&task.identifier));
        request.labels.insert(marks::BATCH.to_owned(), batch_label(batch));
        if task.number.is_none() {
            let stem = format!("shj-{}", name::readable(&task.identifier, name::MAX_LEN));
            edits.push(Edit::Job(JobEdit::Stem(stem)));
        }
        if task.paths == Paths::OnClaim {
            let command = wrapper::command(&task.payload, &list.inputs(number), &task.outputs);
            edits.push(Edit::FirstContainer(ContainerEdit::Command(command)));
        }
        edits.extend_from_slice(typed);
        let request_of = |name: &str, amount: String| {
            Edit::FirstContainer(ContainerEdit::Request(name.to_owned(), amount))
        };
        edits.extend(task.cores.map(|cores| request_of("cpu", cores.to_string())));
        edits.extend(task.memory.clone().map(|memory| request_of("memory", memory)));
        edits.extend(task.minutes.map(|minutes| {
            let deadline = Duration::from_secs(minutes.saturating_mul(60));
            Edit::Job(JobEdit::Deadline(if deadline.is_zero() { DEADLINE } else { deadline }))
        }));
        let base = Base::Request(Box::new(request));
        Written { file: task.file.clone(), line: task.line, base, edits }
    }
}

/// The submission's id of a task: the same whenever the batch is run, whatever its line.
pub fn task_id(batch: &str, task: &Task) -> SubmissionId {
    SubmissionId::derived(&[APP, batch, &task.identifier])
}

/// The label selector of a batch's jobs.
pub fn batch_selector(batch: &str) -> String {
    format!("{}={}", marks::BATCH, batch_label(batch))
}

/// A label's value for a batch, another one for every other batch.
fn batch_label(batch: &str) -> String {
    let digest = &digest::short(batch.as_bytes())[..12];
    match label::is_value(batch) && !batch.is_empty() {
        true => batch.to_owned(),
        false => format!(
            "b{}-{digest}",
            label::nearest_value(&format!("-{batch}")).chars().take(48).collect::<String>()
        ),
    }
}

/// `shj-<identifier>-<number>`, the number with at least five digits, in characters that a job's name has.
pub fn job_name(identifier: &str, number: u32) -> String {
    let number = format!("{number:0DIGITS$}");
    let identifier = name::readable(identifier, name::MAX_LEN - "shj--".len() - number.len());
    match identifier.is_empty() {
        true => format!("shj-{number}"),
        false => format!("shj-{identifier}-{number}"),
    }
}

/// Memory as that program's users write it: a number without a unit is in MB, and loses what is behind its point.
pub fn quantity_of_memory(text: String) -> String {
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let is_number = !whole.is_empty() && [whole, rest].concat().chars().all(|c| c.is_ascii_digit());
    if is_number { format!("{whole}M") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_memory_without_a_unit_is_in_mb() {
        for (written, sent) in
            [("2000", "2000M"), ("1500.7", "1500M"), ("2Gi", "2Gi"), ("1.5G", "1.5G"), ("", "")]
        {
            assert_eq!(quantity_of_memory(written.to_owned()), sent);
        }
    }

    #[test]
    fn every_batch_has_a_label_of_its_own() {
        assert_eq!(batch_label("fit-2026.1"), "fit-2026.1");
        let odd = ["My/Run", "My-Run", "", "-", "--", &"x".repeat(64), &"x".repeat(65), "é"].map(batch_label);
        for (place, value) in odd.iter().enumerate() {
            assert!(label::is_value(value) && !value.is_empty(), "{value}");
            assert!(!odd[..place].contains(value), "{value}");
        }
    }

    #[test]
    fn name_fits_whatever_the_identifier_is() {
        assert_eq!(job_name("My/Run_1", 7), "shj-my-run-1-00007");
        assert_eq!(job_name("///", 100_000), "shj-100000");
        let long = job_name(&"x".repeat(100), 0);
        assert_eq!((long.len(), long.ends_with("-00000")), (name::MAX_LEN, true));
    }
}
