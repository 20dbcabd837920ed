//! The volumes that a pod's containers mount: what is in them, and where they go. Pure: it makes and looks for nothing.
//!
//! Source of what upstream does: `pkg/volume/{configmap,secret,projected,downwardapi,hostpath}`, `pkg/kubelet/kubelet_pods.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::expand::expand;
use super::quantity::{ceil_div, nanos};
use super::source::Scope;
use super::{ConfigError, Host, Lookup, token};
use crate::text::Text;
use crate::volumes::{Content, File, HostKind, Volume, VolumeMount};

/// Which container mounts what: the pod, the container, and its variables for `subPathExpr`.
pub(super) struct Wanted<'a> {
    pub(super) pod: &'a Value,
    pub(super) spec: &'a Value,
    pub(super) variables: &'a BTreeMap<String, Text>,
}

/// Why a volume cannot be mounted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {cause}")]
pub struct VolumeError {
    /// Its name.
    pub volume: String,
    /// Why.
    pub cause: VolumeCause,
}

/// What keeps a volume from being made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeCause {
    /// A ConfigMap or Secret, a key or a field that is not there.
    #[error("{0}")]
    Config(Box<ConfigError>),
    /// A key of a ConfigMap that is named and not there.
    #[error("configmap references non-existent config key: {0}")]
    NoConfigKey(String),
    /// A key of a Secret that is named and not there.
    #[error("references non-existent secret key: {0}")]
    NoSecretKey(String),
    /// No token of the pod's service account.
    #[error("failed to fetch token: {0}")]
    NoToken(String),
    /// A value that is no base64.
    #[error("the value of key {0} is no base64")]
    NoBytes(String),
    /// A claim that is not there, or not bound.
    #[error("persistentvolumeclaim \"{0}\" {1}")]
    NoClaim(String, &'static str),
    /// A source that no host process can have.
    #[error("{0}")]
    Unsupported(String),
}

impl VolumeError {
    /// Whether it may come to be by itself, when somebody makes what is missing.
    pub(super) fn may_resolve(&self) -> bool {
        !matches!(self.cause, VolumeCause::Unsupported(_))
    }
}

/// The volumes that any container of the pod mounts, as upstream's kubelet sets up all before it starts one, and the
/// mounts of this one.
pub(super) fn of(
    wanted: &Wanted<'_>,
    lookup: &dyn Lookup,
    host: &Host,
) -> Result<(Vec<Volume>, Vec<VolumeMount>), ConfigError> {
    let used = used(wanted.pod);
    if used.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let group = wanted.pod["spec"]["securityContext"]["fsGroup"].as_u64();
    let group = group.and_then(|group| u32::try_from(group).ok());
    let sources = Sources { pod: wanted.pod, lookup, host };
    let mut volumes = Vec::new();
    for spec in wanted.pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let name = spec["name"].as_str().unwrap_or_default();
        if used.contains(name) {
            let content = sources.content(spec);
            let content = content.map_err(|cause| VolumeError { volume: name.to_owned(), cause })?;
            volumes.push(Volume { name: name.to_owned(), content, group });
        }
    }
    Ok((volumes, mounts(wanted)?))
}

/// The names of the volumes that any container mounts.
pub(super) fn used(pod: &Value) -> BTreeSet<&str> {
    let lists = ["initContainers", "containers"].into_iter();
    let containers = lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    let mounts = containers.flat_map(|container| container["volumeMounts"].as_array().into_iter().flatten());
    mounts.filter_map(|mount| mount["name"].as_str()).collect()
}

/// An empty directory that may not grow beyond a size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SizeLimit {
    /// The volume.
    pub volume: String,
    /// How much may be in it.
    pub bytes: u64,
    /// The same as the pod has it.
    pub text: String,
    /// Whether it is in memory.
    pub is_memory: bool,
}

/// The limits (`emptyDir.sizeLimit`) of the directories that a pod's containers mount. None of 0: as upstream.
#[must_use]
pub fn size_limits(pod: &Value) -> Vec<SizeLimit> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let limited = volumes.filter_map(|volume| {
        let (name, source) = (volume["name"].as_str()?, &volume["emptyDir"]);
        let text = source["sizeLimit"].as_str()?;
        let bytes = u64::try_from(ceil_div(nanos(text)?, 1_000_000_000)).ok().filter(|bytes| *bytes > 0)?;
        let is_memory = source["medium"] == "Memory";
        Some(SizeLimit { volume: name.to_owned(), bytes, text: text.to_owned(), is_memory })
    });
    let limited: Vec<SizeLimit> = limited.collect();
    if limited.is_empty() {
        return limited;
    }
    let used = used(pod);
    limited.into_iter().filter(|limit| used.contains(limit.volume.as_str())).collect()
}

