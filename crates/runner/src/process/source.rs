//! A container's own variables: `envFrom`, then `env` with its sources.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::quantity::{ceil_div, nanos};
use super::{ConfigError, Host, Lookup, expand};
use crate::text::Text;

/// The variables that a container's specification gives.
#[derive(Default)]
pub(super) struct Given {
    pub(super) values: BTreeMap<String, Text>,
    /// Names in the order in which they were first given.
    pub(super) order: Vec<String>,
    pub(super) skipped: Vec<String>,
}

/// Where references are resolved.
pub(super) struct Scope<'a> {
    pod: &'a Value,
    spec: &'a Value,
    lookup: &'a dyn Lookup,
    host: &'a Host,
    namespace: &'a str,
}

/// Collects them.
pub(super) fn environment(
    pod: &Value,
    spec: &Value,
    lookup: &dyn Lookup,
    host: &Host,
) -> Result<Given, ConfigError> {
    let scope = Scope::of(pod, spec, lookup, host);
    let mut given = Given::default();
    for source in spec["envFrom"].as_array().into_iter().flatten() {
        scope.add_all(&mut given, source)?;
    }
    for variable in spec["env"].as_array().into_iter().flatten() {
        let Some(name) = variable["name"].as_str() else { continue };
        let value = match variable.get("valueFrom").filter(|from| !from.is_null()) {
            Some(from) => scope.resolve(name, from)?,
            None => {
                let text = variable["value"].as_str().unwrap_or("");
                Some(expand::expand(text, |name| given.values.get(name).map(Text::as_bytes)))
            }
        };
        if let Some(value) = value {
            given.set(name, value);
        }
    }
    Ok(given)
}

impl Given {
    fn set(&mut self, name: &str, value: Text) {
        if self.values.insert(name.to_owned(), value).is_none() {
            self.order.push(name.to_owned());
        }
    }
}

impl<'a> Scope<'a> {
    /// A container of a pod, or the pod as a whole where the container is null.
    pub(super) fn of(pod: &'a Value, spec: &'a Value, lookup: &'a dyn Lookup, host: &'a Host) -> Scope<'a> {
        let namespace = pod.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default");
        Scope { pod, spec, lookup, host, namespace }
    }
}

