//! GPUs: which the machine has, which pod has which, and how its processes are told.
//!
//! The kernel's directories are read once, when an engine starts. Nothing fences a process of the host off from a device:
//! it is told which ones are its own, by the variables that the vendors' libraries go by. What a container sets itself
//! wins. A pod that asks for none is told nothing as long as nobody was promised a device, so that a machine alone with
//! its user is as it always was; from then on it is told those that are left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::unistd::{AccessFlags, eaccess};
use serde_json::Value;
use windlass_apiserver::registry::Object;
use windlass_control::schedule::{Devices, Grant};
use windlass_runner::kubelet::Action;

use crate::pods::is_ended;
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
/// Of all resources together there are no more devices than this.
const MOST_OF_ALL: usize = 8 * MOST;
/// The variables by which a batch system (Slurm and others) tells a process which devices of the machine are its own, in
/// the order in which the libraries go by them: each counts among what the one before has left.
pub(crate) const ALLOTTING: [(&str, &str); 3] =
    [(NVIDIA, "CUDA_VISIBLE_DEVICES"), (AMD, "ROCR_VISIBLE_DEVICES"), (AMD, "HIP_VISIBLE_DEVICES")];

/// A GPU that the machine has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gpu {
    /// What it is called here, the same after each start of the machine: its PCI address or its file.
    pub(crate) id: String,
    /// What its vendor's libraries call it wherever it is, if the driver has said so.
    pub(crate) uuid: Option<String>,
    /// Its number among those that can be opened here, by which the libraries go where it has no name.
    pub(crate) number: usize,
}

/// GPUs by the resource that they are, in the order in which the vendor's libraries count them.
pub(crate) type Gpus = BTreeMap<&'static str, Vec<Gpu>>;

/// The GPUs that the directories below `root` tell of (`/` is the machine): those that a process can open.
pub(crate) fn find(root: &Path) -> Gpus {
    let found = [(NVIDIA, nvidia(root)), (AMD, amd(root))];
    let counted = |mut gpus: Vec<Gpu>| {
        gpus.iter_mut().enumerate().for_each(|(number, gpu)| gpu.number = number);
        gpus
    };
    let found = found.into_iter().filter(|(_, gpus)| !gpus.is_empty());
    found.map(|(resource, gpus)| (resource, counted(gpus))).collect()
}

/// Whether this process may read and write a device's file, as far as the file system and the group of devices that it is
/// in say: a batch system that fences processes in leaves the file where it is. Opening it would wake the device.
fn opens(file: &Path) -> bool {
    eaccess(file, AccessFlags::R_OK | AccessFlags::W_OK).is_ok()
}

/// Those of them that are this engine's where whoever started it was told which are its own; and the resources of which
/// it was told.
pub(crate) fn allotted(mut found: Gpus, told: &BTreeMap<String, String>) -> (Gpus, BTreeSet<&'static str>) {
    let mut confined = BTreeSet::new();
    for (resource, variable) in ALLOTTING {
        let Some(text) = told.get(variable) else { continue };
        confined.insert(resource);
        let own = named(&found.remove(resource).unwrap_or_default(), variable, text);
        if !own.is_empty() {
            found.insert(resource, own);
        }
    }
    (found, confined)
}

/// Those that a list names, by number or by name. At the first that is not there the libraries stop, and so does this.
fn named(all: &[Gpu], variable: &str, text: &str) -> Vec<Gpu> {
    let mut own: Vec<Gpu> = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let is_it = |gpu: &&Gpu| {
            entry.starts_with("GPU-") && gpu.uuid.as_deref().is_some_and(|uuid| uuid.starts_with(entry))
        };
        let gpu = match entry.parse::<usize>() {
            Ok(number) => all.get(number),
            // A beginning that several have is no name.
            Err(_) => all.iter().find(is_it).filter(|_| all.iter().filter(is_it).count() == 1),
        };
        match gpu.filter(|gpu| !own.contains(gpu)) {
            Some(gpu) => own.push(gpu.clone()),
            None => {
                if !matches!(entry, "" | "-1" | "none" | "void" | "NoDevFiles") {
                    tracing::warn!(
                        variable,
                        text,
                        entry,
                        "no such device here: it and those after it do not count"
                    );
                }
                break;
            }
        }
    }
    own
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
        let there = files.into_iter().map(|minor| format!("nvidia{minor}"));
        let there = there.filter(|file| opens(&root.join("dev").join(file)));
        return there.map(|id| Gpu { id, uuid: None, number: 0 }).collect();
    }
    let gpu = |address: String| {
        let text = std::fs::read_to_string(driver.join(&address).join("information")).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
            line.map(str::trim).filter(|value| !value.is_empty())
        };
        let is_shut = field("GPU Excluded").is_some_and(|value| value.eq_ignore_ascii_case("yes"))
            || field("Device Minor").is_some_and(|minor| !opens(&root.join(format!("dev/nvidia{minor}"))));
        // Of a GPU that nobody has opened yet the driver writes question marks.
        let uuid = field("GPU UUID").filter(|uuid| uuid.starts_with("GPU-") && !uuid.contains('?'));
        (!is_shut).then(|| Gpu { uuid: uuid.map(str::to_owned), id: address, number: 0 })
    };
    addresses.into_iter().filter_map(gpu).collect()
}

