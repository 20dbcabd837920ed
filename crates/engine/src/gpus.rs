//! GPUs: which the machine has, which pod has which, and how its processes are told.
//!
//! The kernel's directories are read once, when an engine starts. Nothing fences a process of the host off from a device:
//! it is told which ones are its own, by the variables that the vendors' libraries go by. What a container sets itself
//! wins. A pod that asks for none is told nothing as long as nobody was promised a device, so that a machine alone with
//! its user is as it always was; from then on it is told those that are left.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use windlass_apiserver::registry::Object;
use windlass_control::schedule::{Devices, Grant};
use windlass_runner::kubelet::Action;

use crate::tick::Tick;

/// On a pod: the devices that it was given when it was bound (`Grant`'s text).
const ASSIGNED: &str = "devices.windlass.dev/assigned";
/// NVIDIA's GPUs, as NVIDIA's own device plugin calls them.
const NVIDIA: &str = "nvidia.com/gpu";
/// AMD's GPUs, as AMD's own device plugin calls them.
const AMD: &str = "amd.com/gpu";
/// The resources whose processes are told by variables.
const TOLD: [&str; 2] = [NVIDIA, AMD];
/// Of a resource of which the node has more, pods get a number, and no devices.
const MOST: usize = 1024;

/// A GPU that the machine has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gpu {
    /// What it is called here, the same after each start of the machine: its PCI address or its file.
    pub(crate) id: String,
    /// What its vendor's libraries call it wherever it is, if the driver has said so.
    pub(crate) uuid: Option<String>,
}

/// GPUs by the resource that they are, in the order in which the vendor's libraries count them.
pub(crate) type Gpus = BTreeMap<&'static str, Vec<Gpu>>;

/// The GPUs that the directories below `root` tell of (`/` is the machine): those that a process can open.
pub(crate) fn find(root: &Path) -> Gpus {
    let found = [(NVIDIA, nvidia(root)), (AMD, amd(root))];
    found.into_iter().filter(|(_, gpus)| !gpus.is_empty()).collect()
}

/// Those of NVIDIA's driver; where only their files are (a container), those.
///
/// Source: the driver's README, chapter on `/proc/driver/nvidia`.
fn nvidia(root: &Path) -> Vec<Gpu> {
    let driver = root.join("proc/driver/nvidia/gpus");
    let addresses = names(&driver);
    if addresses.is_empty() {
        let mut files: Vec<u32> = names(&root.join("dev"))
            .iter()
            .filter_map(|name| name.strip_prefix("nvidia")?.parse().ok())
            .collect();
        files.sort_unstable();
        return files.into_iter().map(|minor| Gpu { id: format!("nvidia{minor}"), uuid: None }).collect();
    }
    let gpu = |address: String| {
        let text = std::fs::read_to_string(driver.join(&address).join("information")).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
            line.map(str::trim).filter(|value| !value.is_empty())
        };
        let is_shut = field("GPU Excluded").is_some_and(|value| value.eq_ignore_ascii_case("yes"))
            || field("Device Minor").is_some_and(|minor| !root.join(format!("dev/nvidia{minor}")).exists());
        // Of a GPU that nobody has opened yet the driver writes question marks.
        let uuid = field("GPU UUID").filter(|uuid| uuid.starts_with("GPU-") && !uuid.contains('?'));
        (!is_shut).then(|| Gpu { uuid: uuid.map(str::to_owned), id: address })
    };
    addresses.into_iter().filter_map(gpu).collect()
}

/// Those of the kernel's compute driver for AMD, which ROCm counts in the order of its nodes.
///
/// Source: Linux, `drivers/gpu/drm/amd/amdkfd/kfd_topology.c`.
fn amd(root: &Path) -> Vec<Gpu> {
    let nodes = root.join("sys/class/kfd/kfd/topology/nodes");
    if !root.join("dev/kfd").exists() {
        return Vec::new();
    }
    let mut numbers: Vec<u32> = names(&nodes).iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    let gpu = |number: u32| {
        let text = |name: &str| std::fs::read_to_string(nodes.join(number.to_string()).join(name)).ok();
        // The processor's node has 0; one that a container may not use cannot be read.
        text("gpu_id").filter(|id| !matches!(id.trim(), "" | "0"))?;
        let properties = text("properties")?;
        let minor = properties.lines().find_map(|line| line.strip_prefix("drm_render_minor "))?;
        let file = format!("renderD{}", minor.trim());
        root.join("dev/dri").join(&file).exists().then_some(Gpu { id: file, uuid: None })
    };
    numbers.into_iter().filter_map(gpu).collect()
}

/// The names in a directory, in order; none if it cannot be read.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names.truncate(1 << 16);
    names
}

