//! What a container used, told on its pod: the annotation `usage.windlass.dev/<container>` is
//! `cpu=1.234s,memory=12288Ki` (`Mi` from 16 MiB on), the CPU time and the most resident memory of one process of the container's last run that
//! has ended. It is written together with the status that says so. A container's name fits the annotation's.

use serde_json::Value;
use windlass_apiserver::registry::Object;
use windlass_runner::kubelet::{Facts, RunState, Used};

const PREFIX: &str = "usage.windlass.dev/";
/// From here on memory is told in whole Mi, rounded up.
const IN_MI: u64 = 16 << 20;

/// Notes what is known to the pod's annotations.
pub(crate) fn note(pod: &mut Object, facts: &Facts) {
    for run in &facts.runs {
        let RunState::Ended { used, .. } = &run.state else { continue };
        let (name, text) = (format!("{PREFIX}{}", run.container), text(*used));
        // Not measured by every runtime.
        if used.peak_bytes == 0 || pod["metadata"]["annotations"][&name] == text.as_str() {
            continue;
        }
        let annotations = &mut pod["metadata"]["annotations"];
        if matches!(annotations, Value::Null | Value::Object(_)) {
            annotations[name] = text.into();
        }
    }
}

fn text(used: Used) -> String {
    let Used { cpu_us, peak_bytes, .. } = used;
    let (ms, bytes) = (cpu_us.div_ceil(1000), peak_bytes);
    let memory = match bytes {
        IN_MI.. => format!("{}Mi", bytes.div_ceil(1 << 20)),
        _ => format!("{}Ki", bytes.div_ceil(1 << 10)),
    };
    format!("cpu={}.{:03}s,memory={memory}", ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_told_in_seconds_and_a_quantity() {
        for (cpu_us, peak_bytes, expected) in [
            (1_234_000, 12 << 20, "cpu=1.234s,memory=12288Ki"),
            (1, 1, "cpu=0.001s,memory=1Ki"),
            (61_000_000, (100 << 20) + 1, "cpu=61.000s,memory=101Mi"),
        ] {
            assert_eq!(text(Used { cpu_us, peak_bytes, out_of_memory: false }), expected);
        }
    }
}
