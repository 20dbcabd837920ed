//! How much disk a pod and its containers may take. Pure: it counts nothing.
//!
//! Source: upstream pkg/kubelet/eviction/eviction_manager.go (`localStorageEviction`) and `PodLimits` in
//! k8s.io/component-helpers/resource.

use serde_json::Value;

use super::quantity::{ceil_div, nanos};

/// A limit, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorageLimit {
    /// The container; none: the pod as a whole.
    pub container: Option<String>,
    /// How much.
    pub bytes: u64,
    /// The same as Kubernetes writes it.
    pub text: String,
}

/// `resources.limits.ephemeral-storage`: what the pod's containers may take together, if any of them has a limit, and what
/// each may that has one. A limit of 0 is none.
#[must_use]
pub fn storage_limits(pod: &Value) -> Vec<StorageLimit> {
    // Upstream looks at the pod first.
    let each = limits(&pod["spec"]["containers"]).map(|(_, limit)| limit);
    whole(pod).into_iter().chain(each).collect()
}

fn whole(pod: &Value) -> Option<StorageLimit> {
    let spec = &pod["spec"];
    let sum = |all: &mut dyn Iterator<Item = StorageLimit>| {
        all.fold((0_u64, Vec::new()), |(sum, mut texts), limit| {
            texts.push(limit.text);
            (sum.saturating_add(limit.bytes), texts)
        })
    };
    let is_sidecar = |spec: &Value| spec["restartPolicy"] == "Always";
    let beside = limits(&spec["initContainers"]).filter(|(spec, _)| is_sidecar(spec)).map(|(_, limit)| limit);
    let apps = limits(&spec["containers"]).map(|(_, limit)| limit);
    let (mut bytes, mut texts) = sum(&mut apps.chain(beside));
    for (_, init) in limits(&spec["initContainers"]).filter(|(spec, _)| !is_sidecar(spec)) {
        if init.bytes > bytes {
            (bytes, texts) = (init.bytes, vec![init.text]);
        }
    }
    let text = match texts.as_slice() {
        [] => return None,
        [text] => text.clone(),
        _ => written(bytes, texts.iter().all(|text| text.ends_with('i'))),
    };
    Some(StorageLimit { container: None, bytes, text })
}

/// The limits of the containers of a list that have one.
fn limits(list: &Value) -> impl Iterator<Item = (&Value, StorageLimit)> {
    list.as_array().into_iter().flatten().filter_map(|spec| {
        let text = spec["resources"]["limits"]["ephemeral-storage"].as_str()?.to_owned();
        let bytes = u64::try_from(ceil_div(nanos(&text)?, 1_000_000_000)).ok().filter(|bytes| *bytes > 0)?;
        let container = Some(spec["name"].as_str()?.to_owned());
        Some((spec, StorageLimit { container, bytes, text }))
    })
}

/// A number of bytes as a quantity, in the largest unit that it is a whole number of.
fn written(bytes: u64, is_binary: bool) -> String {
    let (units, step) = if is_binary { ("KMGTPE", 1024) } else { ("kMGTPE", 1000) };
    let (mut value, mut unit) = (bytes, None);
    for next in units.chars().take_while(|_| bytes > 0) {
        if value % step != 0 {
            break;
        }
        (value, unit) = (value / step, Some(next));
    }
    match unit {
        Some(unit) if is_binary => format!("{value}{unit}i"),
        Some(unit) => format!("{value}{unit}"),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(inits: &[(&str, &str, bool)], apps: &[(&str, &str)]) -> Value {
        let of = |name: &str, limit: &str| {
            let limits = if limit.is_empty() { json!({}) } else { json!({"ephemeral-storage": limit}) };
            json!({"name": name, "resources": {"limits": limits}})
        };
        let init = |&(name, limit, is_sidecar): &(&str, &str, bool)| {
            let mut spec = of(name, limit);
            if is_sidecar {
                spec["restartPolicy"] = json!("Always");
            }
            spec
        };
        let inits: Vec<Value> = inits.iter().map(init).collect();
        let apps: Vec<Value> = apps.iter().map(|(name, limit)| of(name, limit)).collect();
        json!({"spec": {"initContainers": inits, "containers": apps}})
    }

    fn told(pod: &Value) -> Vec<(Option<String>, u64, String)> {
        storage_limits(pod).into_iter().map(|limit| (limit.container, limit.bytes, limit.text)).collect()
    }

    #[test]
    fn pod_may_take_what_its_containers_may_together() {
        let whole = |inits: &[(&str, &str, bool)], apps: &[(&str, &str)]| {
            let mut told = told(&pod(inits, apps));
            (!told.is_empty()).then(|| told.remove(0)).map(|(container, _, text)| (container, text))
        };
        let pods = |text: &str| Some((None, text.to_owned()));
        assert_eq!(whole(&[], &[("a", "")]), None);
        assert_eq!(whole(&[], &[("a", "0")]), None);
        assert_eq!(whole(&[], &[("a", "1Gi"), ("b", "")]), pods("1Gi"));
        assert_eq!(whole(&[], &[("a", "1Gi"), ("b", "512Mi")]), pods("1536Mi"));
        assert_eq!(whole(&[], &[("a", "1500k"), ("b", "500k")]), pods("2M"));
        assert_eq!(whole(&[("s", "1Gi", true)], &[("a", "1Gi")]), pods("2Gi"));
        assert_eq!(whole(&[("i", "3Gi", false)], &[("a", "1Gi")]), pods("3Gi"));
    }

    #[test]
    fn each_container_has_its_own_limit_after_the_pods() {
        let (a, b) = (Some("a".to_owned()), Some("b".to_owned()));
        let of = |container, bytes: u64, text: &str| (container, bytes << 20, text.to_owned());
        let expected = [of(None, 3, "3Mi"), of(a, 1, "1Mi"), of(b, 2, "2Mi")];
        assert_eq!(told(&pod(&[], &[("a", "1Mi"), ("b", "2Mi"), ("c", "")])), expected);
    }
}
