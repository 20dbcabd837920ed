//! The objects that an engine has from its first moment: its namespaces, its node, the class of host processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use windlass_apiserver::error::ApiError;
use windlass_apiserver::kinds;
use windlass_apiserver::registry::{Door, Registry};

use crate::gpus::{self, Gpus};
use crate::roles::Role;
use crate::world::rfc3339;

/// How many pods may run at once. Each is a process or more; what the system allows of those is far less than the
/// kernel's tables hold, and the shim queues what exceeds its descriptors.
const PODS: &str = "10000";

/// What the machine offers.
pub(crate) struct Machine {
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: u64,
    /// Of the file system that holds the home.
    pub(crate) storage_bytes: u64,
    pub(crate) hostname: String,
    pub(crate) kernel: String,
    pub(crate) os: String,
    pub(crate) boot_id: String,
    pub(crate) gpus: Gpus,
    /// The kinds of GPUs of which the engine was told which are its own.
    pub(crate) confined: BTreeSet<&'static str>,
}

impl Machine {
    /// Reads what the machine says of itself; what it does not say is left empty.
    pub(crate) fn read(home: &Path, devices: &Path, allotted: &BTreeMap<String, String>) -> Machine {
        let (gpus, confined) = gpus::allotted(gpus::find(devices), allotted);
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let memory = text("/proc/meminfo");
        let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib =
            kib.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|n| n.trim().parse::<u64>().ok());
        let release = text("/etc/os-release");
        let os = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: limited(kib.unwrap_or(0) * 1024, text),
            storage_bytes: storage(home),
            hostname: text("/proc/sys/kernel/hostname").trim().to_owned(),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            os: os.unwrap_or("Linux").trim_matches('"').to_owned(),
            boot_id: text("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            gpus,
            confined,
        }
    }
}

/// The memory, or what a control group around the engine leaves of it.
fn limited(memory_bytes: u64, text: impl Fn(&str) -> String) -> u64 {
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|path| text(path).trim().parse::<u64>().ok())
        .fold(memory_bytes, u64::min)
}

/// The size of a directory's file system; 0 if the system does not say.
fn storage(directory: &Path) -> u64 {
    let Ok(stat) = nix::sys::statvfs::statvfs(directory) else { return 0 };
    stat.blocks().saturating_mul(stat.fragment_size())
}

impl Machine {
    /// What pods may use of it: all there is.
    pub(crate) fn allocatable(&self) -> BTreeMap<String, String> {
        let memory = format!("{}Ki", self.memory_bytes / 1024);
        let storage = self.storage_bytes.to_string();
        [
            ("cpu", self.cpus.to_string()),
            ("ephemeral-storage", storage),
            ("memory", memory),
            ("pods", PODS.to_owned()),
        ]
        .map(|(name, amount)| (name.to_owned(), amount))
        .into()
    }
}

/// Makes what is missing and brings the node up to date.
pub(crate) async fn ensure(registry: &Registry, node: &str, machine: &Machine) -> Result<(), ApiError> {
    for name in ["default", "kube-system", "kube-public"] {
        create(registry, "v1", "Namespace", json!({"metadata": {"name": name}})).await?;
    }
    // The first thing that somebody asks for finds it; other namespaces are given theirs by their controller.
    let account = json!({"metadata": {"namespace": "default", "name": "default"}});
    create(registry, "v1", "ServiceAccount", account).await?;
    for role in Role::ALL {
        ensure_account(registry, role).await?;
    }
    let class = json!({"metadata": {"name": "windlass-host"}, "handler": "windlass-host"});
    create(registry, "node.k8s.io/v1", "RuntimeClass", class).await?;
    for class in kinds::priority_class::system_classes() {
        create(registry, "scheduling.k8s.io/v1", "PriorityClass", class).await?;
    }
    create(registry, "storage.k8s.io/v1", "StorageClass", windlass_control::claims::default_class()).await?;
    let labels = labels(node);
    create(registry, "v1", "Node", json!({"metadata": {"name": node, "labels": labels}})).await?;
    let status = status(node, machine, registry.world.now());
    let Some(kind) = kinds::by_kind("v1", "Node") else { return Ok(()) };
    let found: Counts =
        machine.gpus.iter().map(|(name, all)| ((*name).to_owned(), all.len().to_string())).collect();
    let change = move |old: &Value| {
        let mut new = old.clone();
        new["status"] = status.clone();
        extend(&mut new, old, &found);
        Ok(new)
    };
    registry.update(kind, None, node, Door::Engine, false, std::sync::Arc::new(change)).await?;
    Ok(())
}

/// Makes the service account of a role: who has its token has the role. Made anew, it has none of its old tokens.
async fn ensure_account(registry: &Registry, role: Role) -> Result<(), ApiError> {
    let labels = json!({Role::LABEL: role.name()});
    let meta = json!({"name": role.account(), "namespace": Role::NAMESPACE, "labels": labels});
    create(registry, "v1", "ServiceAccount", json!({"metadata": meta})).await
}

