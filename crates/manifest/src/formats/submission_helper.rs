//! submission-helper: the options `--k8s-*`, by which CERN's physicists send a payload to Kubernetes.
//!
//! What it makes is what that program made: labels `app=submission-helper` and `identifier`, the claim at its mount
//! path, the payload through a login shell, a day's deadline, three more tries in the same pod. Labels stand on Job and
//! pods, so that `kubectl get jobs -l app=submission-helper` needs no server's default, and hold what a label can.

use std::time::Duration;

use windlass_model::{JobRequest, Place, label, name};

use crate::edit::{ContainerEdit, Edit, JobEdit, Mount, PodEdit, PullPolicy, RestartPolicy, VolumeSource};

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    fn name_fits_whatever_the_identifier_is() {
        assert_eq!(job_name("My/Run_1", 7), "shj-my-run-1-00007");
        assert_eq!(job_name("///", 100_000), "shj-100000");
        let long = job_name(&"x".repeat(100), 0);
        assert_eq!((long.len(), long.ends_with("-00000")), (name::MAX_LEN, true));
    }
}
