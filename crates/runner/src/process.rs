//! From a container of a pod to the process that stands for it: arguments, environment, directory. Pure: ConfigMaps
//! and Secrets come through a trait, the host's facts as values. It starts nothing and knows no runtime.

mod expand;
mod limits;
mod living;
mod message;
mod quantity;
mod refuse;
mod rights;
mod source;
mod storage;
mod token;
mod volumes;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

pub(crate) use self::expand::expand;
pub(crate) use self::limits::unheld;
pub use self::living::{Source, files, sources};
pub use self::refuse::ConfigError;
pub use self::rights::user;
pub use self::storage::{StorageLimit, storage_limits};
pub use self::token::{TokenFile, tokens};
pub use self::volumes::{SizeLimit, VolumeCause, VolumeError, size_limits};
use crate::rights::Rights;
use crate::runtime::{Limits, Stdin, Stdio};
use crate::text::Text;
use crate::volumes::{Volume, VolumeMount};

/// Where a container's configuration comes from.
pub trait Lookup {
    /// The ConfigMap of this name in the pod's namespace, whole.
    fn config_map(&self, name: &str) -> Option<Value>;
    /// The Secret of this name in the pod's namespace, whole; its `data` is base64.
    fn secret(&self, name: &str) -> Option<Value>;
    /// The PersistentVolumeClaim of this name in the pod's namespace, whole.
    fn claim(&self, name: &str) -> Option<Value>;
    /// The PersistentVolume of this name, whole.
    fn volume(&self, name: &str) -> Option<Value>;
    /// A token of the pod's service account, bound to the pod, for this audience (none: the API itself), that lasts so
    /// many seconds; or why there is none.
    fn token(&self, audience: Option<&str>, seconds: i64) -> Result<String, String>;
}

/// What the host gives every process.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// `PATH`, `HOME`, `USER`, `LANG`, `TMPDIR`. What the pod says comes after it and wins.
    pub env: Vec<(String, Text)>,
    /// The node's `status.allocatable`: what a limit that is not set counts as.
    pub allocatable: BTreeMap<String, String>,
    /// How many processes and threads a container may have; none: as many as the host has room for.
    pub pids: Option<u64>,
    /// The user that processes run as.
    pub uid: u32,
    /// The group that processes run as.
    pub gid: u32,
    /// The supplementary groups that processes have.
    pub groups: Vec<u32>,
    /// Where the API is: told to containers that mount a service account's token, and to no other.
    pub api: Option<SocketAddr>,
}

/// A process to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Program and arguments, expanded.
    pub argv: Vec<String>,
    /// The environment; each name once, in the order in which they were first given.
    pub env: Vec<(String, Text)>,
    /// `workingDir`.
    pub cwd: Option<PathBuf>,
    /// `stdin`, `stdinOnce` and `tty`.
    pub stdio: Stdio,
    /// Names out of `envFrom` that cannot be variables, by source: worth an event `InvalidEnvironmentVariableNames`.
    pub skipped: Vec<String>,
    /// The pod's volumes, to be made before it starts; none if no container of the pod mounts any.
    pub volumes: Vec<Volume>,
    /// What of them this container mounts, and where.
    pub mounts: Vec<VolumeMount>,
    /// What it may do less than the user.
    pub rights: Option<Box<Rights>>,
    /// What it may take at most.
    pub limits: Option<Limits>,
    /// Where it is to find a file for its termination message.
    pub message: Option<PathBuf>,
}

impl Process {
    /// The same with these variables, of which those that it has already stay as they are.
    #[must_use]
    pub fn told(mut self, variables: Vec<(&str, String)>) -> Process {
        for (name, value) in variables {
            if !self.env.iter().any(|(known, _)| known == name) {
                self.env.push((name.to_owned(), value.into()));
            }
        }
        self
    }
}

