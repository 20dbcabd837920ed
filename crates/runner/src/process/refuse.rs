//! Why a container's process cannot be made, and the things that a host process cannot have.

use serde_json::Value;

use super::{Host, VolumeError};
use crate::kubelet::PodView;

/// Why a process cannot be made. The text is the message of the container's waiting state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The pod has no such container.
    #[error("the pod has no container \"{0}\"")]
    NoContainer(String),
    /// Neither is there an image whose command could be taken.
    #[error(
        "no command specified: a host process has no image to take one from; set the container's command"
    )]
    NoCommand,
    /// A ConfigMap is missing.
    #[error("configmap \"{0}\" not found")]
    NoConfigMap(String),
    /// A Secret is missing.
    #[error("secret \"{0}\" not found")]
    NoSecret(String),
    /// A key is missing; the kind is `ConfigMap` or `Secret`.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey {
        /// The key.
        key: String,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// The pod's namespace.
        namespace: String,
        /// The object's name.
        name: String,
    },
    /// A Secret's value holds a NUL byte, or is no base64.
    #[error(
        "the value of key {key} in Secret {namespace}/{name} cannot be a variable: it holds a NUL byte; mount it as a file"
    )]
    NoText {
        /// The key.
        key: String,
        /// The pod's namespace.
        namespace: String,
        /// The Secret's name.
        name: String,
    },
    /// What variables make of an argument or a path is not UTF-8.
    #[error("{0} is not UTF-8 with the values of its variables, which only variables and files can be")]
    NotUtf8(String),
    /// `fieldRef` names something that variables cannot have.
    #[error("field label not supported: {0}")]
    NoField(String),
    /// `resourceFieldRef` names something that there is not.
    #[error("unsupported container resource : {0}")]
    NoResource(String),
    /// A variable has a source that is not known here.
    #[error("the source of variable {0} is not supported for host processes")]
    NoSource(String),
    /// The container asks for something that a process on the host cannot have.
    #[error("a host process cannot have {0}")]
    NotOnHost(String),
    /// A volume that is not there, or cannot be.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A `subPath` or `subPathExpr` that names no part of the volume.
    #[error("failed to prepare subPath for volume \"{volume}\": {path} is no path below it")]
    SubPath {
        /// The volume.
        volume: String,
        /// What was asked for.
        path: String,
    },
    /// `runAsNonRoot` where the engine runs as root.
    #[error("container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})")]
    Root {
        /// The pod: `NAME_NAMESPACE(UID)`.
        pod: String,
        /// The container.
        container: String,
    },
    /// `runAsNonRoot` beside `runAsUser: 0`.
    #[error("container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})")]
    RootUser {
        /// The pod: `NAME_NAMESPACE(UID)`.
        pod: String,
        /// The container.
        container: String,
    },
}

impl ConfigError {
    /// The reason of the container's waiting state.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            // Upstream has them refused by the CRI, whose arguments are text (`ContainerConfig` in its api.proto).
            ConfigError::NoCommand | ConfigError::NotUtf8(_) => "CreateContainerError",
            // As upstream: nothing of the pod is made before its volumes are.
            ConfigError::Volume(cause) if cause.may_resolve() => "ContainerCreating",
            _ => "CreateContainerConfigError",
        }
    }
}

/// Refuses what would silently be missing.
pub(super) fn check(pod: &Value, spec: &Value, host: &Host) -> Result<(), ConfigError> {
    let has = |words: &str| spec[words].as_array().is_some_and(|words| !words.is_empty());
    // The words for an image's entrypoint are the command where images' commands run on the host.
    let names_an_image = pod["spec"]["runtimeClassName"].as_str().is_none_or(str::is_empty);
    if !(has("command") || names_an_image && has("args")) {
        return Err(ConfigError::NoCommand);
    }
    if let Some(first) = spec["volumeDevices"].as_array().and_then(|list| list.first()) {
        let (name, path) = (first["name"].as_str().unwrap_or(""), first["devicePath"].as_str().unwrap_or(""));
        return Err(ConfigError::NotOnHost(format!("the volume \"{name}\" as a device at {path}")));
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        if spec[probe]["grpc"].is_object() {
            return Err(ConfigError::NotOnHost(format!(
                "a {probe} of gRPC; let it be an exec that asks, an httpGet or a tcpSocket"
            )));
        }
    }
    let rules = spec["restartPolicyRules"].as_array().into_iter().flatten();
    if rules.into_iter().any(|rule| rule["action"] == "RestartAllContainers") {
        let what = "a restart rule that restarts all containers; let its action be Restart";
        return Err(ConfigError::NotOnHost(what.to_owned()));
    }
    check_user(pod, spec, host)
}

fn check_user(pod: &Value, spec: &Value, host: &Host) -> Result<(), ConfigError> {
    let of = |field: &str| {
        let both = [&spec["securityContext"][field], &pod["spec"]["securityContext"][field]];
        both.into_iter().find(|value| !value.is_null()).cloned().unwrap_or(Value::Null)
    };
    let user = of("runAsUser").as_u64();
    if of("runAsNonRoot") == true {
        // Upstream: `verifyRunAsNonRoot` in pkg/kubelet/kuberuntime/security_context_others.go.
        let (pod, container) =
            (PodView::from(pod).full_name(), spec["name"].as_str().unwrap_or("").to_owned());
        match user {
            Some(0) => return Err(ConfigError::RootUser { pod, container }),
            None if host.uid == 0 => return Err(ConfigError::Root { pod, container }),
            _ => {}
        }
    }
    if let Some(user) = user
        && user != u64::from(host.uid)
    {
        return Err(ConfigError::NotOnHost(format!("the user {user}: it runs as {}", host.uid)));
    }
    if let Some(group) = of("runAsGroup").as_u64()
        && group != u64::from(host.gid)
    {
        return Err(ConfigError::NotOnHost(format!("the group {group}: it runs as {}", host.gid)));
    }
    if host.uid != 0 {
        // What an ordinary user has not got and cannot be given.
        let own = &spec["securityContext"];
        if own["privileged"] == true {
            return Err(ConfigError::NotOnHost(format!("privileges: it runs as the user {}", host.uid)));
        }
        let added = own["capabilities"]["add"].as_array().and_then(|list| list.first()?.as_str());
        if let Some(name) = added {
            let what = format!("the capability {name}: it runs as the user {}", host.uid);
            return Err(ConfigError::NotOnHost(what));
        }
    }
    let sysctls = pod["spec"]["securityContext"]["sysctls"].as_array();
    if let Some(first) = sysctls.and_then(|list| list.first()) {
        let name = first["name"].as_str().unwrap_or_default();
        return Err(ConfigError::NotOnHost(format!("the sysctl {name} of its own: the host's is for all")));
    }
    if spec["securityContext"]["readOnlyRootFilesystem"] == true {
        return Err(ConfigError::NotOnHost("a root file system that is read-only".to_owned()));
    }
    Ok(())
}
