//! The words that describe a job, as clap reads them: the same for `run` and `submit`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// What a command's job is made of.
#[derive(Args, Debug, Default)]
pub(crate) struct JobArgs {
    /// Name of the job [default: the command's first word and five characters]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Run in a container of this image [default: as a process of the host]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Give the words behind -- to the image's own program (its entrypoint), instead of running them
    #[arg(long)]
    pub entrypoint: bool,
    /// When to fetch the image: at every start, when the node lacks it, or not at all [default: the cluster's]
    #[arg(long, value_enum, value_name = "WHEN", ignore_case = true, alias = "image-pull-policy")]
    pub pull: Option<Pull>,
    /// Set a variable; without a value, pass on the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]", action = ArgAction::Append)]
    pub env: Vec<String>,
    /// Set a variable to the value under a key of a secret, which the cluster holds
    #[arg(long, value_name = "NAME=SECRET:KEY", action = ArgAction::Append)]
    pub env_secret: Vec<String>,
    /// Set a variable to the value under a key of a ConfigMap
    #[arg(long, value_name = "NAME=CONFIGMAP:KEY", action = ArgAction::Append)]
    pub env_configmap: Vec<String>,
    /// Set a variable for every key of a secret or ConfigMap
    #[arg(long, value_name = "secret/NAME|configmap/NAME", action = ArgAction::Append)]
    pub env_from: Vec<String>,
    /// Set the variables of this file, a NAME=VALUE a line; --env goes over it
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub env_file: Vec<PathBuf>,
    /// Variables of the caller to pass on: ALL, NONE, or names [default: NONE with an image; else PATH, HOME,
    /// USER, LOGNAME, SHELL, LANG, LC_ALL, TZ, TMPDIR, VIRTUAL_ENV, CONDA_PREFIX]
    #[arg(long, value_name = "ALL|NONE|LIST")]
    pub export: Option<String>,
    /// Start in this directory [default: the caller's, or the image's]
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Try again this often after a failure [default: 0]
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// End the job if it takes longer than this, e.g. 90s, 5m, 1h30m
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    /// Delete the job this long after it ended [default: keep it]
    #[arg(long, value_name = "DURATION")]
    pub ttl: Option<String>,
    /// How many pods may run at a time
    #[arg(long, value_name = "N")]
    pub parallelism: Option<u32>,
    /// How many pods must succeed
    #[arg(long, value_name = "N")]
    pub completions: Option<u32>,
    /// Number the completions: each pod finds its own in JOB_COMPLETION_INDEX
    #[arg(long)]
    pub indexed: bool,
    /// Add a label
    #[arg(long, value_name = "NAME=VALUE", action = ArgAction::Append)]
    pub label: Vec<String>,
    /// CPU that a pod asks for, e.g. 500m or 2
    #[arg(long, value_name = "QUANTITY")]
    pub cpu: Option<String>,
    /// Memory that a pod asks for and may use, e.g. 512Mi
    #[arg(long, value_name = "QUANTITY")]
    pub memory: Option<String>,
    /// GPUs that a pod needs: a number of nvidia.com/gpu, or another resource's
    #[arg(long, value_name = "[RESOURCE=]N")]
    pub gpu: Option<String>,
    /// Any resource that a pod asks for, e.g. ephemeral-storage=1Gi
    #[arg(long, value_name = "RESOURCE=QUANTITY", action = ArgAction::Append)]
    pub request: Vec<String>,
    /// The most of a resource that a pod may use, e.g. cpu=2
    #[arg(long, value_name = "RESOURCE=QUANTITY", action = ArgAction::Append)]
    pub limit: Vec<String>,
    /// Let the command see a directory of the node (/DIR:PATH), a claim/NAME:PATH, configmap/NAME:PATH,
    /// secret/NAME:PATH, or an empty:PATH; with :ro at the end for reading only
    #[arg(short, long, value_name = "SOURCE:PATH[:ro]", action = ArgAction::Append)]
    pub volume: Vec<String>,
    /// Let the command see a copy of this small file, read-only, at this path [default: /windlass-files/ and its name];
    /// all of a job's have 700 KiB at most
    #[arg(long = "file", value_name = "FILE[:/PATH]", action = ArgAction::Append)]
    pub small_file: Vec<String>,
    /// Add an annotation
    #[arg(long, value_name = "NAME=TEXT", action = ArgAction::Append)]
    pub annotation: Vec<String>,
    /// Run as this service account
    #[arg(long, value_name = "NAME")]
    pub service_account: Option<String>,
    /// Fetch images with the credentials of this secret
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub pull_secret: Vec<String>,
    /// Only on nodes with this label
    #[arg(long, value_name = "NAME=VALUE", action = ArgAction::Append)]
    pub node_selector: Vec<String>,
    /// Also on nodes with this taint
    #[arg(long, value_name = "KEY[=VALUE][:EFFECT]", action = ArgAction::Append)]
    pub toleration: Vec<String>,
    /// Wait in this queue of Kueue
    #[arg(long, value_name = "NAME")]
    pub queue: Option<String>,
    /// With this priority class
    #[arg(long, value_name = "NAME")]
    pub priority_class: Option<String>,
    #[command(flatten)]
    pub tasks: super::array::ArrayArgs,
    #[command(flatten)]
    pub helper: super::helper::HelperArgs,
    /// Id of the submission: the same id with the same content is one job, however often it is sent
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// When an image is fetched.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// At every start
    Always,
    /// When the node does not have it
    #[value(alias = "IfNotPresent")]
    Missing,
    /// Not at all
    Never,
}
