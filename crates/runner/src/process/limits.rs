//! What a container may take at most, as its process's group is to hold it.

use serde_json::Value;

use super::Host;
use super::quantity::{ceil_div, nanos};
use crate::runtime::Limits;

/// `resources.limits` of a container, or of its pod where it has none itself. None: it has none, and costs nothing. A
/// limit of 0 is none (upstream: `calculateLinuxResources` and `generateLinuxContainerResources` in
/// pkg/kubelet/kuberuntime/kuberuntime_container_linux.go). That all containers together have the pod's is not held
/// ([`unheld`]).
pub(super) fn of(pod: &Value, spec: &Value, host: &Host) -> Option<Limits> {
    let whole = |name: &str, unit: i128| {
        let of = |spec: &Value| limit(spec, name, unit);
        of(spec).or_else(|| of(&pod["spec"]))
    };
    let limits = Limits {
        memory_bytes: whole("memory", 1_000_000_000),
        cpu_millis: whole("cpu", 1_000_000),
        pids: host.pids,
    };
    (limits != Limits::default()).then_some(limits)
}

fn limit(spec: &Value, name: &str, unit: i128) -> Option<u64> {
    let value = match &spec["resources"]["limits"][name] {
        Value::String(text) => nanos(text)?,
        Value::Number(number) => nanos(&number.to_string())?,
        _ => return None,
    };
    Some(u64::try_from(ceil_div(value, unit)).unwrap_or(u64::MAX)).filter(|limit| *limit > 0)
}

/// The resources of which a pod (its `spec`) has a limit that its containers together may exceed: each of those that run
/// beside each other is held to its own, or to the pod's where it has none.
pub(crate) fn unheld(spec: &Value) -> Vec<&'static str> {
    if spec["resources"]["limits"].is_null() {
        return Vec::new();
    }
    let list = |name: &str| spec[name].as_array().into_iter().flatten();
    let sidecars = list("initContainers").filter(|spec| spec["restartPolicy"] == "Always");
    let all: Vec<&Value> = list("containers").chain(sidecars).collect();
    let may_exceed = |(name, unit): &(&str, i128)| {
        limit(spec, name, *unit).is_some_and(|whole| {
            let each = all.iter().map(|one| limit(one, name, *unit).unwrap_or(whole));
            each.fold(0, u64::saturating_add) > whole
        })
    };
    let resources = [("cpu", 1_000_000), ("memory", 1_000_000_000)].into_iter();
    resources.filter(may_exceed).map(|(name, _)| name).collect()
}