fn mounts(wanted: &Wanted<'_>) -> Result<Vec<VolumeMount>, ConfigError> {
    let mut mounts = Vec::new();
    for mount in wanted.spec["volumeMounts"].as_array().into_iter().flatten() {
        let text = |field: &str| mount[field].as_str().unwrap_or_default();
        if text("mountPropagation") == "Bidirectional" {
            let what = format!("the volume \"{}\" with mounts that go back to the host", text("name"));
            return Err(ConfigError::NotOnHost(what));
        }
        let variable = |name: &str| wanted.variables.get(name).map(Text::as_bytes);
        let sub_path = match text("subPathExpr") {
            "" => text("subPath").to_owned(),
            expression => expand(expression, variable)
                .into_string()
                .map_err(|_| ConfigError::NotUtf8(format!("the subPathExpr {expression}")))?,
        };
        if sub_path.starts_with('/')
            || sub_path.split('/').any(|part| part == "..")
            || sub_path.contains("$(")
        {
            return Err(ConfigError::SubPath { volume: text("name").to_owned(), path: sub_path });
        }
        mounts.push(VolumeMount {
            volume: text("name").to_owned(),
            target: PathBuf::from(text("mountPath")),
            sub_path: (!sub_path.is_empty()).then(|| sub_path.into()),
            is_read_only: mount["readOnly"] == true,
        });
    }
    Ok(mounts)
}

/// Where what is in volumes comes from.
pub(super) struct Sources<'a> {
    pub(super) pod: &'a Value,
    pub(super) lookup: &'a dyn Lookup,
    pub(super) host: &'a Host,
}

impl Sources<'_> {
    pub(super) fn content(&self, volume: &Value) -> Result<Content, VolumeCause> {
        let source = |name: &str| volume.get(name).filter(|source| source.is_object());
        if let Some(empty) = source("emptyDir") {
            return match empty["medium"].as_str().unwrap_or_default() {
                "" => Ok(Content::Empty),
                "Memory" => Ok(Content::Memory),
                other => Err(unsupported(&format!("emptyDir of medium {other}"))),
            };
        }
        if let Some(path) = source("hostPath") {
            return Ok(host_path(path, false));
        }
        if let Some(source) = source("configMap") {
            return self.keys("configmap", source, "name", mode(source)).map(Content::Files);
        }
        if let Some(source) = source("secret") {
            return self.keys("secret", source, "secretName", mode(source)).map(Content::Files);
        }
        if let Some(source) = source("downwardAPI") {
            return self.downward(source, mode(source)).map(Content::Files);
        }
        if let Some(source) = source("projected") {
            return self.projected(source).map(Content::Files);
        }
        if let Some(source) = source("persistentVolumeClaim") {
            return self.claim(source);
        }
        let mut kinds = volume.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        Err(unsupported(kinds.find(|name| *name != "name").unwrap_or("no source")))
    }

    /// A ConfigMap's or Secret's keys as files; those that `items` names, or all.
    fn keys(
        &self,
        kind: &'static str,
        source: &Value,
        named: &str,
        default_mode: u32,
    ) -> Result<Vec<File>, VolumeCause> {
        let name = source[named].as_str().unwrap_or_default();
        let is_secret = kind == "secret";
        let (found, missing) = if is_secret {
            (self.lookup.secret(name), ConfigError::NoSecret(name.to_owned()))
        } else {
            (self.lookup.config_map(name), ConfigError::NoConfigMap(name.to_owned()))
        };
        let is_optional = source["optional"] == true;
        let Some(object) = found else {
            return if is_optional { Ok(Vec::new()) } else { Err(VolumeCause::Config(Box::new(missing))) };
        };
        let bytes = |key: &str| bytes(&object, is_secret, key);
        let Some(items) = source["items"].as_array().filter(|items| !items.is_empty()) else {
            let lists = ["data", "binaryData"].into_iter();
            let keys =
                lists.flat_map(|list| object[list].as_object().into_iter().flatten().map(|(key, _)| key));
            let file = |key: &String| {
                let bytes = bytes(key)?.unwrap_or_default();
                Ok(File { path: key.into(), bytes, mode: default_mode })
            };
            return keys.map(file).collect();
        };
        let mut files = Vec::new();
        for item in items {
            let key = item["key"].as_str().unwrap_or_default();
            match bytes(key)? {
                Some(bytes) => {
                    let path = item["path"].as_str().unwrap_or_default().into();
                    files.push(File { path, bytes, mode: mode_of(item, default_mode) });
                }
                None if is_optional => {}
                None if is_secret => return Err(VolumeCause::NoSecretKey(key.to_owned())),
                None => return Err(VolumeCause::NoConfigKey(key.to_owned())),
            }
        }
        Ok(files)
    }

    fn downward(&self, source: &Value, default_mode: u32) -> Result<Vec<File>, VolumeCause> {
        let scope = Scope::of(self.pod, &Value::Null, self.lookup, self.host);
        let file = |item: &Value| {
            let text = scope.file(item).map_err(|cause| VolumeCause::Config(Box::new(cause)))?;
            let path = item["path"].as_str().unwrap_or_default().into();
            Ok(File { path, bytes: text.into_bytes(), mode: mode_of(item, default_mode) })
        };
        source["items"].as_array().into_iter().flatten().map(file).collect()
    }

    fn projected(&self, source: &Value) -> Result<Vec<File>, VolumeCause> {
        let mut files = Vec::new();
        let mode = mode(source);
        for part in source["sources"].as_array().into_iter().flatten() {
            let (kind, part) =
                part.as_object().into_iter().flatten().next().map_or(("", &Value::Null), |(k, v)| (k, v));
            files.extend(match kind {
                "configMap" => self.keys("configmap", part, "name", mode)?,
                "secret" => self.keys("secret", part, "name", mode)?,
                "downwardAPI" => self.downward(part, mode)?,
                "serviceAccountToken" => vec![self.token(part, mode)?],
                other => return Err(unsupported(&format!("projected {other}"))),
            });
        }
        Ok(files)
    }

    fn token(&self, source: &Value, mode: u32) -> Result<File, VolumeCause> {
        let asked = token::read("", source, mode);
        let token = self.lookup.token(asked.audience.as_deref(), asked.seconds);
        Ok(asked.file(token.map_err(VolumeCause::NoToken)?))
    }

    fn claim(&self, source: &Value) -> Result<Content, VolumeCause> {
        let name = source["claimName"].as_str().unwrap_or_default();
        let missing = |why| VolumeCause::NoClaim(name.to_owned(), why);
        let claim = self.lookup.claim(name).ok_or_else(|| missing("not found"))?;
        if claim["status"]["phase"] != "Bound" {
            return Err(missing("is not bound"));
        }
        let volume = claim["spec"]["volumeName"].as_str().and_then(|name| self.lookup.volume(name));
        let volume = volume.ok_or_else(|| missing("is bound to a volume that is not there"))?;
        let is_read_only = source["readOnly"] == true;
        let content = if volume["spec"]["hostPath"].is_object() {
            host_path(&volume["spec"]["hostPath"], is_read_only)
        } else if volume["spec"]["local"].is_object() {
            // Nobody makes what a local volume is of.
            host_path(&json!({"path": volume["spec"]["local"]["path"], "type": THERE}), is_read_only)
        } else {
            return Err(unsupported("persistentVolumeClaim of a volume that is neither hostPath nor local"));
        };
        Ok(content)
    }
}

