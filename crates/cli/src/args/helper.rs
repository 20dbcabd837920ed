//! submission-helper's own options, on `run` and `submit`: a payload for a cluster, as its users type it.

use clap::Args;
use windlass_manifest::Edit;
use windlass_manifest::formats::submission_helper::{
    MOUNT_PATH, REGISTRY_SECRET, SubmissionHelper, VOLUME_CLAIM, job_name, quantity_of_memory,
};
use windlass_model::{JobRequest, Problems};

use super::job;
use super::low::JobArgs;
use crate::env::Env;

/// Where the help shows them.
pub(super) const HEADING: &str = "Options of submission-helper";

/// The options of submission-helper.
#[derive(Args, Debug, Default)]
pub(crate) struct HelperArgs {
    /// Run the payload in this image, through `bash -cl`, as submission-helper does: with the data's claim mounted, the
    /// label app=submission-helper, a day's deadline and three more tries; a bare --memory is in MB
    #[arg(long, help_heading = HEADING, value_name = "IMAGE", conflicts_with = "image")]
    pub k8s_image: Option<String>,
    /// Secret by which the image is fetched [default: sh-k8s-registry-secret]
    #[arg(long, help_heading = HEADING, value_name = "NAME")]
    pub k8s_registry_secret: Option<String>,
    /// Claim that holds the data [default: ntuples-claim]
    #[arg(long, help_heading = HEADING, value_name = "NAME")]
    pub k8s_volume_claim: Option<String>,
    /// Where the payload sees the data [default: /ntuples]
    #[arg(long, help_heading = HEADING, value_name = "PATH")]
    pub k8s_mount_path: Option<String>,
    /// What the job is called: part of its name, and the label `identifier`. The same again is the same job. With
    /// --job-spec-file: the labels `identifier` and `prefect.io/identifier` [default there: the submission's id]
    #[arg(long, help_heading = HEADING, value_name = "TEXT")]
    pub identifier: Option<String>,
    /// CPUs of the payload [default: 1]
    #[arg(long, help_heading = HEADING, value_name = "N", requires = "k8s_image", conflicts_with = "cpu")]
    pub ncores: Option<u32>,
    /// Minutes that the job may take [default: a day]
    #[arg(long, help_heading = HEADING, value_name = "MINUTES", requires = "k8s_image", conflicts_with = "deadline")]
    pub time: Option<u64>,
}

impl HelperArgs {
    /// The first of the options that was typed, if one was.
    pub(super) fn typed(&self) -> Option<&'static str> {
        let options = [
            ("--k8s-image", self.k8s_image.is_some()),
            ("--k8s-registry-secret", self.k8s_registry_secret.is_some()),
            ("--k8s-volume-claim", self.k8s_volume_claim.is_some()),
            ("--k8s-mount-path", self.k8s_mount_path.is_some()),
        ];
        options.into_iter().find_map(|(name, is_typed)| is_typed.then_some(name))
    }

    /// The submission's id of an identifier: the same again is the same submission, as it was there.
    pub(super) fn id(&self) -> Option<String> {
        self.k8s_image.as_ref()?;
        Some(job_name(self.identifier.as_deref()?, 0))
    }
}

/// A payload's job, and what the other options change of it.
pub(super) fn request(mut args: JobArgs, env: &Env) -> Result<(JobRequest, Vec<Edit>), Problems> {
    // As there: the words of a payload are one line for the shell.
    let payload = std::mem::take(&mut args.command).join(" ");
    let identifier = args.helper.identifier.take().map(|identifier| (identifier, 0));
    let (helper, typed) = parts(args, env)?;
    let (request, mut edits) = SubmissionHelper { payload, identifier, ..helper }.job();
    edits.extend(typed);
    Ok((request, edits))
}

/// What holds for every payload, and what the other options change of their jobs.
pub(super) fn parts(mut args: JobArgs, env: &Env) -> Result<(SubmissionHelper, Vec<Edit>), Problems> {
    let helper = std::mem::take(&mut args.helper);
    let mut problems = Problems::new();
    if helper.k8s_image.is_none() {
        problems.add("--k8s-image", "is missing; the other --k8s options need it");
    }
    let or = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
    let parts = SubmissionHelper {
        image: helper.k8s_image.unwrap_or_default(),
        registry_secret: or(helper.k8s_registry_secret, REGISTRY_SECRET),
        volume_claim: or(helper.k8s_volume_claim, VOLUME_CLAIM),
        mount_path: or(helper.k8s_mount_path, MOUNT_PATH),
        ..SubmissionHelper::default()
    };
    if let Some(memory) = args.memory.take() {
        args.request.push(format!("memory={}", quantity_of_memory(memory)));
    }
    args.cpu = args.cpu.or(helper.ncores.map(|cores| cores.to_string()));
    match helper.time.map(|minutes| minutes.checked_mul(60)) {
        // 0 is a day there, as if the option were not given.
        None | Some(Some(0)) => {}
        Some(Some(seconds)) => args.deadline = Some(seconds.to_string()),
        Some(None) => problems.add("--time", "is more minutes than there are"),
    }
    let typed = job::edits(args, env).map_err(|more| problems.extend(more)).unwrap_or_default();
    problems.or((parts, typed))
}
