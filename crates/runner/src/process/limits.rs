//! What a container may take at most, as its process's group is to hold it.

use serde_json::Value;

use super::Host;
use super::quantity::{ceil_div, nanos};
use crate::runtime::Limits;

/// `resources.limits` of a container. None: it has none, and costs nothing. A limit of 0 is none (upstream:
/// `calculateLinuxResources` in pkg/kubelet/kuberuntime/kuberuntime_container_linux.go).
pub(super) fn of(spec: &Value, host: &Host) -> Option<Limits> {
    let limits = &spec["resources"]["limits"];
    let whole = |name: &str, unit: i128| {
        let value = match &limits[name] {
            Value::String(text) => nanos(text)?,
            Value::Number(number) => nanos(&number.to_string())?,
            _ => return None,
        };
        Some(u64::try_from(ceil_div(value, unit)).unwrap_or(u64::MAX)).filter(|limit| *limit > 0)
    };
    let limits = Limits {
        memory_bytes: whole("memory", 1_000_000_000),
        cpu_millis: whole("cpu", 1_000_000),
        pids: host.pids,
    };
    (limits != Limits::default()).then_some(limits)
}