/// The bytes of a key; none if there is no such key.
fn bytes(object: &Value, is_secret: bool, key: &str) -> Result<Option<Vec<u8>>, VolumeCause> {
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| VolumeCause::NoBytes(key.to_owned()));
    match (object["data"][key].as_str(), object["binaryData"][key].as_str()) {
        (Some(text), _) if is_secret => decode(text).map(Some),
        (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(text)) => decode(text).map(Some),
        (None, None) => Ok(None),
    }
}

/// No type that a client can give.
const THERE: &str = "There";

fn host_path(source: &Value, is_read_only: bool) -> Content {
    let kind = match source["type"].as_str().unwrap_or_default() {
        "DirectoryOrCreate" => HostKind::DirectoryOrCreate,
        "Directory" => HostKind::Directory,
        "FileOrCreate" => HostKind::FileOrCreate,
        "File" => HostKind::File,
        "Socket" => HostKind::Socket,
        "CharDevice" => HostKind::CharDevice,
        "BlockDevice" => HostKind::BlockDevice,
        THERE => HostKind::There,
        _ => HostKind::Any,
    };
    Content::Host { path: source["path"].as_str().unwrap_or_default().into(), kind, is_read_only }
}

/// `defaultMode`, or what the API gives where it is not said.
pub(super) fn mode(source: &Value) -> u32 {
    source["defaultMode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644)
}

fn mode_of(item: &Value, default: u32) -> u32 {
    item["mode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).unwrap_or(default)
}

fn unsupported(what: &str) -> VolumeCause {
    VolumeCause::Unsupported(format!(
        "{what} is not among the volumes of a host process (emptyDir, hostPath, configMap, secret, downwardAPI, \
         projected of these, persistentVolumeClaim)"
    ))
}
