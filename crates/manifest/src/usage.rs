//! What a job's containers used, as the engine tells it on their pods: the annotation
//! `usage.windlass.dev/<container>` is `cpu=1.234s,memory=12Mi`. Other clusters do not tell it.

use k8s_openapi::api::core::v1::Pod;

use crate::Usage;

const PREFIX: &str = crate::marks::USAGE;

/// All pods together; none if none tells.
pub(crate) fn of_pods(pods: &[Pod]) -> Option<Usage> {
    pods.iter().filter_map(of_pod).reduce(|one, other| Usage {
        cpu_ms: one.cpu_ms.saturating_add(other.cpu_ms),
        peak_memory_bytes: one.peak_memory_bytes.max(other.peak_memory_bytes),
    })
}

fn of_pod(pod: &Pod) -> Option<Usage> {
    let annotations = pod.metadata.annotations.as_ref()?;
    let told = annotations.iter().filter(|(name, _)| name.starts_with(PREFIX));
    told.filter_map(|(_, text)| parse(text)).reduce(|one, other| Usage {
        cpu_ms: one.cpu_ms.saturating_add(other.cpu_ms),
        peak_memory_bytes: one.peak_memory_bytes.max(other.peak_memory_bytes),
    })
}

fn parse(text: &str) -> Option<Usage> {
    let (cpu, memory) = text.split_once(',')?;
    let (seconds, thousandths) = cpu.strip_prefix("cpu=")?.strip_suffix('s')?.split_once('.')?;
    let thousandths = (thousandths.len() == 3).then_some(thousandths)?;
    let cpu_ms = seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(thousandths.parse().ok()?)?;
    let memory = memory.strip_prefix("memory=")?;
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let (amount, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((memory.strip_suffix(suffix)?, unit)))
        .unwrap_or((memory, 1));
    Some(Usage { cpu_ms, peak_memory_bytes: amount.parse::<u64>().ok()?.checked_mul(unit)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(annotations: &[(&str, &str)]) -> Pod {
        let mut pod = Pod::default();
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        pod.metadata.annotations = Some(annotations.iter().map(owned).collect());
        pod
    }

    #[test]
    fn cpu_is_summed_and_the_most_memory_is_told() {
        let pods = [
            pod(&[
                ("usage.windlass.dev/main", "cpu=1.234s,memory=12Mi"),
                ("usage.windlass.dev/side", "cpu=0.001s,memory=900Ki"),
            ]),
            pod(&[("usage.windlass.dev/main", "cpu=2.000s,memory=1Gi"), ("other", "cpu=1.000s,memory=1Mi")]),
        ];
        assert_eq!(of_pods(&pods), Some(Usage { cpu_ms: 3235, peak_memory_bytes: 1 << 30 }));
    }

    #[test]
    fn what_makes_no_sense_is_not_told() {
        for text in ["", "cpu=1s,memory=1Mi", "cpu=1.0s,memory=1Mi", "cpu=1.000s,memory=1.5Mi", "memory=1Mi"]
        {
            assert_eq!(of_pods(&[pod(&[("usage.windlass.dev/main", text)])]), None, "{text}");
        }
        assert_eq!(of_pods(&[Pod::default()]), None);
    }
}
