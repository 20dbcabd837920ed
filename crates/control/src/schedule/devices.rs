//! Which particular devices a pod gets where the node has several of a kind (GPUs). It knows devices by their names
//! alone: what a device is, and how a process is told of it, is the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::request::Amounts;

/// The devices that pods can be given, by resource, in the node's order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Devices(BTreeMap<String, Vec<String>>);

impl Devices {
    /// These, by resource.
    #[must_use]
    pub fn new(devices: BTreeMap<String, Vec<String>>) -> Devices {
        Devices(devices.into_iter().filter(|(_, list)| !list.is_empty()).collect())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The devices of a resource.
    #[must_use]
    pub fn of(&self, resource: &str) -> &[String] {
        self.0.get(resource).map(Vec::as_slice).unwrap_or_default()
    }

    /// For each resource that is asked for, the first devices that nobody has. Of a resource whose devices are not
    /// known nothing is given; of one that is only counted beyond those known, as many as there are.
    #[must_use]
    pub fn grant<'a>(&self, request: &Amounts, held: impl IntoIterator<Item = &'a Grant>) -> Grant {
        let mut grant = Grant::default();
        if !request.iter().any(|(name, _)| self.0.contains_key(name)) {
            return grant;
        }
        let taken: BTreeSet<(&str, &str)> = held.into_iter().flat_map(Grant::iter).collect();
        for (resource, amount) in request.iter() {
            let free = self.of(resource).iter().filter(|id| !taken.contains(&(resource, id.as_str())));
            let given: Vec<String> = free.take(usize::try_from(amount).unwrap_or(0)).cloned().collect();
            if !given.is_empty() {
                grant.0.insert(resource.to_owned(), given);
            }
        }
        grant
    }
}

/// The devices that one pod has, by resource. Its text stands on the pod: `nvidia.com/gpu=0,1;amd.com/gpu=renderD128`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grant(BTreeMap<String, Vec<String>>);

impl Grant {
    /// Reads the text. What is no grant is none.
    #[must_use]
    pub fn read(text: &str) -> Grant {
        let entries = text.split(';').filter_map(|entry| entry.split_once('='));
        let list = |ids: &str| ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        let lists = entries.map(|(resource, ids)| (resource.to_owned(), list(ids)));
        Grant(lists.filter(|(_, ids): &(String, Vec<String>)| !ids.is_empty()).collect())
    }

    /// Whether the pod has none.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a resource.
    #[must_use]
    pub fn of(&self, resource: &str) -> &[String] {
        self.0.get(resource).map(Vec::as_slice).unwrap_or_default()
    }

    /// Resource and device, each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(resource, ids)| ids.iter().map(|id| (resource.as_str(), id.as_str())))
    }

    /// Those of them that are one container's: containers that run at the same time have none in common, init
    /// containers use before the others what those have after them, as a kubelet's device manager has it.
    #[must_use]
    pub fn share(&self, resource: &str, spec: &Value, container: &str) -> &[String] {
        let list = |name: &str| spec[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let wants = |one: &Value| {
            let amount = Amounts::read(&one["resources"]["requests"]).of(resource);
            usize::try_from(amount).unwrap_or(0)
        };
        let cut = |from: usize, count: usize| {
            let all = self.of(resource);
            &all[from.min(all.len())..from.saturating_add(count).min(all.len())]
        };
        let mut used = 0;
        for one in list("initContainers") {
            if one["name"] == container {
                return cut(used, wants(one));
            }
            if one["restartPolicy"] == "Always" {
                used += wants(one);
            }
        }
        for one in list("containers") {
            if one["name"] == container {
                return cut(used, wants(one));
            }
            used += wants(one);
        }
        &[]
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (resource, ids)) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { ";" };
            write!(f, "{between}{resource}={}", ids.join(","))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn gpus(count: usize) -> Devices {
        let ids = (0..count).map(|id| id.to_string()).collect();
        Devices::new([("nvidia.com/gpu".to_owned(), ids)].into())
    }

    fn asks(count: usize) -> Amounts {
        Amounts::read(&json!({"cpu": "1", "nvidia.com/gpu": count}))
    }

    #[test]
    fn each_gets_the_first_that_nobody_has() {
        let all = gpus(3);
        let first = all.grant(&asks(1), []);
        let second = all.grant(&asks(2), [&first]);
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("nvidia.com/gpu=0".into(), "nvidia.com/gpu=1,2".into())
        );
        assert_eq!(all.grant(&asks(1), [&second]), first, "what was given back is given again");
        assert!(all.grant(&asks(1), [&first, &second]).is_nothing());
        assert!(all.grant(&Amounts::read(&json!({"cpu": "1"})), []).is_nothing());
        assert!(all.grant(&Amounts::read(&json!({"amd.com/gpu": 1})), []).is_nothing(), "it is counted only");
    }

    #[test]
    fn text_is_read_as_it_was_written_and_nonsense_is_nothing() {
        let text = "amd.com/gpu=renderD128;nvidia.com/gpu=0000:3b:00.0,1";
        let grant = Grant::read(text);
        assert_eq!(grant.to_string(), text);
        assert_eq!(grant.of("nvidia.com/gpu"), ["0000:3b:00.0", "1"]);
        for nonsense in ["", ";;", "=", "a", "a=", "a=,"] {
            assert!(Grant::read(nonsense).is_nothing(), "{nonsense:?}");
        }
    }

    #[test]
    fn containers_share_what_the_pod_has_and_init_containers_use_it_before_them() {
        let with = |name: &str, count: u32| json!({"name": name, "resources": {"requests": {"nvidia.com/gpu": count}}});
        let mut sidecar = with("side", 1);
        sidecar["restartPolicy"] = "Always".into();
        let spec = json!({
            "initContainers": [with("first", 3), sidecar, with("second", 2)],
            "containers": [with("a", 1), json!({"name": "none"}), with("b", 2)],
        });
        let grant = gpus(8).grant(&Amounts::requested(&spec), []);
        let share = |container: &str| grant.share("nvidia.com/gpu", &spec, container).join(",");
        assert_eq!(grant.of("nvidia.com/gpu").len(), 4);
        assert_eq!(
            ["first", "side", "second", "a", "none", "b", "other"].map(share),
            ["0,1,2", "0", "1,2", "1", "", "2,3", ""]
        );
        let less = Grant::read("nvidia.com/gpu=7");
        assert_eq!(less.share("nvidia.com/gpu", &spec, "b"), [""; 0], "fewer than asked for is no panic");
    }

    proptest! {
        /// Whoever comes and goes: no device is two pods', and who fits gets as many as it asked for.
        #[test]
        fn no_device_is_of_two_pods(steps in prop::collection::vec((0..6_usize, 0..4_usize), 1..40)) {
            let all = gpus(5);
            let mut held: BTreeMap<usize, Grant> = BTreeMap::new();
            for (pod, count) in steps {
                if held.remove(&pod).is_some() { continue; }
                let free = 5 - held.values().flat_map(Grant::iter).count();
                let grant = all.grant(&asks(count), held.values());
                prop_assert_eq!(grant.iter().count(), count.min(free));
                held.insert(pod, grant);
                let taken: Vec<_> = held.values().flat_map(Grant::iter).collect();
                prop_assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), taken.len());
            }
        }
    }
}