/// The API's own service, which says where it listens. It is written again only where that has changed.
pub(crate) async fn ensure_service(registry: &Registry, address: SocketAddr) -> Result<(), ApiError> {
    let service = kinds::service::of_api(&address.ip().to_string(), address.port());
    let name = service["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let spec = service["spec"].clone();
    create(registry, "v1", "Service", service).await?;
    let Some(kind) = kinds::by_kind("v1", "Service") else { return Ok(()) };
    let change = move |old: &Value| {
        let mut new = old.clone();
        new["spec"] = spec.clone();
        Ok(new)
    };
    let change = std::sync::Arc::new(change);
    registry.update(kind, Some("default"), &name, Door::Engine, false, change).await?;
    Ok(())
}

/// Amounts of extended resources.
type Counts = BTreeMap<String, String>;

/// On the node: the GPUs that the last engine found, as JSON.
const FOUND: &str = "devices.windlass.dev/found";

/// Extended resources: what was written into the node's status stays, whatever was found; what nobody wrote is what was
/// found now.
fn extend(new: &mut Value, old: &Value, found: &Counts) {
    let noted = old["metadata"]["annotations"][FOUND].as_str();
    let before: Counts = noted.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for list in ["capacity", "allocatable"] {
        for (name, amount) in found {
            new["status"][list][name] = amount.as_str().into();
        }
        let known = old["status"][list].as_object().into_iter().flatten();
        let is_written =
            |name: &str, amount: &Value| before.get(name).is_none_or(|found| amount != found.as_str());
        for (name, amount) in known.filter(|(name, amount)| name.contains('/') && is_written(name, amount)) {
            new["status"][list][name] = amount.clone();
        }
    }
    if *found != before {
        new["metadata"]["annotations"][FOUND] = json!(found).to_string().into();
    }
}

async fn create(registry: &Registry, api_version: &str, kind: &str, object: Value) -> Result<(), ApiError> {
    let Some(kind) = kinds::by_kind(api_version, kind) else {
        return Err(ApiError::internal(format_args!("{api_version} {kind} is not served")));
    };
    let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    // Nobody else writes yet; and an engine that starts again pays for no transaction that is refused.
    if registry.entry(kind, namespace.as_deref(), name).is_ok() {
        return Ok(());
    }
    registry.create(kind, namespace.as_deref(), object, false).await?;
    Ok(())
}

/// The node's labels.
pub(crate) fn labels(node: &str) -> BTreeMap<String, String> {
    [("hostname", node), ("os", "linux"), ("arch", architecture())]
        .map(|(name, value)| (format!("kubernetes.io/{name}"), value.to_owned()))
        .into()
}

/// The architecture by its name in Go, as Kubernetes has it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status(node: &str, machine: &Machine, now: Timestamp) -> Value {
    let resources = machine.allocatable();
    json!({
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": machine.hostname},
        ],
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "EngineReady",
            "message": format!("{node} runs host processes"),
            "lastHeartbeatTime": rfc3339(now), "lastTransitionTime": rfc3339(now),
        }],
        "nodeInfo": {
            "architecture": architecture(), "operatingSystem": "linux", "osImage": machine.os,
            "kernelVersion": machine.kernel, "kubeletVersion": concat!("v1.36.0+windlass-", env!("CARGO_PKG_VERSION")),
            "containerRuntimeVersion": concat!("windlass://", env!("CARGO_PKG_VERSION")),
            "bootID": machine.boot_id, "machineID": "", "systemUUID": "", "kubeProxyVersion": "",
        },
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "images": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(old: &Value, found: &[(&str, &str)]) -> Value {
        let mut new = json!({"metadata": old["metadata"], "status": {"capacity": {"cpu": "8"}, "allocatable": {"cpu": "8"}}});
        let found = found.iter().map(|(name, count)| ((*name).to_owned(), (*count).to_owned())).collect();
        extend(&mut new, old, &found);
        new
    }

    #[test]
    fn found_gpus_come_and_go_and_what_somebody_wrote_stays() {
        let first = started(&json!({"metadata": {}}), &[("nvidia.com/gpu", "2")]);
        assert_eq!(first["status"]["allocatable"], json!({"cpu": "8", "nvidia.com/gpu": "2"}));
        let gone = started(&first, &[]);
        assert_eq!(gone["status"]["allocatable"], json!({"cpu": "8"}));
        let mut written = first;
        for list in ["capacity", "allocatable"] {
            written["status"][list]["nvidia.com/gpu"] = "1".into();
            written["status"][list]["example.com/widget"] = "7".into();
        }
        let kept = started(&written, &[("nvidia.com/gpu", "2")]);
        assert_eq!(
            kept["status"]["capacity"],
            json!({"cpu": "8", "nvidia.com/gpu": "1", "example.com/widget": "7"})
        );
        assert_eq!(started(&kept, &[])["status"]["capacity"]["nvidia.com/gpu"], "1");
        let none = json!({"metadata": {}});
        assert_eq!(started(&none, &[])["metadata"], json!({}), "nothing is noted where nothing is found");
    }
}