impl Scope<'_> {
    /// What a file of the downward API holds (upstream: pkg/fieldpath, pkg/volume/downwardapi).
    pub(super) fn file(&self, item: &Value) -> Result<String, ConfigError> {
        if item["resourceFieldRef"].is_object() {
            return self.resource(&item["resourceFieldRef"]);
        }
        let path = item["fieldRef"]["fieldPath"].as_str().unwrap_or("");
        match path {
            "metadata.labels" | "metadata.annotations" => {
                let list = self.pod["metadata"][path.trim_start_matches("metadata.")].as_object();
                let lines = list
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| format!("{key}={}", quoted(value.as_str().unwrap_or(""))));
                Ok(lines.collect::<Vec<_>>().join("\n"))
            }
            path => self.field(path),
        }
    }

    fn add_all(&self, given: &mut Given, source: &Value) -> Result<(), ConfigError> {
        let prefix = source["prefix"].as_str().unwrap_or("");
        let (kind, reference) = match (source.get("configMapRef"), source.get("secretRef")) {
            (Some(reference), _) if reference.is_object() => ("ConfigMap", reference),
            (_, Some(reference)) if reference.is_object() => ("Secret", reference),
            _ => return Ok(()),
        };
        let Some((name, object)) = self.object(kind, reference)? else { return Ok(()) };
        let mut skipped = Vec::new();
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            let variable = format!("{prefix}{key}");
            if is_variable_name(&variable) {
                given.set(&variable, self.text(kind, name, key, value)?);
            } else {
                skipped.push(key.clone());
            }
        }
        if !skipped.is_empty() {
            let keys = skipped.join(", ");
            given.skipped.push(format!(
                "Keys [{keys}] from the EnvFrom {kind} {}/{name} were skipped since they are considered invalid \
                 environment variable names.",
                self.namespace
            ));
        }
        Ok(())
    }

    /// The object that a reference names; `None` if it is not there and need not be.
    fn object<'r>(&self, kind: &str, reference: &'r Value) -> Result<Option<(&'r str, Value)>, ConfigError> {
        let name = reference["name"].as_str().unwrap_or("");
        let (found, missing) = if kind == "ConfigMap" {
            (self.lookup.config_map(name), ConfigError::NoConfigMap(name.to_owned()))
        } else {
            (self.lookup.secret(name), ConfigError::NoSecret(name.to_owned()))
        };
        match found {
            Some(object) => Ok(Some((name, object))),
            None if reference["optional"] == true => Ok(None),
            None => Err(missing),
        }
    }

    /// A Secret's bytes as they are, whether they are UTF-8 or not (upstream: `generateContainerConfig` in
    /// pkg/kubelet/kuberuntime/kuberuntime_container.go; a variable's value is bytes in the CRI of 1.36).
    fn text(&self, kind: &str, name: &str, key: &str, value: &Value) -> Result<Text, ConfigError> {
        let text = value.as_str().unwrap_or("");
        if kind == "ConfigMap" {
            return Ok(text.into());
        }
        let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.contains(&0));
        bytes.map(Text::from).ok_or_else(|| ConfigError::NoText {
            key: key.to_owned(),
            namespace: self.namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    fn resolve(&self, variable: &str, from: &Value) -> Result<Option<Text>, ConfigError> {
        let of = |name: &str| from.get(name).filter(|value| value.is_object());
        if let Some(reference) = of("configMapKeyRef") {
            self.key("ConfigMap", reference)
        } else if let Some(reference) = of("secretKeyRef") {
            self.key("Secret", reference)
        } else if let Some(reference) = of("fieldRef") {
            self.field(reference["fieldPath"].as_str().unwrap_or("")).map(|text| Some(text.into()))
        } else if let Some(reference) = of("resourceFieldRef") {
            self.resource(reference).map(|text| Some(text.into()))
        } else {
            Err(ConfigError::NoSource(variable.to_owned()))
        }
    }

    fn key(&self, kind: &'static str, reference: &Value) -> Result<Option<Text>, ConfigError> {
        let Some((name, object)) = self.object(kind, reference)? else { return Ok(None) };
        let key = reference["key"].as_str().unwrap_or("");
        match object["data"].get(key) {
            Some(value) => self.text(kind, name, key, value).map(Some),
            None if reference["optional"] == true => Ok(None),
            None => {
                let (key, namespace, name) = (key.to_owned(), self.namespace.to_owned(), name.to_owned());
                Err(ConfigError::NoKey { key, kind, namespace, name })
            }
        }
    }

    fn field(&self, path: &str) -> Result<String, ConfigError> {
        let unknown = || ConfigError::NoField(path.to_owned());
        for (list, field) in [("metadata.labels[", "labels"), ("metadata.annotations[", "annotations")] {
            if let Some(rest) = path.strip_prefix(list) {
                let key =
                    rest.strip_suffix(']').map(|key| key.trim_matches(['\'', '"'])).ok_or_else(unknown)?;
                return Ok(self.pod["metadata"][field][key].as_str().unwrap_or("").to_owned());
            }
        }
        let text = |pointer: &str| self.pod.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        // Host processes have the loopback address until the status says another.
        let address =
            |pointer: &str| Some(text(pointer)).filter(|ip| !ip.is_empty()).unwrap_or("127.0.0.1".into());
        Ok(match path {
            "metadata.name" => text("/metadata/name"),
            "metadata.namespace" => text("/metadata/namespace"),
            "metadata.uid" => text("/metadata/uid"),
            "spec.nodeName" => text("/spec/nodeName"),
            "spec.serviceAccountName" => text("/spec/serviceAccountName"),
            "status.hostIP" => address("/status/hostIP"),
            "status.podIP" => address("/status/podIP"),
            "status.hostIPs" => self.addresses("hostIPs"),
            "status.podIPs" => self.addresses("podIPs"),
            _ => return Err(unknown()),
        })
    }

    fn addresses(&self, list: &str) -> String {
        let entries = self.pod["status"][list].as_array().into_iter().flatten();
        let ips: Vec<&str> = entries.filter_map(|entry| entry["ip"].as_str()).collect();
        if ips.is_empty() { "127.0.0.1".to_owned() } else { ips.join(",") }
    }

    /// Rounded up by the divisor; a limit that is not set, or is 0, is what the node has (upstream:
    /// `MergeContainerResourceLimits` in pkg/api/v1/resource/helpers.go).
    fn resource(&self, reference: &Value) -> Result<String, ConfigError> {
        let resource = reference["resource"].as_str().unwrap_or("");
        let unknown = || ConfigError::NoResource(resource.to_owned());
        let (list, name) = resource.split_once('.').ok_or_else(unknown)?;
        let is_known =
            matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
        if !is_known || !matches!(list, "limits" | "requests") {
            return Err(unknown());
        }
        let of = reference["containerName"].as_str().filter(|name| !name.is_empty());
        let spec = match of {
            Some(container) => self.container(container).ok_or_else(unknown)?,
            None => self.spec,
        };
        let set =
            spec["resources"][list][name].as_str().filter(|set| list == "requests" || nanos(set) != Some(0));
        let most = || self.host.allocatable.get(name).filter(|_| list == "limits").cloned();
        let value = set.map(str::to_owned).or_else(most);
        let value = nanos(value.as_deref().unwrap_or("0")).ok_or_else(unknown)?;
        let divisor = reference["divisor"].as_str().and_then(nanos).filter(|&divisor| divisor > 0);
        Ok(ceil_div(value, divisor.unwrap_or(1_000_000_000)).to_string())
    }

    fn container(&self, name: &str) -> Option<&Value> {
        let lists = ["initContainers", "containers"].into_iter();
        lists.filter_map(|list| self.pod["spec"][list].as_array()).flatten().find(|spec| spec["name"] == name)
    }
}

/// A text as Go quotes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            char if char.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// Printable ASCII without `=` (apimachinery: `IsRelaxedEnvVarName`).
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}