/// Makes the process of a container (an init container too).
///
/// The order is the kubelet's: the host's variables and `HOSTNAME`, `envFrom` in list order, `env`; a later one wins.
/// `$(NAME)` in a value of `env` sees what `envFrom` and earlier entries of `env` gave, in arguments all of both.
///
/// # Errors
///
/// A container whose configuration is not there, or that asks for what a host process cannot have. The message is
/// for the pod's status; upstream's words where upstream has the case.
pub fn process(
    pod: &Value,
    container: &str,
    lookup: &dyn Lookup,
    host: &Host,
) -> Result<Process, ConfigError> {
    let spec = spec_of(pod, container).ok_or_else(|| ConfigError::NoContainer(container.to_owned()))?;
    refuse::check(pod, spec, host)?;
    let rights = rights::of(pod, spec, host)?;
    let given = source::environment(pod, spec, lookup, host)?;
    let words = ["command", "args"].into_iter().filter_map(|list| spec[list].as_array()).flatten();
    let argv = words.filter_map(Value::as_str).map(|word| {
        let expanded = expand::expand(word, |name| given.values.get(name).map(Text::as_bytes)).into_string();
        expanded.map_err(|_| ConfigError::NotUtf8(format!("the argument {word}")))
    });
    let argv: Vec<String> = argv.collect::<Result<_, _>>()?;
    let message = message::path(spec, &argv, &given.values);
    let mut env = host.env.clone();
    set(&mut env, "HOSTNAME", hostname(pod));
    if let Some(api) = host.api.filter(|_| token::is_mounted(pod, spec)) {
        // Where every client in a pod looks (client-go: rest.InClusterConfig).
        set(&mut env, "KUBERNETES_SERVICE_HOST", api.ip().to_string());
        set(&mut env, "KUBERNETES_SERVICE_PORT", api.port().to_string());
    }
    for name in &given.order {
        set(&mut env, name, given.values[name].clone());
    }
    let stdio = stdio(spec);
    if stdio.tty && !env.iter().any(|(name, _)| name == "TERM") {
        // As containerd does; where nobody said what the terminal is.
        set(&mut env, "TERM", "xterm");
    }
    let cwd = spec["workingDir"].as_str().filter(|path| !path.is_empty()).map(PathBuf::from);
    let wanted = volumes::Wanted { pod, spec, variables: &given.values };
    let (volumes, mounts) = volumes::of(&wanted, lookup, host)?;
    Ok(Process {
        argv,
        env,
        cwd,
        stdio,
        skipped: given.skipped,
        volumes,
        mounts,
        rights,
        limits: limits::of(pod, spec, host),
        message,
    })
}

/// What a container of a pod may take at most; none: as much as there is.
#[must_use]
pub fn limits_of(pod: &Value, container: &str, host: &Host) -> Option<Limits> {
    limits::of(pod, spec_of(pod, container)?, host)
}

fn spec_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["/spec/initContainers", "/spec/containers"].into_iter();
    lists.filter_map(|list| pod.pointer(list)?.as_array()).flatten().find(|spec| spec["name"] == container)
}

/// `stdin`, `stdinOnce` and `tty` of a container.
fn stdio(spec: &Value) -> Stdio {
    let stdin = match (spec["stdin"] == true, spec["stdinOnce"] == true) {
        (false, _) => Stdin::Null,
        (true, true) => Stdin::Once,
        (true, false) => Stdin::Open,
    };
    Stdio { stdin, tty: spec["tty"] == true }
}

/// What the pod's host would be called. Source: upstream kubelet `GeneratePodHostNameAndDomain`.
fn hostname(pod: &Value) -> String {
    if let Some(name) = pod.pointer("/spec/hostnameOverride").and_then(Value::as_str) {
        return name.to_owned();
    }
    let names = ["/spec/hostname", "/metadata/name"].into_iter();
    let name =
        names.filter_map(|name| pod.pointer(name)?.as_str()).find(|name| !name.is_empty()).unwrap_or("");
    // As upstream: 63 bytes, not ending in what a name may not end in.
    let cut = name.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|&end| end <= 63).last();
    name[..cut.unwrap_or(0)].trim_end_matches(['-', '.']).to_owned()
}

fn set(env: &mut Vec<(String, Text)>, name: &str, value: impl Into<Text>) {
    match env.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value.into(),
        None => env.push((name.to_owned(), value.into())),
    }
}