/// The devices behind what the node offers: those that were found, and numbers for what was declared beyond them.
pub(crate) fn devices(offered: &Value, found: &Gpus) -> Devices {
    let list = |name: &str, amount: &Value| {
        let count: usize = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned).parse().ok()?;
        let known = found.get(name).map(Vec::as_slice).unwrap_or_default().iter().map(|gpu| gpu.id.clone());
        let known: Vec<String> = known.take(count).collect();
        let beyond = (known.len()..count).map(|number| number.to_string());
        (name.contains('/') && count <= MOST).then(|| known.iter().cloned().chain(beyond).collect())
    };
    let lists = offered.as_object().into_iter().flatten();
    Devices::new(lists.filter_map(|(name, amount)| Some((name.clone(), list(name, amount)?))).collect())
}

/// Writes on a pod which devices it has; none: that what somebody else wrote there is not so.
pub(crate) fn record(pod: &mut Object, grant: Option<String>) {
    match grant {
        Some(grant) => pod["metadata"]["annotations"][ASSIGNED] = grant.into(),
        None if pod.metadata()["annotations"][ASSIGNED].is_null() => {}
        None => {
            if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
                annotations.remove(ASSIGNED);
            }
        }
    }
}

/// The devices that a stored pod has.
pub(crate) fn recorded(pod: &Object) -> Grant {
    pod.metadata()["annotations"][ASSIGNED].as_str().map(Grant::read).unwrap_or_default()
}

/// The variables for devices at these places of their list: by name if all have one, otherwise by number.
fn variables(resource: &str, places: &[usize], names: Option<Vec<&str>>) -> Vec<(&'static str, String)> {
    let is_named = names.is_some();
    let list = match names {
        Some(names) => places.iter().filter_map(|place| names.get(*place).map(ToString::to_string)).collect(),
        None => places.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }
    .join(",");
    if resource == AMD {
        // Not HIP_VISIBLE_DEVICES besides: that one counts among what this one has left.
        return vec![("ROCR_VISIBLE_DEVICES", list)];
    }
    let container = if list.is_empty() { "void".to_owned() } else { list.clone() };
    let mut all = vec![("CUDA_VISIBLE_DEVICES", list), ("NVIDIA_VISIBLE_DEVICES", container)];
    if !is_named {
        // By default CUDA counts the fastest first.
        all.push(("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()));
    }
    all
}

impl Tick {
    /// What a container's process is told of devices.
    ///
    /// # Errors
    /// One that the pod was given is not there any more.
    pub(crate) fn told_of_devices(
        &self,
        pod: &Object,
        container: &str,
    ) -> Result<Vec<(&'static str, String)>, String> {
        let mut told = Vec::new();
        if !self.room.has_granted() {
            return Ok(told);
        }
        for resource in TOLD {
            let Some(visible) = self.visible(pod, container, resource) else { continue };
            let all = self.room.devices(resource);
            let place = |id: &str| {
                let place = all.iter().position(|known| known == id);
                place.ok_or_else(|| {
                    format!(
                        "the device {id} ({resource}) that this pod was given is not on the node any more"
                    )
                })
            };
            let places = visible.into_iter().map(place).collect::<Result<Vec<usize>, String>>()?;
            told.extend(variables(resource, &places, self.names_of(resource, all)));
        }
        Ok(told)
    }

    /// The devices of a resource that a container is told of; none if it is told nothing.
    fn visible<'a>(&'a self, pod: &'a Object, container: &str, resource: &'a str) -> Option<Vec<&'a str>> {
        let grant = self.room.granted(pod.text("uid"));
        if let Some(grant) = grant.filter(|grant| !grant.of(resource).is_empty()) {
            let share = grant.share(resource, pod.spec(), container);
            return Some(share.iter().map(String::as_str).collect());
        }
        let left: Vec<&str> = self.room.unpromised(resource).collect();
        (left.len() < self.room.devices(resource).len()).then_some(left)
    }

    /// What the vendor's libraries call these devices; none unless they have a name for each.
    fn names_of(&self, resource: &str, devices: &[String]) -> Option<Vec<&str>> {
        let found = self.gpus.get(resource)?;
        let name = |id: &String| found.iter().find(|gpu| gpu.id == *id)?.uuid.as_deref();
        devices.iter().map(name).collect()
    }

    /// What is said about a pod that begins and is told of fewer devices than there are, though it asked for none.
    pub(crate) fn hidden_devices(&self, pod: &Object, actions: &[Action]) -> Option<String> {
        let begins = |action: &Action| matches!(action, Action::Start { attempt: 0, .. });
        if !self.room.has_granted() || !actions.iter().any(begins) {
            return None;
        }
        let grant = self.room.granted(pod.text("uid"));
        let hidden = TOLD.into_iter().find_map(|resource| {
            let has = grant.is_some_and(|grant| !grant.of(resource).is_empty());
            let (all, left) = (self.room.devices(resource).len(), self.room.unpromised(resource).count());
            (!has && left < all).then_some((resource, all - left, all))
        });
        let (resource, taken, all) = hidden?;
        Some(format!(
            "{taken} of {all} {resource} were given to other pods, and are hidden from this one, which asked for none"
        ))
    }
}

#[cfg(test)]
mod tests;