/// Those of the kernel's compute driver for AMD, which ROCm counts in the order of its nodes.
///
/// Source: Linux, `drivers/gpu/drm/amd/amdkfd/kfd_topology.c`.
fn amd(root: &Path) -> Vec<Gpu> {
    let nodes = root.join("sys/class/kfd/kfd/topology/nodes");
    if !opens(&root.join("dev/kfd")) {
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
        opens(&root.join("dev/dri").join(&file)).then_some(Gpu { id: file, uuid: None, number: 0 })
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
    let mut lists: Vec<(&String, Vec<String>)> =
        lists.filter_map(|(name, amount)| Some((name, list(name, amount)?))).collect();
    // Those that processes are told of come first if there are too many.
    lists.sort_by_key(|(name, _)| !TOLD.contains(&name.as_str()));
    let mut left = MOST_OF_ALL;
    let bounded = lists.into_iter().filter(|(_, list)| match left.checked_sub(list.len()) {
        Some(less) => {
            left = less;
            true
        }
        None => false,
    });
    Devices::new(bounded.map(|(name, list)| (name.clone(), list)).collect())
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

/// The variables for a list of devices, by name or by number.
fn variables(resource: &str, list: String, is_named: bool) -> Vec<(&'static str, String)> {
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

/// What is said of a device that a pod has and the node has not.
fn gone(resource: &str, id: &str) -> String {
    format!("the device {id} ({resource}) that this pod was given is not on the node any more")
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
        if !self.room.has_granted() && self.confined.is_empty() {
            return Ok(told);
        }
        for resource in TOLD {
            let Some(visible) = self.visible(pod, container, resource) else { continue };
            let all = self.room.devices(resource);
            let names = self.names_of(resource, all);
            let word = |id: &str| {
                let place = all.iter().position(|known| known == id).ok_or_else(|| gone(resource, id))?;
                Ok(match &names {
                    Some(names) => names[place].to_owned(),
                    None => self.number_of(resource, id).unwrap_or(place).to_string(),
                })
            };
            let list = visible.into_iter().map(word).collect::<Result<Vec<String>, String>>()?;
            told.extend(variables(resource, list.join(","), names.is_some()));
        }
        Ok(told)
    }

    fn number_of(&self, resource: &str, id: &str) -> Option<usize> {
        self.gpus.get(resource)?.iter().find(|gpu| gpu.id == id).map(|gpu| gpu.number)
    }

    /// Notes the pods that have a device which the node has not, to tell them.
    pub(crate) fn see_devices(&mut self) {
        for (key, held) in self.cache.held_of("Pod") {
            let grant = recorded(&held.object);
            if grant.is_nothing() || is_ended(&held.object) {
                continue;
            }
            let is_missing =
                |(resource, id): &(&str, &str)| !self.room.devices(resource).iter().any(|known| known == id);
            if let Some((resource, id)) = grant.iter().find(is_missing) {
                let told =
                    format!("{}; what runs goes on, and is not started again without it", gone(resource, id));
                self.bereft.insert(key.clone(), told);
                self.dirty.insert(key.clone());
            }
        }
    }

    /// The devices of a resource that a container is told of; none if it is told nothing.
    fn visible<'a>(&'a self, pod: &'a Object, container: &str, resource: &'a str) -> Option<Vec<&'a str>> {
        let grant = self.room.granted(pod.text("uid"));
        if let Some(grant) = grant.filter(|grant| !grant.of(resource).is_empty()) {
            let share = grant.share(resource, pod.spec(), container);
            return Some(share.iter().map(String::as_str).collect());
        }
        let left: Vec<&str> = self.room.unpromised(resource).collect();
        let is_told = left.len() < self.room.devices(resource).len() || self.confined.contains(resource);
        is_told.then_some(left)
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
